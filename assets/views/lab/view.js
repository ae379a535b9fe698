// The live view: builds its nodes once, then changes them in place with every frame.

import { readBlob, readMatrices } from "../shared/blobs.js";
import { certificateOf, changeLabel, describeCharts, factsOf, layerName, metricOf, noticeOf, queuedOf } from "../shared/captions.js";
import { drawOutput, drawSparsity } from "../shared/charts.js";
import { Connection } from "../shared/connection.js";
import { make, setText, Tip } from "../shared/dom.js";
import { CompareChoice, drawFit } from "../shared/metric_chart.js";
import { MountedView, mounting } from "../shared/mounting.js";
import { Paced } from "../shared/pacing.js";
import { CALM_EVERY } from "../shared/replay_bar.js";
import { drawScene } from "./data_panel.js";
import { FullMatrix } from "./full_matrix.js";
import { Spread } from "./histogram.js";
import { Keys } from "./keys.js";
import { LayerChoice } from "./layer_choice.js";
import { Replay } from "./replay.js";
import { attachSaves } from "./saving.js";
import { Plates } from "./weights_panel.js";

const CURVES_EVERY = 300; // ms; curves and pictures of points need no more than three drawings a second
const OUTPUT_EVERY = 120;
const POINTED_EVERY = 60; // of what follows the pointer
const CACHED_FRAMES = 400;
const TELL_EVERY = 1000; // ms

class View extends MountedView {
  constructor(parent) {
    super(parent, "sc-live");
    this.mode = "both";
    this.reversed = false;
    this.tellAfter = TELL_EVERY;
    this.layers = new LayerChoice(() => this.#light());
    this.#build();
    this.paces = this.#paces();
  }

  // -- nodes ----------------------------------------------------------------------------------------------

  #build() {
    const status = make("div", "sc-status", this.root);
    this.pill = make("span", "sc-pill", status);
    this.pill.setAttribute("role", "status"); // not the facts beside it, which change with every frame
    this.facts = ["setting", "step", "kept", "metric", "seconds", "support"].map((name) => make("span", `sc-fact sc-${name}`, status));
    this.notice = make("div", "sc-notice", this.root);
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    const stage = make("div", "sc-stage", this.root);
    this.dataPanel = this.#panel(stage, "sc-data");
    this.samples = make("ul", "sc-samples", this.dataPanel.figure);
    this.matrixPanel = this.#panel(stage, "sc-matrices");
    this.plates = new Plates(this, this.matrixPanel);
    this.outputPanel = this.#panel(stage, "sc-output");
    const curves = make("div", "sc-curves", this.root);
    this.fitPanel = this.#panel(curves, "sc-fit");
    const title = this.fitPanel.title;
    this.fitPanel.title = make("span", "", title);
    this.choice = new CompareChoice(title, (id) => this.tellCompare(id));
    this.certificate = make("p", "sc-certificate", this.fitPanel.figure);
    this.sparsityPanel = this.#panel(curves, "sc-sparsity");
    this.spreadPanel = this.#panel(curves, "sc-spread");
    this.spread = new Spread(this, this.spreadPanel);
    this.replay = new Replay(this);
    this.keys = new Keys(this);
    this.tip = new Tip(this.root);
    this.saves = attachSaves(this);
    this.full = new FullMatrix(this);
    this.openFull = (place, opener) => this.full.open(place, opener);
  }

