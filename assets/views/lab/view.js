// The live view: creates its nodes once, then changes them in place at every frame.

import { certificateOf, changeLabel, describeCharts, factsOf, noticeOf, queuedOf } from "../shared/captions.js";
import { metricOf, readCards } from "../shared/cards.js";
import { Connection } from "../shared/connection.js";
import { make, setText, Tip } from "../shared/dom.js";
import { readFrame, rowOf } from "../shared/frame.js";
import { MountedView, mounting } from "../shared/mounting.js";
import { Paced } from "../shared/pacing.js";
import { drawOutput } from "../shared/pictures.js";
import { CALM_EVERY } from "../shared/replay_bar.js";
import { drawScene } from "./data_panel.js";
import { FullMatrix } from "./full_matrix.js";
import { Histogram } from "./histogram.js";
import { Keys } from "./keys.js";
import { LayerChoice } from "./layer_choice.js";
import { CompareChoice, drawMetrics } from "./metric_chart.js";
import { Replay } from "./replay.js";
import { attachSaves } from "./saving.js";
import { drawSparsity } from "./sparsity_chart.js";
import { WeightsPanel } from "./weights_panel.js";

const CURVES_EVERY = 300; // ms; three drawings a second are enough for curves and pictures of points
const OUTPUT_EVERY = 120;
const POINTED_EVERY = 60; // for drawings that follow the pointer
const CACHED_FRAMES = 400;
const SEND_EVERY = 1000; // ms
const LOOKED_AT_WITHIN = 1000; // ms; charts must not be further behind a step that the user looks at
const FEW_RECORDS = 3; // with fewer the pictures' own values fill the curves

class View extends MountedView {
  constructor(parent) {
    super(parent, "sc-live");
    this.mode = "both";
    this.reversed = false;
    this.sendAfter = SEND_EVERY;
    this.layers = new LayerChoice(() => this.#light());
    this.#build();
    this.paces = this.#paces();
  }

  // -- nodes ----------------------------------------------------------------------------------------------

  #build() {
    const status = make("div", "sc-status", this.root);
    this.pill = make("span", "sc-pill", status);
    this.pill.setAttribute("role", "status"); // not the facts, which change with every frame
    this.facts = ["setting", "step", "kept", "metric", "seconds", "support"].map((name) => make("span", `sc-fact sc-${name}`, status));
    this.notice = make("div", "sc-notice", this.root);
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    const stage = make("div", "sc-stage", this.root);
    this.dataPanel = this.panel(stage, "sc-data");
    this.samples = make("ul", "sc-samples", this.dataPanel.figure);
    this.matrixPanel = this.panel(stage, "sc-matrices");
    this.weights = new WeightsPanel(this, this.matrixPanel);
    this.outputPanel = this.panel(stage, "sc-output");
    const curves = make("div", "sc-curves", this.root);
    this.fitPanel = this.panel(curves, "sc-fit");
    const title = this.fitPanel.title;
    this.fitPanel.title = make("span", "", title);
    this.choice = new CompareChoice(title, (id) => this.sendCompare(id));
    this.certificate = make("details", "sc-certificate", this.fitPanel.figure);
    make("summary", "", this.certificate);
    make("p", "", this.certificate);
    this.sparsityPanel = this.panel(curves, "sc-sparsity");
    this.histogramPanel = this.panel(curves, "sc-spread");
    this.histogram = new Histogram(this, this.histogramPanel);
    this.replay = new Replay(this);
    this.keys = new Keys(this);
    this.tip = new Tip(this.root);
    this.saves = attachSaves(this);
    this.full = new FullMatrix(this);
    this.openFull = (place, opener) => this.full.open(place, opener);
  }

