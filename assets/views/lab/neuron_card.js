// The function of one neuron: its output over the input, from the weights and biases of a frame.

import { colourOf } from "../shared/cards.js";
import { chartLayout } from "../shared/charts.js";
import { make, mix, setText } from "../shared/dom.js";
import { plotPicture } from "../shared/figure_saving.js";
import { COUNT_COLOURS, VIRIDIS } from "../shared/matrix_picture.js";
import { planeAxes, planeOf } from "../shared/pictures.js";
import { paperOf, plotTable, SaveMenu } from "../shared/save_menu.js";

const PLANE_SIDE = 48; // cells on each side of the small heat map
const CARD = { curve: [184, 104], boundary: [104, 104] }; // CSS pixels
const SAVED_CARD = { clientWidth: 480, clientHeight: 360 }; // pixels, as a figure with axes
export const FLAT = 1e-6; // a smaller range of outputs counts as constant

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

// Whether the outputs of neurons can be drawn over the inputs of a task.
export const computesOver = ({ meta }) => Object.hasOwn(CARD, meta.kind);

// The inputs of a task, one array each: the drawn x at every `stride` points, or a square with `side` cells on each
// side, row by row from the lowest y.
export function taskInputs({ meta, grid }, side, stride = 1) {
  if (meta.kind === "curve") return [grid.x.filter((_, place) => place % stride === 0)];
  const at = (cell) => ((cell + 0.5) / side) * 2 * meta.edge - meta.edge;
  const cells = Array.from({ length: side ** 2 }, (_, cell) => cell);
  return [Float32Array.from(cells, (cell) => at(cell % side)), Float32Array.from(cells, (cell) => at(Math.floor(cell / side)))];
}

// The weighted sum of a neuron's inputs, with its bias, at every point.
function weighted({ cols, value, bias }, row, inputs) {
  const sum = new Float32Array(inputs[0].length).fill(bias[row]);
  for (let col = 0; col < cols; col += 1) {
    const w = value[row * cols + col];
    if (w === 0) continue;
    const input = inputs[col];
    for (let at = 0; at < sum.length; at += 1) sum[at] += w * input[at];
  }
  return sum;
}

// The outputs of all neurons at every point, by layer, the inputs first; hidden layers have sigmoids, the last has none.
export function neuronOutputs(matrices, inputs) {
  const layers = [inputs];
  matrices.forEach((matrix, place) => {
    const rows = Array.from({ length: matrix.rows }, (_, row) => weighted(matrix, row, layers[place]));
    layers.push(place === matrices.length - 1 ? rows : rows.map((row) => row.map(sigmoid)));
  });
  return layers;
}

// The numbers of kept weights into and out of a neuron; null where it has no weights on that side.
export function keptWeights(matrices, { layer, index }) {
  const sum = (matrix, cells) => cells(matrix).reduce((all, cell) => all + matrix.kept[cell], 0);
  const row = ({ cols }) => Array.from({ length: cols }, (_, col) => index * cols + col);
  const column = ({ rows, cols }) => Array.from({ length: rows }, (_, at) => at * cols + index);
  return {
    into: layer ? sum(matrices[layer - 1], row) : null,
    out: layer < matrices.length ? sum(matrices[layer], column) : null,
  };
}

// A hidden neuron is dead when no weight leads to it or none leads on; inputs and outputs never are.
export const isDead = ({ into, out }) => into === 0 || out === 0;

