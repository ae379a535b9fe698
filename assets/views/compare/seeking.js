// The step that both runs are looked at: their newest, or the one that the reader went to.

import { CALM_EVERY } from "../shared/replay_bar.js";

const FRAME_PATIENCE = 2000; // ms; a frame that has not come by then was thinned out of the log
const TELL_AFTER = 600; // the address follows when the slider rests

export class Aim {
  constructor(view) {
    this.view = view;
    Object.assign(this, { follows: true, looked: 0, shown: 0, asking: null });
  }

  // What the address asks for: a step, or, by null, the newest.
  turn(step) {
    this.follows = step === null;
    this.looked = step ?? 0;
  }

  forget() {
    this.asking = null;
  }

  look(step) {
    this.follows = false;
    this.looked = step;
    this.take();
    this.#tellStep();
  }

  follow() {
    this.follows = true;
    for (const side of this.view.sides) side.follow();
    this.take();
    this.#tellStep();
  }

  // Show both runs at the step wanted, as soon as both frames are there; what is shown stays until then.
  take() {
    const step = this.follows ? this.#newest() : this.looked;
    if (step === undefined) return;
    const missing = this.#missing(step);
    if (!missing.length) {
      this.#show(step);
      return;
    }
    if (this.asking) return; // when it is answered, the step wanted by then is aimed at
    this.asking = { step, timer: setTimeout(() => this.#giveUp(step), FRAME_PATIENCE) };
    for (const side of missing) side.connection.say({ frame: side.at(step).id });
  }

  // A frame has come.
  answered() {
    if (!this.asking || this.#missing(this.asking.step).length) return;
    clearTimeout(this.asking.timer);
    if (!this.follows) this.#show(this.asking.step); // the reader has moved on, but sees that it moves
    else for (const side of this.view.sides) side.follow();
    this.asking = null;
  }

  // The newest step that both have come to, of the frames that have arrived; a run that has ended stays at its end.
  #newest() {
    const { sides } = this.view;
    const going = sides.filter(({ active, last }) => active && last !== undefined);
    if (going.some(({ arrived }) => arrived === undefined)) return undefined;
    if (going.length) return Math.min(...going.map(({ arrived }) => arrived));
    return Math.max(0, ...sides.map(({ last }) => last ?? 0));
  }

  #missing(step) {
    return this.view.sides.filter((side) => side.frames.length && !side.cache.has(side.at(step).step));
  }

  #giveUp(step) {
    if (this.asking?.step !== step) return;
    this.asking = null;
    for (const side of this.#missing(step)) {
      if (!side.listens) return; // it asks again when it is connected again
      side.frames.splice(side.frames.indexOf(side.at(step)), 1);
    }
    this.view.changed(null, "frame");
  }

  #show(step) {
    const { view } = this;
    const { sides } = view;
    const now = performance.now();
    if (view.calm.matches && this.follows && now - this.shownAt < CALM_EVERY && sides.some(({ active }) => active)) return;
    const frames = sides.map((side) => side.cache.get(side.at(step)?.step) ?? null);
    if (step === this.shown && frames.every((frame, place) => frame === sides[place].frame)) return;
    this.shownAt = now;
    this.shown = step;
    sides.forEach((side, place) => { side.frame = frames[place]; });
    view.difference.draw();
    view.charting.pictured();
    view.drawAll(false);
  }

  #tellStep() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.view.tell(this.follows ? null : this.looked), TELL_AFTER);
  }

  destroy() {
    clearTimeout(this.telling);
    clearTimeout(this.asking?.timer);
  }
}