  #paces() {
    const ifKnown = (draw) => () => { if (this.rows.length && this.frame) draw(); };
    const drawings = [() => this.#drawSparsity(), () => this.histogram.draw()].map(ifKnown);
    return {
      weights: new Paced({ every: 0, rest: 0 }, () => this.weights.draw()),
      output: new Paced({ every: OUTPUT_EVERY }, () => { if (this.scene && this.frame) drawOutput(this, this.outputPanel, this.frame); }),
      curves: new Paced({ every: CURVES_EVERY }, ifKnown(() => drawMetrics(this, this.fitPanel.plot)), ...drawings),
      light: new Paced({ every: POINTED_EVERY }, ...drawings),
    };
  }

  // -- from the page's script -----------------------------------------------------------------------------

  update({ data: [data], setStateValue }) {
    this.sendState = (state) => setStateValue("state", state);
    this.sendCompare = (id) => setStateValue("compare", id);
    this.sendSeek = (where) => setStateValue("seek", where);
    readCards(data.cards);
    this.compare = data.compare;
    this.choice.show(data.words["live.compare"], data.words["live.compare.none"], data.others, data.compare?.id ?? "");
    this.choice.link(data.words["live.compare.page"], data.run, data.compare?.id, data.language);
    Object.assign(this, { words: data.words, language: data.language, pageState: data.state, pageFrozen: data.frozen, autoplay: data.autoplay, leads: data.leads, obeys: data.obeys });
    this.#label();
    this.charting.ask(data.plotly);
    this.root.classList.toggle("sc-brief", data.brief);
    const path = `/live/${data.run}?token=${encodeURIComponent(data.token)}`;
    const changed = this.looksAnew(data.compare?.id, data.compare?.rows.length);
    if (data.run === this.run) {
      this.connection.path = path; // a fresh token for when the socket is opened again
      if (changed) this.drawAll(true);
      return;
    }
    this.run = this.root.dataset.run = data.run;
    this.#forget();
    this.connection?.close();
    this.connection = new Connection(path, {
      message: (message) => this.#hear(message),
      blob: (buffer) => this.#receive(readFrame(buffer)),
      lost: (notice) => this.#offline(notice),
    });
    this.#showStatus();
  }

