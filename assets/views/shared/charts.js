// Curves and pictures by Plotly, updated in place with Plotly.react; uirevision keeps the reader's zoom.

export const METHOD_COLOURS = { dense: "#7f7f7f", global: "#e69f00", layerwise: "#0072b2" }; // Okabe–Ito
export const LAYER_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
const CLASS_COLOURS = ["#0072b2", "#d55e00"];
const CONFIG = { displayModeBar: false, responsive: false, showTips: false };

export function chartLayout(view, more) {
  const { text, line, font } = view.theme();
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, title: { standoff: 6 } };
  const layout = {
    autosize: true,
    margin: { l: 52, r: 12, t: 6, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font, size: 12, color: text },
    uirevision: view.run,
    showlegend: true,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
    hovermode: "closest",
    dragmode: "zoom",
    ...more,
  };
  for (const [name, value] of Object.entries(layout)) {
    if (!/^[xy]axis\d*$/.test(name)) continue;
    layout[name] = { ...axis, ...value, title: { ...axis.title, text: value.title } };
  }
  return layout;
}

export function react(view, node, traces, layout) {
  if (!window.Plotly || !node.isConnected || !node.clientWidth) return;
  window.Plotly.react(node, traces, chartLayout(view, layout), CONFIG);
}

// What runs along the curves: epochs where the task has them, else steps.
export function timeline(view) {
  const perEpoch = view.scene?.meta.steps_an_epoch;
  return perEpoch
    ? { title: view.say("live.epoch_axis"), at: (step) => step / perEpoch }
    : { title: view.say("live.step_axis"), at: (step) => step };
}

// A line at the step that is looked at, and one wherever a parameter was changed by hand.
export function marks(view) {
  const upright = { type: "line", yref: "paper", y0: 0, y1: 1, layer: "below" };
  const { text, soft } = view.theme();
  const { at } = timeline(view);
  const shown = at(view.shownStep);
  const changed = view.changes.map(({ step }) => (
    { ...upright, x0: at(step), x1: at(step), line: { color: text, width: 1, dash: "dot" } }
  ));
  const looking = view.follows ? [] : [{ ...upright, x0: shown, x1: shown, line: { color: soft, width: 2 } }];
  const notes = view.changes.map(({ step, label }) => (
    { x: at(step), y: 1, yref: "paper", text: label, showarrow: false, xanchor: "left", yanchor: "top", textangle: -90, font: { size: 10 } }
  ));
  return { shapes: [...changed, ...looking], annotations: notes };
}

export function drawSparsity(view, node) {
  const { records, say } = view;
  const time = timeline(view);
  const steps = records.map((row) => time.at(row.step));
  const traces = [];
  const shown = view.layers?.shown ?? null;
  view.drawnBlocks().forEach(({ block, name, places, weights }, order) => {
    const width = shown === block ? 3.5 : 1.5;
    const line = { color: LAYER_COLOURS[order % LAYER_COLOURS.length], width, dash: order < LAYER_COLOURS.length ? "solid" : "dot" };
    const opacity = shown === null || shown === block ? 1 : 0.25;
    const shared = { x: steps, mode: "lines", line, opacity, legendgroup: name, name, meta: block };
    const all = weights.reduce((sum, n) => sum + n, 0);
    const kept = (row) => places.reduce((sum, place, i) => sum + row.density[place] * weights[i], 0) / all;
    traces.push({ ...shared, y: records.map(kept) });
    const threshold = records.map((row) => row.threshold[places[0]]);
    if (threshold.some((value) => value !== null)) traces.push({ ...shared, y: threshold, yaxis: "y2", showlegend: false });
  });
  traces.push({ x: steps, y: records.map((row) => row.churn), yaxis: "y3", mode: "lines", name: say("live.churn"), showlegend: false, line: { color: view.theme().text, width: 1 } });
  react(view, node, traces, {
    ...marks(view),
    xaxis: { title: time.title, anchor: "y3", rangemode: "tozero" },
    yaxis: { title: say("live.density"), range: [0, 1.04], domain: [0.66, 1], tickformat: ".0%", nticks: 4 },
    yaxis2: { title: say("live.threshold"), domain: [0.34, 0.6], rangemode: "tozero", nticks: 4 },
    yaxis3: { title: say("live.churn"), domain: [0, 0.26], rangemode: "tozero", tickformat: "~%", nticks: 4 },
  });
}

