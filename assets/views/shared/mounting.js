// A view that the page mounts: made once, told anew whenever the page's script runs, taken down with its place.

import { Surface } from "./dom.js";
import { release } from "./pacing.js";
import { ChartScript } from "./plotly.js";

const RESIZED = 80; // ms after the last change of size

// Whose view it is has `update(component)`, `plots` (the nodes that charts are drawn in), `drawPictures()` (what is no
// chart and follows the size), `drawAll(force)`, `paces` and `close()`.
export class MountedView extends Surface {
  constructor(parent, className) {
    super(parent, className);
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.charting = new ChartScript(() => this.drawAll(true));
    this.resize = new ResizeObserver(() => this.#resized());
    this.resize.observe(this.root);
  }

  get #charts() {
    return this.plots.filter((plot) => plot.classList.contains("js-plotly-plot"));
  }

  #resized() {
    if (!this.words) return;
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      for (const plot of this.#charts) if (plot.clientWidth) window.Plotly.Plots.resize(plot);
      this.drawPictures();
    }, RESIZED);
  }

  destroy() {
    this.close();
    this.charting.forget();
    this.resize.disconnect();
    clearTimeout(this.resizing);
    for (const each of Object.values(this.paces)) each.stop();
    for (const plot of this.#charts) window.Plotly.purge(plot);
    this.root.remove();
  }
}

// What the page calls whenever its script has run: it gives what takes the view down.
export function mounting(View) {
  const views = new WeakMap();
  return (component) => {
    const { parentElement } = component;
    if (!views.has(parentElement)) views.set(parentElement, new View(parentElement));
    release();
    views.get(parentElement).update(component);
    return () => {
      views.get(parentElement)?.destroy();
      views.delete(parentElement);
    };
  };
}
