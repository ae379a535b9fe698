// Keys for where nothing is typed: Space, R and the arrows. The buttons' own letters are Streamlit's.

// What takes keys itself: a text, a slider, a list, a table, a dialog.
const TAKES_KEYS = "input, textarea, select, dialog, [contenteditable='true'], [role='slider'], [role='combobox'], [role='listbox'], [role='menu'], [role='grid'], [role='dialog'], [data-testid='stDataFrame']";
const TAKES_ARROWS = `${TAKES_KEYS}, .sc-port, .sc-graph-box, [role='radio'], [role='tab'], [role='toolbar']`;
const TAKES_SPACE = `${TAKES_KEYS}, a, button, summary, [role='button'], [role='radio'], [role='tab']`;

const PATIENCE = 2000; // ms, for a page that is busy
const RETRY_EVERY = 50;

class Keys {
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
    const { key, target, type } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (key === "Tab") this.pointed = false;
    const act = this.#meaning(key, target);
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (type === "keydown" && !(event.repeat && !key.startsWith("Arrow"))) act();
  }

  // What a key does here; nothing where somebody else takes it.
  #meaning(key, target) {
    const taken = (what) => target.closest?.(what) || document.querySelector("dialog[open]");
    if (key === "ArrowLeft" || key === "ArrowRight") {
      return taken(TAKES_ARROWS) ? null : () => this.view.replay.turn(key === "ArrowLeft" ? -1 : 1);
    }
    if (key === " ") return taken(this.pointed ? TAKES_KEYS : TAKES_SPACE) ? null : () => this.#trainOrPause();
    if (key === "r" || key === "R") return taken(TAKES_KEYS) || !button("reset") ? null : () => button("reset").click();
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
