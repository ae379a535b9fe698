// "Which weights survive?": the matrices, or the network as a graph above small matrices.

import { make, setText } from "../shared/dom.js";
import { FEW, MatrixPicture, matrixSizes, NEGATIVE, PLATES, POSITIVE, SMALL, VIRIDIS } from "../shared/matrix_picture.js";
import { Graph, LARGEST_LAYER, whyNoGraph } from "./graph.js";

const NO_GRAPH = { texts: "live.graph.texts", large: "live.graph.large", unknown: "live.picture.unknown" };

export class WeightsPanel {
  constructor(view, { figure, title, plot }) {
    Object.assign(this, { view, title, plot, shape: "matrices", pictures: [] });
    plot.parentElement.className = "sc-plates-box";
    plot.className = "sc-plates";
    const switches = make("div", "sc-switches");
    figure.insertBefore(switches, plot.parentElement);
    this.shapes = this.#switch(switches, ["matrices", "graph"], (shape) => this.#turn(shape));
    this.modes = this.#switch(switches, Object.keys(PLATES), (mode) => { view.mode = mode; this.draw(); });
    this.why = make("span", "sc-dim sc-why", switches);
    this.graph = new Graph(view, make("div", "sc-graph-box"), () => this.#mark());
    this.graph.host.hidden = true;
    plot.parentElement.prepend(this.graph.host);
    this.#buildLegend(figure);
  }

  #switch(parent, names, choose) {
    const group = make("div", "sc-switch", parent);
    group.setAttribute("role", "group");
    const buttons = Object.fromEntries(names.map((name) => {
      const button = make("button", "", group);
      button.type = "button";
      button.onclick = () => choose(name);
      return [name, button];
    }));
    return { group, buttons };
  }

  #buildLegend(figure) {
    const legend = make("div", "sc-legend", figure);
    this.legend = { low: make("span", "", legend), bar: make("span", "sc-ramp", legend), high: make("span", "", legend), note: make("span", "sc-dim", legend) };
    this.flip = make("button", "", legend);
    this.flip.type = "button";
    this.flip.hidden = true; // until there is a picture to reverse
    this.flip.onclick = () => { this.view.reversed = !this.view.reversed; this.draw(); };
  }

  label() {
    const { say } = this.view;
    setText(this.title, say("live.title.matrices"));
    for (const [name, { group, buttons }] of Object.entries({ shape: this.shapes, mode: this.modes })) {
      group.setAttribute("aria-label", say(`live.${name}`));
      for (const [choice, button] of Object.entries(buttons)) setText(button, say(`live.${name}.${choice}`));
    }
    this.graph.label();
  }

  forget() {
    this.graph.forget();
  }

  #turn(shape) {
    this.shape = shape;
    if (shape === "matrices") this.graph.forget();
    this.draw();
  }

  draw() {
    const { view, plot } = this;
    if (!view.frame) return;
    const { matrices, meta } = view.frame;
    const drawn = this.#chooseShape(matrices);
    for (const [mode, button] of Object.entries(this.modes.buttons)) button.setAttribute("aria-pressed", String(mode === view.mode));
    while (this.pictures.length < matrices.length) this.pictures.push(this.#picture());
    while (this.pictures.length > matrices.length) this.pictures.pop().figure.remove();
    plot.classList.toggle("sc-many", matrices.length > FEW);
    plot.classList.toggle("sc-below", drawn);
    const sizes = matrixSizes(matrices, view.mode, plot.clientWidth || 320, drawn ? SMALL : undefined);
    this.pictures.forEach((picture, i) => picture.draw(matrices[i], view.mode, meta.step, sizes[i]));
    this.light();
    this.#mark();
    this.#drawLegend(meta.step);
  }

  // Whether the graph is on display; where there is none, a sentence gives the reason.
  #chooseShape(matrices) {
    const { say, number } = this.view;
    const missing = whyNoGraph(matrices, this.view.scene);
    const drawn = this.shape === "graph" && !missing;
    this.shapes.buttons.graph.disabled = Boolean(missing);
    for (const [shape, button] of Object.entries(this.shapes.buttons)) button.setAttribute("aria-pressed", String((shape === "graph") === drawn));
    const weights = number(matrices.reduce((sum, { rows, cols }) => sum + rows * cols, 0));
    const reason = NO_GRAPH[missing];
    setText(this.why, reason ? say(reason, { weights, most: LARGEST_LAYER, kind: this.view.scene.meta.kind }) : "");
    this.graph.host.hidden = !drawn;
    return drawn;
  }

  #picture() {
    const { layers } = this.view;
    const picture = new MatrixPicture(this.plot, this.view);
    const block = () => picture.matrix.layer.block;
    layers.watch(picture.figure, block);
    layers.press(picture.title, block);
    return picture;
  }

  // Highlight the pictures of the chosen layer.
  light() {
    for (const { figure, title, matrix } of this.pictures) {
      this.view.layers.light(figure, matrix.layer.block);
      title.setAttribute("aria-pressed", String(this.view.layers.held === matrix.layer.block));
      title.title = this.view.say("live.layer.press");
    }
    this.graph.draw();
  }

  // Mark the chosen neuron: a row of the matrix before it and a column of the matrix after it.
  #mark() {
    const chosen = this.graph.chosen;
    this.pictures.forEach((picture, place) => {
      picture.mark(chosen && place === chosen.layer - 1 ? chosen.index : null, chosen && place === chosen.layer ? chosen.index : null);
    });
  }

  #drawLegend(step) {
    const { view } = this;
    const counted = ["both", "count", "outline"].includes(view.mode);
    const { low, bar, high, note } = this.legend;
    const css = (colour) => `rgb(${colour.join(" ")})`;
    const { ink, paper } = view.ink();
    const stops = counted ? VIRIDIS : view.mode === "value" ? [NEGATIVE, paper, POSITIVE] : [paper, ink];
    bar.style.background = `linear-gradient(90deg, ${(view.reversed && counted ? [...stops].reverse() : stops).map(css).join(", ")})`;
    setText(low, counted ? "0" : view.say(view.mode === "value" ? "live.negative" : "live.pruned"));
    setText(high, counted ? view.say("live.steps_kept", { steps: view.number(step) }) : view.say(view.mode === "value" ? "live.positive" : "live.kept"));
    setText(note, view.say(view.frame.matrices.every(({ exact }) => exact) ? "live.zoom_hint" : "live.full.hint"));
    this.flip.hidden = !counted;
    setText(this.flip, view.say(view.reversed ? "live.bright_more" : "live.dark_more"));
  }
}
