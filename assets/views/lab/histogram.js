// "What was pruned?": the weights of a layer before the projection and after it, with the threshold.

import { colourOf, isConstrained } from "../shared/cards.js";
import { react } from "../shared/charts.js";
import { make, setText } from "../shared/dom.js";
import { blocksOf } from "../shared/layers.js";

const TICKS = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1]; // shares of the edge that have a label
const FEW_TICKS = [0, 0.05, 0.25, 1];
const NARROW = 560; // pixels

// The position of a weight on the axis: its square root, which spreads out the weights around the threshold.
const rooted = (value, edge) => Math.sign(value) * Math.sqrt(Math.abs(value) / edge);
const unrooted = (place, edge) => Math.sign(place) * place * place * edge;
const short = (value) => String(Number(value.toPrecision(3))).replace("-", "−");

export class Histogram {
  constructor(view, { figure, title, plot }) {
    Object.assign(this, { view, title, plot, buttons: [] });
    this.choice = make("div", "sc-switch");
    this.choice.setAttribute("role", "group");
    figure.insertBefore(this.choice, plot.parentElement);
    this.caption = make("p", "sc-told", figure);
  }

  label() {
    setText(this.title, this.view.say("live.title.spread"));
    this.choice.setAttribute("aria-label", this.view.say("live.spread.layers"));
  }

  draw() {
    const { view } = this;
    if (!view.frame) return;
    const blocks = blocksOf(view.frame.matrices, view.say);
    this.#offer(blocks);
    const shown = blocks.find(({ block }) => block === view.layers.shown);
    const found = spreadOf(view.frame, shown ? [shown] : boundBlocks(view.frame, blocks));
    this.found = found;
    setText(this.caption, caption(view, found, shown));
    this.plot.parentElement.hidden = !found.kept;
    if (found.kept) react(view, this.plot, this.#bars(found), this.#axes(found));
  }

  // The bars as rows, in weights instead of positions on the axis.
  table() {
    const { say } = this.view;
    const { edge, kept, cut } = this.found;
    const bounds = (bin) => [bin, bin + 1].map((side) => unrooted((2 * side) / kept.length - 1, edge));
    const header = [say("save.from"), say("save.to"), ...(cut ? [say("live.spread.before")] : []), say("live.spread.after")];
    return [header, (kept ?? []).map((n, bin) => [...bounds(bin), ...(cut ? [n + cut[bin]] : []), n])];
  }

  // Choose all layers or one: the same choice as pressing a layer anywhere else.
  #offer(blocks) {
    const { view } = this;
    const known = blocks.map(({ block }) => block).join();
    if (known !== this.known) {
      this.known = known;
      this.buttons = [null, ...blocks.map(({ block }) => block)].map((block) => {
        const button = make("button");
        button.type = "button";
        button.onclick = () => { if (block !== view.layers.held) view.layers.hold(block ?? view.layers.held); };
        return { button, block };
      });
      this.choice.replaceChildren(...this.buttons.map(({ button }) => button));
    }
    for (const { button, block } of this.buttons) {
      setText(button, block === null ? view.say("live.spread.all") : blocks.find((each) => each.block === block).name);
      button.setAttribute("aria-pressed", String(block === view.layers.shown));
    }
  }

