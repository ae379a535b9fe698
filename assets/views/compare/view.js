// Two runs side by side at one step: creates its nodes once, then changes them in place.

import { readCards } from "../shared/cards.js";
import { make, setText, Tip } from "../shared/dom.js";
import { MountedView, mounting } from "../shared/mounting.js";
import { Paced } from "../shared/pacing.js";
import { drawOutput, outputTitle, replaceChart } from "../shared/pictures.js";
import { Card } from "./card.js";
import { drawDensities, drawMetrics, drawOverlap, spanOf } from "./curves.js";
import { DifferencePanel } from "./mask_panel.js";
import { Replay } from "./replay.js";
import { attachSaves } from "./saving.js";
import { Seeking } from "./seeking.js";
import { Side, tintsOf } from "./side.js";

const CURVES_EVERY = 300; // ms
const OUTPUT_EVERY = 120;
const OVERLAP_EVERY = 2000; // ms, while a run trains: the server counts the new frames

class View extends MountedView {
  constructor(parent) {
    super(parent, "sc-live cp-view");
    this.letters = ["A", "B"];
    this.sides = [new Side(this), new Side(this)];
    this.seeking = new Seeking(this);
    this.#build();
    this.paces = this.#paces();
  }

  // -- nodes ----------------------------------------------------------------------------------------------

  #build() {
    const heads = make("div", "cp-heads", this.root);
    this.cards = this.letters.map((letter, place) => new Card(heads, letter, place));
    const stage = make("div", "cp-stage", this.root);
    const first = this.#panel(stage, "cp-output", "output_a");
    this.difference = new DifferencePanel(this, this.#panel(stage, "cp-difference", "difference"));
    this.outputPanels = [first, this.#panel(stage, "cp-output", "output_b")];
    const curves = make("div", "cp-curves", this.root);
    this.fitPanel = this.#panel(curves, "cp-fit", "curves");
    this.overlapPanel = this.#panel(curves, "cp-overlap", "overlap");
    this.overlapNote = make("p", "cp-note");
    this.overlapPanel.title.after(this.overlapNote);
    this.densityPanel = this.#panel(curves, "cp-density", "densities");
    this.replay = new Replay(this);
    this.tip = new Tip(this.root);
    this.saves = attachSaves(this);
  }

  #panel(parent, className, name) {
    const panel = this.panel(parent, className);
    panel.plot.dataset.figure = `compare_${name}`;
    return panel;
  }

