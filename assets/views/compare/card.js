// The card of a run: its letter and line, its name, state and facts, and what went wrong.

import { factsOf, noticeOf, queuedOf } from "../shared/captions.js";
import { make, setText } from "../shared/dom.js";

export class Card {
  constructor(host, letter, place) {
    this.node = make("section", "cp-card", host);
    const head = make("div", "cp-card-head", this.node);
    this.letter = make("b", "cp-letter", head);
    setText(this.letter, letter);
    this.line = make("i", place ? "cp-line cp-dashed" : "cp-line", head);
    this.name = make("span", "cp-name", head);
    this.pill = make("span", "sc-pill", head);
    this.open = make("a", "cp-open", head);
    this.facts = make("div", "cp-facts", this.node);
    this.facts.setAttribute("role", "status");
    this.parts = ["setting", "step", "kept", "metric", "seconds", "support"].map((name) => make("span", `sc-fact cp-${name}`, this.facts));
    this.notice = make("div", "sc-notice", this.node);
  }

  show(side, tint) {
    const { say, state } = side;
    this.line.style.color = tint;
    setText(this.name, side.name ?? "");
    this.pill.dataset.state = state;
    setText(this.pill, state === "queued" && side.status?.place ? queuedOf(side) : say(`state.${state}`));
    setText(this.open, say("compare.open"));
    if (this.open.getAttribute("href") !== side.address) this.open.setAttribute("href", side.address ?? "");
    factsOf(side).forEach((text, place) => setText(this.parts[place], text));
    const notice = noticeOf(side, state);
    this.notice.hidden = !notice;
    this.notice.dataset.state = state;
    setText(this.notice, notice);
  }
}