  #bars(found) {
    const { view } = this;
    const { edge, kept, cut } = found;
    const half = kept.length / 2;
    const whole = kept.map((_, bin) => [bin / half - 1, (bin + 1) / half - 1]);
    const bounds = kept.map((_, bin) => `${short(unrooted(bin / half - 1, edge))} … ${short(unrooted((bin + 1) / half - 1, edge))}`);
    const bar = (y, name, marker, sides = whole) => ({
      type: "bar", x: sides.map(([left, right]) => (left + right) / 2), y, width: sides.map(([left, right]) => right - left), customdata: bounds, name, marker, hovertemplate: `${name}: %{y:,}<br>w %{customdata}<extra></extra>`,
    });
    const { soft } = view.theme();
    const before = cut ? [bar(kept.map((n, bin) => n + cut[bin]), view.say("live.spread.before"), { color: soft, opacity: 0.55 })] : [];
    return [...before, bar(kept, view.say("live.spread.after"), { color: colourOf(view.frame.meta.method) }, outside(found, whole))];
  }

  #axes({ edge, kept, cut, thresholds }) {
    const { view } = this;
    const most = Math.max(1, ...kept.map((n, bin) => n + (cut?.[bin] ?? 0)));
    const top = Math.ceil(2 * Math.log10(1.2 * most)) / 2; // in steps of half a decade, so that the axis rarely moves
    const ticks = (this.plot.clientWidth < NARROW ? FEW_TICKS : TICKS).flatMap((share) => (share ? [-share, share] : [0])).map((share) => share * edge);
    const upright = { type: "line", yref: "paper", y0: 0, y1: 1, line: { color: view.theme().text, width: 1.5, dash: "dash" } };
    const lines = thresholds.flatMap((t) => [-t, t]).map((t) => ({ ...upright, x0: rooted(t, edge), x1: rooted(t, edge) }));
    const note = { yref: "paper", y: 1, yanchor: "top", showarrow: false, font: { size: 11 } };
    const notes = thresholds.length === 1
      ? [[-1, "right"], [1, "left"]].map(([sign, xanchor]) => ({ ...note, xanchor, x: rooted(sign * thresholds[0], edge), text: `${sign < 0 ? "−" : ""}t` }))
      : [];
    return {
      barmode: "overlay", bargap: 0, shapes: lines, annotations: notes, margin: { l: 52, r: 12, t: 6, b: 44 },
      xaxis: { title: view.say("live.spread.axis"), range: [-1, 1], tickvals: ticks.map((t) => rooted(t, edge)), ticktext: ticks.map(short), tickangle: 0, zeroline: false },
      yaxis: { title: view.say("live.spread.count"), type: "log", range: [-0.3, Math.max(1, top)], dtick: 1, tickformat: ",d" },
    };
  }
}

// The sides of the bins of kept weights: the bin that holds the threshold begins there, since no kept weight is below
// it; unless a minimum per neuron or layer keeps some.
function outside({ edge, kept, cut, thresholds }, sides) {
  if (!cut || !thresholds.length) return sides;
  const t = rooted(Math.min(...thresholds), edge);
  const isInside = ([left, right]) => left >= -t && right <= t;
  if (sides.some((side, bin) => isInside(side) && kept[bin])) return sides;
  return sides.map(([left, right]) => (left < t && t < right ? [t, right] : left < -t && -t < right ? [left, -t] : [left, right]));
}

// The constrained layers; all layers where none is constrained.
function boundBlocks({ matrices }, blocks) {
  const bound = blocks.filter(({ places }) => places.some((place) => matrices[place].layer.group !== null));
  return bound.length ? bound : blocks;
}

// The summed histograms of these layers; `kept` is null for a frame older than histograms.
function spreadOf({ meta, matrices }, blocks) {
  const drawn = blocks.flatMap((block) => block.places).map((place) => matrices[place]);
  const layers = drawn.map(({ layer }) => layer);
  const sum = (kind) => {
    const parts = drawn.map(({ spread }) => spread[kind]);
    if (parts.some((part) => !part)) return null;
    return Array.from(parts[0], (_, bin) => parts.reduce((all, part) => all + part[bin], 0));
  };
  const bound = layers.filter(({ group }) => group !== null);
  const groups = [...new Set(bound.map(({ group }) => group))];
  const thresholds = [...new Set(groups.map((group) => meta.thresholds[group]))].filter((t) => t); // not 0, and not that of an emptied group
  const size = ({ shape }) => shape[0] * shape[1];
  const gone = bound.reduce((all, layer) => all + size(layer) - layer.kept, 0);
  return { edge: meta.spread, kept: meta.spread ? sum("kept") : null, cut: sum("cut"), thresholds, gone, bound: bound.length };
}

// The pruning in words.
function caption(view, { kept, cut, thresholds, gone, bound }, shown) {
  const { say, number } = view;
  const { meta } = view.frame;
  if (!kept) return say("live.spread.none");
  if (!isConstrained(meta.method)) return say("live.spread.dense");
  if (!bound) return say("live.spread.exempt", { layer: shown?.name ?? "" });
  if (meta.frozen) return say("live.spread.frozen");
  if (!cut) return say("live.spread.unknown");
  const values = { cut: number(gone), t: thresholds.map((t) => t.toPrecision(3)).join(", ") };
  const text = say(thresholds.length ? "live.spread.told" : "live.spread.emptied", values);
  return shown ? text : `${text} ${exemptText(view)}`.trim();
}

// The layers that the histogram of all layers leaves out.
function exemptText(view) {
  const blocks = blocksOf(view.frame.matrices, view.say);
  const bound = boundBlocks(view.frame, blocks);
  const exempt = blocks.filter((block) => !bound.includes(block)).map(({ name }) => name);
  return exempt.length ? view.say("live.spread.without", { layers: exempt.join(", ") }) : "";
}
