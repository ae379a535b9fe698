// The socket to the live route: open while the tab is visible, opened again when it breaks.

import { addressOf } from "./address.js";

const CROWDED = 4429;
const REFUSALS = { 4403: "live.refused", 4421: "live.origin", [CROWDED]: "live.crowded" }; // by the route's codes
const CROWDED_RETRY = 10000; // milliseconds

export class Connection {
  constructor(path, hear) {
    Object.assign(this, { path, hear, failures: 0, wanted: true });
    this.onVisibility = () => (document.hidden ? this.#drop() : this.open());
    document.addEventListener("visibilitychange", this.onVisibility);
    this.open();
  }

  open() {
    if (!this.wanted || document.hidden || this.socket) return;
    clearTimeout(this.retry);
    const socket = new WebSocket(addressOf(this.path).href.replace("http", "ws"));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.failures = 0; };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.hear.message(JSON.parse(data)) : this.hear.blob(data));
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.failures += 1;
      this.hear.lost(REFUSALS[code] ?? "live.offline");
      this.retry = setTimeout(() => this.open(), code === CROWDED ? CROWDED_RETRY : Math.min(5000, 250 * 2 ** this.failures));
    };
    this.socket = socket;
  }

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.retry);
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.#drop();
  }
}
