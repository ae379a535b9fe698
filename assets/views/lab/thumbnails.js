// Every neuron of the graph as a small picture of what it computes.

import { METHOD_COLOURS } from "../shared/charts.js";
import { FLAT, neuronOutputs, planeImage, rangeOf, taskInputs } from "./neuron_card.js";

const THUMBNAIL = 18; // pixels a side
const THUMBNAIL_CELLS = 12; // of the plane, a side
const THUMBNAIL_STRIDE = 10; // points of the drawn x for one of a small curve

export class Thumbnails {
  constructor() {
    this.plane = new OffscreenCanvas(THUMBNAIL_CELLS, THUMBNAIL_CELLS);
  }

  // `places`: the middle of each neuron by layer. Nothing is drawn of a run without biases.
  draw(context, view, places) {
    const { matrices } = view.frame;
    if (matrices.some(({ bias }) => !bias)) return false;
    const outputs = neuronOutputs(matrices, taskInputs(view.scene, THUMBNAIL_CELLS, THUMBNAIL_STRIDE));
    const paint = view.scene.meta.kind === "curve" ? this.#curve : this.#plane;
    const colours = view.ink();
    places.forEach((row, layer) => row.forEach(([x, y], index) => {
      const corner = [x - THUMBNAIL / 2, y - THUMBNAIL / 2];
      context.fillStyle = `rgb(${colours.paper.join(" ")})`;
      context.fillRect(...corner, THUMBNAIL, THUMBNAIL);
      paint.call(this, context, outputs[layer][index], corner, METHOD_COLOURS[view.frame.meta.method]);
    }));
    return true;
  }

  #plane(context, output, corner) {
    this.plane.getContext("2d").putImageData(planeImage(output, rangeOf(output), THUMBNAIL_CELLS), 0, 0);
    context.drawImage(this.plane, ...corner, THUMBNAIL, THUMBNAIL);
  }

  #curve(context, output, [left, top], colour) {
    const [low, high] = rangeOf(output);
    const room = high - low < FLAT ? Infinity : high - low;
    const height = (value) => (room === Infinity ? 0.5 : 1 - (value - low) / room);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    output.forEach((value, at) => context.lineTo(left + 1 + (at / (output.length - 1)) * (THUMBNAIL - 2), top + 2 + height(value) * (THUMBNAIL - 4)));
    context.stroke();
  }
}