  #panel(parent, className) {
    const figure = make("figure", `sc-panel ${className}`, parent);
    const title = make("figcaption", "", figure);
    const plot = make("div", "sc-chart", make("div", "sc-plot", figure));
    return { figure, title, plot };
  }

  #paces() {
    const ifKnown = (draw) => () => { if (this.records.length && this.frame) draw(); };
    const drawings = [() => this.#drawSparsity(), () => this.spread.draw()].map(ifKnown);
    return {
      plates: new Paced({ every: 0, rest: 0 }, () => this.plates.draw()),
      output: new Paced({ every: OUTPUT_EVERY }, () => { if (this.scene && this.frame) drawOutput(this, this.outputPanel.plot, this.frame); }),
      curves: new Paced({ every: CURVES_EVERY }, ifKnown(() => drawFit(this, this.fitPanel.plot)), ...drawings),
      light: new Paced({ every: POINTED_EVERY }, ...drawings),
    };
  }

  // -- what Python says -----------------------------------------------------------------------------------

  update({ data: [data], setStateValue }) {
    this.tellState = (state) => setStateValue("state", state);
    this.tellCompare = (id) => setStateValue("compare", id);
    this.tellSeek = (where) => setStateValue("seek", where);
    this.compare = data.compare;
    this.choice.show(data.words["live.compare"], data.words["live.compare.none"], data.others, data.compare?.id ?? "");
    this.choice.link(data.words["live.compare.page"], data.run, data.compare?.id, data.language);
    Object.assign(this, { words: data.words, language: data.language, pageState: data.state, pageFrozen: data.frozen, autoplay: data.autoplay, leads: data.leads, obeys: data.obeys });
    this.#label();
    this.charting.ask(data.plotly);
    const path = `/live/${data.run}?token=${encodeURIComponent(data.token)}`;
    const anew = this.looksAnew(data.compare?.id, data.compare?.rows.length);
    if (data.run === this.run) {
      this.connection.path = path; // a fresh token, for when the socket has to be opened again
      if (anew) this.drawAll(true);
      return;
    }
    this.run = this.root.dataset.run = data.run;
    this.#forget();
    this.connection?.close();
    this.connection = new Connection(path, {
      message: (message) => this.#hear(message),
      blob: (buffer) => this.#receive(readBlob(buffer)),
      lost: (crowded) => this.#offline(crowded),
    });
    this.#showStatus();
  }

  #forget() {
    this.replay.forget();
    this.layers.forget();
    this.plates.forget();
    Object.assign(this, { scene: null, frame: null, status: null, records: [], changes: [], frames: [], config: null, follows: true, shownStep: 0, method: null });
    this.cache = new Map();
    this.root.classList.add("sc-waiting");
  }

  #label() {
    const { say } = this;
    this.root.lang = this.language;
    setText(this.fitPanel.title, say("live.title.fit"));
    setText(this.sparsityPanel.title, say("live.title.sparsity"));
    for (const part of [this.plates, this.spread, this.replay]) part.label();
    this.certificate.title = say("live.certificate.help");
    this.keys.label();
    for (const save of this.saves) save.label();
  }

  // -- what the route says --------------------------------------------------------------------------------

  #hear(message) {
    if (message.type === "hello") {
      Object.assign(this, { config: message.config, frames: message.frames, records: [], changes: [] });
      this.method = message.config.method;
      this.#addRows(message.rows);
      this.#setStatus(message);
      if (!this.follows) this.replay.seek(this.replay.place); // the socket came back while a step was looked at
      if (!message.active && this.autoplay && this.frames.length > 2 && !this.calm.matches) this.replay.setPlaying(true);
    } else if (message.type === "records") {
      this.#addRows(message.rows);
    } else if (message.type === "frame") {
      while (this.frames.length && this.frames.at(-1)[1] >= message.step) this.frames.pop(); // the run went back
      this.frames.push([message.id, message.step]);
    } else if (message.type === "status") {
      this.#setStatus(message);
    }
    this.drawAll(false);
  }

  #addRows(rows) {
    for (const row of rows) {
      const list = row.kind === "record" ? this.records : this.changes;
      while (list.length && list.at(-1).step >= row.step && row.kind === "record") list.pop(); // the run went back
      const label = row.kind === "record" ? null : changeLabel(this, row);
      if (label === null) list.push(row);
      else if (!list.some((old) => old.step === row.step && old.label === label)) list.push({ step: row.step, label });
    }
  }

  #receive(blob) {
    if (blob.meta.type === "matrix") {
      this.full.show(blob);
      return;
    }
    if (blob.meta.type === "scene") {
      this.scene = blob;
      this.#drawScene();
      return;
    }
    blob.matrices = readMatrices(blob);
    this.cache.set(blob.meta.step, blob);
    if (this.cache.size > CACHED_FRAMES) this.cache.delete(this.cache.keys().next().value);
    if (this.follows || blob.meta.step === this.replay.sought) this.show(blob); // newer ones come while a step is looked at
  }

  #setStatus(message) {
    const before = this.status;
    this.status = message;
    this.lost = false;
    if (message.state !== this.pageState && (before === null || before.state !== message.state)) this.tellState(`${this.run}:${message.state}`);
    this.replay.obey(message.lead);
    this.#showStatus();
  }

  #offline(crowded) {
    Object.assign(this, { lost: true, crowded });
    this.#showStatus();
  }

  // -- drawing --------------------------------------------------------------------------------------------

  show(frame) {
    const now = performance.now();
    if (this.calm.matches && this.frame && this.follows && now - this.shownAt < CALM_EVERY && this.status?.active) return;
    this.shownAt = now;
    this.charting.pictured();
    this.frame = frame;
    this.shownStep = frame.meta.step;
    this.method = frame.meta.method;
    this.#tellFrozen(frame.meta, now);
    this.root.classList.remove("sc-waiting");
    this.paces.plates.ask();
    this.drawAll(false);
  }

  // The page's button says Freeze or Thaw by what the page knows; it is told until it agrees, each time after twice
  // the time: what it is told begins its script anew, which on a busy machine takes a while.
  #tellFrozen({ frozen, step }, now) {
    if (frozen === this.pageFrozen) this.tellAfter = TELL_EVERY;
    else if (this.follows && this.status?.active && now - (this.toldAt ?? 0) >= this.tellAfter) {
      this.toldAt = now;
      this.tellAfter *= 2;
      this.tellState(`${this.run}:${frozen ? "frozen" : "thawed"}:${step}`);
    }
  }

  drawAll(force) {
    if (!this.words) return;
    this.#showStatus();
    this.replay.show();
    const { plates, output, curves } = this.paces;
    if (!force) {
      output.ask();
      curves.ask();
      return;
    }
    for (const each of [output, curves, plates]) each.now();
    this.#drawScene();
  }

  // What a layer's pictures show of which one is looked at.
  #light() {
    this.plates.light();
    this.paces.light.ask();
  }

  #drawSparsity() {
    const { plot } = this.sparsityPanel;
    drawSparsity(this, plot);
    if (this.pointing || !plot.on) return;
    this.pointing = true;
    const block = ({ points }) => points[0].data.meta ?? null;
    plot.on("plotly_hover", (event) => this.layers.point(block(event)));
    plot.on("plotly_unhover", () => this.layers.point(null));
    plot.on("plotly_click", (event) => { if (block(event)) this.layers.hold(block(event)); });
  }

  #drawScene() {
    if (this.scene) drawScene(this, this.dataPanel, this.samples, this.outputPanel.title);
  }

  #showStatus() {
    const state = this.lost ? "offline" : this.status?.state ?? "connecting";
    const shown = state === "ended" ? this.status.reason : state === "running" && !this.frame ? "preparing" : state;
    this.pill.dataset.state = shown;
    setText(this.pill, state === "queued" && this.status?.place ? queuedOf(this) : this.say(`state.${shown}`));
    this.#showNotice(shown);
    const isBare = this.status && !this.status.active && !this.frame && !this.frames.length; // it ended before its first picture
    this.root.classList.toggle("sc-bare", Boolean(isBare));
    factsOf(this).forEach((text, place) => setText(this.facts[place], text));
    setText(this.certificate, certificateOf(this, this.frame?.meta.certificate));
    describeCharts(this);
  }

  #showNotice(shown) {
    const text = noticeOf(this, shown);
    this.notice.hidden = !text;
    this.notice.dataset.state = shown;
    setText(this.notice, text);
  }

  // What a saved figure is of: the name of its file, and a line above its picture.
  get savedName() {
    return `run-${this.run}`;
  }

  get savedNote() {
    return factsOf(this)[0];
  }

  // -- small facts ----------------------------------------------------------------------------------------

  metricName() {
    return metricOf(this.config);
  }

  layerName(name) {
    return layerName(this.say, name);
  }

  // The drawn matrices by the layer they belong to for a budget: a block of a Transformer is one layer.
  drawnBlocks() {
    const blocks = new Map();
    (this.frame?.meta.matrices ?? []).forEach((entry, place) => {
      const { block } = this.frame.meta.layers[entry.layer];
      if (!blocks.has(block)) blocks.set(block, { block, name: this.layerName(block), places: [], weights: [] });
      blocks.get(block).places.push(place);
      blocks.get(block).weights.push(entry.rows * entry.cols);
    });
    return [...blocks.values()];
  }

  get plots() {
    return [this.dataPanel, this.outputPanel, this.fitPanel, this.sparsityPanel, this.spreadPanel].map(({ plot }) => plot);
  }

  drawPictures() {
    this.plates.draw();
  }

  close() {
    this.replay.setPlaying(false);
    this.keys.destroy();
    this.connection?.close();
  }
}

export default mounting(View);
