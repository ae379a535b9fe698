// Weight matrices as pictures: one canvas pixel per weight, drawn in place; the nodes keep zoom and hover.

import { make, mix, setText } from "./dom.js";
import { layerName } from "./layers.js";

export const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];
export const NEGATIVE = [33, 102, 172]; // blue and orange: distinct for every kind of colour vision
export const POSITIVE = [230, 97, 1];
export const PLATES = { both: ["count", "mask"], count: ["count"], mask: ["mask"], value: ["value"], outline: ["outline"] };
export const FEW = 4; // at most, matrices stand side by side with the count above the mask; more are packed in rows
const STANDING = [156, 280]; // pixels: two pictures of a matrix above each other, or one
export const SMALL = [80, 112]; // below the graph
const FEW_KEPT = 0.01;
const OUTLINE_CELLS = 4096; // the cells of larger matrices are a pixel or two wide: the pruned ones are dimmed instead
const OUTLINE_SCALE = 8;
const WIDE = 900; // pixels of width from which few matrices are drawn larger,
const GROWN = 1.5; // by this factor

function viridis(share) {
  const place = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return mix(VIRIDIS[low], VIRIDIS[low + 1], place - low);
}

export const COUNT_COLOURS = Array.from({ length: 256 }, (_, i) => viridis(i / 255));

export class MatrixPicture {
  constructor(host, view, kinds = ["count", "mask", "value", "outline"]) {
    this.view = view;
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.figure = make("figure", "sc-matrix", host);
    this.caption = make("figcaption", "", this.figure);
    this.title = make("b", "", this.caption);
    this.kept = make("span", "sc-dim", this.caption);
    this.pair = make("div", "sc-pair", this.figure);
    this.back = make("button", "sc-zoom-out", this.caption);
    this.back.type = "button";
    this.back.hidden = true;
    this.back.onclick = () => this.#setZoom({ scale: 1, x: 0, y: 0 }, Object.values(this.plates)[0].port);
    this.plates = {};
    for (const kind of kinds) this.plates[kind] = this.#plate();
  }

  #plate() {
    const port = make("div", "sc-port", this.pair);
    port.tabIndex = 0;
    port.setAttribute("role", "img");
    const canvas = make("canvas", "", port);
    const marks = make("div", "sc-marks", port);
    const lines = ["row", "col"].map((side) => make("i", `sc-mark sc-mark-${side}`, marks));
    for (const line of lines) line.hidden = true;
    port.addEventListener("pointermove", (event) => this.#point(event, canvas));
    port.addEventListener("pointerdown", (event) => this.#grab(event, port, canvas));
    port.addEventListener("pointerleave", () => this.view.tip.hide());
    port.addEventListener("click", () => this.#open(port));
    port.addEventListener("dblclick", (event) => this.#zoomAt(event, port, 2));
    port.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // a bare wheel scrolls the page; a pinch sends ctrlKey
      event.preventDefault();
      this.#zoomAt(event, port, Math.exp(-event.deltaY / 200));
    }, { passive: false });
    port.addEventListener("keydown", (event) => this.#key(event, port));
    return { port, canvas, marks, lines };
  }

  #key(event, port) {
    const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    const box = port.getBoundingClientRect();
    const centre = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    if (event.key === "+" || event.key === "=") this.#zoomAt(centre, port, 1.5);
    else if (event.key === "-") this.#zoomAt(centre, port, 1 / 1.5);
    else if (event.key === "Enter") this.#open(port);
    else if (this.zoom.scale > 1 && (event.key === "Escape" || event.key === "0")) this.#setZoom({ scale: 1, x: 0, y: 0 }, port);
    else if (moves[event.key] && this.zoom.scale > 1) this.#pan(...moves[event.key], port);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // A picture of block means opens the full matrix.
  #open(port) {
    if (this.matrix && !this.matrix.exact) this.view.openFull?.(this.matrix.place, port);
  }

  #zoomAt(event, port, factor) {
    if (!this.matrix?.exact) return;
    const box = port.getBoundingClientRect();
    const scale = Math.max(1, Math.min(64, this.zoom.scale * factor));
    const large = port.currentCSSZoom ?? 1;
    const [px, py] = [(event.clientX - box.left) / large, (event.clientY - box.top) / large];
    const ratio = scale / this.zoom.scale;
    this.#setZoom({ scale, x: px - (px - this.zoom.x) * ratio, y: py - (py - this.zoom.y) * ratio }, port);
  }

