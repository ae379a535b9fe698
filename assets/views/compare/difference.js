// Two masks of one matrix, overlaid: weights that both runs keep, only one keeps, or neither keeps.

import { make, setText } from "../shared/dom.js";
import { bitAt } from "../shared/frame.js";
import { layerName } from "../shared/layers.js";
import { MatrixPicture } from "../shared/matrix_picture.js";

export const KINDS = ["both", "first", "second", "neither"];

// Whether the matrices of two frames can be overlaid, one by one.
export function alike(first, second) {
  const shapes = ({ masks }) => JSON.stringify(masks.map(({ layer }) => [layer.name, layer.shape]));
  return shapes(first) === shapes(second);
}

// For every cell the shares of its weights that both runs keep and that only one keeps; and the numbers of weights.
// For blocks of weights only the difference of their shares is known (`known` is false), unless `bits` has every mask.
export function difference(first, second, bits) {
  const { layer, rows, cols, pool, place } = first;
  const found = { layer, rows, cols, pool, place, exact: first.exact, known: first.exact || Boolean(bits), kept: [first.layer.kept, second.layer.kept] };
  const shares = first.exact ? cellByCell(first, second) : bits ? countBlocks(first, bits) : moreThan(first, second);
  Object.assign(found, shares);
  if (found.known) found.counts = countsOf(found);
  return found;
}

function cellByCell({ kept: a }, { kept: b }) {
  return {
    both: Float32Array.from(a, (one, cell) => one & b[cell]),
    first: Float32Array.from(a, (one, cell) => one & ~b[cell]),
    second: Float32Array.from(a, (one, cell) => b[cell] & ~one),
  };
}

function moreThan({ kept: a }, { kept: b }) {
  return {
    both: new Float32Array(a.length),
    first: Float32Array.from(a, (share, cell) => Math.max(0, share - b[cell])),
    second: Float32Array.from(a, (share, cell) => Math.max(0, b[cell] - share)),
  };
}

function countBlocks({ layer, rows, cols, pool }, [a, b]) {
  const [height, width] = layer.shape;
  const found = { both: new Float32Array(rows * cols), first: new Float32Array(rows * cols), second: new Float32Array(rows * cols) };
  const numbers = { both: 0, first: 0, second: 0 };
  for (let weight = 0; weight < height * width; weight += 1) {
    const one = bitAt(a, weight);
    const other = bitAt(b, weight);
    if (!one && !other) continue;
    const kind = one && other ? "both" : one ? "first" : "second";
    const [row, col] = [Math.floor(weight / width / pool[0]), Math.floor((weight % width) / pool[1])];
    const size = Math.min(pool[0], height - row * pool[0]) * Math.min(pool[1], width - col * pool[1]);
    found[kind][row * cols + col] += 1 / size;
    numbers[kind] += 1;
  }
  return { ...found, numbers };
}

function countsOf({ layer, both, first, second, numbers }) {
  const sum = (cells) => cells.reduce((all, one) => all + one, 0);
  const counts = numbers ?? { both: sum(both), first: sum(first), second: sum(second) };
  const [rows, cols] = layer.shape;
  return { ...counts, neither: rows * cols - counts.both - counts.first - counts.second };
}

// |A∩B| / |A∪B|; 1 where no weight is kept.
export function jaccard({ both, first, second }) {
  const either = both + first + second;
  return either ? both / either : 1;
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The colours of the four kinds, distinct by lightness or for every kind of colour vision.
export function kindColours(view) {
  const { ink, paper } = view.ink();
  const [first, second] = view.tints.map(rgb);
  return { both: ink, first, second, neither: paper };
}

export class DifferencePicture extends MatrixPicture {
  constructor(host, view) {
    super(host, view, ["difference"]);
    this.kept.className = "cp-counts sc-dim";
    this.numbers = Object.fromEntries(KINDS.map((kind) => {
      const entry = make("span", "", this.kept);
      make("i", `cp-key cp-${kind}`, entry);
      return [kind, make("span", "", entry)];
    }));
    this.overlap = make("span", "", this.kept);
  }

  draw(found, size, colours) {
    this.matrix = found;
    const { view } = this;
    const { number } = view;
    const [rows, cols] = found.layer.shape;
    const name = layerName(view.say, found.layer.name);
    setText(this.title, `${name} ${rows}×${cols}`);
    for (const kind of KINDS) {
      this.numbers[kind].parentElement.hidden = !found.known;
      if (found.known) setText(this.numbers[kind], number(found.counts[kind]));
    }
    const overlap = found.known
      ? view.say("compare.jaccard", { value: jaccard(found.counts).toFixed(3) })
      : view.say("compare.kept", { first: number(found.kept[0]), second: number(found.kept[1]) });
    setText(this.overlap, overlap);
    const { port, canvas } = this.plates.difference;
    port.style.width = `${size.width}px`;
    port.style.height = `${size.height}px`;
    const counts = found.known ? KINDS.map((kind) => `${view.kindName(kind)} ${number(found.counts[kind])}`).join(", ") : overlap;
    port.setAttribute("aria-label", view.say("compare.alt", { name, counts }));
    paintDifference(canvas, found, colours);
  }

  describe(row, col) {
    const { both, first, second, exact, known, cols } = this.matrix;
    const cell = row * cols + col;
    const { say } = this.view;
    if (exact) return [this.where(row, col), this.view.kindName(both[cell] ? "both" : first[cell] ? "first" : second[cell] ? "second" : "neither")];
    const percent = (share) => `${(100 * share).toPrecision(3)} %`;
    if (!known) return [this.where(row, col), say(first[cell] ? "compare.more.first" : "compare.more.second", { share: percent(first[cell] || second[cell]) })];
    const shares = { both: both[cell], first: first[cell], second: second[cell], neither: 1 - both[cell] - first[cell] - second[cell] };
    return [this.where(row, col), ...KINDS.map((kind) => `${this.view.kindName(kind)} ${percent(Math.max(0, shares[kind]))}`)];
  }
}

function paintDifference(canvas, { rows, cols, both, first, second }, colours) {
  if (canvas.width !== cols || canvas.height !== rows) Object.assign(canvas, { width: cols, height: rows });
  const image = new ImageData(cols, rows);
  for (let cell = 0; cell < rows * cols; cell += 1) {
    const shares = [both[cell], first[cell], second[cell]];
    const neither = 1 - shares[0] - shares[1] - shares[2];
    for (let channel = 0; channel < 3; channel += 1) {
      image.data[4 * cell + channel] = shares[0] * colours.both[channel] + shares[1] * colours.first[channel]
        + shares[2] * colours.second[channel] + neither * colours.neither[channel];
    }
    image.data[4 * cell + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
