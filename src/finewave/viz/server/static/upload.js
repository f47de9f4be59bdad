// Opening files, with or without a model: in a dialog, or on the page that asks for one.
"use strict";

{
  const { byId } = finewave;
  const SPECTRA = /\.(sli|hdr|csv|txt|asc)$/i;
  let models, app;

  function bindUpload() {
    const dialog = byId("try"), input = byId("file"); // the page that asks for a file has no dialog
    const open = () => { if (dialog && !dialog.open) dialog.showModal(); };
    let file = null, job = null, sending = null;
    const trouble = (text) => { byId("try-trouble").textContent = text; byId("try-trouble").hidden = !text; };
    const running = (is) => {
      byId("running").hidden = !is;
      byId("run").disabled = is || !file;
      byId("model").disabled = is;
      byId("try-cancel").disabled = !is && !dialog;
    };
    running(false);
    const fits = (chosen, instead) => {
      const limit = Number(app.dataset.limit);
      trouble(chosen.size <= limit ? "" : `${chosen.name} has ${Math.ceil(chosen.size / 2 ** 20)} MB; the page takes ${limit / 2 ** 20} MB. Use ${instead}.`);
      return chosen.size <= limit;
    };
    const choose = (files) => {
      if (!files.length || job || sending) return;
      const image = files.find((each) => !SPECTRA.test(each.name));
      open();
      if (!image) {
        compare(files);
        return;
      }
      // a text beside an image is about it, as Landsat's MTL.txt
      const others = files.filter((each) => each !== image).map((each) => each.name);
      byId("chosen").textContent = image.name + (others.length ? ` (left out: ${others.join(", ")}; one image at a time, spectra by themselves)` : "");
      file = fits(image, "finewave predict") ? image : null;
      running(false);
    };
    // Spectral libraries are sent at once; the header of a binary one goes before its values.
    const compare = async (files) => {
      const isHeader = (each) => /\.hdr$/i.test(each.name), stem = (each) => each.name.replace(/(\.sli)?\.\w+$/i, "").toLowerCase();
      const libraries = files.filter((each) => !isHeader(each));
      file = null;
      byId("chosen").textContent = files.map((each) => each.name).join(", ");
      if (!libraries.length) {
        trouble(`${files[0].name} is a header; drop the .sli file together with it.`);
        running(false);
        return;
      }
      running(true);
      let count = 0;
      try {
        for (const library of libraries) {
          if (!fits(library, "finewave view --library")) return;
          const header = /\.sli$/i.test(library.name) && files.find((each) => isHeader(each) && stem(each) === stem(library));
          show(0, 0, `reading ${library.name} …`);
          const query = new URLSearchParams({ name: library.name, header: String(header ? header.size : 0) });
          const answer = await send(`library?${query}`, header ? new Blob([header, library]) : library);
          count += answer.spectra;
        }
        if (dialog) dialog.close();
        else byId("chosen").textContent = `${count === 1 ? "1 spectrum" : `${count} spectra`} to compare with: now open an image`;
      } catch (error) {
        if (error.message !== "cancelled") trouble(error.message);
      } finally {
        sending = null;
        running(false);
      }
    };
    if (dialog) byId("open-try").addEventListener("click", open);
    byId("drop").addEventListener("click", () => input.click());
    byId("drop").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      input.click();
    });
    const named = () => {
      const [choice] = byId("model").selectedOptions, isModel = choice.value !== "-";
      byId("run").textContent = isModel ? "Run" : "Open";
      byId("model-note").textContent = isModel ? choice.textContent : ""; // the list is too narrow for all of it
    };
    byId("model").addEventListener("change", named);
    named();
    input.addEventListener("click", (event) => event.stopPropagation());
    input.addEventListener("change", () => choose([...input.files]));
    for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => {
      if (!event.dataTransfer || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
      open();
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
    addEventListener("drop", (event) => {
      if (!event.dataTransfer || !event.dataTransfer.files.length) return;
      event.preventDefault();
      document.body.classList.remove("dropping");
      choose([...event.dataTransfer.files]);
    });
    const own = { "X-Finewave": app.dataset.page };
    const show = (done, total, text) => {
      const bar = byId("progress");
      if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
      byId("progress-text").textContent = text;
    };
    const progressOf = (facts) => {
      if (facts.state === "waiting") return [0, 0, `waiting for ${facts.ahead} other upload${facts.ahead === 1 ? "" : "s"} …`];
      const seconds = `${Math.round(facts.seconds)} s`;
      if (!facts.total) return [0, 0, `${facts.doing} …, ${seconds}`];
      const tiles = `${facts.done} of ${facts.total} tile${facts.total === 1 ? "" : "s"}`;
      // one tile has no parts that could be counted
      return [facts.done, facts.total > 1 ? facts.total : 0, `${facts.doing}: ${tiles}, ${seconds}`];
    };
    const send = (address, body) => new Promise((resolve, reject) => {
      const request = (sending = new XMLHttpRequest());
      request.open("POST", address);
      request.setRequestHeader("X-Finewave", app.dataset.page);
      request.responseType = "json";
      request.upload.onprogress = (event) => show(event.loaded, event.total, "sending …");
      request.onload = () => (request.status === 200 ? resolve(request.response) : reject(new Error((request.response && request.response.message) || `status ${request.status}`)));
      request.onerror = () => reject(new Error("the server does not answer"));
      request.onabort = () => reject(new Error("cancelled"));
      request.send(body);
    });
    byId("run").addEventListener("click", async () => {
      trouble("");
      running(true);
      show(0, 0, "sending …");
      try {
        const query = new URLSearchParams({ name: file.name, model: byId("model").value });
        job = (await send(`upload?${query}`, file)).key;
        sending = null;
        for (;;) {
          const facts = await (await fetch(`jobs/${job}`)).json();
          if (facts.state === "done") break;
          if (facts.state === "failed") throw new Error(facts.message);
          if (facts.state === "cancelled") throw new Error("cancelled");
          show(...progressOf(facts));
          await new Promise((resume) => setTimeout(resume, 200));
        }
        location.assign(`${location.pathname}?scene=${encodeURIComponent(job)}&theme=${models ? models.settings.theme : "auto"}`);
      } catch (error) {
        job = sending = null;
        running(false);
        if (error.message !== "cancelled") trouble(error.message);
      }
    });
    const stop = () => fetch(`jobs/${job}`, { method: "DELETE", headers: own, keepalive: true });
    addEventListener("pagehide", () => { if (job) stop(); });
    byId("try-cancel").addEventListener("click", () => {
      if (sending) sending.abort();
      else if (job) stop();
      else if (dialog) dialog.close();
    });
  }


  finewave.parts.push((shown, element) => {
    models = shown;
    app = element;
    bindUpload();
  });
}