  #pan(dx, dy, port) {
    this.#setZoom({ ...this.zoom, x: this.zoom.x + dx, y: this.zoom.y + dy }, port);
  }

  #setZoom(zoom, port) {
    const limit = (offset, size) => Math.min(0, Math.max(offset, size * (1 - zoom.scale)));
    this.zoom = { scale: zoom.scale, x: limit(zoom.x, port.clientWidth), y: limit(zoom.y, port.clientHeight) };
    const { scale, x, y } = this.zoom;
    this.view.tip.hide();
    this.back.hidden = scale === 1;
    for (const { canvas, marks } of Object.values(this.plates)) {
      for (const node of [canvas, marks]) node.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    }
  }

  // Outline a row or a column, null for none; the outline follows the zoom.
  mark(row, col) {
    const { rows, cols } = this.matrix;
    for (const { lines } of Object.values(this.plates)) {
      lines[0].hidden = row === null;
      lines[1].hidden = col === null;
      Object.assign(lines[0].style, { top: `${(100 * row) / rows}%`, height: `${100 / rows}%` });
      Object.assign(lines[1].style, { left: `${(100 * col) / cols}%`, width: `${100 / cols}%` });
    }
  }

  #grab(event, port, canvas) {
    this.#point(event, canvas);
    if (this.zoom.scale === 1) return;
    port.setPointerCapture(event.pointerId);
    const move = (moved) => this.#pan(moved.movementX, moved.movementY, port);
    port.addEventListener("pointermove", move);
    port.addEventListener("pointerup", () => port.removeEventListener("pointermove", move), { once: true });
  }

  #point(event, canvas) {
    if (!this.matrix) return;
    const { rows, cols } = this.matrix;
    const box = canvas.getBoundingClientRect();
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const col = Math.floor(((event.clientX - box.left) / box.width) * cols);
    if (row < 0 || col < 0 || row >= rows || col >= cols) return;
    this.view.tip.show(event, this.describe(row, col));
  }

  // The position of a cell in words; a row may be drawn as several lines.
  where(row, col) {
    const { cols, pool, exact, width } = this.matrix;
    const cell = row * cols + col;
    if (exact) return this.view.say("live.cell", { row: Math.floor(cell / (width ?? cols)) + 1, col: (cell % (width ?? cols)) + 1 });
    return this.view.say("live.block", { row: row * pool[0] + 1, col: col * pool[1] + 1, rows: pool[0], cols: pool[1] });
  }

  // The lines of the tooltip for a cell.
  describe(row, col) {
    const { say } = this.view;
    const { cols, exact, count, value, kept } = this.matrix;
    const cell = row * cols + col;
    const counted = say("live.count", { count: this.view.number(count[cell]), steps: this.view.number(this.step) });
    const state = exact ? say(kept[cell] ? "live.kept" : "live.pruned") : `${(kept[cell] * 100).toPrecision(3)} %`;
    return [this.where(row, col), `w = ${String(value[cell])} · ${state}`, counted];
  }

  // The share kept, or the number where the share rounds to nothing.
  #keptFact(kept, all) {
    const { say, number } = this.view;
    if (kept / all < FEW_KEPT) return say("live.few", { kept: number(kept), all: number(all) });
    return say("live.share", { share: ((100 * kept) / all).toFixed(1) });
  }

  draw(matrix, mode, step, size) {
    Object.assign(this, { matrix, step });
    const name = layerName(this.view.say, matrix.layer.name);
    const [rows, cols] = matrix.layer.shape;
    const share = matrix.layer.kept / (rows * cols);
    setText(this.title, `${name} ${rows}×${cols}`);
    setText(this.back, this.view.say("live.zoom_back"));
    const kept = this.#keptFact(matrix.layer.kept, rows * cols);
    setText(this.kept, matrix.layer.prunable ? kept : `${kept} · ${this.view.say("live.exempt")}`);
    for (const [kind, { port, canvas }] of Object.entries(this.plates)) {
      const shown = PLATES[mode].includes(kind);
      port.hidden = !shown;
      if (!shown) continue;
      port.style.width = `${size.width}px`;
      port.style.height = `${size.height}px`;
      port.classList.toggle("sc-opens", !matrix.exact);
      port.setAttribute("aria-label", this.view.say(`live.alt.${kind}`, { name, share: (share * 100).toFixed(1) }));
      paint(canvas, matrix, kind, step, this.view.ink(), this.view.reversed);
    }
  }
}

