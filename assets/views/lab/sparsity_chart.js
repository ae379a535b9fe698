// "Where are the weights?": density and threshold of each layer, and the churn of the support.

import { LAYER_COLOURS, marks, react, timeline } from "../shared/charts.js";
import { blocksOf, keptShare } from "../shared/layers.js";

export function drawSparsity(view, node) {
  const { records, say } = view;
  const { text } = view.theme();
  const time = timeline(say, view.scene?.meta.steps_an_epoch);
  const steps = records.map((row) => time.at(row.step));
  const { shown } = view.layers;
  const traces = blocksOf(view.frame.matrices, say).flatMap((each, order) => {
    const { block, name, places } = each;
    const line = { color: LAYER_COLOURS[order % LAYER_COLOURS.length], width: shown === block ? 3.5 : 1.5, dash: order < LAYER_COLOURS.length ? "solid" : "dot" };
    const opacity = shown === null || shown === block ? 1 : 0.25;
    const shared = { x: steps, mode: "lines", line, opacity, legendgroup: name, name, meta: block };
    const threshold = records.map((row) => row.threshold[places[0]]);
    const cut = threshold.some((value) => value !== null) ? [{ ...shared, y: threshold, yaxis: "y2", showlegend: false }] : [];
    return [{ ...shared, y: records.map((row) => keptShare(each, row)) }, ...cut];
  });
  traces.push({ x: steps, y: records.map((row) => row.churn), yaxis: "y3", mode: "lines", name: say("live.churn"), showlegend: false, line: { color: text, width: 1 } });
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
  const label = { y: 1, yref: "paper", showarrow: false, xanchor: "left", yanchor: "top", textangle: -90, font: { size: 10 } };
  return {
    shapes: marks(view, time, view.changes.map(({ step }) => ({ step, colour: text }))),
    annotations: view.changes.map((change) => ({ ...label, x: time.at(change.step), text: change.label })),
  };
}