export function drawData(view, node) {
  const { meta, arrays } = view.scene;
  const say = view.say;
  if (meta.kind === "curve") {
    const points = { mode: "markers", marker: { size: 4, opacity: 0.7, color: CLASS_COLOURS[0] } };
    react(view, node, [{ ...points, x: arrays["train.x"], y: arrays["train.y"], name: say("live.train") }], {
      showlegend: false, xaxis: { title: "x" }, yaxis: { title: "y" },
    });
  } else if (meta.kind === "boundary") {
    react(view, node, spiralPoints(view, 3), { xaxis: square(meta, "x₁"), yaxis: { ...square(meta, "x₂"), scaleanchor: "x" } });
  } else {
    const bars = { type: "bar", x: meta.grades, y: arrays.labels, marker: { color: CLASS_COLOURS[0] }, text: [...arrays.labels].map(view.number) };
    react(view, node, [bars], { showlegend: false, xaxis: { title: say("live.grade"), type: "category" }, yaxis: { title: say("live.texts") } });
  }
}

export const square = (meta, title) => ({ title, constrain: "domain", range: [-meta.edge, meta.edge], nticks: 5, zeroline: false });

// Values of a square of cells, row by row from the lowest y, and where they lie, for a heat map.
export function planeOf({ edge }, values) {
  const side = Math.sqrt(values.length);
  const step = (2 * edge) / side;
  const z = Array.from({ length: side }, (_, row) => Array.from(values.subarray(row * side, (row + 1) * side)));
  return { z, x0: -edge + step / 2, dx: step, y0: -edge + step / 2, dy: step };
}

function spiralPoints(view, size) {
  const { points, labels } = view.scene.arrays;
  return [0, 1].map((label) => {
    const x = [];
    const y = [];
    labels.forEach((own, row) => {
      if (own !== label) return;
      x.push(points[2 * row]);
      y.push(points[2 * row + 1]);
    });
    const marker = { size, color: CLASS_COLOURS[label], symbol: label ? "diamond" : "circle" };
    return { x, y, mode: "markers", marker, name: view.say("live.class", { label }), hoverinfo: "name" };
  });
}

export function drawOutput(view, node, frame) {
  const { meta, arrays } = view.scene;
  const say = view.say;
  if (meta.kind === "curve") {
    const colour = view.tint ?? METHOD_COLOURS[frame.meta.method];
    react(view, node, [
      { x: arrays["train.x"], y: arrays["train.y"], mode: "markers", name: say("live.data"), marker: { size: 3, opacity: 0.35, color: view.theme().text } },
      { x: arrays["grid.x"], y: arrays["grid.y"], mode: "lines", name: "sin(x)/x", line: { dash: "dash", width: 1.5, color: view.theme().text } },
      { x: arrays["grid.x"], y: frame.arrays["picture.fit"], mode: "lines", name: say("live.network"), line: { width: 3, color: colour } },
    ], { xaxis: { title: "x", ...view.span?.x }, yaxis: { title: "y", ...view.span?.y } });
  } else if (meta.kind === "boundary") {
    const chance = Float64Array.from(frame.arrays["picture.chance"], (c) => c / 255);
    const paper = `rgb(${view.ink().paper.join(",")})`;
    const field = { type: "heatmap", name: `P(${say("live.class", { label: 1 })})`, ...planeOf(meta, chance), zmin: 0, zmax: 1, showscale: false,
      colorscale: [[0, "#7fb8d8"], [0.5, paper], [1, "#eaa679"]], hovertemplate: `P(${say("live.class", { label: 1 })}) = %{z:.3f}<extra></extra>`, zsmooth: "fast" };
    react(view, node, [field, ...spiralPoints(view, 2.5)], { xaxis: square(meta, "x₁"), yaxis: { ...square(meta, "x₂"), scaleanchor: "x" } });
  } else {
    const side = meta.grades.length;
    const counts = frame.arrays["picture.confusion"];
    const z = Array.from({ length: side }, (_, row) => [...counts.subarray(row * side, (row + 1) * side)]);
    const shares = z.map((row) => { const all = row.reduce((a, b) => a + b, 0); return row.map((n) => (all ? n / all : 0)); });
    react(view, node, [{
      type: "heatmap", z: shares, x: meta.grades, y: meta.grades, text: z, texttemplate: "%{text}", name: say("save.share"), meta: say("live.texts"), colorscale: "Cividis", zmin: 0, zmax: 1, showscale: false,
      hovertemplate: `${say("live.true")} %{y} → ${say("live.predicted")} %{x}: %{text} (%{z:.1%})<extra></extra>`,
    }], { showlegend: false, xaxis: { title: say("live.predicted"), type: "category" }, yaxis: { title: say("live.true"), type: "category", autorange: "reversed" } });
  }
}
