// The page's controls: what they show and change are models of Bokeh, which keeps them equal with the server.
"use strict";

const finewave = (() => {
  { // before anything is painted
    const root = document.documentElement, { wanted } = root.dataset;
    const dark = wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "dark" : "light";
  }
  const byId = (id) => document.getElementById(id);
  const frames = []; // milliseconds from a change of the frame to the picture of it on the screen
  let models, app;

  const on = (model, names, act) => {
    for (const name of names) model.connect(model.properties[name].change, act);
  };

  function bindControls() {
    const { settings } = models;
    for (const element of document.querySelectorAll("[data-setting]")) {
      const name = element.dataset.setting;
      const isNumber = typeof settings[name] === "number";
      const show = () => { element.value = isNumber ? String(nearest(settings[name])) : settings[name]; };
      element.addEventListener("change", () => { settings[name] = isNumber ? Number(element.value) : element.value; });
      on(settings, [name], show);
      // options are written by Python: 400.0 for 400
      if (isNumber) for (const option of element.options) option.value = String(Number(option.value));
      show();
    }
  }

  const axis = () => JSON.parse(app.dataset.axis);
  const named = (value) => `${Math.round(value * 10) / 10}${app.dataset.unit ? " " + app.dataset.unit : ""}`;
  function nearest(value) {
    return axis().reduce((best, each) => (Math.abs(each - value) < Math.abs(best - value) ? each : best));
  }

  function bindBand() {
    const { settings } = models, slider = byId("band"), values = axis();
    const show = () => {
      slider.value = String(values.indexOf(nearest(settings.band)));
      byId("band-name").textContent = named(settings.band);
    };
    slider.addEventListener("input", () => { settings.band = values[Number(slider.value)]; });
    on(settings, ["band"], show);
    show();
  }

  function bindMode() {
    const { settings } = models, shown = JSON.parse(app.dataset.shown);
    const show = () => {
      byId("three").hidden = settings.mode !== "three";
      byId("shown").textContent = shown[settings.mode] || "";
    };
    on(settings, ["mode"], show);
    show();
  }

  function bindSwipe() {
    const { settings } = models, stack = byId("stack"), handle = byId("swipe");
    const title = (role) => role.charAt(0).toUpperCase() + role.slice(1);
    const show = () => {
      const percent = Math.round(settings.swipe * 1000) / 10;
      stack.classList.toggle("same", settings.left === settings.right); // then the right one covers all
      stack.style.setProperty("--swipe", `${percent}%`);
      handle.setAttribute("aria-valuenow", String(Math.round(percent)));
      byId("tag-left").textContent = title(settings.left);
      byId("tag-right").textContent = title(settings.right);
    };
    const move = (to) => { settings.swipe = Math.min(1, Math.max(0, to)); };
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
      handle.focus();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = stack.getBoundingClientRect();
      move((event.clientX - box.left) / box.width);
    });
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      move(settings.swipe + step);
      event.preventDefault();
    });
    on(settings, ["swipe", "left", "right"], show);
    show();
  }

  function bindTheme() {
    const { settings } = models, system = matchMedia("(prefers-color-scheme: dark)");
    const show = () => {
      const dark = settings.theme === "dark" || (settings.theme === "auto" && system.matches);
      document.documentElement.dataset.theme = dark ? "dark" : "light";
      settings.dark = dark;
    };
    system.addEventListener("change", show);
    on(settings, ["theme"], show);
    show();
  }

  // Both plots have the same centre and the same width of ground; their heights differ with their shapes.
  function linkRanges() {
    const { left, map } = models;
    let busy = false;
    const follow = (from, to) => () => {
      if (busy || !to.inner_width || !from.inner_width) return;
      busy = true;
      const x = from.x_range, y = from.y_range;
      const middle = (y.start + y.end) / 2, half = ((x.end - x.start) * to.inner_height) / to.inner_width / 2;
      to.x_range.setv({ start: x.start, end: x.end });
      to.y_range.setv({ start: middle + half, end: middle - half });
      busy = false;
    };
    const ends = ["start", "end"];
    for (const range of [left.x_range, left.y_range]) on(range, ends, follow(left, map));
    for (const range of [map.x_range, map.y_range]) on(range, ends, follow(map, left));
    on(map, ["inner_width", "inner_height"], follow(left, map));
    follow(left, map)();
  }

  function measureFrames() {
    const { left, front } = models;
    let asked = null;
    on(left.x_range, ["start", "end"], () => {
      asked = { time: performance.now(), x0: left.x_range.start, x1: left.x_range.end };
    });
    on(front, ["data"], () => {
      const frame = front.data.frame && front.data.frame[0];
      const equal = (a, b) => Math.abs(a - b) <= 1e-6 * Math.abs(asked.x1 - asked.x0);
      if (!asked || !frame || !equal(frame[0], asked.x0) || !equal(frame[1], asked.x1)) return;
      const { time } = asked;
      asked = null;
      // drawn in the first animation frame, on the screen when the second begins
      requestAnimationFrame(() => requestAnimationFrame(() => frames.push(performance.now() - time)));
    });
  }

  function bindTools() {
    const { left, right, map, settings } = models;
    const tools = (kind) => [left, right, map].map((plot) => plot.toolbar.tools.find((tool) => tool.type === kind));
    const drag = (region) => {
      for (const tool of tools(region ? "PanTool" : "BoxSelectTool")) tool.active = false;
      for (const tool of tools(region ? "BoxSelectTool" : "PanTool")) tool.active = true;
      byId("drag-move").setAttribute("aria-pressed", String(!region));
      byId("drag-region").setAttribute("aria-pressed", String(region));
    };
    let chosen = false;
    byId("drag-move").addEventListener("click", () => drag((chosen = false)));
    byId("drag-region").addEventListener("click", () => drag((chosen = true)));
    addEventListener("keydown", (event) => { if (event.key === "Shift" && !event.repeat) drag(true); });
    addEventListener("keyup", (event) => { if (event.key === "Shift") drag(chosen); });
    addEventListener("blur", () => drag(chosen));
    const zoom = (factor) => {
      for (const range of [left.x_range, left.y_range]) {
        const middle = (range.start + range.end) / 2, half = (range.end - range.start) / 2;
        range.setv({ start: middle - half * factor, end: middle + half * factor });
      }
    };
    byId("zoom-in").addEventListener("click", () => zoom(0.5));
    byId("zoom-out").addEventListener("click", () => zoom(2));
    byId("zoom-fit").addEventListener("click", () => { settings.fit += 1; });
    byId("stack").addEventListener("pointermove", (event) => {
      const box = byId("stack").getBoundingClientRect(), x = left.x_range, y = left.y_range;
      const column = x.start + ((event.clientX - box.left) / box.width) * (x.end - x.start);
      const row = y.end + ((event.clientY - box.top) / box.height) * (y.start - y.end);
      byId("place").textContent = `column ${Math.floor(column)}, row ${Math.floor(row)}`;
    });
  }

  function bindTexts() {
    const { settings } = models;
    const text = (name, id) => {
      const show = () => { byId(id).textContent = settings[name]; };
      on(settings, [name], show);
      show();
    };
    text("picked", "picked");
    text("map_note", "map-note");
    text("resolution", "resolution");
    text("trouble", "trouble");
    const hints = () => {
      byId("trouble").hidden = !settings.trouble;
      byId("no-pick").hidden = Boolean(settings.picked);
    };
    on(settings, ["picked", "trouble"], hints);
    hints();
    const table = () => {
      if (!settings.scores || !byId("scores")) return;
      const body = byId("scores").tBodies[0];
      body.replaceChildren(...JSON.parse(settings.scores).map(([title, whole, region]) => {
        const row = document.createElement("tr");
        for (const value of [title, whole, region]) row.insertCell().textContent = value;
        return row;
      }));
    };
    on(settings, ["scores"], table);
    table();
  }

  function bindLink() {
    const { settings } = models;
    let later;
    const address = () => {
      const scene = app.dataset.scene ? `scene=${encodeURIComponent(app.dataset.scene)}&` : "";
      return `${location.pathname}?${scene}${settings.query}`;
    };
    // a browser takes no more than some hundred changes of the address in half a minute
    const say = () => {
      clearTimeout(later);
      later = setTimeout(() => history.replaceState(null, "", address()), 250);
    };
    on(settings, ["query"], say);
    say();
    byId("copy-link").addEventListener("click", async () => {
      history.replaceState(null, "", address());
      const button = byId("copy-link");
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "See the address bar"; // no clipboard without https on other machines
      }
      setTimeout(() => { button.textContent = "Copy link"; }, 1500);
    });
  }

  function bindUpload() {
    const dialog = byId("try"), input = byId("file");
    let file = null, job = null, sending = null;
    const trouble = (text) => { byId("try-trouble").textContent = text; byId("try-trouble").hidden = !text; };
    const running = (is) => { byId("running").hidden = !is; byId("run").disabled = is || !file; byId("model").disabled = is; };
    const choose = (chosen) => {
      if (!chosen || job || sending) return;
      const limit = Number(app.dataset.limit);
      file = chosen.size <= limit ? chosen : null;
      byId("chosen").textContent = chosen.name;
      trouble(file ? "" : `${chosen.name} has ${Math.ceil(chosen.size / 2 ** 20)} MB; the page takes ${limit / 2 ** 20} MB. Use finewave predict.`);
      running(false);
      if (!dialog.open) dialog.showModal();
    };
    byId("open-try").addEventListener("click", () => dialog.showModal());
    byId("drop").addEventListener("click", () => input.click());
    byId("drop").addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") input.click(); });
    input.addEventListener("click", (event) => event.stopPropagation());
    input.addEventListener("change", () => choose(input.files[0]));
    for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => {
      if (!event.dataTransfer || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.add("dropping");
      if (!dialog.open) dialog.showModal();
    });
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
    addEventListener("drop", (event) => {
      if (!event.dataTransfer || !event.dataTransfer.files.length) return;
      event.preventDefault();
      document.body.classList.remove("dropping");
      choose(event.dataTransfer.files[0]);
    });
    const own = { "X-Finewave": app.dataset.page };
    const show = (done, total, text) => {
      const bar = byId("progress");
      if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
      byId("progress-text").textContent = text;
    };
    const send = () => new Promise((resolve, reject) => {
      const request = (sending = new XMLHttpRequest());
      const query = new URLSearchParams({ name: file.name, model: byId("model").value });
      request.open("POST", `upload?${query}`);
      request.setRequestHeader("X-Finewave", app.dataset.page);
      request.responseType = "json";
      request.upload.onprogress = (event) => show(event.loaded, event.total, "sending …");
      request.onload = () => (request.status === 200 ? resolve(request.response.key) : reject(new Error((request.response && request.response.message) || `status ${request.status}`)));
      request.onerror = () => reject(new Error("the server does not answer"));
      request.onabort = () => reject(new Error("cancelled"));
      request.send(file);
    });
    byId("run").addEventListener("click", async () => {
      trouble("");
      running(true);
      show(0, 0, "sending …");
      try {
        job = await send();
        sending = null;
        for (;;) {
          const facts = await (await fetch(`jobs/${job}`)).json();
          if (facts.state === "done") break;
          if (facts.state === "failed") throw new Error(facts.message);
          if (facts.state === "cancelled") throw new Error("cancelled");
          const tiles = facts.total > 1 ? `${facts.done} of ${facts.total} tiles, ` : "";
          show(facts.done, facts.total > 1 ? facts.total : 0, facts.state === "waiting" ? `waiting for ${facts.ahead} other upload${facts.ahead === 1 ? "" : "s"} …` : `${tiles}${Math.round(facts.seconds)} s`);
          await new Promise((resume) => setTimeout(resume, 200));
        }
        location.assign(`${location.pathname}?scene=${encodeURIComponent(job)}&theme=${models.settings.theme}`);
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
      else dialog.close();
    });
  }

  // The policy of the page allows no script in it: its plots are started from here, and its models found by name.
  async function start() {
    app = byId("app");
    await Bokeh.embed.embed_items({}, JSON.parse(app.dataset.render));
    const [page] = Bokeh.documents;
    if (!page.is_idle) await new Promise((resolve) => page.idle.connect(resolve));
    const found = (name) => page.get_model_by_name(name);
    models = { settings: found("settings"), left: found("left"), right: found("right"), map: found("map"), front: found("front-right") };
    for (const bind of [bindControls, bindBand, bindMode, bindSwipe, bindTheme, linkRanges, measureFrames, bindTools, bindTexts, bindLink, bindUpload]) bind();
    finewave.models = models;
    document.documentElement.dataset.ready = "yes";
  }

  addEventListener("DOMContentLoaded", start);
  return { frames };
})();
