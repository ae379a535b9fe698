// Plotly's script, once a document, whoever of the page's components asks first; tried again after a failure.
function loadPlotly(source) {
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
  if (window.Plotly || document.querySelector(`link[href="${source}"]`)) return;
  document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "script", href: source }));
}
