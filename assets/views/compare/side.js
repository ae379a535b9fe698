// One of the two runs: the messages of its live route, and the frames that have arrived.

import { coloursOf, metricOf } from "../shared/cards.js";
import { Connection } from "../shared/connection.js";
import { readFrame } from "../shared/frame.js";

const CACHED_FRAMES = 400; // without values and counts

// Append a row of the log; where the run went back, its later rows are dropped.
function appendRow(list, row) {
  while (list.length && list.at(-1).step >= row.step) list.pop();
  list.push(row);
}

// The parts of a frame that are drawn here.
function slim({ meta, matrices, picture }) {
  const masks = matrices.map(({ layer, rows, cols, pool, exact, kept, place }) => ({ layer, rows, cols, pool, exact, kept, place }));
  return { meta, picture, masks };
}

export class Side {
  constructor(view) {
    this.view = view;
    this.say = view.say;
    this.number = view.number;
    this.#forget();
  }

  #forget() {
    Object.assign(this, { run: null, scene: null, frame: null, status: null, config: null, records: [], changes: [], frames: [], masks: null, masksRequested: false, lost: "" });
    this.cache = new Map();
  }

  // Show a run; the page sends its id, and a token to watch it.
  turn(data) {
    const path = `/live/${data.run}?token=${encodeURIComponent(data.token)}`;
    const known = this.opened === data.run;
    if (!known) {
      this.connection?.close();
      this.#forget();
    }
    Object.assign(this, data, { opened: data.run });
    if (known) {
      this.connection.path = path; // a fresh token for when the socket is opened again
      return;
    }
    this.connection = new Connection(path, {
      message: (message) => this.#hear(message),
      blob: (buffer) => this.#receive(readFrame(buffer)),
      lost: (notice) => { this.lost = notice; this.view.changed(this); },
    });
  }

  #hear(message) {
    if (message.type === "hello") {
      Object.assign(this, { config: message.config, frames: message.frames.map(([id, step]) => ({ id, step })), records: [], changes: [] });
      this.#add(message.rows);
    } else if (message.type === "records") {
      this.#add(message.rows);
    } else if (message.type === "frame") {
      appendRow(this.frames, { id: message.id, step: message.step });
    }
    if (["hello", "status"].includes(message.type)) Object.assign(this, { status: message, lost: "" });
    this.view.changed(this, message.type);
  }

  #add(rows) {
    for (const row of rows) {
      if (row.kind === "record") appendRow(this.records, row);
      else if (!this.changes.some((old) => JSON.stringify(old) === JSON.stringify(row))) this.changes.push(row);
    }
  }

  #receive(blob) {
    const { type } = blob.meta;
    if (type === "scene") this.scene = blob;
    else if (type === "masks") this.masks = blob;
    else if (type === "frame") this.#keep(slim(blob));
    this.view.received(this, blob);
  }

  #keep(frame) {
    this.cache.delete(frame.meta.step);
    this.cache.set(frame.meta.step, frame);
    if (this.cache.size > CACHED_FRAMES) this.cache.delete(this.cache.keys().next().value);
  }

  // The last saved frame at or before a step, else the first; undefined before there is one.
  at(step) {
    let [low, high] = [0, this.frames.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].step <= step) low = middle + 1;
      else high = middle;
    }
    return this.frames[Math.max(0, low - 1)];
  }

  requestMasks() {
    if (this.masksRequested || !this.listens) return;
    this.masksRequested = true;
    this.connection.say({ masks: true });
  }

  // Receive every new frame again, as before the first request for one.
  follow() {
    if (this.active) this.connection.say({ follow: true });
  }

  // The step of the newest frame that has arrived.
  get arrived() {
    return this.frames.findLast(({ step }) => this.cache.has(step))?.step;
  }

  get last() {
    return this.frames.at(-1)?.step;
  }

  get active() {
    return Boolean(this.status?.active);
  }

  get listens() {
    return this.connection?.socket?.readyState === WebSocket.OPEN;
  }

  get method() {
    return this.frame?.meta.method ?? this.config?.method;
  }

  get state() {
    if (this.lost) return "offline";
    const state = this.status?.state ?? "connecting";
    return state === "ended" ? this.status.reason : state === "running" && !this.frame ? "preparing" : state;
  }

  // The parts of a view that the drawings of one run need.

  metricName() {
    return metricOf(this.config).name;
  }

  theme() {
    return this.view.theme();
  }

  ink() {
    return this.view.ink();
  }

  close() {
    this.connection?.close();
  }
}

// The colours of two runs: the colours of their methods, and another one for the second run of the same method.
export function tintsOf(sides) {
  return coloursOf(...sides.map((side) => side.config?.method));
}