function paint(canvas, matrix, kind, step, { ink, paper }, reversed) {
  const { rows, cols, count, kept, value } = matrix;
  const outlined = kind === "outline" && rows * cols <= OUTLINE_CELLS;
  const scale = outlined ? OUTLINE_SCALE : 1;
  if (canvas.width !== cols * scale || canvas.height !== rows * scale) {
    canvas.width = cols * scale;
    canvas.height = rows * scale;
  }
  const image = new ImageData(cols, rows);
  const pixels = image.data;
  let largest = 0;
  if (kind === "value") for (const w of value) largest = Math.max(largest, Math.abs(w));
  for (let cell = 0; cell < rows * cols; cell += 1) {
    let colour;
    if (kind === "mask") {
      colour = mix(paper, ink, kept[cell]);
    } else if (kind === "value") {
      const strength = largest ? Math.sqrt(Math.abs(value[cell]) / largest) : 0;
      colour = mix(paper, value[cell] < 0 ? NEGATIVE : POSITIVE, strength);
    } else {
      const share = step ? count[cell] / step : 1;
      colour = COUNT_COLOURS[Math.round(255 * Math.max(0, Math.min(1, reversed ? 1 - share : share)))];
      if (kind === "outline" && !outlined) colour = mix(mix(paper, colour, 0.25), colour, kept[cell]);
    }
    pixels.set(colour, cell * 4);
    pixels[cell * 4 + 3] = 255;
  }
  const context = canvas.getContext("2d");
  if (!outlined) {
    context.putImageData(image, 0, 0);
    return;
  }
  const small = new OffscreenCanvas(cols, rows);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, cols * scale, rows * scale);
  drawOutline(context, matrix, scale, ink);
}

// A line wherever a kept weight meets a pruned one.
export function drawOutline(context, { rows, cols, kept }, scale, ink) {
  context.strokeStyle = `rgb(${ink.join(" ")})`;
  context.lineWidth = 2;
  context.beginPath();
  for (let row = 0; row < rows; row += 1) {
    for (let col = 0; col < cols; col += 1) {
      const here = kept[row * cols + col];
      if (col + 1 < cols && here !== kept[row * cols + col + 1]) {
        context.moveTo((col + 1) * scale, row * scale);
        context.lineTo((col + 1) * scale, (row + 1) * scale);
      }
      if (row + 1 < rows && here !== kept[(row + 1) * cols + col]) {
        context.moveTo(col * scale, (row + 1) * scale);
        context.lineTo((col + 1) * scale, (row + 1) * scale);
      }
    }
  }
  context.stroke();
}

// The size of each drawn matrix, at most `most` pixels high where few stand side by side: one scale for all, thin
// ones wide enough to point at.
export function matrixSizes(matrices, mode, width, most = STANDING) {
  const few = matrices.length <= FEW;
  const stacked = PLATES[mode].length > 1;
  const tallest = Math.max(...matrices.map((matrix) => matrix.rows));
  const grown = most === STANDING && width > WIDE ? GROWN : 1;
  let height = few ? grown * most[stacked ? 0 : 1] : (stacked ? 72 : 112);
  const thin = 22;
  const place = (side, scale) => Math.max(thin, Math.min(side * scale, height * 2));
  const measure = () => matrices.map(({ rows, cols }) => {
    const scale = height / tallest;
    return { width: Math.round(place(cols, scale)), height: Math.round(Math.max(thin, Math.min(rows * scale, height))) };
  });
  let sizes = measure();
  while (few && height > 80 && sizes.reduce((sum, size) => sum + size.width + 24, 0) > width) {
    height -= 8;
    sizes = measure();
  }
  return sizes.map((size) => ({ ...size, width: Math.min(size.width, width - 8) }));
}
