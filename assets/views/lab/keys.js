// Keys for where nothing is typed: Space, R and the arrows. The buttons' own letters are Streamlit's.

import { make, setText } from "../shared/dom.js";
import { modified, taken, TAKES_KEYS, TAKES_SPACE, turnOf } from "../shared/reserved_keys.js";

const PATIENCE = 2000; // ms, for a page that is busy
const RETRY_EVERY = 50;

export class Keys {
  constructor(view) {
    this.view = view;
    this.legend = make("p", "sc-keys", view.root);
    // A button that was clicked keeps the focus; who pressed it by mouse does not mean it by Space.
    this.onPointer = () => { this.pointed = true; };
    this.onKey = (event) => this.#press(event);
    addEventListener("pointerdown", this.onPointer, true);
    addEventListener("keydown", this.onKey, true); // before the page's own keys: R would draw it anew
    addEventListener("keyup", this.onKey, true); // a button is pressed when Space is let go
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

  // What a key does here; nothing where somebody else takes it.
  #meaning(key, event) {
    const by = turnOf(event);
    if (by) return () => this.view.replay.turn(by);
    if (key === " ") return taken(event, this.pointed ? TAKES_KEYS : TAKES_SPACE) ? null : () => this.#trainOrPause();
    if (key === "r" || key === "R") return taken(event, TAKES_KEYS) || !button("reset") ? null : () => button("reset").click();
    return null;
  }

  // Streamlit drops a click that meets a run of the page's script, and a button follows its run a moment later.
  #trainOrPause(until = performance.now() + PATIENCE) {
    if (!button("train")) {
      this.view.replay.play.click(); // a page without the transport, such as a lesson
      return;
    }
    const rests = document.querySelector('[data-test-script-state="notRunning"]');
    const next = rests && (ready("pause") ?? ready("resume") ?? (ready("stop") ? null : ready("train"))); // what waits its turn goes on waiting
    if (next) next.click();
    else if (performance.now() < until) setTimeout(() => this.#trainOrPause(until), RETRY_EVERY);
  }

  label() {
    const { say } = this.view;
    const rows = button("train")
      ? [["Space", "train"], ["S", "step"], ["R", "reset"], ["← →", "replay"], ["F", "freeze"], ["X", "stop"], ["N", "new_seed"]]
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

// A button of the transport that is on the screen; with a tooltip Streamlit has a second one for phones.
function button(action) {
  return [...document.querySelectorAll(`.st-key-do_${action} button`)].find((node) => node.offsetParent);
}

function ready(action) {
  const found = button(action);
  return found && !found.disabled ? found : null;
}
