// Two runs side by side at one step: builds its nodes once, then changes them in place.

const CURVES_EVERY = 300; // ms
const OUTPUT_EVERY = 120;
const REPLAY_EVERY = 125;
const CALM_EVERY = 1000; // for readers who asked their system for less motion
const OVERLAP_EVERY = 2000; // while a run trains: the server counts what is new
const FRAME_PATIENCE = 2000; // a frame that has not come by then was thinned out of the log
const TELL_AFTER = 600; // the address follows when the slider rests
const OWN_ARROWS = "input, textarea, select, [contenteditable], [role=radiogroup], [role=listbox], [role=tablist], [role=menu]";
const TICKS = 240; // of a replay: a whole run in half a minute

class CompareView extends Surface {
  constructor(parent) {
    super(parent, "sc-live cp-view");
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.letters = ["A", "B"];
    this.follows = true;
    this.shownStep = 0;
    this.sides = [new Side(this), new Side(this)];
    this.#build();
    this.resize = new ResizeObserver(() => this.#resized());
    this.resize.observe(this.root);
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
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
    this.#buildReplay();
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

  #buildReplay() {
    const bar = make("div", "sc-replay cp-replay", this.root);
    this.play = make("button", "sc-play", bar);
    this.play.type = "button";
    this.play.onclick = () => this.#setPlaying(!this.playing);
    this.slider = make("input", "", bar);
    Object.assign(this.slider, { type: "range", min: 0, max: 0, step: 1, value: 0 });
    this.slider.oninput = () => { this.#setPlaying(false); this.#look(this.steps[Number(this.slider.value)]); };
    this.at = make("span", "sc-at", bar);
    this.live = make("button", "sc-link", bar);
    this.live.type = "button";
    this.live.onclick = () => this.#follow();
  }

  // -- what Python says -----------------------------------------------------------------------------------

  update({ data, setStateValue }) {
    this.tell = (step) => setStateValue("step", step);
    const pair = [data.a.run, data.b.run];
    const before = this.sides.map((side) => side.opened);
    const swapped = before[0] === pair[1] && before[1] === pair[0] && pair[0] !== pair[1];
    if (swapped) this.sides.reverse();
    Object.assign(this, { words: data.words, language: data.language, run: pair.join(" "), plotly: data.plotly });
    if (swapped || before.join(" ") !== this.run) {
      this.overlap = null;
      this.steps = [];
    }
    if (!swapped && before.join(" ") !== this.run) {
      this.#setPlaying(false);
      this.follows = data.step === null;
      this.looked = data.step ?? 0;
    }
    [data.a, data.b].forEach((told, place) => this.sides[place].turn(told));
    this.#label();
    loadPlotly(data.plotly).then(() => this.#drawAll(true));
    this.changed();
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
    setText(this.live, say("live.follow"));
    this.slider.setAttribute("aria-label", say("compare.replay"));
    this.#labelPlay();
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
    if (what === "hello") this.asking = null; // what was asked on a lost connection never comes
    if (["hello", "frame", "status"].includes(what)) {
      this.#aim();
      this.#askOverlap();
    }
    this.#drawAll(false);
  }

  received(side, blob) {
    if (blob.meta.type === "overlap") {
      if (blob.meta.run !== this.sides[0].run || blob.meta.other !== this.sides[1].run) return;
      this.overlap = blob;
    } else if (blob.meta.type === "frame") {
      this.#answered();
      this.#aim();
    } else {
      this.#drawAll(true); // the scene, or all masks
    }
    this.#drawAll(false);
  }

  #askOverlap() {
    if (this.sides.some(({ frames }) => !frames.length)) return;
    this.throttled("overlap question", OVERLAP_EVERY, false, () => {
      const [first, { run, token }] = this.sides; // by then they may have changed places
      first.connection.say({ overlap: { run, token } });
    });
  }

  // -- the step that is looked at -------------------------------------------------------------------------

  // The newest step that both have come to, of the frames that have arrived; a run that has ended stays at its end.
  #newest() {
    const going = this.sides.filter(({ active, last }) => active && last !== undefined);
    if (going.some(({ arrived }) => arrived === undefined)) return undefined;
    if (going.length) return Math.min(...going.map(({ arrived }) => arrived));
    return Math.max(0, ...this.sides.map(({ last }) => last ?? 0));
  }

  #look(step) {
    this.follows = false;
    this.looked = step;
    this.#aim();
    this.#tellStep();
  }

