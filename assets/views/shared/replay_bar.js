// The bar of a replay: play, a slider over every saved step, the step on display, and a button back to live.

import { make, setText } from "./dom.js";

export const CALM_EVERY = 1000; // ms between two pictures for users who prefer reduced motion
const REPLAY_EVERY = 125;
const MOST_STRIDES = 240; // at most, in a replay: a whole run takes half a minute

// A subclass has `length` (the number of places), `go(place)` and `goLive()`.
export class ReplayBar {
  constructor(view, className) {
    this.view = view;
    const bar = make("div", className, view.root);
    this.play = make("button", "sc-play", bar);
    this.play.type = "button";
    this.play.onclick = () => this.setPlaying(!this.playing);
    this.slider = make("input", "", bar);
    Object.assign(this.slider, { type: "range", min: 0, max: 0, step: 1, value: 0 });
    this.slider.oninput = () => { this.setPlaying(false); this.go(Number(this.slider.value)); };
    this.at = make("span", "sc-at", bar);
    this.live = make("button", "sc-link", bar);
    this.live.type = "button";
    this.live.onclick = () => this.goLive();
  }

  // The place that is on display.
  get place() {
    return Number(this.slider.value);
  }

  // Whether the last requested picture has not come yet.
  get busy() {
    return false;
  }

  label(name) {
    setText(this.live, this.view.say("live.follow"));
    this.slider.setAttribute("aria-label", name);
    this.#labelPlay();
  }

  setPlaying(playing) {
    this.playing = playing;
    clearInterval(this.timer);
    if (playing) this.timer = setInterval(() => this.#playOn(), this.view.calm.matches ? CALM_EVERY : REPLAY_EVERY);
    if (this.view.words) this.#labelPlay();
  }

  #labelPlay() {
    setText(this.play, this.playing ? "❚❚" : "▶");
    this.play.setAttribute("aria-label", this.view.say(this.playing ? "live.halt" : "live.play"));
    this.play.title = this.play.getAttribute("aria-label");
  }

  #playOn() {
    const { length } = this;
    if (document.hidden || this.busy || !length) return;
    const next = this.place + Math.max(1, Math.ceil(length / MOST_STRIDES));
    this.go(next < length ? next : 0);
  }

  // Move the slider to a place, with a text for it; `live` says whether there is something live to return to.
  stand(place, text, live) {
    const last = Math.max(0, this.length - 1);
    this.slider.max = last;
    this.slider.disabled = this.play.disabled = last < 1;
    this.slider.value = place;
    setText(this.at, text);
    this.slider.setAttribute("aria-valuetext", text);
    this.live.hidden = !live;
  }
}
