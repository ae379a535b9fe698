// The network as a graph: a line for every kept weight on a canvas, with the neurons as buttons above it.

import { make, mix, setText } from "../shared/dom.js";
import { layerName } from "../shared/layers.js";
import { NEGATIVE, POSITIVE } from "../shared/matrix_picture.js";
import { computesOver, isDead, keptText, keptWeights, NeuronCard, sized } from "./neuron_card.js";
import { Thumbnails } from "./thumbnails.js";

export const LARGEST_LAYER = 32; // neurons per layer; the lines of more run together
const NEURON = 24; // pixels of space for each neuron
const THICKEST = 5;
const FAINT = 0.1; // the opacity of lines in the background
const NAMES = 18; // pixels above the neurons for the layers' names

// The reason why these matrices make no readable graph; "" when they do.
export function whyNoGraph(matrices, scene) {
  if (!scene) return "waiting";
  if (scene.meta.kind === "confusion") return "texts";
  if (!computesOver(scene)) return "unknown";
  const widths = [matrices[0].cols, ...matrices.map(({ rows }) => rows)];
  const chained = matrices.every(({ cols, exact }, place) => exact && cols === widths[place]);
  return chained && Math.max(...widths) <= LARGEST_LAYER ? "" : "large";
}

export class Graph {
  constructor(view, host, changed) {
    Object.assign(this, { view, host, changed, pointed: null, held: null, focused: [0, 0], rows: [] });
    this.box = make("div", "sc-graph", host);
    this.box.setAttribute("role", "group");
    this.canvas = make("canvas", "", this.box);
    this.canvas.setAttribute("aria-hidden", "true");
    this.thumbnails = new Thumbnails();
    this.names = make("div", "sc-graph-names", this.box);
    this.#buildKey();
    this.dead = make("p", "sc-dim sc-dead", host);
    this.card = new NeuronCard(view, host);
    this.#listen();
  }

  // The highlighted neuron: pointed at or focused, else held by a press.
  get chosen() {
    return this.host.hidden ? null : this.pointed ?? this.held;
  }

