"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [rows, columns] = data.size;
  const $ = (id) => document.getElementById(id);
  const MOST_POINTS = 6;
  const GAP = 4;
  const layerOf = (role) => data.layers.find((layer) => layer.role === role);
  const mapOf = (key) => data.maps.find((map) => map.key === key);
  const result = layerOf("result");
  const reference = layerOf("reference");

  // ---- what is embedded ----

  async function unpack(spectra) {
    const packed = Uint8Array.from(atob(spectra.data), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const [bands, height, width] = spectra.shape;
    const cells = height * width;
    const count = bands * cells;
    const values = new Float64Array(count);
    const steps = new Uint16Array(cells);
    for (let i = 0; i < count; i++) {
      const cell = i % cells;
      steps[cell] = (steps[cell] + bytes[i] + 256 * bytes[count + i]) & 65535;
      values[i] = steps[cell] === 65535 ? NaN : spectra.low + (steps[cell] / 65534) * (spectra.high - spectra.low);
    }
    return { bands, height, width, values };
  }

  const spectra = new Map();
  for (const layer of data.layers) spectra.set(layer.role, await unpack(layer.spectra));
  if (data.half_widths) spectra.set("half-width", await unpack(data.half_widths));

  // A place is a pixel [x, y] or a region [x, y, width, height], of the result.
  function spectrumAt(layer, [x, y, across = 1, down = 1]) {
    // mean and standard deviation over the blocks that meet the place
    const grid = spectra.get(layer.role);
    const row = (at) => Math.min(Math.floor((at * layer.size[0]) / rows / layer.step), grid.height - 1);
    const column = (at) => Math.min(Math.floor((at * layer.size[1]) / columns / layer.step), grid.width - 1);
    const mean = [], spread = [];
    for (let band = 0; band < grid.bands; band++) {
      let count = 0, sum = 0, squares = 0;
      for (let i = row(y); i <= row(y + down - 1); i++) {
        for (let j = column(x); j <= column(x + across - 1); j++) {
          const value = grid.values[(band * grid.height + i) * grid.width + j];
          if (!Number.isFinite(value)) continue;
          count += 1;
          const apart = value - sum / Math.max(1, count - 1);
          sum += value;
          squares += apart * (value - sum / count);
        }
      }
      mean.push(count ? sum / count : NaN);
      spread.push(count ? Math.sqrt(squares / count) : NaN);
    }
    return { mean, spread };
  }

  const pictures = new Map();
  function picture(address) {
    if (!pictures.has(address)) {
      const image = new Image();
      image.src = address;
      pictures.set(address, image.decode().then(() => image));
    }
    return pictures.get(address);
  }

  // ---- what is shown; the address after # says it, so that it can be passed on ----

  const state = {
    show: data.composites[0].key, band: Math.floor(result.bands.length / 2), red: 0, green: 0, blue: 0,
    left: layerOf("input") ? "input" : reference ? "reference" : "result", right: "result",
    swipe: 50, zoom: 1, bright: 1, points: data.points.map((point) => point.slice()),
  };
  [state.red, state.green, state.blue] = [0.75, 0.5, 0.25].map((part) => Math.floor(part * (result.bands.length - 1)));
  const views = [...data.layers.map((layer) => layer.role), ...data.maps.map((map) => map.key)];

  function isPlace(place) {
    const [x, y, across = 1, down = 1] = place;
    return (place.length === 2 || place.length === 4) && place.every(Number.isInteger)
      && x >= 0 && y >= 0 && across >= 1 && down >= 1 && x + across <= columns && y + down <= rows;
  }

  function readAddress() {
    const said = new URLSearchParams(location.hash.slice(1));
    const whole = (name, low, high) => {
      const number = Number(said.get(name));
      if (said.has(name) && number >= low && number <= high) state[name] = number;
    };
    for (const name of ["band", "red", "green", "blue"]) {
      whole(name, 0, result.bands.length - 1);
      state[name] = Math.round(state[name]);
    }
    whole("swipe", 0, 100);
    whole("zoom", 1, 8);
    whole("bright", 0.25, 4);
    for (const side of ["left", "right"]) if (views.includes(said.get(side))) state[side] = said.get(side);
    if ([...$("show").options].some((option) => option.value === said.get("show"))) state.show = said.get("show");
    if (said.has("points")) {
      state.points = said.get("points").split("_").map((place) => place.split(",").map(Number)).filter(isPlace)
        .slice(0, MOST_POINTS);
    }
  }

  function writeAddress() {
    const said = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      said.set(name, name === "points" ? value.map((point) => point.join(",")).join("_") : value);
    }
    try { history.replaceState(null, "", "#" + said); } catch { /* a sandboxed page has no address of its own */ }
  }

  // ---- bands by wavelength ----

  const nm = (value) => `${Number(value.toPrecision(4))} nm`;

  function bandName(layer, band) {
    if (layer.wavelengths) return `${nm(layer.wavelengths[band])}`;
    return layer.names ? layer.names[band] : `band ${band + 1}`;
  }

  function bandFor(layer, band) {
    // the band of another image that stands for a band of the result
    if (layer.bands.length === result.bands.length) return band;
    if (layer.wavelengths && result.wavelengths) {
      const wanted = result.wavelengths[band];
      const distance = layer.wavelengths.map((each) => Math.abs(each - wanted));
      return distance.indexOf(Math.min(...distance));
    }
    const part = band / Math.max(1, result.bands.length - 1);
    const red = Math.min(2, layer.bands.length - 1);
    // a photograph: its blue, green, red stand for the first, second, third part of the bands
    return Math.max(0, red - Math.min(red, Math.floor(part * (red + 1))));
  }

  async function source(key) {
    const map = mapOf(key);
    if (map) return { image: await picture(map.picture), words: `${map.label}, 0 to ${map.limit}${map.unit}` };
    const layer = layerOf(key);
    if (state.show === "band") {
      const band = bandFor(layer, state.band);
      const words = `${layer.label}, ${bandName(layer, band)}, 0 to ${layer.whites[band]}`;
      return { image: await picture(layer.bands[band]), words };
    }
    if (state.show === "own") {
      const bands = [state.red, state.green, state.blue].map((band) => bandFor(layer, band));
      const names = bands.map((band) => bandName(layer, band).replace(" nm", "")).join(" / ");
      return { image: await mixed(layer, bands), words: `${layer.label}, ${names}${layer.wavelengths ? " nm" : ""}` };
    }
    const shown = data.composites.find((each) => each.key === state.show);
    const own = layer.shown[state.show]; // an image without the bands is shown in its own way, and says so
    return { image: await picture(layer.pictures[state.show]), words: `${layer.label}${own === shown.label ? "" : `: ${own}`}, 0 to ${shown.white}` };
  }

  async function mixed(layer, bands) {
    // each band as one colour, then the three added: drawing alone, because some browsers forbid reading pixels
    const greys = await Promise.all(bands.map((band) => picture(layer.bands[band])));
    const [width, height] = [greys[0].naturalWidth, greys[0].naturalHeight];
    const whole = new OffscreenCanvas(width, height);
    const one = new OffscreenCanvas(width, height);
    const onWhole = whole.getContext("2d");
    const onOne = one.getContext("2d");
    greys.forEach((grey, i) => {
      onOne.globalCompositeOperation = "copy";
      onOne.drawImage(grey, 0, 0);
      onOne.globalCompositeOperation = "multiply";
      onOne.fillStyle = ["#ff0000", "#00ff00", "#0000ff"][i];
      onOne.fillRect(0, 0, width, height);
      onWhole.globalCompositeOperation = "lighter";
      onWhole.drawImage(one, 0, 0);
    });
    return whole;
  }

  // ---- the picture ----

  const canvas = $("picture");
  const stage = $("stage");
  const frame = $("frame");
  let turn = 0;

  async function drawPicture() {
    const mine = ++turn;
    document.documentElement.dataset.asked = String(mine);
    const [left, right] = await Promise.all([source(state.left), source(state.right)]);
    if (mine !== turn) return; // something else was asked for meanwhile
    const brush = canvas.getContext("2d");
    const split = Math.round((canvas.width * state.swipe) / 100);
    brush.imageSmoothingEnabled = false;
    brush.clearRect(0, 0, canvas.width, canvas.height);
    for (const [each, from, to] of [[left, 0, split], [right, split, canvas.width]]) {
      brush.save();
      brush.beginPath();
      brush.rect(from, 0, to - from, canvas.height);
      brush.clip();
      brush.drawImage(each.image, 0, 0, canvas.width, canvas.height);
      brush.restore();
    }
    $("left-name").textContent = `◀ ${left.words}`;
    $("right-name").textContent = `${right.words} ▶`;
    canvas.setAttribute("aria-label",
      `Left of ${state.swipe} %: ${left.words}. Right: ${right.words}. Arrow keys move a cross, Enter marks a point, r the corner of a region.`);
    const map = mapOf(state.right) || mapOf(state.left);
    if (data.maps.length) $("bar").hidden = !map;
    if (map) {
      $("bar-name").textContent = map.label;
      $("bar-high").textContent = `≥ ${map.limit}${map.unit}`;
    }
    document.documentElement.dataset.drawn = String(mine);
  }

  function size() {
    const across = frame.clientWidth;
    const fit = Math.min(across, (window.innerHeight * 0.7 * columns) / rows);
    stage.style.width = `${Math.max(60, fit * state.zoom)}px`;
    stage.style.height = `${(Math.max(60, fit * state.zoom) * rows) / columns}px`;
    drawMarks();
  }

  let drawn = null; // the region that is being drawn
  const cursor = { x: Math.floor(columns / 2), y: Math.floor(rows / 2), shown: false };
  const NS = "http://www.w3.org/2000/svg";
  function element(name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function drawMarks() {
    const marks = $("marks");
    const box = stage.getBoundingClientRect();
    marks.replaceChildren();
    const place = (x, y) => [((x + 0.5) / columns) * box.width, ((y + 0.5) / rows) * box.height];
    const line = (state.swipe / 100) * box.width;
    marks.append(element("line", { x1: line, x2: line, y1: 0, y2: box.height, stroke: "#000", "stroke-width": 3, opacity: 0.5 }));
    marks.append(element("line", { x1: line, x2: line, y1: 0, y2: box.height, stroke: "#fff", "stroke-width": 1 }));
    const outline = ([px, py, across, down]) => {
      const box1 = { x: (px / columns) * box.width, y: (py / rows) * box.height };
      const box2 = { width: (across / columns) * box.width, height: (down / rows) * box.height };
      for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
        marks.append(element("rect", { ...box1, ...box2, fill: "none", stroke: colour, "stroke-width": width }));
      }
    };
    if (drawn) outline(drawn);
    state.points.forEach(([px, py, across = 1, down = 1], i) => {
      const [x, y] = place(px + (across - 1) / 2, py + (down - 1) / 2);
      if (across * down > 1) outline([px, py, across, down]);
      marks.append(element("circle", { cx: x, cy: y, r: 10, fill: "#111", stroke: "#fff", "stroke-width": 1.5, opacity: 0.85 }));
      marks.append(element("text", { x, y: y + 4, fill: "#fff", "font-size": 12, "font-weight": 700, "text-anchor": "middle" }, i + 1));
    });
    if (cursor.shown) {
      const [x, y] = place(cursor.x, cursor.y);
      for (const [colour, width] of [["#000", 3], ["#fff", 1]]) {
        marks.append(element("path", { d: `M${x - 14} ${y}H${x + 14}M${x} ${y - 14}V${y + 14}`, stroke: colour, "stroke-width": width }));
      }
    }
  }

  // ---- spectra ----

  const short = (value) => (Number.isFinite(value) ? Number(value.toPrecision(4)).toString() : "none");

  function compared(ours, theirs) {
    let squares = 0, product = 0, a = 0, b = 0;
    ours.forEach((value, i) => {
      squares += (value - theirs[i]) ** 2;
      product += value * theirs[i];
      a += value ** 2;
      b += theirs[i] ** 2;
    });
    const angle = (Math.acos(Math.min(1, Math.max(-1, product / Math.sqrt(a * b)))) * 180) / Math.PI;
    return { rmse: Math.sqrt(squares / ours.length), angle };
  }

  function niceSteps(low, high, count) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) {
      found.push(Number(value.toPrecision(6)));
    }
    return found;
  }

  function curves(place) {
    const withNm = Boolean(result.wavelengths);
    return data.layers.filter((layer) => !withNm || layer.wavelengths).map((layer) => {
      const { mean, spread } = spectrumAt(layer, place);
      const across = withNm ? layer.wavelengths : mean.map((_, i) => i + 1);
      const halves = layer.role === "result" && data.half_widths ? spectrumAt({ ...layer, role: "half-width" }, place).mean : [];
      // around a point, what is drawn is where the truth is expected; around a mean, how its pixels differ
      const around = (i) => (place.length === 2 && Number.isFinite(halves[i]) ? halves[i] : spread[i]);
      const points = mean
        .map((value, i) => [across[i], value, around(i), spread[i], halves[i]])
        .filter((_, i) => !layer.good || layer.good[i]) // bands that are flagged bad are left out
        .sort((p, q) => p[0] - q[0]);
      return { layer, points };
    });
  }

  function plot(lines, title) {
    const [width, height, left, right, top, bottom] = [340, 216, 48, 10, 18, 36];
    const flat = lines.flatMap((line) => line.points).filter(([, value]) => Number.isFinite(value));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
    svg.append(element("title", {}, title));
    if (!flat.length) {
      svg.append(element("text", { x: width / 2, y: height / 2, class: "axis", "text-anchor": "middle" }, "no data here"));
      return svg;
    }
    const xs = flat.map((point) => point[0]);
    const ys = flat.flatMap(([, value, spread]) => [value - spread, value + spread]);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    const y0 = Math.min(0, ...ys);
    const y1 = Math.max(...ys) > y0 ? Math.max(...ys) + 0.04 * (Math.max(...ys) - y0) : y0 + 1;
    const px = (x) => left + ((x - x0) / (x1 - x0 || 1)) * (width - left - right);
    const py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
    for (const value of niceSteps(y0, y1, 5)) {
      svg.append(element("line", { x1: left, x2: width - right, y1: py(value), y2: py(value), class: "gridline" }));
      svg.append(element("text", { x: left - 6, y: py(value) + 4, class: "axis", "text-anchor": "end" }, value));
    }
    for (const value of niceSteps(x0, x1, 5)) {
      svg.append(element("line", { x1: px(value), x2: px(value), y1: top, y2: height - bottom, class: "gridline" }));
      svg.append(element("text", { x: px(value), y: height - bottom + 15, class: "axis", "text-anchor": "middle" }, value));
    }
    svg.append(element("text", { x: left, y: 9, class: "axis", "text-anchor": "end" }, "value"));
    const below = result.wavelengths ? "wavelength (nm)" : "band";
    svg.append(element("text", { x: (left + width - right) / 2, y: height - 5, class: "axis", "text-anchor": "middle" }, below));
    for (const { layer, points } of [...lines].sort((a, b) => (a.layer.role === "result") - (b.layer.role === "result"))) {
      const there = points.filter(([, value]) => Number.isFinite(value));
      const colour = `var(--${layer.role})`;
      if (layer.role === "input") {
        for (const [x, y, spread] of there) {
          if (spread > 0) {
            svg.append(element("path", { d: `M${px(x)} ${py(y - spread)}V${py(y + spread)}`, class: "spread", stroke: colour }));
          }
          svg.append(element("path", { d: `M${px(x)} ${py(y) - 5}l5 5l-5 5l-5 -5z`, stroke: colour, fill: "var(--page)", "stroke-width": 1.6 }));
        }
      } else {
        const apart = there.slice(1).map(([x], i) => x - there[i][0]).sort((a, b) => a - b);
        const gap = GAP * apart[Math.floor(apart.length / 2)];
        const joined = (i) => i && there[i][0] - there[i - 1][0] <= gap; // no line where bands were left out
        if (there.some(([, , spread]) => spread > 0)) {
          const edge = (sign) => there.map(([x, y, spread]) => `${px(x).toFixed(2)} ${py(y + sign * spread).toFixed(2)}`);
          const around = `M${[...edge(1), ...edge(-1).reverse()].join("L")}Z`;
          svg.append(element("path", { d: around, class: "spread", fill: colour, opacity: 0.18 }));
        }
        const path = there.map(([x, y], i) => `${joined(i) ? "L" : "M"}${px(x).toFixed(2)} ${py(y).toFixed(2)}`).join("");
        const width = layer.role === "reference" ? 3 : 2;
        const dashes = layer.role === "reference" ? {} : { "stroke-dasharray": reference ? "6 3" : "none" };
        svg.append(element("path", { d: path, stroke: colour, fill: "none", "stroke-width": width, ...dashes }));
      }
    }
    return svg;
  }

  function node(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function values(lines) {
    const table = node("table", { class: "right" });
    const head = ["nm", ...lines.map((line) => line.layer.label)].map((text) => node("th", { scope: "col" }, text));
    if (!result.wavelengths) head[0].textContent = "band";
    const stops = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    const body = stops.map((stop) => node("tr", {}, node("th", { scope: "row" }, short(stop)), ...lines.map((line) => {
      const found = line.points.find((point) => point[0] === stop);
      return node("td", {}, found ? short(found[1]) + (found[2] > 0 ? ` ± ${short(found[2])}` : "") : "");
    })));
    table.append(node("thead", {}, node("tr", {}, ...head)), node("tbody", {}, ...body));
    return node("div", { class: "wide" }, table);
  }

  function drawSpectra() {
    $("plots").replaceChildren(...state.points.map((place, i) => {
      const [x, y, across = 1, down = 1] = place;
      const lines = curves(place);
      const kind = across * down > 1 ? "Region" : "Point";
      const remove = node("button", { type: "button", "aria-label": `Remove ${kind.toLowerCase()} ${i + 1}` }, "Remove");
      remove.addEventListener("click", () => {
        state.points.splice(i, 1);
        change();
        ($("plots").querySelector("button") || canvas).focus();
      });
      let words = kind === "Region" ? `${across} × ${down} pixels from x ${x}, y ${y}: mean ± SD` : `x ${x}, y ${y}${data.half_widths ? ": result ± half-width" : ""}`;
      if (reference) {
        const isGood = (_, i) => [result, reference].every((layer) => !layer.good || layer.good[i]); // as maps and tables do
        const [ours, theirs] = [result, reference].map((layer) => spectrumAt(layer, place).mean.filter(isGood));
        const { rmse, angle } = compared(ours, theirs);
        words += ` · error ${short(rmse)} · angle ${Number.isFinite(angle) ? angle.toFixed(2) + "°" : "none"}`;
      }
      const title = `Spectra of ${kind.toLowerCase()} ${i + 1}, ${words}: ${lines.map((line) => line.layer.label).join(", ")}`;
      const details = node("details", {}, node("summary", {}, "Values"), values(lines));
      const header = node("header", {}, node("h3", {}, `${kind} ${i + 1}`), remove);
      return node("div", { class: "plot", "data-x": x, "data-y": y }, header, node("p", {}, words), plot(lines, title), details);
    }));
    $("no-points").hidden = state.points.length > 0;
    $("clear").disabled = $("save").disabled = state.points.length === 0;
  }

  function addPlace(place) {
    state.points.push(place);
    if (state.points.length > MOST_POINTS) state.points.shift();
    change();
    const [x, y, across, down] = place;
    const what = across ? `Region of ${across} × ${down} pixels from` : "Point at";
    $("told").textContent = `${what} x ${x}, y ${y} added; ${state.points.length} of ${MOST_POINTS}`;
  }

  function between(a, b) {
    // the region that has two pixels as corners; a pixel, if they are one
    const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
    const [across, down] = [Math.abs(a.x - b.x) + 1, Math.abs(a.y - b.y) + 1];
    return across * down > 1 ? [x, y, across, down] : [x, y];
  }

  function save() {
    const stops = result.wavelengths ? "wavelength_nm" : "band";
    const lines = [["place", "x", "y", "width", "height", "image", stops, "mean", "standard_deviation"]];
    if (data.half_widths) lines[0].push("half_width");
    state.points.forEach((place, i) => {
      const [x, y, across = 1, down = 1] = place;
      for (const { layer, points } of curves(place)) {
        for (const [stop, value, , spread, half] of points) {
          const line = [i + 1, x, y, across, down, layer.role, stop, short(value), short(spread)];
          lines.push(data.half_widths ? [...line, half === undefined ? "" : short(half)] : line);
        }
      }
    });
    const link = node("a", { download: "spectra.csv" });
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // ---- controls ----

  function option(value, text) { return node("option", { value }, text); }
  $("show").append(...data.composites.map((each) => option(each.key, each.label)));
  $("show").append(option("own", "Three bands of your choice"), option("band", "One band"));
  for (const side of ["left", "right"]) {
    $(side).append(...data.layers.map((layer) => option(layer.role, layer.label)));
    $(side).append(...data.maps.map((map) => option(map.key, map.label)));
  }
  for (const colour of ["red", "green", "blue"]) {
    const short = (band) => (result.wavelengths ? Number(result.wavelengths[band].toPrecision(4)) : bandName(result, band));
    $(colour).append(...result.bands.map((_, band) => option(band, short(band))));
  }
  $("band").max = result.bands.length - 1;
  if (data.maps.length) $("shades").style.background = `linear-gradient(to right, ${data.colours.join(",")})`;

  function change() {
    for (const name of ["show", "left", "right", "red", "green", "blue", "band", "swipe", "zoom", "bright"]) $(name).value = state[name];
    $("own").hidden = state.show !== "own";
    $("band-name").textContent = `${state.band + 1} of ${result.bands.length}, ${bandName(result, state.band)}`;
    $("band").setAttribute("aria-valuetext", $("band-name").textContent);
    $("swipe-name").textContent = `${Math.round(state.swipe)} %`;
    $("zoom-name").textContent = `${state.zoom} x`;
    $("bright-name").textContent = `${state.bright} x`;
    canvas.style.filter = state.bright === 1 ? "" : `brightness(${state.bright})`;
    size();
    drawSpectra();
    writeAddress();
    return drawPicture();
  }

  for (const name of ["show", "left", "right"]) {
    $(name).addEventListener("change", (event) => { state[name] = event.target.value; change(); });
  }
  for (const name of ["red", "green", "blue"]) {
    $(name).addEventListener("change", (event) => { state[name] = Number(event.target.value); change(); });
  }
  for (const name of ["band", "swipe", "zoom", "bright"]) {
    $(name).addEventListener("input", (event) => {
      state[name] = Number(event.target.value);
      if (name === "band") state.show = "band";
      change();
    });
  }
  $("clear").addEventListener("click", () => { state.points = []; change(); });
  $("save").addEventListener("click", save);
  window.addEventListener("resize", size);
  window.addEventListener("hashchange", () => { readAddress(); change(); });

  function under(event) {
    const box = stage.getBoundingClientRect();
    const [across, down] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const within = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
    return { part: Math.min(1, Math.max(0, across)), x: within(across, columns), y: within(down, rows) };
  }
  let pressed = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0) pressed = { at: event.clientX, pulled: false, corner: event.shiftKey ? under(event) : null };
  });
  window.addEventListener("pointermove", (event) => {
    if (!pressed) return;
    if (pressed.corner) {
      const region = between(pressed.corner, under(event));
      drawn = region.length === 4 ? region : null;
      drawMarks();
      return;
    }
    pressed.pulled = pressed.pulled || Math.abs(event.clientX - pressed.at) > 4;
    if (pressed.pulled) {
      state.swipe = Math.round(1000 * under(event).part) / 10;
      change();
    }
  });
  window.addEventListener("pointercancel", () => { pressed = drawn = null; drawMarks(); });
  window.addEventListener("pointerup", (event) => {
    const released = pressed;
    pressed = drawn = null;
    if (released && !released.pulled) addPlace(between(released.corner || under(event), under(event)));
  });
  let corner = null; // where the keyboard began a region
  canvas.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (moves[event.key]) {
      cursor.shown = true;
      cursor.x = Math.min(columns - 1, Math.max(0, cursor.x + far * result.step * moves[event.key][0]));
      cursor.y = Math.min(rows - 1, Math.max(0, cursor.y + far * result.step * moves[event.key][1]));
      $("told").textContent = `Cross at x ${cursor.x}, y ${cursor.y}`;
      drawMarks();
    } else if (event.key === "r") {
      corner = { ...cursor };
      $("told").textContent = `Corner of a region at x ${cursor.x}, y ${cursor.y}; Enter marks the other one`;
    } else if (event.key === "Enter" || event.key === " ") {
      addPlace(between(corner || cursor, cursor));
      corner = null;
    } else {
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => { cursor.shown = false; drawMarks(); });

  const natural = await picture(Object.values(result.pictures)[0]);
  // no less than 512 pixels, so that the swipe of a small scene is fine
  const times = Math.max(1, Math.ceil(512 / Math.max(natural.naturalWidth, natural.naturalHeight)));
  canvas.width = natural.naturalWidth * times;
  canvas.height = natural.naturalHeight * times;
  readAddress();
  await change();
  document.documentElement.dataset.ready = "true";
})().catch((error) => {
  document.getElementById("failed").hidden = false;
  document.getElementById("failed").textContent += ` (${error})`;
});
