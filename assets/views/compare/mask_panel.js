// "Which weights do both keep?": a picture for each weight matrix, the totals, and a note on what is not known.

import { isConstrained } from "../shared/cards.js";
import { make, setText } from "../shared/dom.js";
import { FEW, matrixSizes } from "../shared/matrix_picture.js";
import { alike, difference, DifferencePicture, jaccard, kindColours, KINDS } from "./difference.js";

const THIN = 2; // a matrix with at most two columns is narrower than its caption,
const CAPTION = 64; // by this number of pixels
const PHONE = 400;

export class DifferencePanel {
  constructor(view, panel) {
    const { figure, title, plot } = panel;
    Object.assign(this, { view, panel, title, plot });
    const legend = make("div", "cp-legend");
    figure.insertBefore(legend, plot.parentElement);
    this.totals = Object.fromEntries(KINDS.map((kind) => {
      const entry = make("span", "", legend);
      const key = make("i", `cp-key cp-${kind}`, entry);
      return [kind, { key, name: make("span", "", entry), number: make("b", "", entry) }];
    }));
    this.together = make("span", "", legend);
    this.note = make("p", "cp-note");
    figure.insertBefore(this.note, plot.parentElement);
    plot.parentElement.className = "sc-plates-box";
    plot.className = "sc-plates";
    this.pictures = [];
  }

  label() {
    setText(this.title, this.view.say("compare.title.difference"));
    for (const kind of KINDS) setText(this.totals[kind].name, this.view.kindName(kind));
  }

  // The nodes of the legend.
  legend() {
    return Object.values(this.totals).flatMap(({ key, name, number }) => [key, name, number]);
  }

  draw() {
    const { view, plot, pictures } = this;
    const [first, second] = view.sides.map(({ frame }) => frame);
    const why = !first || !second ? "frames" : alike(first, second) ? "" : "shapes";
    const found = why ? [] : this.#differences(first, second);
    while (pictures.length < found.length) pictures.push(new DifferencePicture(plot, view));
    while (pictures.length > found.length) pictures.pop().figure.remove();
    plot.classList.toggle("sc-many", found.length > FEW);
    const colours = kindColours(view);
    for (const kind of KINDS) view.root.style.setProperty(`--cp-${kind}`, `rgb(${colours[kind].join(" ")})`);
    const sizes = found.length ? matrixSizes(found, "mask", this.#room(found)) : [];
    pictures.forEach((picture, i) => picture.draw(found[i], sizes[i], colours));
    this.#drawTotals(found);
    setText(this.note, why ? view.say(`compare.refused.${why}`) : this.#about(found));
  }

  // The width at which the pictures with their captions fill one row; on a phone they take two rows.
  #room(found) {
    const width = this.plot.clientWidth || 320;
    if (width < PHONE) return 1.6 * width;
    return width - CAPTION * found.filter(({ cols }) => cols <= THIN).length;
  }

  #differences(first, second) {
    const exact = first.masks.every((mask) => mask.exact);
    const saved = exact ? null : this.#saved();
    const constrains = (frame, i) => frame.masks[i].layer.prunable && isConstrained(frame.meta.method);
    return first.masks.map((mask, i) => ({
      ...difference(mask, second.masks[i], saved?.map((each) => each.mask[i])),
      constrained: constrains(first, i) || constrains(second, i),
    }));
  }

  // The full masks of both runs as they were saved, if that step is on display; fetched once.
  #saved() {
    const { sides } = this.view;
    if (sides.some((side) => side.active || side.frame.meta.step !== side.last)) return null;
    for (const side of sides) side.requestMasks();
    return sides.every(({ masks, frame }) => masks?.meta.step === frame.meta.step) ? sides.map(({ masks }) => masks) : null;
  }

  #drawTotals(found) {
    const { view } = this;
    const known = found.length > 0 && found.every((each) => each.known);
    const sums = (some) => Object.fromEntries(KINDS.map((kind) => [kind, some.reduce((all, { counts }) => all + counts[kind], 0)]));
    const all = known ? sums(found) : null;
    for (const kind of KINDS) setText(this.totals[kind].number, known ? view.number(all[kind]) : "");
    const held = found.filter(({ constrained }) => constrained);
    const together = known ? jaccard(held.length ? sums(held) : all).toFixed(3) : "";
    setText(this.together, known ? view.say("compare.jaccard.all", { value: together }) : "");
  }

  #about(found) {
    if (found.every(({ exact }) => exact)) return "";
    return this.view.say(found.every(({ known }) => known) ? "compare.blocks.exact" : "compare.blocks");
  }
}
