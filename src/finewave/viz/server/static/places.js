// Places of the picture: map coordinates, pinned spectra, the library, and files to save.
"use strict";

{
  const { byId, on } = finewave;
  let settings, models, asked = 0;

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  // Every command differs from the one before it, or nobody would hear it.
  finewave.ask = (command) => { settings.command = JSON.stringify({ ...command, count: (asked += 1) }); };

  // Coordinates

  const map = () => JSON.parse(byId("app").dataset.map);

  function degrees(facts, column, row) {
    if (!facts.grid) return null;
    const cells = facts.grid[0].length - 1, [height, width] = facts.size;
    const x = (column / width) * cells, y = (row / height) * cells;
    const i = Math.min(cells - 1, Math.max(0, Math.floor(x))), j = Math.min(cells - 1, Math.max(0, Math.floor(y)));
    const between = (grid) => {
      const top = grid[j][i] + (grid[j][i + 1] - grid[j][i]) * (x - i);
      const bottom = grid[j + 1][i] + (grid[j + 1][i + 1] - grid[j + 1][i]) * (x - i);
      return top + (bottom - top) * (y - j);
    };
    const [ex, ey, ez] = facts.grid.map(between), degree = Math.PI / 180;
    return [Math.atan2(ey, ex) / degree, Math.atan2(ez, Math.hypot(ex, ey)) / degree];
  }

  const side = (value, positive, negative, digits) => `${Math.abs(value).toFixed(digits)}° ${value < 0 ? negative : positive}`;

  function coordinates(facts, column, row) {
    const [a, b, c, d, e, f] = facts.transform;
    const x = a * column + b * row + c, y = d * column + e * row + f;
    const found = facts.degrees ? [x, y] : degrees(facts, column, row);
    const digits = Math.min(8, Math.max(4, facts.degrees ? facts.decimals : facts.decimals + 5));
    return {
      map: facts.degrees ? null : [x.toFixed(facts.decimals), y.toFixed(facts.decimals)],
      degrees: found && [side(found[0], "E", "W", digits), side(found[1], "N", "S", digits)],
    };
  }
  finewave.coordinates = (column, row) => coordinates(map(), column, row);

  function bindCoordinates() {
    const facts = map(), { left } = models, stack = byId("stack");
    stack.addEventListener("pointermove", (event) => {
      const box = stack.getBoundingClientRect(), x = left.x_range, y = left.y_range;
      const column = x.start + ((event.clientX - box.left) / box.width) * (x.end - x.start);
      const row = y.end + ((event.clientY - box.top) / box.height) * (y.start - y.end);
      const words = [`column ${Math.floor(column)}, row ${Math.floor(row)}`];
      if (facts) {
        const at = coordinates(facts, column, row);
        if (at.map) words.push(`x ${at.map[0]}, y ${at.map[1]}`);
        if (at.degrees) words.push(at.degrees.join(", "));
      }
      byId("place").textContent = words.join(" · ");
    });
    const list = byId("coordinates");
    const show = () => {
      const [, at] = /[?&]?pick=([-\d,]+)/.exec(settings.query) || [];
      list.hidden = !at;
      if (!at) return;
      const [x0, y0, x1, y1] = at.split(",").map(Number), column = (x0 + x1) / 2, row = (y0 + y1) / 2;
      if (document.activeElement !== byId("go-column")) byId("go-column").value = String(x0);
      if (document.activeElement !== byId("go-row")) byId("go-row").value = String(y0);
      const rows = [];
      if (facts) {
        const found = coordinates(facts, column, row);
        if (found.map) rows.push(["x", found.map[0]], ["y", found.map[1]]);
        if (found.degrees) rows.push(["Longitude", found.degrees[0]], ["Latitude", found.degrees[1]]);
        if (facts.crs) rows.push(["CRS", facts.crs]);
      } else rows.push(["Map", "no georeference"]);
      list.replaceChildren(...rows.flatMap(([name, value]) => [
        element("dt", { textContent: name }), element("dd", { textContent: value }),
      ]));
    };
    on(settings, ["query"], show);
    show();
    byId("go").addEventListener("submit", (event) => {
      event.preventDefault();
      finewave.ask({ do: "pick", at: [Number(byId("go-column").value) + 0.5, Number(byId("go-row").value) + 0.5] });
    });
  }

  // Pinned spectra

  function bindPins() {
    const list = byId("pins");
    byId("pin").addEventListener("click", () => finewave.ask({ do: "pin" }));
    const where = ([x0, x1, y0, y1]) => (x1 - x0 === 1 && y1 - y0 === 1 ? `${x0}, ${y0}` : `${x1 - x0} × ${y1 - y0} at ${x0}, ${y0}`);
    const make = (pin) => {
      const label = element("input", { type: "text", maxLength: 40, className: "label" });
      label.addEventListener("change", () => finewave.ask({ do: "label", number: pin.slot, text: label.value }));
      const remove = element("button", { type: "button", textContent: "×", title: "Remove" });
      remove.addEventListener("click", () => finewave.ask({ do: "unpin", number: pin.slot }));
      const item = element("li", {}, element("span", { className: "swatch" }), label, element("span", { className: "place" }), element("span", { className: "angle", title: "Spectral angle to the selected spectrum" }), remove);
      item.dataset.slot = String(pin.slot);
      return item;
    };
    const show = () => {
      const pins = JSON.parse(settings.pins);
      const items = new Map([...list.children].map((item) => [item.dataset.slot, item]));
      list.replaceChildren(...pins.map((pin) => {
        const item = items.get(String(pin.slot)) || make(pin), label = item.querySelector(".label");
        item.querySelector(".swatch").style.background = pin.colour;
        if (document.activeElement !== label) label.value = pin.label;
        label.setAttribute("aria-label", `Label of the spectrum at ${where(pin.at)}`);
        item.querySelector("button").setAttribute("aria-label", `Remove ${pin.label}`);
        item.querySelector(".place").textContent = pin.read ? where(pin.at) : "reading …";
        item.querySelector(".angle").textContent = pin.angle;
        return item;
      }));
      list.hidden = pins.length === 0;
    };
    on(settings, ["pins"], show);
    show();
  }

  // The library

  function bindLibrary() {
    const list = byId("library"), find = byId("find");
    find.addEventListener("input", () => finewave.ask({ do: "find", text: find.value }));
    const make = (entry) => {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => finewave.ask({ do: "draw", number: entry.entry, on: box.checked }));
      const item = element("li", {}, element("label", {}, box, element("span", { className: "swatch" }), element("span", { className: "name" })), element("span", { className: "angle" }));
      item.dataset.entry = String(entry.entry);
      return item;
    };
    const show = () => {
      // also with nothing found, else nobody could look for something else
      if (settings.library !== "[]") byId("measured").hidden = false;
      const items = new Map([...list.children].map((item) => [item.dataset.entry, item]));
      const focused = document.activeElement && document.activeElement.closest("#library li");
      list.replaceChildren(...JSON.parse(settings.library).map((entry) => {
        const item = items.get(String(entry.entry)) || make(entry), name = item.querySelector(".name");
        item.querySelector("input").checked = Boolean(entry.colour);
        item.querySelector(".swatch").hidden = !entry.colour;
        item.querySelector(".swatch").style.background = entry.colour;
        name.textContent = name.title = entry.name;
        item.querySelector(".angle").textContent = entry.angle;
        return item;
      }));
      if (focused && focused.isConnected) focused.querySelector("input").focus();
    };
    on(settings, ["library"], show);
    show();
  }

  // Files to save: made by the server, fetched once

  function bindSaving() {
    byId("save-picture").addEventListener("click", () => finewave.ask({ do: "save-picture" }));
    byId("save-spectra").addEventListener("click", () => finewave.ask({ do: "save-spectra" }));
    on(settings, ["download"], () => {
      const link = element("a", { href: `saves/${encodeURIComponent(JSON.parse(settings.download).key)}`, download: "" });
      document.body.append(link);
      link.click();
      link.remove();
    });
  }

  finewave.parts.push((shown) => {
    if (!shown) return;
    models = shown;
    settings = shown.settings;
    for (const bind of [bindCoordinates, bindPins, bindLibrary, bindSaving]) bind();
  });
}
