// A small picture of the function of every neuron in the graph.

import { colourOf } from "../shared/cards.js";
import { FLAT, neuronOutputs, planeImage, rangeOf, taskInputs } from "./neuron_card.js";

const SIDE = 18; // pixels
const CELLS = 12; // on each side of the plane
const STRIDE = 10; // of the drawn x for a small curve

export class Thumbnails {
  constructor() {
    this.plane = new OffscreenCanvas(CELLS, CELLS);
  }

  // `places`: the centre of each neuron by layer. A run without biases gets no thumbnails.
  draw(context, view, places) {
    const { matrices } = view.frame;
    if (matrices.some(({ bias }) => !bias)) return false;
    const outputs = neuronOutputs(matrices, taskInputs(view.scene, CELLS, STRIDE));
    const paint = view.scene.meta.kind === "curve" ? this.#curve : this.#plane;
    const colours = view.ink();
    places.forEach((row, layer) => row.forEach(([x, y], index) => {
      const corner = [x - SIDE / 2, y - SIDE / 2];
      context.fillStyle = `rgb(${colours.paper.join(" ")})`;
      context.fillRect(...corner, SIDE, SIDE);
      paint.call(this, context, outputs[layer][index], corner, colourOf(view.frame.meta.method));
    }));
    return true;
  }

  #plane(context, output, corner) {
    this.plane.getContext("2d").putImageData(planeImage(output, rangeOf(output), CELLS), 0, 0);
    context.drawImage(this.plane, ...corner, SIDE, SIDE);
  }

  #curve(context, output, [left, top], colour) {
    const [low, high] = rangeOf(output);
    const room = high - low < FLAT ? Infinity : high - low;
    const height = (value) => (room === Infinity ? 0.5 : 1 - (value - low) / room);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    output.forEach((value, at) => context.lineTo(left + 1 + (at / (output.length - 1)) * (SIDE - 2), top + 2 + height(value) * (SIDE - 4)));
    context.stroke();
  }
}