  #buildKey() {
    const key = make("p", "sc-dim sc-graph-key", this.host);
    const coloured = (colour) => {
      const line = make("i", "", key);
      line.style.background = `rgb(${colour.join(" ")})`;
      return make("span", "", key);
    };
    this.key = { negative: coloured(NEGATIVE), positive: coloured(POSITIVE), thick: make("span", "", key) };
  }

  label() {
    setText(this.key.negative, this.view.say("live.negative"));
    setText(this.key.positive, this.view.say("live.positive"));
    setText(this.key.thick, this.view.say("live.graph.thick"));
    this.box.setAttribute("aria-label", this.view.say("live.graph.alt"));
    this.card.label();
  }

  forget() {
    Object.assign(this, { pointed: null, held: null });
  }

  #listen() {
    const { box, view } = this;
    box.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      this.#point(this.#neuronAt(event));
      view.layers.point(this.pointed ? null : this.#layerAt(event));
    });
    box.addEventListener("pointerleave", () => { this.#point(null); view.layers.point(null); });
    box.addEventListener("click", (event) => {
      const neuron = event.detail ? this.#neuronAt(event) : this.#neuronOf(event.target);
      const layer = this.#layerAt(event);
      if (neuron) this.#hold(neuron);
      else if (layer) view.layers.hold(layer);
    });
    box.addEventListener("focusin", ({ target }) => { if (target.matches(":focus-visible")) this.#point(this.#neuronOf(target)); });
    box.addEventListener("focusout", () => this.#point(null));
    box.addEventListener("keydown", (event) => this.#key(event));
  }

  #neuronOf(target) {
    const found = target.closest?.(".sc-neuron");
    return found ? { layer: Number(found.dataset.layer), index: Number(found.dataset.index) } : null;
  }

  // The position of the pointer in the graph, in its own pixels: large type zooms the page.
  #inside({ clientX, clientY }) {
    const box = this.box.getBoundingClientRect();
    const zoom = this.box.currentCSSZoom ?? 1;
    return [(clientX - box.left) / zoom, (clientY - box.top) / zoom];
  }

  #neuronAt(event) {
    const [across, down] = this.#inside(event);
    let best = { away: NEURON, neuron: null }; // a finger is less exact than a mouse
    this.#each((neuron, [x, y]) => {
      const away = Math.hypot(across - x, down - y);
      if (away < best.away) best = { away, neuron };
    });
    return best.neuron;
  }

  // The block of the weights between the two layers of neurons around the pointer.
  #layerAt(event) {
    if (!this.rows.length || !this.view.frame) return null; // another run has just been opened
    const [across] = this.#inside(event);
    const gap = Math.floor(((across - NEURON) / (this.size[0] - 2 * NEURON)) * (this.rows.length - 1));
    return this.view.frame.matrices[gap]?.layer.block ?? null;
  }

  #point(neuron) {
    const same = neuron?.layer === this.pointed?.layer && neuron?.index === this.pointed?.index;
    if (same) return;
    this.pointed = neuron;
    this.#chose();
  }

  #hold(neuron) {
    const same = neuron.layer === this.held?.layer && neuron.index === this.held?.index;
    this.held = same ? null : neuron;
    this.pointed = null;
    this.#chose();
  }

  #chose() {
    this.draw();
    this.changed();
  }

  // One stop for the Tab key; the arrow keys move between neurons.
  #key(event) {
    const at = this.#neuronOf(event.target);
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
    if (event.key === "Escape" && this.held) this.#hold(this.held);
    else if (at && moves[event.key]) {
      const layer = Math.max(0, Math.min(this.rows.length - 1, at.layer + moves[event.key][0]));
      const last = this.rows[layer].length - 1;
      const index = layer === at.layer ? at.index + moves[event.key][1] : Math.round((at.index / Math.max(1, this.rows[at.layer].length - 1)) * last);
      this.focused = [layer, Math.max(0, Math.min(last, index))];
      this.#tabStop();
      this.rows[this.focused[0]][this.focused[1]].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #tabStop() {
    const [layer, index] = this.focused;
    this.#each((neuron, _, button) => { button.tabIndex = neuron.layer === layer && neuron.index === index ? 0 : -1; });
  }

  // One button for each neuron; replaced only for a network of another shape.
  #fit(matrices) {
    const widths = [matrices[0].cols, ...matrices.map(({ rows }) => rows)];
    if (widths.join() === this.rows.map((row) => row.length).join()) return;
    this.rows.flat().forEach((button) => button.remove());
    this.rows = widths.map((width, layer) => Array.from({ length: width }, (_, index) => {
      const button = make("button", "sc-neuron", this.box);
      button.type = "button";
      Object.assign(button.dataset, { layer, index });
      return button;
    }));
    this.focused = [Math.min(1, widths.length - 1), 0];
    this.#tabStop();
    this.names.replaceChildren(...matrices.map(() => make("span")));
    this.forget();
  }

  #each(act) {
    const [width, height] = this.size ?? [0, 0];
    this.rows.forEach((row, layer) => row.forEach((button, index) => {
      const x = NEURON + (layer / (this.rows.length - 1)) * (width - 2 * NEURON);
      act({ layer, index }, [x, NAMES + ((index + 0.5) / row.length) * (height - NAMES)], button);
    }));
  }

  draw() {
    const { frame } = this.view;
    if (!frame || this.host.hidden) return;
    const { matrices } = frame;
    this.#fit(matrices);
    const height = NAMES + NEURON * Math.max(8, ...this.rows.map((row) => row.length));
    this.size = [this.box.clientWidth, height];
    const places = this.rows.map(() => []);
    this.#each(({ layer, index }, place) => { places[layer][index] = place; });
    this.#paint(matrices, places);
    this.#dress(matrices, places);
    this.card.draw(this.chosen, this.chosen ? this.#name(this.chosen) : "");
  }

  #paint(matrices, places) {
    const sharp = devicePixelRatio;
    const context = sized(this.canvas, this.size, this.size.map((side) => Math.round(side * sharp)));
    const { paper } = this.view.ink();
    const lines = keptLines(matrices);
    const largest = lines.reduce((most, { strength }) => Math.max(most, strength), 0) || 1;
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, ...this.size);
    for (const { place, row, col, w, strength } of lines) {
      const share = strength / largest;
      const [from, to] = [places[place][col], places[place + 1][row]];
      context.globalAlpha = this.#stands(matrices[place].layer.block, place, row, col) ? 1 : FAINT;
      context.strokeStyle = `rgb(${mix(paper, w < 0 ? NEGATIVE : POSITIVE, 0.3 + 0.7 * share).join(" ")})`;
      context.lineWidth = 0.5 + (THICKEST - 0.5) * share;
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
    }
    context.globalAlpha = 1;
    this.box.classList.toggle("sc-pictured", this.thumbnails.draw(context, this.view, places));
  }

  // Whether a line is of the neuron or the layer that is looked at, or nothing is.
  #stands(block, place, row, col) {
    const { chosen } = this;
    if (chosen) return (chosen.layer === place && chosen.index === col) || (chosen.layer === place + 1 && chosen.index === row);
    const { shown } = this.view.layers;
    return shown === null || shown === block;
  }

  #dress(matrices, places) {
    const { say, number, layers } = this.view;
    let [dead, hidden] = [0, 0];
    this.#each((neuron, [x, y], button) => {
      const kept = keptWeights(matrices, neuron);
      const inside = neuron.layer > 0 && neuron.layer < matrices.length;
      const lost = inside && isDead(kept);
      hidden += inside;
      dead += lost;
      const at = `translate(${(x - NEURON / 2).toFixed(1)}px, ${(y - NEURON / 2).toFixed(1)}px)`;
      if (button.style.transform !== at) button.style.transform = at;
      button.classList.toggle("sc-neuron-dead", lost);
      button.classList.toggle("sc-neuron-chosen", neuron.layer === this.chosen?.layer && neuron.index === this.chosen?.index);
      button.setAttribute("aria-pressed", String(neuron.layer === this.held?.layer && neuron.index === this.held?.index));
      const label = `${this.#name(neuron)}: ${keptText(this.view, matrices, neuron, kept)}${lost ? ` · ${say("live.dead")}` : ""}`;
      if (button.getAttribute("aria-label") !== label) button.setAttribute("aria-label", label);
    });
    setText(this.dead, `${say("live.dead.count", { dead: number(dead), all: number(hidden) })} ${say("live.dead.rule")}`);
    matrices.forEach(({ layer }, place) => {
      const name = this.names.children[place];
      setText(name, layerName(this.view.say, layer.name));
      layers.light(name, layer.block);
      name.style.left = `${(places[place][0][0] + places[place + 1][0][0]) / 2}px`;
    });
  }

  #name({ layer, index }) {
    const { view } = this;
    const last = this.rows.length - 1;
    const curve = view.scene.meta.kind === "curve";
    if (layer === 0) return view.say("live.neuron.input", { name: curve ? "x" : ["x₁", "x₂"][index] });
    if (layer === last) return curve ? view.say("live.neuron.output") : view.say("live.neuron.output.class", { label: index });
    return view.say("live.neuron.name", { number: index + 1, layer: layerName(view.say, view.frame.matrices[layer - 1].layer.name) });
  }
}

// The kept weights of all matrices, the thinnest first; `strength` is √|w|, as in the colours of the matrices.
function keptLines(matrices) {
  const lines = [];
  matrices.forEach(({ rows, cols, kept, value }, place) => {
    for (let cell = 0; cell < rows * cols; cell += 1) {
      if (!kept[cell]) continue;
      const w = value[cell];
      lines.push({ place, row: Math.floor(cell / cols), col: cell % cols, w, strength: Math.sqrt(Math.abs(w)) });
    }
  });
  return lines.sort((a, b) => a.strength - b.strength);
}