  #forget() {
    this.replay.forget();
    this.layers.forget();
    this.weights.forget();
    Object.assign(this, { scene: null, frame: null, status: null, records: [], live: [], changes: [], frames: [], config: null, follows: true, shownStep: 0, method: null });
    this.cache = new Map();
    this.root.classList.add("sc-waiting");
    for (const pace of Object.values(this.paces)) pace.restart();
    for (const { plot } of this.panels) plot.classList.add("sc-old"); // until `react` draws the new run
    this.samples.replaceChildren();
    setText(this.histogram.caption, "");
  }

  #label() {
    const { say } = this;
    this.root.lang = this.language;
    setText(this.fitPanel.title, say("live.title.fit"));
    setText(this.sparsityPanel.title, say("live.title.sparsity"));
    for (const part of [this.weights, this.histogram, this.replay]) part.label();
    this.certificate.title = say("live.certificate.help");
    setText(this.certificate.firstChild, say("live.certificate.title"));
    this.keys.label();
    for (const save of this.saves) save.label();
  }

  // -- from the live route --------------------------------------------------------------------------------

  #hear(message) {
    if (message.type === "hello") {
      Object.assign(this, { config: message.config, frames: message.frames, records: [], live: [], changes: [] });
      this.method = message.config.method;
      this.#addRows(message.rows);
      this.#setStatus(message);
      if (!this.follows) this.replay.seek(this.replay.place); // the socket came back while the user looked at a step
      if (!message.active && this.autoplay && this.frames.length > 2 && !this.calm.matches) this.replay.setPlaying(true);
    } else if (message.type === "records") {
      this.#addRows(message.rows);
    } else if (message.type === "frame") {
      while (this.frames.length && this.frames.at(-1)[1] >= message.step) this.frames.pop(); // the run went back
      this.frames.push([message.id, message.step]);
    } else if (message.type === "gone") {
      this.replay.lose(message.id);
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

  // The records, with what the pictures show of the steps between them: before the first records, and step by step.
  get rows() {
    const recorded = new Set(this.records.map(({ step }) => step));
    const between = this.live.filter(({ step }) => !recorded.has(step));
    return between.length ? [...this.records, ...between].sort((a, b) => a.step - b.step) : this.records;
  }

  #addLive(frame) {
    while (this.live.length && this.live.at(-1).step >= frame.meta.step) this.live.pop(); // the run went back
    if (this.records.length < FEW_RECORDS || this.status?.state === "paused") this.live.push(rowOf(frame));
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
    this.cache.set(blob.meta.step, blob);
    if (this.follows) this.#addLive(blob);
    if (this.cache.size > CACHED_FRAMES) this.cache.delete(this.cache.keys().next().value);
    if (this.follows || blob.meta.step === this.replay.sought) this.show(blob); // newer frames arrive while the user looks at a step
  }

  #setStatus(message) {
    const before = this.status;
    this.status = message;
    this.lost = "";
    if (message.state !== this.pageState && (before === null || before.state !== message.state)) this.sendState(`${this.run}:${message.state}`);
    this.replay.obey(message.lead);
    this.#showStatus();
  }

  #offline(notice) {
    this.lost = notice;
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
    this.#sendFrozen(frame.meta, now);
    this.root.classList.remove("sc-waiting");
    this.paces.weights.ask();
    this.drawAll(false);
  }

  // The page's button says Freeze or Thaw by the state that the page knows. Send the state until the page agrees, each
  // time after twice the wait: every message runs the page's script again, which takes a while on a busy machine.
  #sendFrozen({ frozen, step }, now) {
    if (frozen === this.pageFrozen) this.sendAfter = SEND_EVERY;
    else if (this.follows && this.status?.active && now - (this.sentAt ?? 0) >= this.sendAfter) {
      this.sentAt = now;
      this.sendAfter *= 2;
      this.sendState(`${this.run}:${frozen ? "frozen" : "thawed"}:${step}`);
    }
  }

  drawAll(force) {
    if (!this.words) return;
    this.#showStatus();
    this.replay.show();
    const { weights, output, curves } = this.paces;
    if (!force) {
      for (const each of [output, curves]) each.ask(this.follows ? Infinity : LOOKED_AT_WITHIN);
      return;
    }
    for (const each of [output, curves, weights]) each.now();
    this.#drawScene();
  }

  // Highlight the chosen layer in all of its pictures.
  #light() {
    this.weights.light();
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
    const replayed = !this.lost && !this.follows && this.shownStep < this.frames.at(-1)?.[1];
    this.pill.classList.toggle("sc-replayed", replayed);
    const told = this.say(replayed ? "live.replayed" : `state.${shown}`);
    setText(this.pill, state === "queued" && this.status?.place ? queuedOf(this) : told);
    this.#showNotice(shown);
    const isBare = this.status && !this.status.active && !this.frame && !this.frames.length; // it ended before its first picture
    this.root.classList.toggle("sc-bare", Boolean(isBare));
    factsOf(this).forEach((text, place) => setText(this.facts[place], text));
    const certificate = certificateOf(this, this.frame?.meta.certificate);
    setText(this.certificate.lastChild, certificate);
    this.certificate.classList.toggle("sc-empty", !certificate);
    describeCharts(this);
  }

  #showNotice(shown) {
    const text = noticeOf(this, shown);
    this.notice.hidden = !text;
    this.notice.dataset.state = shown;
    setText(this.notice, text);
  }

  // The subject of a saved figure: for the name of its file, and for the note above its picture.
  get savedName() {
    return `run-${this.run}`;
  }

  get savedNote() {
    return factsOf(this)[0];
  }

  // -- small facts ----------------------------------------------------------------------------------------

  metricName() {
    return metricOf(this.config).name;
  }

  get panels() {
    return [this.dataPanel, this.outputPanel, this.fitPanel, this.sparsityPanel, this.histogramPanel];
  }

  drawPictures() {
    this.weights.draw();
  }

  close() {
    this.replay.setPlaying(false);
    this.keys.destroy();
    this.connection?.close();
  }
}

export default mounting(View);
