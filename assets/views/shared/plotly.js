// Plotly's script: loaded once per document, by the first component that needs it.

import { addressOf } from "./address.js";

const FIRST_PICTURE = 1000; // ms to wait for a view's first picture
const PAINTED = 50; // ms until a drawing is on the screen

// A failed load is tried again at the next call.
export function loadPlotly(source) {
  if (window.Plotly) return Promise.resolve();
  window.sparsecorePlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const fail = () => { window.sparsecorePlotly = null; reject(new Error(`cannot load ${source}`)); };
    Object.assign(script, { src: addressOf(source), onload: resolve, onerror: fail });
    document.head.append(script);
  });
  return window.sparsecorePlotly;
}

// Fetch the script without running it yet.
function fetchPlotly(source) {
  const { href } = addressOf(source);
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "script", href }));
}

// The script on behalf of a view. Running it takes a second in which the browser draws nothing, so the view's first
// picture, which needs no Plotly, comes first.
export class ChartScript {
  constructor(ready) {
    this.ready = ready;
  }

  ask(source) {
    this.source = source;
    if (window.Plotly) return;
    fetchPlotly(source);
    this.#runIn(FIRST_PICTURE);
  }

  // The view has drawn a picture.
  pictured() {
    if (this.seen) return;
    this.seen = true;
    if (!window.Plotly) this.#runIn(PAINTED);
  }

  forget() {
    clearTimeout(this.timer);
  }

  #runIn(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => loadPlotly(this.source).then(this.ready), wait);
  }
}