  #paces() {
    const ifKnown = (draw) => () => { if (this.sides.some((side) => side.records.length)) draw(); };
    const curves = [() => drawMetrics(this, this.fitPanel.plot), () => drawDensities(this, this.densityPanel.plot), () => this.#drawOverlap()];
    return {
      output: new Paced({ every: OUTPUT_EVERY }, () => this.#drawOutputs()),
      curves: new Paced({ every: CURVES_EVERY }, ...curves.map(ifKnown)),
      overlap: new Paced({ every: OVERLAP_EVERY }, () => this.#requestOverlap()),
    };
  }

  // -- from the page's script -----------------------------------------------------------------------------

  update({ data: [data], setStateValue }) {
    readCards(data.cards);
    this.sendStep = (step) => setStateValue("step", step);
    const pair = [data.a.run, data.b.run];
    const before = this.sides.map((side) => side.opened);
    const swapped = before[0] === pair[1] && before[1] === pair[0] && pair[0] !== pair[1];
    if (swapped) this.sides.reverse();
    Object.assign(this, { words: data.words, language: data.language, run: pair.join(" ") });
    if (swapped || before.join(" ") !== this.run) {
      this.overlap = null;
      this.steps = [];
    }
    if (!swapped && before.join(" ") !== this.run) {
      this.replay.setPlaying(false);
      this.seeking.turn(data.step);
    }
    [data.a, data.b].forEach((side, place) => this.sides[place].turn(side));
    this.#label();
    this.charting.ask(data.plotly);
    this.changed();
    if (this.looksAnew(this.run)) this.drawAll(true);
    this.#askOverlap();
  }

  #label() {
    const { say } = this;
    this.root.lang = this.language;
    this.difference.label();
    for (const save of this.saves) save.label();
    setText(this.fitPanel.title, say("live.title.fit"));
    setText(this.overlapPanel.title, say("compare.title.overlap"));
    setText(this.overlapNote, say("compare.overlap.note"));
    this.overlapNote.title = say("compare.overlap.help");
    setText(this.densityPanel.title, say("compare.title.density"));
    this.replay.label();
  }

  // The step on display, and whether it follows the newest, for drawings and saved figures.
  get shownStep() {
    return this.seeking.shown;
  }

  get follows() {
    return this.seeking.follows;
  }

  // The subject of a saved figure: for the name of its file, and for the note above its picture.
  get savedName() {
    return `compare-${this.run.replace(" ", "-")}`;
  }

  get savedNote() {
    return this.sides.map(({ name }, place) => `${this.letters[place]}: ${name}`).join(" · ");
  }

  kindName(kind) {
    const place = ["first", "second"].indexOf(kind);
    return place < 0 ? this.say(`compare.${kind}`) : this.say("compare.only", { run: this.letters[place] });
  }

  // -- from the sides -------------------------------------------------------------------------------------

  // A side has received a message of the type `what`.
  changed(side, what) {
    if (!this.words) return;
    this.steps = [...new Set(this.sides.flatMap(({ frames }) => frames.map(({ step }) => step)))].sort((a, b) => a - b);
    this.tints = tintsOf(this.sides);
    if (what === "hello") this.seeking.forget(); // a request on a lost connection gets no answer
    if (["hello", "frame", "status"].includes(what)) {
      this.seeking.take();
      this.#askOverlap();
    }
    this.drawAll(false);
  }

  received(side, blob) {
    if (blob.meta.type === "overlap") {
      if (blob.meta.run !== this.sides[0].run || blob.meta.other !== this.sides[1].run) return;
      this.overlap = blob;
    } else if (blob.meta.type === "frame") {
      this.seeking.answered();
      this.seeking.take();
    } else {
      this.drawAll(true); // the scene, or the full masks
    }
    this.drawAll(false);
  }

  #askOverlap() {
    if (this.sides.some(({ frames }) => !frames.length)) return;
    this.paces.overlap.ask();
  }

  #requestOverlap() {
    const [first, { run, token }] = this.sides; // by then they may have changed places
    first.connection.say({ overlap: { run, token } });
  }

  // -- drawing --------------------------------------------------------------------------------------------

  drawAll(force) {
    if (!this.words) return;
    this.sides.forEach((side, place) => this.cards[place].show(side, this.tints[place]));
    this.root.classList.toggle("sc-waiting", this.sides.some(({ frame }) => !frame));
    this.replay.show();
    const { output, curves } = this.paces;
    if (!force) {
      output.ask();
      curves.ask();
      return;
    }
    for (const each of [output, curves]) each.now();
    this.difference.draw();
  }

  #drawOutputs() {
    const span = spanOf(this.sides);
    this.sides.forEach((side, place) => {
      const panel = this.outputPanels[place];
      setText(panel.title, `${this.letters[place]} · ${outputTitle(this.say, side.scene)}`);
      if (!side.scene || !side.frame) return;
      drawOutput(Object.assign(side, { span, tint: this.tints[place] }), panel, side.frame);
    });
  }

  #drawOverlap() {
    const refused = this.overlap?.meta.refused;
    replaceChart(this.overlapPanel, refused ? this.say(`compare.refused.${refused}`) : "");
    if (this.overlap && !refused) drawOverlap(this, this.overlapPanel.plot);
  }

  get panels() {
    return [...this.outputPanels, this.fitPanel, this.overlapPanel, this.densityPanel];
  }

  drawPictures() {
    this.difference.draw();
  }

  close() {
    this.replay.destroy();
    this.seeking.destroy();
    for (const side of this.sides) side.close();
  }
}

export default mounting(View);
