// The replay of both runs: over every step at which either keeps a frame, by slider, play and the arrow keys.

import { ReplayBar } from "../shared/replay_bar.js";
import { turnOf } from "../shared/reserved_keys.js";

export class CompareReplay extends ReplayBar {
  constructor(view) {
    super(view, "sc-replay cp-replay");
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
  }

  get length() {
    return this.view.steps.length;
  }

  // The place of the step shown.
  get place() {
    const { steps, shownStep } = this.view;
    const after = steps.findIndex((step) => step > shownStep);
    return Math.max(0, after < 0 ? steps.length - 1 : after - 1);
  }

  get busy() {
    return Boolean(this.view.aim.asking);
  }

  label() {
    super.label(this.view.say("compare.replay"));
  }

  go(place) {
    this.view.aim.look(this.view.steps[place]);
  }

  goLive() {
    this.setPlaying(false);
    this.view.aim.follow();
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
    const told = sides.some(({ frame }) => frame) ? this.#told() : "";
    this.stand(this.place, told, !follows && sides.some(({ active }) => active));
  }

  #told() {
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