// The card below the graph: the function of the chosen neuron, and facts about it.
export class NeuronCard {
  constructor(view, host) {
    this.view = view;
    this.card = make("div", "sc-neuron-card", host);
    this.canvas = make("canvas", "", this.card);
    this.canvas.setAttribute("role", "img");
    const words = make("div", "", this.card);
    this.title = make("b", "", words);
    this.lines = [0, 1, 2].map(() => make("div", "sc-dim", words));
    this.save = new SaveMenu(view, { figure: this.card, title: this.title }, "neuron", {
      picture: () => plotPicture(this.#figure(), view.charting.source, paperOf(view)),
      table: () => plotTable(view, this.#figure()),
    });
  }

  label() {
    this.save.label();
  }

  draw(chosen, name) {
    const { view } = this;
    this.#show(Boolean(chosen));
    if (!chosen) {
      setText(this.title, "");
      this.#write([view.say("live.neuron.hint")]);
      return;
    }
    const { matrices } = view.frame;
    const kept = keptWeights(matrices, chosen);
    setText(this.title, name);
    if (matrices.some(({ bias }) => !bias)) {
      this.#show(false);
      this.#write([view.say("live.neuron.no_bias"), keptText(view, matrices, chosen, kept)]);
      return;
    }
    const output = neuronOutputs(matrices, taskInputs(view.scene, PLANE_SIDE))[chosen.layer][chosen.index];
    this.output = output;
    const range = rangeOf(output);
    const text = rangeText(view, range);
    this.canvas.setAttribute("aria-label", `${name}: ${text}`);
    this.#paint(output, range);
    const hidden = chosen.layer > 0 && chosen.layer < matrices.length;
    const side = kept.into === 0 ? "into" : "out";
    this.#write([text, keptText(view, matrices, chosen, kept), hidden && isDead(kept) ? view.say(`live.neuron.dead.${side}`) : ""]);
  }

  // Show or hide the drawing and its save button.
  #show(drawn) {
    this.canvas.hidden = !drawn;
    this.save.button.hidden = !drawn;
  }

  // The drawing as a figure with axes.
  #figure() {
    const { view, output } = this;
    const { meta } = view.scene;
    const name = this.title.textContent;
    if (meta.kind === "curve") {
      const line = { x: view.scene.grid.x, y: output, mode: "lines", line: { width: 3, color: colourOf(view.frame.meta.method) } };
      return { ...SAVED_CARD, data: [line], layout: chartLayout(view, { showlegend: false, xaxis: { title: "x" }, yaxis: { title: name } }) };
    }
    const colours = VIRIDIS.map((colour, place) => [place / (VIRIDIS.length - 1), `rgb(${colour.join(",")})`]);
    const map = { type: "heatmap", name, ...planeOf(meta, output), colorscale: colours };
    return { ...SAVED_CARD, data: [map], layout: chartLayout(view, planeAxes(meta)) };
  }

  #write(texts) {
    this.lines.forEach((line, place) => setText(line, texts[place] ?? ""));
  }

  #paint(output, range) {
    const { kind } = this.view.scene.meta;
    const [width, height] = CARD[kind];
    const sharp = kind === "curve" ? devicePixelRatio : 1;
    const size = kind === "curve" ? [width * sharp, height * sharp] : [PLANE_SIDE, PLANE_SIDE];
    const context = sized(this.canvas, [width, height], size.map(Math.round));
    if (kind === "curve") paintCurve(context, output, range, this.view, sharp);
    else context.putImageData(planeImage(output, range, PLANE_SIDE), 0, 0);
  }
}

export const rangeOf = (output) => [output.reduce((a, b) => Math.min(a, b)), output.reduce((a, b) => Math.max(a, b))];

// The range with as many decimals as distinguish its ends.
function rangeText({ say }, [low, high]) {
  if (high - low < FLAT) return say("live.neuron.constant", { value: String(Number(low.toPrecision(3))) });
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(high - low)));
  const text = (value) => String(Number(value.toFixed(decimals)));
  return say("live.neuron.range", { low: text(low), high: text(high) });
}

export function keptText({ say, number }, matrices, { layer }, { into, out }) {
  const parts = [];
  if (into !== null) parts.push(say("live.neuron.into", { kept: number(into), all: number(matrices[layer - 1].cols) }));
  if (out !== null) parts.push(say("live.neuron.out", { kept: number(out), all: number(matrices[layer].rows) }));
  return parts.join(" · ");
}

// A canvas of this size on the page and in its own pixels; setting an equal size would clear it.
export function sized(canvas, [width, height], [across, down]) {
  if (canvas.style.width !== `${width}px`) canvas.style.width = `${width}px`;
  if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  return canvas.getContext("2d");
}

function paintCurve(context, output, [low, high], view, sharp) {
  const { width, height } = context.canvas;
  const { ink, paper } = view.ink();
  const pad = 4 * sharp;
  const room = high - low < FLAT ? 1 : high - low;
  const y = (value) => height - pad - ((value - (high - low < FLAT ? low - 0.5 : low)) / room) * (height - 2 * pad);
  context.clearRect(0, 0, width, height);
  context.fillStyle = `rgb(${mix(paper, ink, 0.25).join(" ")})`;
  context.fillRect(Math.round(width / 2), 0, sharp, height); // x = 0
  if (low < 0 && high > 0) context.fillRect(0, Math.round(y(0)), width, sharp);
  context.strokeStyle = colourOf(view.frame.meta.method);
  context.lineWidth = 2 * sharp;
  context.beginPath();
  output.forEach((value, at) => context.lineTo((at / (output.length - 1)) * width, y(value)));
  context.stroke();
}

// Cells are row by row from the lowest y, which is the last line of the image.
export function planeImage(output, [low, high], side) {
  const image = new ImageData(side, side);
  const room = high - low < FLAT ? Infinity : high - low;
  output.forEach((value, cell) => {
    const place = ((side - 1 - Math.floor(cell / side)) * side + (cell % side)) * 4;
    image.data.set(COUNT_COLOURS[Math.round((255 * (value - low)) / room)], place);
    image.data[place + 3] = 255;
  });
  return image;
}
