"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);
  const canvas = find("map"), readout = find("readout"), trace = find("trace");
  const hidden = new Set();
  const state = { plane: 0, slice: [], show: "labels", row: 0, cross: null };
  const base = document.createElement("canvas");
  let labels, probability, levels, drawn;

  /* ---- data ---- */

  async function unpacked(text) {
    const binary = atob(text), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  async function unpack() {
    const kind = data.labels.bytes === 1 ? Uint8Array : Uint16Array;
    labels = new kind(await unpacked(data.labels.label));
    const likely = new Uint8Array(await unpacked(data.labels.probability));
    probability = new Uint8Array(labels.length);
    for (let i = 0, n = 0; i < labels.length; i++) if (labels[i]) probability[i] = likely[n++];
    if (data.intensities) levels = new Uint8Array(await unpacked(data.intensities.level));
  }

  const shape = data.labels.shape;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const flat = (place) => place.reduce((sum, at, axis) => sum + at * strides[axis], 0);
  /* Of joined voxels the middle one stands for all. */
  const original = (at, axis) => {
    const factor = data.labels.factors[axis];
    return Math.min(at * factor + (factor >> 1), data.axes[axis].values.length - 1);
  };
  const coordinate = (at, axis) => data.axes[axis].values[original(at, axis)];

  function levelIndex(place, row) {
    const { factors, shape: size } = data.intensities;
    return place.reduce((index, at, axis) => index * size[axis + 1] + Math.floor(original(at, axis) / factors[axis]), row);
  }

  const level = (place, row) => levels[levelIndex(place, row)];

  const intensity = (step) => {
    const { low, high } = data.intensities;
    return step ? Math.exp(low + ((step - 1) / 254) * (high - low)) : NaN;
  };

  const inAMap = data.axes.length > 1;
  const plane = () => (inAMap ? data.planes[state.plane] : { fixed: null, x: 0, y: null, width: 0, height: 0, angle: 90 });

  function placeOf(i, j) {
    const { fixed, x, y } = plane(), place = shape.map(() => 0);
    place[x] = i;
    if (y !== null) place[y] = j;
    if (fixed !== null) place[fixed] = state.slice[fixed];
    return place;
  }

  /* ---- geometry: from voxels of a plane to pixels ---- */

  const margin = { left: 64, right: 14, top: 12, bottom: 46 };

  function geometry() {
    const { x, y, width, height, angle } = plane();
    const nx = shape[x], ny = y === null ? 1 : shape[y];
    const span = (axis, n) => Math.abs(coordinate(n - 1, axis) - coordinate(0, axis)) * (n / Math.max(n - 1, 1)) || 1;
    const beside = levels && canvas.parentElement.clientWidth > 800 ? 340 : 0;
    const room = Math.min((canvas.parentElement.clientWidth || 900) - beside, 900) - margin.left - margin.right;
    let w, h, lean = 0;
    if (!inAMap) [w, h] = [room, 90];
    else if (!width || !height) [w, h] = [room, 0.6 * room];
    else {
      const gamma = (angle * Math.PI) / 180;
      const across = span(x, nx) * width, up = span(y, ny) * height;
      const scale = Math.min(room / (across + Math.abs(up * Math.cos(gamma))), 620 / (up * Math.sin(gamma)));
      [w, h, lean] = [across * scale, Math.max(up * Math.sin(gamma) * scale, 12), up * Math.cos(gamma) * scale];
    }
    const left = margin.left + Math.max(-lean, 0), bottom = margin.top + h;
    return { nx, ny, w, h, lean, left, bottom, total: [left + w + Math.max(lean, 0) + margin.right, bottom + margin.bottom] };
  }

  const toPixel = (g, i, j) => [g.left + (i / g.nx) * g.w + (j / g.ny) * g.lean, g.bottom - (j / g.ny) * g.h];

  function toVoxel(g, px, py) {
    const v = (g.bottom - py) / g.h, u = (px - g.left - v * g.lean) / g.w;
    const i = Math.floor(u * g.nx), j = Math.floor(v * g.ny);
    return i >= 0 && j >= 0 && i < g.nx && j < g.ny ? [i, j] : null;
  }

  /* ---- drawing ---- */

  const rgb = data.colors.map((color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)));
  const grey = Array.from({ length: 256 }, (_, step) => new Array(3).fill(250 - Math.round((230 * (step - 1)) / 254)));

  function labelColor() {
    const { x, y } = plane(), first = flat(placeOf(0, 0)), [dx, dy] = [strides[x], y === null ? 0 : strides[y]];
    return (i, j) => {
      const label = labels[first + i * dx + j * dy];
      return label && !hidden.has(label) ? rgb[label - 1] : null;
    };
  }

  function shade() {
    const { x, y } = plane(), steps = (axis, n, place) =>
      Int32Array.from({ length: n }, (_, at) => levelIndex(place(at), state.row));
    const along = steps(x, shape[x], (i) => placeOf(i, 0));
    const up = y === null ? [0] : steps(y, shape[y], (j) => placeOf(0, j)).map((index) => index - along[0]);
    return (i, j) => {
      const step = levels[along[i] + up[j]];
      return step ? grey[step] : null;
    };
  }

  /* Voxels smaller than a pixel are joined; a clustered one is never lost. */
  function paint(g) {
    const sharp = window.devicePixelRatio || 1;
    const fx = Math.ceil(g.nx / (g.w * sharp)), fy = Math.ceil(g.ny / (g.h * sharp));
    const width = Math.ceil(g.nx / fx), height = Math.ceil(g.ny / fy);
    const image = new ImageData(width, height), pixels = image.data, colorAt = state.show === "labels" ? labelColor() : shade();
    for (let j = 0; j < g.ny; j++) {
      for (let i = 0; i < g.nx; i++) {
        const color = colorAt(i, j);
        if (!color) continue;
        const at = 4 * (Math.floor(j / fy) * width + Math.floor(i / fx));
        if (pixels[at + 3] && state.show !== "labels" && pixels[at] <= color[0]) continue;
        [pixels[at], pixels[at + 1], pixels[at + 2]] = color;
        pixels[at + 3] = 255;
      }
    }
    const off = document.createElement("canvas");
    [off.width, off.height] = [width, height];
    off.getContext("2d").putImageData(image, 0, 0);
    return { off, fx, fy };
  }

  function draw() {
    if (!labels) return;
    const g = geometry(), sharp = window.devicePixelRatio || 1, context = base.getContext("2d");
    [base.width, base.height] = [canvas.width, canvas.height] = g.total.map((size) => Math.round(size * sharp));
    [canvas.style.width, canvas.style.height] = g.total.map((size) => `${size}px`);
    const { off, fx, fy } = paint(g);
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.fillStyle = "#f7f7f7";
    outline(context, g);
    context.fill();
    const perX = (g.w * fx) / g.nx, perY = fy / g.ny;
    context.save();
    outline(context, g);
    context.clip();
    context.imageSmoothingEnabled = false;
    context.transform(perX, 0, perY * g.lean, -perY * g.h, g.left, g.bottom);
    context.drawImage(off, 0, 0);
    context.restore();
    context.strokeStyle = "#55606c";
    outline(context, g);
    context.stroke();
    ticks(context, g);
    drawn = { g, sharp };
    drawCross();
  }

  function outline(context, g) {
    const corners = [[0, 0], [g.nx, 0], [g.nx, g.ny], [0, g.ny]].map(([i, j]) => toPixel(g, i, j));
    context.beginPath();
    corners.forEach(([x, y], n) => (n ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
  }

  function niceStep(span, most) {
    const raw = span / most, power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= raw);
  }

  function axisTicks(axis, n, pixels) {
    const first = coordinate(0, axis), last = coordinate(n - 1, axis), low = Math.min(first, last), high = Math.max(first, last);
    if (n < 2 || high === low) return [{ at: 0.5, text: String(+first.toPrecision(6)) }];
    const step = niceStep(high - low, Math.max(pixels / 70, 2)), found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step)
      found.push({ at: ((value - first) / (last - first)) * (n - 1) + 0.5, text: String(+value.toPrecision(6)) });
    return found;
  }

  const axisLabel = (axis) => data.axes[axis].name + (data.axes[axis].units ? ` (${data.axes[axis].units})` : "");

  function ticks(context, g) {
    const { x, y } = plane();
    context.fillStyle = context.strokeStyle = "#1d2530";
    context.font = "13px system-ui, sans-serif";
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const { at, text } of axisTicks(x, g.nx, g.w)) {
      const [px, py] = toPixel(g, at, 0);
      context.fillRect(px - 0.5, py, 1, 5);
      context.fillText(text, px, py + 7);
    }
    context.fillText(axisLabel(x), g.left + g.w / 2, g.bottom + 26);
    if (y === null) return;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const { at, text } of axisTicks(y, g.ny, g.h)) {
      const [px, py] = toPixel(g, 0, at);
      context.fillRect(px - 5, py - 0.5, 5, 1);
      context.fillText(text, px - 8, py);
    }
    const [px, py] = toPixel(g, 0, g.ny / 2);
    context.save();
    context.translate(px - 48, py);
    context.rotate(-Math.PI / 2);
    context.textAlign = "center";
    context.fillText(axisLabel(y), 0, 0);
    context.restore();
  }

  function drawCross() {
    if (!drawn) return;
    const context = canvas.getContext("2d"), { g, sharp } = drawn;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(base, 0, 0);
    if (!state.cross) return;
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    const [i, j] = state.cross;
    context.strokeStyle = "#0b5cad";
    context.beginPath();
    context.moveTo(...toPixel(g, i + 0.5, 0));
    context.lineTo(...toPixel(g, i + 0.5, g.ny));
    context.moveTo(...toPixel(g, 0, j + 0.5));
    context.lineTo(...toPixel(g, g.nx, j + 0.5));
    context.stroke();
  }

  /* ---- what is at a voxel ---- */

  const rounded = (value) => String(+value.toPrecision(5));

  function tell(place) {
    const at = flat(place), label = labels[at];
    const words = [...place.keys()].reverse()
      .map((axis) => `${data.axes[axis].name} ${rounded(coordinate(place[axis], axis))}`);
    words.push(label ? `cluster ${label}, probability ${(probability[at] / 255).toFixed(2)}` : "not clustered");
    if (levels) {
      const value = intensity(level(place, state.row)), { scan, units } = data.intensities;
      if (value === value) words.push(`intensity ${value.toPrecision(3)} at ${rounded(scan[state.row])} ${units}`);
      drawTrace(place);
    }
    readout.textContent = words.join(" · ");
  }

  function drawTrace(place) {
    const { scan, units } = data.intensities, order = [...scan.keys()].sort((a, b) => scan[a] - scan[b]);
    const points = order.map((row) => [scan[row], intensity(level(place, row))]).filter(([, y]) => y === y);
    trace.replaceChildren();
    trace.toggleAttribute("hidden", !points.length);
    if (!points.length) return;
    const [x0, x1] = [scan[order[0]], scan[order.at(-1)]], top = Math.max(...points.map(([, y]) => y));
    const px = (x) => 44 + (262 * (x - x0)) / (x1 - x0 || 1), py = (y) => 168 - (150 * y) / top;
    const add = (name, attributes, text) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
      if (text) made.textContent = text;
      trace.append(made);
    };
    const label = labels[flat(place)], color = label ? data.colors[label - 1] : "#55606c";
    add("line", { x1: 44, y1: 168, x2: 306, y2: 168, stroke: "#55606c" });
    add("polyline", { points: points.map(([x, y]) => `${px(x)},${py(y)}`).join(" "), fill: "none", stroke: color, "stroke-width": 2 });
    points.forEach(([x, y]) => add("circle", { cx: px(x), cy: py(y), r: 2.5, fill: color }));
    add("text", { x: 40, y: py(top) + 4, "text-anchor": "end" }, top.toPrecision(3));
    add("text", { x: 40, y: 172, "text-anchor": "end" }, "0");
    add("text", { x: 44, y: 186 }, `${rounded(x0)} ${units}`);
    add("text", { x: 306, y: 186, "text-anchor": "end" }, `${rounded(x1)} ${units}`);
  }

  function look(voxel) {
    state.cross = voxel;
    drawCross();
    if (voxel) tell(placeOf(...voxel));
  }

  /* ---- controls ---- */

  function toggle(number) {
    hidden.has(number) ? hidden.delete(number) : hidden.add(number);
    const off = hidden.has(number);
    document.querySelectorAll(`[data-cluster="${number}"]`).forEach((one) => one.classList.toggle("off", off));
    document.querySelectorAll(`[data-toggle="${number}"]`).forEach((one) => {
      one.setAttribute("aria-pressed", String(!off));
      one.querySelector(".hidden-text").textContent = off ? " hidden" : " shown";
    });
    draw();
  }

  function showSlice() {
    const { fixed } = plane(), slider = find("slice");
    for (const one of [slider, find("slice-label"), find("slice-value")]) one.hidden = fixed === null;
    if (fixed === null) return;
    slider.max = shape[fixed] - 1;
    slider.value = state.slice[fixed];
    const text = `${rounded(coordinate(state.slice[fixed], fixed))} ${data.axes[fixed].units}`;
    find("slice-label").textContent = data.axes[fixed].name;
    find("slice-value").textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }

  function showScan() {
    if (!data.intensities) return;
    const { scan, units } = data.intensities, text = `${rounded(scan[state.row])} ${units}`;
    find("scan-part").hidden = state.show === "labels";
    find("scan-value").textContent = text;
    find("scan").setAttribute("aria-valuetext", text);
  }

  function showCaption() {
    const { fixed, x, y } = plane(), units = (axis) => data.axes[axis].units;
    const cut = fixed === null ? [] : [`${data.axes[fixed].name} = ${rounded(coordinate(state.slice[fixed], fixed))} ${units(fixed)}`];
    const shown = state.show === "labels" ? "clusters"
      : `intensity at ${rounded(data.intensities.scan[state.row])} ${data.intensities.units}, darker is more, in steps of its logarithm`;
    const across = [y, x].filter((axis) => axis !== null).map((axis) => data.axes[axis].name).reverse().join(", ");
    find("shown").textContent = [`${across}: ${shown}`, ...cut].join("; ");
  }

  function redraw() {
    showSlice();
    showScan();
    showCaption();
    draw();
    if (state.cross) tell(placeOf(...state.cross));
  }

  /* Begin where most is clustered, in every direction. */
  function fullest(axis) {
    const counts = new Array(shape[axis]).fill(0);
    for (let i = 0; i < labels.length; i++) if (labels[i]) counts[Math.floor(i / strides[axis]) % shape[axis]]++;
    return counts.indexOf(Math.max(...counts));
  }

  function offerPlanes() {
    const field = find("choose-plane");
    field.hidden = data.planes.length < 2;
    data.planes.forEach((one, number) => {
      const label = document.createElement("label"), choice = document.createElement("input");
      Object.assign(choice, { type: "radio", name: "plane", checked: number === 0 });
      choice.addEventListener("change", () => {
        Object.assign(state, { plane: number, cross: null });
        redraw();
      });
      label.append(choice, ` ${data.axes[one.x].name}${data.axes[one.y].name}`);
      field.append(label);
    });
  }

  function listen() {
    find("slice").addEventListener("input", (event) => {
      state.slice[plane().fixed] = Number(event.target.value);
      redraw();
    });
    if (data.intensities) {
      const scan = find("scan");
      scan.max = data.intensities.scan.length - 1;
      scan.addEventListener("input", () => {
        state.row = Number(scan.value);
        redraw();
      });
      document.querySelectorAll('[name="show"]').forEach((one) =>
        one.addEventListener("change", () => {
          state.show = one.value;
          redraw();
        }));
    }
    const voxelAt = (event) => {
      const box = canvas.getBoundingClientRect(), scale = drawn.g.total[0] / box.width;
      return toVoxel(drawn.g, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
    };
    for (const kind of ["pointermove", "pointerdown"])
      canvas.addEventListener(kind, (event) => {
        const voxel = drawn && voxelAt(event);
        if (voxel) look(voxel);
      });
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    canvas.addEventListener("keydown", (event) => {
      const move = moves[event.key];
      if (!move || !drawn) return;
      event.preventDefault();
      const { nx, ny } = drawn.g, far = event.shiftKey ? 10 : 1;
      const [i, j] = state.cross || [nx >> 1, ny >> 1];
      const within = (value, n) => Math.min(Math.max(value, 0), n - 1);
      look([within(i + far * move[0], nx), within(j + far * move[1], ny)]);
    });
    window.addEventListener("resize", draw);
  }

  document.querySelectorAll("[data-toggle]").forEach((one) =>
    one.addEventListener("click", () => toggle(Number(one.dataset.toggle))));
  document.querySelectorAll("[data-cluster]").forEach((one) =>
    one.addEventListener("click", () => toggle(Number(one.dataset.cluster))));

  unpack().then(() => {
    state.slice = shape.map((_, axis) => fullest(axis));
    offerPlanes();
    listen();
    redraw();
    document.documentElement.dataset.ready = "yes";
  }).catch((error) => {
    readout.textContent = `The map cannot be shown in this browser (${error.message}).`;
  });
})();
