// The highlighted layer: pointed at, or held by a press. All pictures of it follow.

export class LayerChoice {
  constructor(changed) {
    Object.assign(this, { changed, pointed: null, held: null });
  }

  // The block of the highlighted layer; null for none.
  get shown() {
    return this.pointed ?? this.held;
  }

  forget() {
    Object.assign(this, { pointed: null, held: null });
  }

  point(block) {
    if (this.pointed === block) return;
    const before = this.shown;
    this.pointed = block;
    if (this.shown !== before) this.changed();
  }

  hold(block) {
    this.held = this.held === block ? null : block;
    this.pointed = null;
    this.changed();
  }

  // Highlight the layer of a node, given by `blockOf()`, while the user points at it or focuses it by keyboard.
  watch(node, blockOf) {
    node.addEventListener("pointerenter", ({ pointerType }) => { if (pointerType !== "touch") this.point(blockOf()); });
    node.addEventListener("pointerleave", () => this.point(null));
    node.addEventListener("focusin", ({ target }) => { if (target.matches(":focus-visible")) this.point(blockOf()); });
    node.addEventListener("focusout", () => this.point(null));
  }

  // Hold the layer of a node at a press, and release it at a second one.
  press(node, blockOf) {
    const hold = () => this.hold(blockOf());
    node.addEventListener("click", hold);
    if (node.tagName === "BUTTON") return;
    node.tabIndex = 0;
    node.setAttribute("role", "button");
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      hold();
    });
  }

  // Mark a node of a block as highlighted, in the background, or neither.
  light(node, block) {
    node.classList.toggle("sc-lit", this.shown === block);
    node.classList.toggle("sc-back", this.shown !== null && this.shown !== block);
  }
}