  #follow() {
    this.#setPlaying(false);
    this.follows = true;
    for (const side of this.sides) side.follow();
    this.#aim();
    this.#tellStep();
  }

  // Show both runs at the step wanted, as soon as both frames are there; what is shown stays until then.
  #aim() {
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

  #missing(step) {
    return this.sides.filter((side) => side.frames.length && !side.cache.has(side.at(step).step));
  }

  #answered() {
    if (!this.asking || this.#missing(this.asking.step).length) return;
    clearTimeout(this.asking.timer);
    if (!this.follows) this.#show(this.asking.step); // the reader has moved on, but sees that it moves
    else for (const side of this.sides) side.follow();
    this.asking = null;
  }

  #giveUp(step) {
    if (this.asking?.step !== step) return;
    this.asking = null;
    for (const side of this.#missing(step)) {
      if (!side.listens) return; // it asks again when it is connected again
      side.frames.splice(side.frames.indexOf(side.at(step)), 1);
    }
    this.changed(null, "frame");
  }

  #show(step) {
    const now = performance.now();
    if (this.calm.matches && this.follows && now - this.shownAt < CALM_EVERY && this.sides.some(({ active }) => active)) return;
    const frames = this.sides.map((side) => side.cache.get(side.at(step)?.step) ?? null);
    if (step === this.shownStep && frames.every((frame, place) => frame === this.sides[place].frame)) return;
    this.shownAt = now;
    this.shownStep = step;
    this.sides.forEach((side, place) => { side.frame = frames[place]; });
    this.difference.draw();
    this.#drawAll(false);
  }

  #tellStep() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => this.tell(this.follows ? null : this.looked), TELL_AFTER);
  }

  // -- replay ---------------------------------------------------------------------------------------------

  #setPlaying(playing) {
    this.playing = playing;
    clearInterval(this.timer);
    if (playing) this.timer = setInterval(() => this.#playOn(), this.calm.matches ? CALM_EVERY : REPLAY_EVERY);
    if (this.words) this.#labelPlay();
  }

  #playOn() {
    if (document.hidden || this.asking || !this.steps.length) return;
    const next = this.#place() + Math.max(1, Math.ceil(this.steps.length / TICKS));
    this.#look(this.steps[next < this.steps.length ? next : 0]);
  }

  // The place of the step shown among all steps at which either run keeps a frame.
  #place() {
    const after = this.steps.findIndex((step) => step > this.shownStep);
    return Math.max(0, after < 0 ? this.steps.length - 1 : after - 1);
  }

  #key(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || event.defaultPrevented || event.target.closest?.(OWN_ARROWS)) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !this.steps.length) return;
    event.preventDefault();
    this.#setPlaying(false);
    this.#look(this.steps[Math.max(0, Math.min(this.steps.length - 1, this.#place() + move))]);
  }

  #labelPlay() {
    setText(this.play, this.playing ? "❚❚" : "▶");
    this.play.setAttribute("aria-label", this.say(this.playing ? "live.halt" : "live.play"));
    this.play.title = this.play.getAttribute("aria-label");
  }

  // -- drawing --------------------------------------------------------------------------------------------

  #drawAll(force) {
    if (!this.words) return;
    this.sides.forEach((side, place) => this.cards[place].show(side, this.tints[place]));
    this.root.classList.toggle("sc-waiting", this.sides.some(({ frame }) => !frame));
    this.#showReplay();
    this.throttled("output", OUTPUT_EVERY, force, () => this.#drawOutputs());
    this.throttled("curves", CURVES_EVERY, force, () => this.#drawCurves());
    if (force) this.difference.draw();
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

  #drawCurves() {
    if (!this.sides.some((side) => side.records.length)) return;
    drawFits(this, this.fitPanel.plot);
    drawDensities(this, this.densityPanel.plot);
    const refused = this.overlap?.meta.refused;
    this.refused.hidden = !refused;
    this.overlapPanel.plot.hidden = Boolean(refused);
    if (refused) setText(this.refused, this.say(`compare.refused.${refused}`));
    else if (this.overlap) drawOverlap(this, this.overlapPanel.plot);
  }

  #showReplay() {
    const last = Math.max(0, this.steps.length - 1);
    this.slider.max = last;
    this.slider.disabled = this.play.disabled = last < 1;
    this.slider.value = this.#place();
    setText(this.at, this.sides.some(({ frame }) => frame) ? this.#shownSteps() : "");
    this.slider.setAttribute("aria-valuetext", this.at.textContent);
    this.live.hidden = this.follows || !this.sides.some(({ active }) => active);
  }

  #shownSteps() {
    const [a, b] = this.sides.map(({ frame }) => frame?.meta.step);
    if (a === b || a === undefined || b === undefined) return this.say("live.at", { step: this.number(a ?? b) });
    return this.say("compare.at", { a: this.number(a), b: this.number(b) });
  }

  #plots() {
    return [...this.outputPanels, this.fitPanel, this.overlapPanel, this.densityPanel].map(({ plot }) => plot).filter((plot) => plot.classList.contains("js-plotly-plot"));
  }

  #resized() {
    if (!this.words) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      for (const plot of this.#plots()) if (plot.clientWidth) window.Plotly.Plots.resize(plot);
      this.difference.draw();
    }, 80);
  }

  destroy() {
    this.#setPlaying(false);
    for (const side of this.sides) side.close();
    this.resize.disconnect();
    document.removeEventListener("keydown", this.onKey);
    clearTimeout(this.telling);
    clearTimeout(this.asking?.timer);
    this.stopTimers();
    for (const plot of this.#plots()) window.Plotly.purge(plot);
    this.root.remove();
  }
}

const compared = new WeakMap();

export default function compare(component) {
  const { parentElement } = component;
  if (!compared.has(parentElement)) compared.set(parentElement, new CompareView(parentElement));
  compared.get(parentElement).update(component);
  return () => {
    compared.get(parentElement)?.destroy();
    compared.delete(parentElement);
  };
}
