// "Where are the weights?": density and threshold of each layer, and the churn of the support.

import { LAYER_COLOURS, lineMode, marks, react, timeline } from "../shared/charts.js";
import { blocksOf, keptShare } from "../shared/layers.js";

const THIN = 1.5;
const BOLD = 3.5;
const WIDER = 1.75; // each of few layers than the next, which may lie upon it
const FEW_LAYERS = 4;
const CLOSE = 0.025; // of the axis between two labels; closer ones would run together
const AT_EDGE = 0.95; // of the axis, from where a label stands before its line

const widthOf = (order, layers) => THIN + (layers > FEW_LAYERS ? 0 : WIDER * (layers - 1 - order));

export function drawSparsity(view, node) {
  const { rows: records, say } = view;
  const { text } = view.theme();
  const time = timeline(say, view.scene?.meta.steps_an_epoch);
  const steps = records.map((row) => time.at(row.step));
  const { shown } = view.layers;
  const blocks = blocksOf(view.frame.matrices, say);
  const traces = blocks.flatMap((each, order) => {
    const { block, name, places } = each;
    const line = { color: LAYER_COLOURS[order % LAYER_COLOURS.length], width: shown === block ? BOLD : widthOf(order, blocks.length), dash: order < LAYER_COLOURS.length ? "solid" : "dot" };
    const opacity = shown === null || shown === block ? 1 : 0.25;
    const shared = { x: steps, mode: lineMode(records), line, opacity, legendgroup: name, name, meta: block };
    const threshold = records.map((row) => row.threshold[places[0]]);
    const cut = threshold.some((value) => value !== null) ? [{ ...shared, y: threshold, yaxis: "y2", showlegend: false }] : [];
    return [{ ...shared, y: records.map((row) => keptShare(each, row)) }, ...cut];
  });
  traces.push({ x: steps, y: records.map((row) => row.churn), yaxis: "y3", mode: lineMode(records), name: say("live.churn"), showlegend: false, line: { color: text, width: 1 } });
  react(view, node, traces, {
    ...labelledMarks(view, time),
    xaxis: { title: time.title, anchor: "y3", rangemode: "tozero" },
    yaxis: { title: say("live.density"), range: [0, 1.04], domain: [0.66, 1], tickformat: ".0%", nticks: 4 },
    yaxis2: { title: say("live.threshold"), domain: [0.34, 0.6], rangemode: "tozero", nticks: 4 },
    yaxis3: { title: say("live.churn"), domain: [0, 0.26], rangemode: "tozero", tickformat: "~%", nticks: 4 },
  });
}

// The marks of the Lab's curves: each change by hand carries its label.
export function labelledMarks(view, time) {
  const { text } = view.theme();
  const end = Math.max(1, view.frame.meta.step, view.records.at(-1)?.step ?? 0);
  const label = { y: 1, yref: "paper", showarrow: false, yanchor: "top", textangle: -90, font: { size: 10 } };
  return {
    shapes: marks(view, time, view.changes.map(({ step }) => ({ step, colour: text }))),
    annotations: labels(view.changes, CLOSE * end).map(({ step, text }) => (
      { ...label, x: time.at(step), text, xanchor: step > AT_EDGE * end ? "right" : "left" }
    )),
  };
}

// The labels of changes, of those closer than `gap` steps the last one.
function labels(changes, gap) {
  const found = [];
  for (const { step, label } of changes) {
    const close = found.length && step - found.at(-1).step < gap;
    if (close) found.pop();
    found.push({ step, text: close ? `… ${label}` : label });
  }
  return found;
}
