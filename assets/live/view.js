// The live view: builds its nodes once, then changes them in place with every frame.

const CURVES_EVERY = 300; // ms; curves and pictures of points need no more than three drawings a second
const OUTPUT_EVERY = 120;
const REST = 4; // times as long as a drawing took: a busy browser keeps time for the reader's clicks
const CALM_EVERY = 1000; // for readers who asked their system for less motion
const REPLAY_EVERY = 125;
const CACHED_FRAMES = 400;
const TELL_EVERY = 1000; // ms
const LEAD_EVERY = 500; // ms; where a class is led, the step that the teacher looks at

function make(tag, className, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  parent?.append(node);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

class Tip {
  constructor(root) {
    this.root = root;
    this.node = make("div", "sc-tip", root);
    this.node.hidden = true;
  }

  show(event, lines) {
    this.node.replaceChildren(...lines.map((line) => { const row = make("div"); row.textContent = line; return row; }));
    this.node.hidden = false;
    const box = this.root.getBoundingClientRect();
    const zoom = this.root.currentCSSZoom ?? 1; // large type
    const x = Math.min((event.clientX - box.left) / zoom + 14, box.width / zoom - this.node.offsetWidth - 4);
    this.node.style.transform = `translate(${Math.max(0, x)}px, ${(event.clientY - box.top) / zoom + 16}px)`;
  }

  hide() {
    this.node.hidden = true;
  }
}

class View {
  constructor(parent) {
    this.root = make("div", "sc-live", parent);
    this.mode = "both";
    this.reversed = false;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.number = (value) => new Intl.NumberFormat(this.language === "zh" ? "zh-CN" : "en").format(value);
    this.say = (key, values = {}) => (this.words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
    this.#build();
    this.resize = new ResizeObserver(() => this.#resized());
    this.resize.observe(this.root);
  }

  // -- nodes ----------------------------------------------------------------------------------------------

  #build() {
    const status = make("div", "sc-status", this.root);
    this.pill = make("span", "sc-pill", status);
    this.pill.setAttribute("role", "status"); // not the facts beside it, which change with every frame
    this.facts = ["setting", "step", "kept", "metric", "seconds", "support"].map((name) => make("span", `sc-fact sc-${name}`, status));
    this.notice = make("div", "sc-notice", this.root);
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    const stage = make("div", "sc-stage", this.root);
    this.dataPanel = this.#panel(stage, "sc-data");
    this.samples = make("ul", "sc-samples", this.dataPanel.figure);
    this.matrixPanel = this.#panel(stage, "sc-matrices");
    this.outputPanel = this.#panel(stage, "sc-output");
    this.#buildMatrices();
    const curves = make("div", "sc-curves", this.root);
    this.fitPanel = this.#panel(curves, "sc-fit");
    const title = this.fitPanel.title;
    this.fitPanel.title = make("span", "", title);
    this.choice = new CompareChoice(title, (id) => this.tellCompare(id));
    this.certificate = make("p", "sc-certificate", this.fitPanel.figure);
    this.sparsityPanel = this.#panel(curves, "sc-sparsity");
    this.#buildReplay();
    this.keys = new Keys(this);
    this.tip = new Tip(this.root);
    this.full = new FullMatrix(this);
    this.openFull = (place, opener) => this.full.open(place, opener);
  }

  #panel(parent, className) {
    const figure = make("figure", `sc-panel ${className}`, parent);
    const title = make("figcaption", "", figure);
    const plot = make("div", "sc-chart", make("div", "sc-plot", figure));
    plot.setAttribute("role", "img");
    return { figure, title, plot };
  }

  #buildMatrices() {
    const { figure, plot } = this.matrixPanel;
    plot.parentElement.className = "sc-plates-box";
    plot.className = "sc-plates";
    plot.removeAttribute("role"); // each matrix is a picture of its own
    this.switch = make("div", "sc-switch");
    this.switch.setAttribute("role", "group");
    figure.insertBefore(this.switch, plot.parentElement);
    this.modes = Object.fromEntries(Object.keys(PLATES).map((mode) => {
      const button = make("button", "", this.switch);
      button.type = "button";
      button.onclick = () => { this.mode = mode; this.#drawMatrices(); };
      return [mode, button];
    }));
    const legend = make("div", "sc-legend", figure);
    this.legend = { low: make("span", "", legend), bar: make("span", "sc-ramp", legend), high: make("span", "", legend), note: make("span", "sc-dim", legend) };
    this.flip = make("button", "sc-link", legend);
    this.flip.type = "button";
    this.flip.onclick = () => { this.reversed = !this.reversed; this.#drawMatrices(); };
    this.pictures = [];
  }

  #buildReplay() {
    const bar = make("div", "sc-replay", this.root);
    this.play = make("button", "sc-play", bar);
    this.play.type = "button";
    this.play.onclick = () => this.#setPlaying(!this.playing);
    this.slider = make("input", "", bar);
    Object.assign(this.slider, { type: "range", min: 0, max: 0, step: 1, value: 0 });
    this.slider.oninput = () => { this.#setPlaying(false); this.#seek(Number(this.slider.value)); this.#lead(); };
    this.at = make("span", "sc-at", bar);
    this.live = make("button", "sc-link", bar);
    this.live.type = "button";
    this.live.onclick = () => { this.#follow(); this.#lead(); };
  }

  // -- what Python says -----------------------------------------------------------------------------------

  update({ data, setStateValue }) {
    this.tellState = (state) => setStateValue("state", state);
    this.tellCompare = (id) => setStateValue("compare", id);
    this.tellSeek = (where) => setStateValue("seek", where);
    this.compare = data.compare;
    this.choice.show(data.words["live.compare"], data.words["live.compare.none"], data.others, data.compare?.id ?? "");
    Object.assign(this, { words: data.words, language: data.language, pageState: data.state, pageFrozen: data.frozen, autoplay: data.autoplay, leads: data.leads, obeys: data.obeys });
    this.#label();
    loadPlotly(data.plotly).then(() => this.#drawAll(true));
    const path = `/live/${data.run}?token=${encodeURIComponent(data.token)}`;
    if (data.run === this.run) {
      this.connection.path = path; // a fresh token, for when the socket has to be opened again
      this.#drawAll(true);
      return;
    }
    this.run = data.run;
    this.#forget();
    this.connection?.close();
    this.connection = new Connection(path, {
      message: (message) => this.#hear(message),
      blob: (buffer) => this.#receive(readBlob(buffer)),
      lost: (crowded) => this.#offline(crowded),
    });
    this.#showStatus();
  }

  #forget() {
    this.#setPlaying(false);
    Object.assign(this, { scene: null, frame: null, status: null, records: [], changes: [], frames: [], config: null, follows: true, shownStep: 0, method: null, led: null });
    this.cache = new Map();
    this.root.classList.add("sc-waiting");
  }

  #label() {
    const { say } = this;
    this.root.lang = this.language;
    setText(this.matrixPanel.title, say("live.title.matrices"));
    setText(this.fitPanel.title, say("live.title.fit"));
    setText(this.sparsityPanel.title, say("live.title.sparsity"));
    for (const [mode, button] of Object.entries(this.modes)) setText(button, say(`live.mode.${mode}`));
    this.switch.setAttribute("aria-label", say("live.mode"));
    setText(this.live, say("live.follow"));
    this.slider.setAttribute("aria-label", say("live.replay"));
    this.certificate.title = say("live.certificate.help");
    this.keys.label();
    this.#labelPlay();
  }

  // -- what the route says --------------------------------------------------------------------------------

  #hear(message) {
    if (message.type === "hello") {
      Object.assign(this, { config: message.config, frames: message.frames, records: [], changes: [] });
      this.method = message.config.method;
      this.#addRows(message.rows);
      this.#setStatus(message);
      if (!this.follows) this.#seek(Number(this.slider.value)); // the socket came back while a step was looked at
      if (!message.active && this.autoplay && this.frames.length > 2 && !this.calm.matches) this.#setPlaying(true);
    } else if (message.type === "records") {
      this.#addRows(message.rows);
    } else if (message.type === "frame") {
      while (this.frames.length && this.frames.at(-1)[1] >= message.step) this.frames.pop(); // the run went back
      this.frames.push([message.id, message.step]);
    } else if (message.type === "status") {
      this.#setStatus(message);
    }
    this.#drawAll(false);
  }

  #addRows(rows) {
    for (const row of rows) {
      const list = row.kind === "record" ? this.records : this.changes;
      while (list.length && list.at(-1).step >= row.step && row.kind === "record") list.pop(); // the run went back
      if (row.kind === "record") list.push(row);
      else if (!list.some((old) => old.step === row.step && old.label === this.#changeLabel(row))) list.push({ step: row.step, label: this.#changeLabel(row) });
    }
  }

  #changeLabel(row) {
    const shown = { density: "ρ", learning_rate: "lr", keep_alive: "≥", keep_alive_layer: "≥" };
    return Object.entries(row).filter(([name]) => !["kind", "step"].includes(name)).map(([name, value]) => {
      if (name === "method") return this.say(`method.${value}`);
      if (name === "freeze_at") return this.say(value === null ? "live.thawed" : "live.frozen");
      return `${shown[name]} ${value}`;
    }).join(", ");
  }

  #receive(blob) {
    if (blob.meta.type === "matrix") {
      this.full.show(blob);
      return;
    }
    if (blob.meta.type === "scene") {
      this.scene = blob;
      this.#drawScene();
      return;
    }
    blob.matrices = readMatrices(blob);
    this.cache.set(blob.meta.step, blob);
    if (this.cache.size > CACHED_FRAMES) this.cache.delete(this.cache.keys().next().value);
    this.#show(blob);
  }

  #setStatus(message) {
    const before = this.status;
    this.status = message;
    this.lost = false;
    if (message.state !== this.pageState && (before === null || before.state !== message.state)) this.tellState(`${this.run}:${message.state}`);
    this.#obey(message.lead);
    this.#showStatus();
  }

  #offline(crowded) {
    Object.assign(this, { lost: true, crowded });
    this.#showStatus();
  }

  // -- replay ---------------------------------------------------------------------------------------------

  #seek(index) {
    const found = this.frames[index];
    if (!found) return;
    this.follows = false;
    const kept = this.cache.get(found[1]);
    if (kept) this.#show(kept);
    else this.connection.say({ frame: found[0] });
  }

  // A kept frame back or on; past the last of a run that trains, live again.
  turn(by) {
    const index = Number(this.slider.value) + by;
    if (this.follows && by > 0) return;
    if (index >= this.frames.length && this.status?.active) this.#follow();
    else if (this.frames[index]) {
      this.#setPlaying(false);
      this.slider.value = index;
      this.#seek(index);
    }
    this.#lead();
  }

  #follow() {
    this.#setPlaying(false);
    this.follows = true;
    this.connection.say({ follow: true });
    this.#drawAll(true);
  }

  #setPlaying(playing) {
    this.playing = playing;
    clearInterval(this.timer);
    if (playing) this.timer = setInterval(() => this.#playOn(), this.calm.matches ? CALM_EVERY : REPLAY_EVERY);
    if (this.words) this.#labelPlay();
  }

  #labelPlay() {
    setText(this.play, this.playing ? "❚❚" : "▶");
    this.play.setAttribute("aria-label", this.say(this.playing ? "live.halt" : "live.play"));
    this.play.title = this.play.getAttribute("aria-label");
  }

  #playOn() {
    if (document.hidden || !this.frames.length) return;
    const stride = Math.max(1, Math.ceil(this.frames.length / 240)); // a whole run in half a minute at most
    const next = Number(this.slider.value) + stride;
    this.#seek(next < this.frames.length ? next : 0);
    this.#lead();
  }

  // -- a class that follows ---------------------------------------------------------------------------------

  #lead() {
    if (!this.leads || this.leading) return;
    this.leading = setTimeout(() => {
      this.leading = null;
      const looked = this.follows ? undefined : this.frames[Number(this.slider.value)]?.[1];
      this.tellSeek(`${this.run}:${looked ?? ""}`);
    }, LEAD_EVERY);
  }

  #obey(step) {
    if (!this.obeys || step === undefined || step === this.led) return;
    this.led = step;
    if (step === null) {
      this.#follow();
      return;
    }
    const index = this.frames.findIndex(([, at]) => at >= step);
    this.#setPlaying(false);
    this.#seek(index < 0 ? this.frames.length - 1 : index);
  }

  // -- drawing --------------------------------------------------------------------------------------------

  #show(frame) {
    const now = performance.now();
    if (this.calm.matches && this.frame && this.follows && now - this.shownAt < CALM_EVERY && this.status?.active) return;
    this.shownAt = now;
    this.frame = frame;
    this.shownStep = frame.meta.step;
    this.method = frame.meta.method;
    this.#tellFrozen(frame.meta, now);
    this.root.classList.remove("sc-waiting");
    this.#drawMatrices();
    this.#drawAll(false);
  }

  // The page's button says Freeze or Thaw by what the page knows; it is told until it agrees.
  #tellFrozen({ frozen, step }, now) {
    if (!this.follows || !this.status?.active || frozen === this.pageFrozen || now - (this.toldAt ?? 0) < TELL_EVERY) return;
    this.toldAt = now;
    this.tellState(`${this.run}:${frozen ? "frozen" : "thawed"}:${step}`);
  }

  #drawAll(force) {
    if (!this.words) return;
    this.#showStatus();
    this.#showReplay();
    this.#throttled("output", OUTPUT_EVERY, force, () => this.scene && this.frame && drawOutput(this, this.outputPanel.plot, this.frame));
    this.#throttled("curves", CURVES_EVERY, force, () => {
      if (!this.records.length || !this.frame) return;
      drawFit(this, this.fitPanel.plot);
      drawSparsity(this, this.sparsityPanel.plot);
    });
    if (force) {
      this.#drawMatrices();
      this.#drawScene();
    }
  }

  // At most one drawing in `every` ms, fewer where drawing is slow, and always one after the last change.
  #throttled(name, every, force, draw) {
    this.timers ??= {};
    const slot = (this.timers[name] ??= { last: -Infinity, timer: null, rest: 0 });
    const wait = slot.last + Math.max(every, slot.rest) - performance.now();
    if (!force && wait > 0) {
      slot.timer ??= setTimeout(() => { slot.timer = null; this.#throttled(name, every, true, draw); }, wait);
      return;
    }
    clearTimeout(slot.timer);
    slot.timer = null;
    const began = performance.now();
    draw();
    slot.last = performance.now();
    slot.rest = REST * (slot.last - began);
  }

  #drawScene() {
    if (!this.scene) return;
    const { meta } = this.scene;
    setText(this.dataPanel.title, this.say(`live.title.data.${meta.kind}`));
    setText(this.outputPanel.title, this.say(`live.title.output.${meta.kind}`));
    drawData(this, this.dataPanel.plot);
    const texts = meta.kind === "confusion" ? meta.sample : [];
    this.samples.hidden = !texts.length;
    const told = texts.length ? [this.#notice(meta)] : [];
    this.samples.replaceChildren(...told, ...texts.slice(0, 4).map(([text, grade]) => {
      const row = make("li");
      make("b", "", row).textContent = meta.grades[grade];
      make("span", "", row).textContent = text;
      row.title = text;
      return row;
    }));
  }

  #notice(meta) {
    const row = make("li", "sc-source");
    const counts = { texts: this.number(meta.texts), of: this.number(meta.of), name: meta.name };
    row.textContent = meta.generated ? `${this.say("live.generated")} ${this.say("live.used", counts)}` : this.say("live.file", counts);
    return row;
  }

  #drawMatrices() {
    if (!this.frame) return;
    const { matrices, meta } = this.frame;
    for (const [mode, button] of Object.entries(this.modes)) button.setAttribute("aria-pressed", String(mode === this.mode));
    while (this.pictures.length < matrices.length) this.pictures.push(new MatrixPicture(this.matrixPanel.plot, this));
    while (this.pictures.length > matrices.length) this.pictures.pop().figure.remove();
    this.matrixPanel.plot.classList.toggle("sc-many", matrices.length > FEW);
    const sizes = matrixSizes(matrices, this.mode, this.matrixPanel.plot.clientWidth || 320);
    this.pictures.forEach((picture, i) => picture.draw(matrices[i], this.mode, meta.step, sizes[i]));
    this.#drawLegend(meta.step);
  }

  #drawLegend(step) {
    const counted = ["both", "count", "outline"].includes(this.mode);
    const { low, bar, high, note } = this.legend;
    const css = (colour) => `rgb(${colour.join(" ")})`;
    const { ink, paper } = this.ink();
    const stops = counted ? VIRIDIS : this.mode === "value" ? [NEGATIVE, paper, POSITIVE] : [paper, ink];
    bar.style.background = `linear-gradient(90deg, ${(this.reversed && counted ? [...stops].reverse() : stops).map(css).join(", ")})`;
    setText(low, counted ? "0" : this.say(this.mode === "value" ? "live.negative" : "live.pruned"));
    setText(high, counted ? this.say("live.steps_kept", { steps: this.number(step) }) : this.say(this.mode === "value" ? "live.positive" : "live.kept"));
    setText(note, this.say(this.frame.matrices.every(({ exact }) => exact) ? "live.zoom_hint" : "live.full.hint"));
    this.flip.hidden = !counted;
    setText(this.flip, this.say(this.reversed ? "live.bright_more" : "live.dark_more"));
  }

  #showReplay() {
    const last = Math.max(0, this.frames.length - 1);
    this.slider.max = last;
    this.slider.disabled = last < 1;
    this.play.disabled = last < 1;
    if (this.follows) this.slider.value = last;
    else {
      const index = this.frames.findIndex(([, step]) => step >= this.shownStep);
      this.slider.value = index < 0 ? last : index;
    }
    setText(this.at, this.frame ? this.say("live.at", { step: this.number(this.shownStep) }) : "");
    this.slider.setAttribute("aria-valuetext", this.at.textContent);
    this.live.hidden = this.follows || !this.status?.active;
  }

  #queued() {
    const { place, wait } = this.status;
    if (wait === null || wait < 1) return this.say("live.queued", { place });
    const [unit, seconds] = wait < 120 ? ["seconds", 1] : wait < 7200 ? ["minutes", 60] : ["hours", 3600];
    return this.say("live.queued.wait", { place, wait: this.say(`live.wait.${unit}`, { n: Math.ceil(wait / seconds) }) });
  }

  #showStatus() {
    const state = this.lost ? "offline" : this.status?.state ?? "connecting";
    const shown = state === "ended" ? this.status.reason : state === "running" && !this.frame ? "preparing" : state;
    this.pill.dataset.state = shown;
    setText(this.pill, state === "queued" && this.status?.place ? this.#queued() : this.say(`state.${shown}`));
    this.#showNotice(shown);
    factsOf(this).forEach((text, place) => setText(this.facts[place], text));
    setText(this.certificate, certificateOf(this, this.frame?.meta.certificate));
    describeCharts(this);
  }

  #showNotice(shown) {
    const text = noticeOf(this, shown);
    this.notice.hidden = !text;
    this.notice.dataset.state = shown;
    setText(this.notice, text);
  }

  // -- small facts ----------------------------------------------------------------------------------------

  metricName() {
    return this.config?.task === "sinc" ? "rmse" : "accuracy";
  }

  layerName(name) {
    return layerName(this.say, name);
  }

  // The drawn matrices by the layer they belong to for a budget: a block of a Transformer is one layer.
  drawnBlocks() {
    const blocks = new Map();
    (this.frame?.meta.matrices ?? []).forEach((entry, place) => {
      const { block } = this.frame.meta.layers[entry.layer];
      if (!blocks.has(block)) blocks.set(block, { name: this.layerName(block), places: [], weights: [] });
      blocks.get(block).places.push(place);
      blocks.get(block).weights.push(entry.rows * entry.cols);
    });
    return [...blocks.values()];
  }

  // What the charts need of the page's theme, in words that Plotly understands.
  theme() {
    const { ink, paper } = this.ink();
    const css = (colour) => `rgb(${colour.join(",")})`;
    return { text: css(ink), soft: css(mix(paper, ink, 0.45)), line: css(mix(paper, ink, 0.14)), font: getComputedStyle(this.root).fontFamily };
  }

  // The colours of text and background as [r, g, b]; read once a theme.
  ink() {
    const style = getComputedStyle(this.root);
    const key = style.color + style.getPropertyValue("--st-background-color");
    if (this.inkKey !== key) {
      const context = make("canvas").getContext("2d", { willReadFrequently: true });
      const rgb = (colour) => {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      };
      this.inkKey = key;
      this.inks = { ink: rgb(style.color), paper: rgb(style.getPropertyValue("--st-background-color").trim() || "#fff") };
    }
    return this.inks;
  }

  #resized() {
    if (!this.words) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      for (const { plot } of [this.dataPanel, this.outputPanel, this.fitPanel, this.sparsityPanel]) {
        if (plot.classList.contains("js-plotly-plot") && plot.clientWidth) window.Plotly.Plots.resize(plot);
      }
      this.#drawMatrices();
    }, 80);
  }

  destroy() {
    this.#setPlaying(false);
    this.keys.destroy();
    this.connection?.close();
    this.resize.disconnect();
    for (const { timer } of Object.values(this.timers ?? {})) clearTimeout(timer);
    for (const { plot } of [this.dataPanel, this.outputPanel, this.fitPanel, this.sparsityPanel]) {
      if (plot.classList.contains("js-plotly-plot")) window.Plotly.purge(plot);
    }
    this.root.remove();
  }
}

let plotlyLoading;
function loadPlotly(source) {
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    Object.assign(script, { src: source, onload: resolve, onerror: () => reject(new Error(`cannot load ${source}`)) });
    document.head.append(script);
  });
  return plotlyLoading;
}

const views = new WeakMap();

export default function live(component) {
  const { parentElement } = component;
  if (!views.has(parentElement)) views.set(parentElement, new View(parentElement));
  views.get(parentElement).update(component);
  return () => {
    views.get(parentElement)?.destroy();
    views.delete(parentElement);
  };
}
