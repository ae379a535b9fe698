// The socket to the live route: open while the tab is visible, opened again when it breaks.

const CROWDED = 4429; // the route's code for too many viewers
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
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.failures = 0; };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.hear.message(JSON.parse(data)) : this.hear.blob(data));
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.failures += 1;
      const crowded = code === CROWDED;
      this.hear.lost(crowded);
      this.retry = setTimeout(() => this.open(), crowded ? CROWDED_RETRY : Math.min(5000, 250 * 2 ** this.failures));
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
