// Plotly's script: once a document, whoever of the page's components asks first.

const FIRST_PICTURE = 1000; // ms; so long a view's first picture is waited for
const PAINTED = 50; // ms after it was drawn it is on the screen

// Tried again after a failure.
export function loadPlotly(source) {
  if (window.Plotly) return Promise.resolve();
  window.sparsecorePlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const fail = () => { window.sparsecorePlotly = null; reject(new Error(`cannot load ${source}`)); };
    Object.assign(script, { src: source, onload: resolve, onerror: fail });
    document.head.append(script);
  });
  return window.sparsecorePlotly;
}

// Fetch the script without reading it yet.
function fetchPlotly(source) {
  if (document.querySelector(`link[href="${source}"]`)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "script", href: source }));
}

// The script as a view asks for it. To be read it takes a second, in which the browser draws nothing: the view's
// first picture, which needs no Plotly, stands before.
export class ChartScript {
  constructor(ready) {
    this.ready = ready;
  }

  ask(source) {
    this.source = source;
    if (window.Plotly) return;
    fetchPlotly(source);
    this.#readIn(FIRST_PICTURE);
  }

  // The view has drawn a picture.
  pictured() {
    if (this.seen) return;
    this.seen = true;
    if (!window.Plotly) this.#readIn(PAINTED);
  }

  forget() {
    clearTimeout(this.timer);
  }

  #readIn(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => loadPlotly(this.source).then(this.ready), wait);
  }
}
