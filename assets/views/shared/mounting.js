// A view in the page: created once, updated whenever the page's script runs, removed together with its place.

import { make, Surface } from "./dom.js";
import { release } from "./pacing.js";
import { ChartScript } from "./plotly.js";

const RESIZED = 80; // ms after the last change of size

// A subclass has `update(component)`, `panels` (with their charts), `drawPictures()` (all that follows the size and is
// no chart), `drawAll(force)`, `paces` and `close()`.
export class MountedView extends Surface {
  constructor(parent, className) {
    super(parent, className);
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.charting = new ChartScript(() => this.drawAll(true));
    this.resize = new ResizeObserver(() => this.#resized());
    this.resize.observe(this.root);
  }

  // A figure with its title, a node for a chart, and a line that may take the chart's place.
  panel(parent, className) {
    const figure = make("figure", `sc-panel ${className}`, parent);
    const title = make("figcaption", "", figure);
    const box = make("div", "sc-plot", figure);
    const plot = make("div", "sc-chart", box);
    const instead = make("p", "sc-instead", box);
    instead.hidden = true;
    return { figure, title, plot, instead };
  }

  get #charts() {
    return this.panels.map(({ plot }) => plot).filter((plot) => plot.classList.contains("js-plotly-plot"));
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

// The function that the page calls after each run of its script; it returns the function that removes the view.
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
