// The step at which both runs are on display: the newest, or the one that the user went to.

import { CALM_EVERY } from "../shared/replay_bar.js";

const FRAME_PATIENCE = 2000; // ms; a frame that has not come by then was removed from the log
const SEND_AFTER = 600; // ms; the address follows when the slider rests

export class Seeking {
  constructor(view) {
    this.view = view;
    Object.assign(this, { follows: true, wanted: 0, shown: 0, request: null });
  }

  // Go to the step of the address; null is the newest.
  turn(step) {
    this.follows = step === null;
    this.wanted = step ?? 0;
  }

  forget() {
    this.request = null;
  }

  look(step) {
    this.follows = false;
    this.wanted = step;
    this.take();
    this.#sendStep();
  }

  follow() {
    this.follows = true;
    for (const side of this.view.sides) side.follow();
    this.take();
    this.#sendStep();
  }

  // Show both runs at the wanted step as soon as both frames are there; the display stays as it is until then.
  take() {
    const step = this.follows ? this.#newest() : this.wanted;
    if (step === undefined) return;
    const missing = this.#missing(step);
    if (!missing.length) {
      this.#show(step);
      return;
    }
    if (this.request) return; // its answer leads on to the step that is wanted by then
    this.request = { step, timer: setTimeout(() => this.#giveUp(step), FRAME_PATIENCE) };
    for (const side of missing) side.connection.say({ frame: side.at(step).id });
  }

  // A frame has arrived.
  answered() {
    if (!this.request || this.#missing(this.request.step).length) return;
    clearTimeout(this.request.timer);
    if (!this.follows) this.#show(this.request.step); // the user has moved on, but sees the display move
    else for (const side of this.view.sides) side.follow();
    this.request = null;
  }

  // The newest step with frames of both runs here; a finished run stays at its end.
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
    if (this.request?.step !== step) return;
    this.request = null;
    for (const side of this.#missing(step)) {
      if (!side.listens) return; // it asks again when the socket is back
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

  #sendStep() {
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.view.sendStep(this.follows ? null : this.wanted), SEND_AFTER);
  }

  destroy() {
    clearTimeout(this.sending);
    clearTimeout(this.request?.timer);
  }
}
