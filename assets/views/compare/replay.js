// The replay of both runs: every step at which either saved a frame, by slider, play and the arrow keys.

import { ReplayBar } from "../shared/replay_bar.js";
import { turnOf } from "../shared/reserved_keys.js";

export class Replay extends ReplayBar {
  constructor(view) {
    super(view, "sc-replay cp-replay");
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
  }

  get length() {
    return this.view.steps.length;
  }

  // The place of the step on display.
  get place() {
    const { steps, shownStep } = this.view;
    const after = steps.findIndex((step) => step > shownStep);
    return Math.max(0, after < 0 ? steps.length - 1 : after - 1);
  }

  get busy() {
    return Boolean(this.view.seeking.request);
  }

  label() {
    super.label(this.view.say("compare.replay"));
  }

  go(place) {
    this.view.seeking.look(this.view.steps[place]);
  }

  goLive() {
    this.setPlaying(false);
    this.view.seeking.follow();
  }

  #key(event) {
    const by = event.defaultPrevented || !this.length ? 0 : turnOf(event);
    if (!by) return;
    event.preventDefault();
    this.setPlaying(false);
    this.go(Math.max(0, Math.min(this.length - 1, this.place + by)));
  }

  show() {
    const { sides, follows } = this.view;
    const text = sides.some(({ frame }) => frame) ? this.#text() : "";
    this.stand(this.place, text, !follows && sides.some(({ active }) => active));
  }

  #text() {
    const { say, number, sides } = this.view;
    const [a, b] = sides.map(({ frame }) => frame?.meta.step);
    if (a === b || a === undefined || b === undefined) return say("live.at", { step: number(a ?? b) });
    return say("compare.at", { a: number(a), b: number(b) });
  }

  destroy() {
    this.setPlaying(false);
    document.removeEventListener("keydown", this.onKey);
  }
}
