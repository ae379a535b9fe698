// The replay of a run: every saved frame, and the step that a teacher shows to the class.

import { ReplayBar } from "../shared/replay_bar.js";

const LEAD_EVERY = 500; // ms between two steps that the teacher's view sends to the class

export class Replay extends ReplayBar {
  constructor(view) {
    super(view, "sc-replay");
  }

  get length() {
    return this.view.frames.length;
  }

  label() {
    super.label(this.view.say("live.replay"));
  }

  forget() {
    this.setPlaying(false);
    this.led = null;
  }

  go(place) {
    this.seek(place);
    this.#lead();
  }

  goLive() {
    this.follow();
    this.#lead();
  }

  seek(index) {
    const { view } = this;
    const found = view.frames[index];
    if (!found) return;
    view.follows = false;
    this.sought = found[1];
    const kept = view.cache.get(found[1]);
    if (kept) view.show(kept);
    else view.connection.say({ frame: found[0] });
  }

  // A frame was removed from the log since it was listed: go to the one before it.
  lose(id) {
    const { view } = this;
    const index = view.frames.findIndex(([row]) => row === id);
    if (index < 0) return;
    const [[, step]] = view.frames.splice(index, 1);
    if (!view.follows && this.sought === step) this.seek(Math.max(0, index - 1));
  }

  // One saved frame back or forward; past the last frame of a training run, back to live.
  turn(by) {
    const { view } = this;
    const index = this.place + by;
    if (view.follows && by > 0) return;
    if (index >= view.frames.length && view.status?.active) this.follow();
    else if (view.frames[index]) {
      this.setPlaying(false);
      this.slider.value = index;
      this.seek(index);
    }
    this.#lead();
  }

  follow() {
    this.setPlaying(false);
    this.view.follows = true;
    this.view.connection.say({ follow: true });
    this.view.drawAll(true);
  }

  // Send the step on display to the class, if this is the teacher's tab.
  #lead() {
    const { view } = this;
    if (!view.leads || this.leading) return;
    this.leading = setTimeout(() => {
      this.leading = null;
      const looked = view.follows ? undefined : view.frames[this.place]?.[1];
      view.sendSeek(`${view.run}:${looked ?? ""}`);
    }, LEAD_EVERY);
  }

  // Go to the step that the teacher shows.
  obey(step) {
    const { view } = this;
    if (!view.obeys || step === undefined || step === this.led) return;
    this.led = step;
    if (step === null) {
      this.follow();
      return;
    }
    const index = view.frames.findIndex(([, at]) => at >= step);
    this.setPlaying(false);
    this.seek(index < 0 ? view.frames.length - 1 : index);
  }

  show() {
    const { view } = this;
    const index = view.follows ? -1 : view.frames.findIndex(([, step]) => step >= view.shownStep);
    const text = view.frame ? view.say("live.at", { step: view.number(view.shownStep) }) : "";
    this.stand(index < 0 ? Math.max(0, this.length - 1) : index, text, !view.follows && view.status?.active);
  }
}
