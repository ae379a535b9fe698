// The bar of a replay: play, a slider over every kept step, the step that is shown, and the way back to what trains.

import { make, setText } from "./dom.js";

export const CALM_EVERY = 1000; // ms between two pictures, for readers who asked their system for less motion
const REPLAY_EVERY = 125;
const MOST_STRIDES = 240; // of a replay at most: a whole run in half a minute

// Whose replay it is says where to go: `length`, how many places there are, `go(place)`, and `goLive()`.
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

  // Which of the places it stands at.
  get place() {
    return Number(this.slider.value);
  }

  // Whether the picture asked for last is still on its way.
  get busy() {
    return false;
  }

  label(ofWhat) {
    setText(this.live, this.view.say("live.follow"));
    this.slider.setAttribute("aria-label", ofWhat);
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

  // Stand at a place, which is told in words; `trains` where there is something live to go back to.
  stand(place, told, trains) {
    const last = Math.max(0, this.length - 1);
    this.slider.max = last;
    this.slider.disabled = this.play.disabled = last < 1;
    this.slider.value = place;
    setText(this.at, told);
    this.slider.setAttribute("aria-valuetext", told);
    this.live.hidden = !trains;
  }
}
