// The layer that is looked at: pointed at, or held by a press. Every picture of it follows.

export class LayerChoice {
  constructor(changed) {
    Object.assign(this, { changed, pointed: null, held: null });
  }

  // The block of the layer that stands out now; null for none.
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

  // A node that belongs to a layer: `blockOf()` is asked when it is pointed at or focused by keyboard.
  watch(node, blockOf) {
    node.addEventListener("pointerenter", ({ pointerType }) => { if (pointerType !== "touch") this.point(blockOf()); });
    node.addEventListener("pointerleave", () => this.point(null));
    node.addEventListener("focusin", ({ target }) => { if (target.matches(":focus-visible")) this.point(blockOf()); });
    node.addEventListener("focusout", () => this.point(null));
  }

  // The same, and a press holds the layer, a second one lets it go.
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

  // Whether what belongs to this block stands out, stands back, or neither.
  light(node, block) {
    node.classList.toggle("sc-lit", this.shown === block);
    node.classList.toggle("sc-back", this.shown !== null && this.shown !== block);
  }
}
