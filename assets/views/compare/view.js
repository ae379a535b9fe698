// Two runs side by side at one step: builds its nodes once, then changes them in place.

import { drawOutput } from "../shared/charts.js";
import { make, setText, Tip } from "../shared/dom.js";
import { MountedView, mounting } from "../shared/mounting.js";
import { Paced } from "../shared/pacing.js";
import { Card } from "./card.js";
import { drawDensities, drawFits, drawOverlap, spanOf } from "./curves.js";
import { DifferencePanel } from "./mask_panel.js";
import { CompareReplay } from "./replay.js";
import { compareSaves } from "./saving.js";
import { Aim } from "./seeking.js";
import { Side, tintsOf } from "./side.js";

const CURVES_EVERY = 300; // ms
const OUTPUT_EVERY = 120;
const OVERLAP_EVERY = 2000; // while a run trains: the server counts what is new

class CompareView extends MountedView {
  constructor(parent) {
    super(parent, "sc-live cp-view");
    this.letters = ["A", "B"];
    this.sides = [new Side(this), new Side(this)];
    this.aim = new Aim(this);
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
    this.refused = make("p", "cp-refused", this.overlapPanel.plot.parentElement);
    this.densityPanel = this.#panel(curves, "cp-density", "densities");
    this.replay = new CompareReplay(this);
    this.tip = new Tip(this.root);
    this.saves = compareSaves(this);
  }

  #panel(parent, className, name) {
    const figure = make("figure", `sc-panel ${className}`, parent);
    const title = make("figcaption", "", figure);
    const plot = make("div", "sc-chart", make("div", "sc-plot", figure));
    plot.dataset.figure = `compare_${name}`;
    return { figure, title, plot };
  }

  #paces() {
    const ifKnown = (draw) => () => { if (this.sides.some((side) => side.records.length)) draw(); };
    const curves = [() => drawFits(this, this.fitPanel.plot), () => drawDensities(this, this.densityPanel.plot), () => this.#drawOverlap()];
    return {
      output: new Paced({ every: OUTPUT_EVERY }, () => this.#drawOutputs()),
      curves: new Paced({ every: CURVES_EVERY }, ...curves.map(ifKnown)),
      question: new Paced({ every: OVERLAP_EVERY }, () => this.#sayQuestion()),
    };
  }

  // -- what Python says -----------------------------------------------------------------------------------

  update({ data: [data], setStateValue }) {
    this.tell = (step) => setStateValue("step", step);
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
      this.aim.turn(data.step);
    }
    [data.a, data.b].forEach((told, place) => this.sides[place].turn(told));
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

  // The step that is shown, and whether it is the newest: its drawings and its saved figures ask.
  get shownStep() {
    return this.aim.shown;
  }

  get follows() {
    return this.aim.follows;
  }

  // What a saved figure is of: the name of its file, and a line above its picture.
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

  // -- what the sides say ---------------------------------------------------------------------------------

  // A side has heard something; `what` is the type of the message.
  changed(side, what) {
    if (!this.words) return;
    this.steps = [...new Set(this.sides.flatMap(({ frames }) => frames.map(({ step }) => step)))].sort((a, b) => a - b);
    this.tints = tintsOf(this.sides);
    if (what === "hello") this.aim.forget(); // what was asked on a lost connection never comes
    if (["hello", "frame", "status"].includes(what)) {
      this.aim.take();
      this.#askOverlap();
    }
    this.drawAll(false);
  }

  received(side, blob) {
    if (blob.meta.type === "overlap") {
      if (blob.meta.run !== this.sides[0].run || blob.meta.other !== this.sides[1].run) return;
      this.overlap = blob;
    } else if (blob.meta.type === "frame") {
      this.aim.answered();
      this.aim.take();
    } else {
      this.drawAll(true); // the scene, or all masks
    }
    this.drawAll(false);
  }

  #askOverlap() {
    if (this.sides.some(({ frames }) => !frames.length)) return;
    this.paces.question.ask();
  }

  #sayQuestion() {
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
      const { title, plot } = this.outputPanels[place];
      setText(title, `${this.letters[place]} · ${this.say(`live.title.output.${side.scene?.meta.kind ?? "curve"}`)}`);
      if (!side.scene || !side.frame) return;
      drawOutput(Object.assign(side, { span, tint: this.tints[place] }), plot, side.frame);
    });
  }

  #drawOverlap() {
    const refused = this.overlap?.meta.refused;
    this.refused.hidden = !refused;
    this.overlapPanel.plot.hidden = Boolean(refused);
    if (refused) setText(this.refused, this.say(`compare.refused.${refused}`));
    else if (this.overlap) drawOverlap(this, this.overlapPanel.plot);
  }

  get plots() {
    return [...this.outputPanels, this.fitPanel, this.overlapPanel, this.densityPanel].map(({ plot }) => plot);
  }

  drawPictures() {
    this.difference.draw();
  }

  close() {
    this.replay.destroy();
    this.aim.destroy();
    for (const side of this.sides) side.close();
  }
}

export default mounting(CompareView);
