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
    finewave.zoom = (factor) => {
      for (const range of [left.x_range, left.y_range]) {
        const middle = (range.start + range.end) / 2, half = (range.end - range.start) / 2;
        range.setv({ start: middle - half * factor, end: middle + half * factor });
      }
    };
    byId("zoom-in").addEventListener("click", () => finewave.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => finewave.zoom(2));
    byId("zoom-fit").addEventListener("click", () => { settings.fit += 1; });
  }

  // The picture without a mouse.
  function bindKeys() {
    const { left, settings } = models, stack = byId("stack"), x = left.x_range, y = left.y_range;
    const pan = (across, down) => {
      const dx = (x.end - x.start) * across, dy = (y.start - y.end) * down;
      x.setv({ start: x.start + dx, end: x.end + dx });
      y.setv({ start: y.start + dy, end: y.end + dy });
    };
    const acts = {
      ArrowLeft: () => pan(-0.1, 0), ArrowRight: () => pan(0.1, 0), ArrowUp: () => pan(0, -0.1), ArrowDown: () => pan(0, 0.1),
      "+": () => finewave.zoom(0.5), "=": () => finewave.zoom(0.5), "-": () => finewave.zoom(2), 0: () => { settings.fit += 1; },
      Enter: () => finewave.ask({ do: "pick", at: [(x.start + x.end) / 2, (y.start + y.end) / 2] }),
    };
    stack.addEventListener("keydown", (event) => {
      if (event.target !== stack || !acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      acts[event.key]();
      event.preventDefault();
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
    text("loading", "loading");
    const hints = () => {
      byId("trouble").hidden = !settings.trouble;
      byId("loading").hidden = !settings.loading || Boolean(settings.trouble);
      byId("no-pick").hidden = Boolean(settings.picked) || settings.pins !== "[]";
      byId("pin").disabled = !settings.picked;
      byId("save-spectra").disabled = !settings.picked && settings.pins === "[]";
    };
    on(settings, ["picked", "trouble", "loading", "pins"], hints);
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

  // The policy of the page allows no script in it: its plots are started from here, and its models found by name.
  async function start() {
    app = byId("app");
    const [page] = await opened();
    const found = (name) => page.get_model_by_name(name);
    if (!found("settings")) { // the page that asks for a file
      for (const bind of finewave.parts) bind(null, app);
      document.documentElement.dataset.ready = "yes";
      return;
    }
    models = { settings: found("settings"), left: found("left"), right: found("right"), map: found("map"), front: found("front-right") };
    for (const bind of [bindControls, bindBand, bindMode, bindSwipe, bindTheme, linkRanges, measureFrames, bindTools, bindKeys, bindTexts, bindLink]) bind();
    for (const bind of finewave.parts) bind(models, app);
    finewave.models = models;
    app.setAttribute("aria-busy", "false");
    document.documentElement.dataset.ready = "yes";
  }

  async function opened() {
    await Bokeh.embed.embed_items({}, JSON.parse(app.dataset.render));
    const [page] = Bokeh.documents;
    if (!page.is_idle && page.roots().length) await new Promise((resolve) => page.idle.connect(resolve));
    page.on_event("connection_lost", () => {
      byId("trouble").hidden = false;
      byId("trouble").textContent = "The connection is lost: is finewave view still running? Reload the page when it is.";
    });
    return Bokeh.documents;
  }

  addEventListener("DOMContentLoaded", start);
  return { frames, parts: [], on, byId };
})();
