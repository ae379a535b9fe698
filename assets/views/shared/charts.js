// Curves by Plotly, updated in place with Plotly.react; uirevision keeps the user's zoom.

import { isError } from "./cards.js";

export const LAYER_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
const CONFIG = { displayModeBar: false, responsive: false, showTips: false };
const FEW_POINTS = 20;
const ROW_GAP = 0.08;
const ONE_DECADE = 1.3; // of values; with its margins Plotly labels every digit of it when four ticks are allowed

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
  node.classList.remove("sc-old");
  window.Plotly.react(node, traces, chartLayout(view, layout), CONFIG);
}

// A line through so few points is marked at each: a single one would not be seen.
export const lineMode = (points) => (points.length > FEW_POINTS ? "lines" : "lines+markers");

// The x axis of curves: epochs where the task has them, else steps.
export function timeline(say, stepsAnEpoch) {
  return stepsAnEpoch
    ? { title: say("live.epoch_axis"), at: (step) => step / stepsAnEpoch }
    : { title: say("live.step_axis"), at: (step) => step };
}

// A line at the step that is shown, and a dotted one at each change by hand: { step, colour }.
export function marks(view, { at }, changes) {
  const upright = (step, line) => ({ type: "line", yref: "paper", y0: 0, y1: 1, layer: "below", x0: at(step), x1: at(step), line });
  const shown = view.follows ? [] : [upright(view.shownStep, { color: view.theme().soft, width: 2 })];
  return [...changes.map(({ step, colour }) => upright(step, { color: colour, width: 1, dash: "dot" })), ...shown];
}

// The y axes of a figure in rows: the loss at the top, a score in each row below it.
export function metricAxes(say, losses, scores, rows) {
  const axes = { yaxis: { title: say("live.loss"), domain: rows[0], ...logAxis(losses) } };
  scores.forEach((score, place) => {
    axes[`yaxis${place + 2}`] = { title: say(`live.metric.${score}`), domain: rows[place + 1], rangemode: isError(score) ? "tozero" : "normal", nticks: 4 };
  });
  return axes;
}

// A logarithmic axis of these values, with as many labels as do not overlap.
export function logAxis(values) {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  const low = logs.reduce((least, each) => Math.min(least, each), Infinity);
  const high = logs.reduce((most, each) => Math.max(most, each), -Infinity);
  return { type: "log", tickformat: "~g", nticks: high - low < ONE_DECADE ? 3 : 4 };
}

// The shares of the height for each of `count` rows, from the top.
export function stackedRows(count) {
  const height = (1 - ROW_GAP * (count - 1)) / count;
  return Array.from({ length: count }, (_, row) => {
    const top = 1 - row * (height + ROW_GAP);
    return [Math.max(0, top - height), top];
  });
}
