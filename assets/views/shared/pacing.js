// When a view draws: at a pace that leaves the browser time for the user, and never while the page answers a press.

const REST = 4; // default pause between drawings, as a multiple of the time that they took
const ANSWER = 300; // ms within which the page answers a press outside of the views

let heldUntil = 0;
for (const press of ["pointerdown", "keydown"]) {
  addEventListener(press, ({ target, repeat }) => {
    if (!repeat && target !== document.body && !target.closest?.(".sc-live")) heldUntil = performance.now() + ANSWER;
  }, { capture: true, passive: true });
}

// The page has answered: draw what was held back.
export function release() {
  heldUntil = 0;
}

// Drawings that belong together: at most once in `every` ms, less often where they are slow, and once more after the
// last change. Each is a task of its own, so that a press waits for one of them at most.
export class Paced {
  constructor({ every, rest = REST }, ...drawings) {
    Object.assign(this, { every, rest, drawings, left: [], last: -Infinity, spent: 0, timer: null, wanted: false, longest: Infinity });
  }

  // Draw in time; longest: ms that the pause before may take at most.
  ask(longest = Infinity) {
    if (longest < this.longest) this.stop(); // what is due later comes within this time
    Object.assign(this, { longest, wanted: true });
    this.timer ??= this.#later();
  }

  // Draw all of them at once.
  now() {
    this.stop();
    this.left = [...this.drawings];
    this.spent = 0;
    this.wanted = false;
    while (this.left.length) this.#draw();
  }

  // Draw something new without the pause after what was drawn before.
  restart() {
    this.stop();
    Object.assign(this, { left: [], last: -Infinity, spent: 0, wanted: false });
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  #later() {
    const due = this.left.length ? 0 : this.last + Math.max(this.every, Math.min(this.longest, this.rest * this.spent));
    return setTimeout(() => this.#turn(), Math.max(0, Math.max(due, heldUntil) - performance.now()));
  }

  #turn() {
    this.timer = null;
    if (performance.now() >= heldUntil) {
      if (!this.left.length) Object.assign(this, { left: [...this.drawings], spent: 0, wanted: false });
      this.#draw();
    }
    if (this.left.length || this.wanted) this.timer = this.#later();
  }

  #draw() {
    const began = performance.now();
    this.left.shift()();
    this.last = performance.now();
    this.spent += this.last - began;
  }
}
