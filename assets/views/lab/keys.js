// Keys outside of text fields: Space, R and the arrows. The letters on the buttons are Streamlit's.

import { make, setText } from "../shared/dom.js";
import { modified, taken, TAKES_KEYS, TAKES_SPACE, turnOf } from "../shared/reserved_keys.js";

const PATIENCE = 2000; // ms to wait for a busy page
const RETRY_EVERY = 50;

export class Keys {
  constructor(view) {
    this.view = view;
    this.legend = make("p", "sc-keys", view.root);
    // A clicked button keeps the focus, but Space after a click by mouse is not meant for it.
    this.onPointer = () => { this.pointed = true; };
    this.onKey = (event) => this.#press(event);
    addEventListener("pointerdown", this.onPointer, true);
    addEventListener("keydown", this.onKey, true); // before Streamlit's own keys: R would rerun the page
    addEventListener("keyup", this.onKey, true); // the browser presses a button when Space is released
  }

  #press(event) {
    const { key, type } = event;
    if (modified(event)) return;
    if (key === "Tab") this.pointed = false;
    const act = this.#meaning(key, event);
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (type === "keydown" && !(event.repeat && !key.startsWith("Arrow"))) act();
  }

  // The action of a key; none where another element keeps the key.
  #meaning(key, event) {
    const by = turnOf(event);
    if (by) return () => this.view.replay.turn(by);
    if (key === " ") return taken(event, this.pointed ? TAKES_KEYS : TAKES_SPACE) ? null : () => this.#trainOrPause();
    if (key === "r" || key === "R") return taken(event, TAKES_KEYS) || !button("reset") ? null : () => button("reset").click();
    return null;
  }

  // Streamlit drops a click during a run of the page's script, and its buttons follow the state a moment later.
  #trainOrPause(until = performance.now() + PATIENCE) {
    if (!button("train")) {
      this.view.replay.play.click(); // a page without these buttons, such as a lesson
      return;
    }
    const rests = document.querySelector('[data-test-script-state="notRunning"]');
    const next = rests && (ready("pause") ?? ready("resume") ?? (ready("stop") ? null : ready("train"))); // a queued run stays queued
    if (next) next.click();
    else if (performance.now() < until) setTimeout(() => this.#trainOrPause(until), RETRY_EVERY);
  }

  label() {
    const { say } = this.view;
    const rows = button("train")
      ? [["Space T P", "train"], ["S", "step"], ["R Z", "reset"], ["← →", "replay"], ["F", "freeze"], ["X", "stop"], ["N", "new_seed"]]
      : [["Space", "play"], ["← →", "replay"]];
    this.legend.replaceChildren(...rows.map(([key, what]) => {
      const entry = make("span");
      for (const each of key.split(" ")) setText(make("kbd", "", entry), each === "Space" ? say("live.keys.space") : each);
      entry.append(say(`live.keys.${what}`));
      return entry;
    }));
  }

  destroy() {
    removeEventListener("pointerdown", this.onPointer, true);
    removeEventListener("keydown", this.onKey, true);
    removeEventListener("keyup", this.onKey, true);
  }
}

// The visible button of an action; for a button with a tooltip Streamlit adds a second one for phones.
function button(action) {
  return [...document.querySelectorAll(`.st-key-do_${action} button`)].find((node) => node.offsetParent);
}

function ready(action) {
  const found = button(action);
  return found && !found.disabled ? found : null;
}
