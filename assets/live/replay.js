// The replay: a slider over every kept frame, and the step that a class is led to.

const CALM_EVERY = 1000; // ms between two pictures, for readers who asked their system for less motion
const REPLAY_EVERY = 125;
const LEAD_EVERY = 500; // ms; where a class is led, the step that the teacher looks at

class Replay {
  constructor(view) {
    this.view = view;
    const bar = make("div", "sc-replay", view.root);
    this.play = make("button", "sc-play", bar);
    this.play.type = "button";
    this.play.onclick = () => this.setPlaying(!this.playing);
    this.slider = make("input", "", bar);
    Object.assign(this.slider, { type: "range", min: 0, max: 0, step: 1, value: 0 });
    this.slider.oninput = () => { this.setPlaying(false); this.seek(this.place); this.#lead(); };
    this.at = make("span", "sc-at", bar);
    this.live = make("button", "sc-link", bar);
    this.live.type = "button";
    this.live.onclick = () => { this.follow(); this.#lead(); };
  }

  // Which of the frames the slider stands at.
  get place() {
    return Number(this.slider.value);
  }

  label() {
    const { say } = this.view;
    setText(this.live, say("live.follow"));
    this.slider.setAttribute("aria-label", say("live.replay"));
    this.#labelPlay();
  }

  forget() {
    this.setPlaying(false);
    this.led = null;
  }

  seek(index) {
    const { view } = this;
    const found = view.frames[index];
    if (!found) return;
    view.follows = false;
    const kept = view.cache.get(found[1]);
    if (kept) view.show(kept);
    else view.connection.say({ frame: found[0] });
  }

  // A kept frame back or on; past the last of a run that trains, live again.
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
    const { frames } = this.view;
    if (document.hidden || !frames.length) return;
    const stride = Math.max(1, Math.ceil(frames.length / 240)); // a whole run in half a minute at most
    const next = this.place + stride;
    this.seek(next < frames.length ? next : 0);
    this.#lead();
  }

  // What the teacher's tab looks at is told to the class.
  #lead() {
    const { view } = this;
    if (!view.leads || this.leading) return;
    this.leading = setTimeout(() => {
      this.leading = null;
      const looked = view.follows ? undefined : view.frames[this.place]?.[1];
      view.tellSeek(`${view.run}:${looked ?? ""}`);
    }, LEAD_EVERY);
  }

  // Go where the class is led.
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
    const last = Math.max(0, view.frames.length - 1);
    this.slider.max = last;
    this.slider.disabled = last < 1;
    this.play.disabled = last < 1;
    if (view.follows) this.slider.value = last;
    else {
      const index = view.frames.findIndex(([, step]) => step >= view.shownStep);
      this.slider.value = index < 0 ? last : index;
    }
    setText(this.at, view.frame ? view.say("live.at", { step: view.number(view.shownStep) }) : "");
    this.slider.setAttribute("aria-valuetext", this.at.textContent);
    this.live.hidden = view.follows || !view.status?.active;
  }
}
