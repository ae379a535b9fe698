// Curves of two runs on the same axes: the first solid, the second dashed.

import { layerName } from "../shared/captions.js";
import { LAYER_COLOURS, react } from "../shared/charts.js";
import { fitRows, logAxis } from "../shared/metric_chart.js";

const DASHES = ["solid", "dash"];
const MOST_LAYERS = 6; // in a legend; of more layers the lines are told by the pointer

// What runs along the curves: epochs where both runs have the same, else steps.
function sharedTime(view) {
  const [first, second] = view.sides.map((side) => side.scene?.meta.steps_an_epoch);
  return first && (first === second || second === undefined)
    ? { title: view.say("live.epoch_axis"), at: (step) => step / first }
    : { title: view.say("live.step_axis"), at: (step) => step };
}

// A line at the step that is looked at, and one wherever a parameter of either was changed by hand.
function sharedMarks(view, time) {
  const upright = { type: "line", yref: "paper", y0: 0, y1: 1, layer: "below" };
  const { soft } = view.theme();
  const changed = view.sides.flatMap((side, place) => side.changes.map(({ step }) => (
    { ...upright, x0: time.at(step), x1: time.at(step), line: { color: view.tints[place], width: 1, dash: "dot" } }
  )));
  const looked = view.follows ? [] : [{ ...upright, x0: time.at(view.shownStep), x1: time.at(view.shownStep), line: { color: soft, width: 2 } }];
  return { shapes: [...changed, ...looked] };
}

// Loss above the scores; train thin, test bold.
export function drawFits(view, node) {
  const time = sharedTime(view);
  const { say } = view;
  const name = view.sides[0].metricName();
  const scores = view.sides.every((side) => side.scene?.meta.kind === "confusion") ? [name, "macro_f1"] : [name];
  const rows = fitRows(1 + scores.length);
  const losses = view.sides.flatMap(({ records }) => records.map(({ loss }) => loss));
  const axes = { yaxis: { title: say("live.loss"), domain: rows[0], ...logAxis(losses) } };
  scores.forEach((score, place) => {
    axes[`yaxis${place + 2}`] = { title: say(`live.metric.${score}`), domain: rows[place + 1], rangemode: score === "rmse" ? "tozero" : "normal", nticks: 4 };
  });
  const traces = view.sides.flatMap((side, place) => fitOf(view, side, place, scores, time));
  react(view, node, traces, { ...sharedMarks(view, time), ...axes, xaxis: { title: time.title, anchor: `y${scores.length + 1}`, rangemode: "tozero" } });
}

function fitOf(view, side, place, scores, time) {
  const letter = view.letters[place];
  const shape = { color: view.tints[place], dash: DASHES[place] };
  const line = (rows, y, more) => ({ x: rows.map((row) => time.at(row.step)), y, mode: "lines", ...more });
  const measured = side.records.filter((row) => row.metrics);
  const loss = line(side.records, side.records.map((row) => row.loss), { name: `${letter} ${view.say("live.loss")}`, showlegend: false, line: { ...shape, width: 1 } });
  return [loss, ...scores.flatMap((score, at) => [["train", 1], ["test", 2.5]].map(([part, width]) => (
    line(measured, measured.map((row) => row.metrics[part]?.[score] ?? null), { name: `${letter} ${view.say(`live.${part}`)}`, yaxis: `y${at + 2}`, showlegend: at === 0, line: { ...shape, width } })
  )))];
}

// Jaccard of the two masks: over the constrained layers bold, a layer each thin, and what chance would give.
export function drawOverlap(view, node) {
  const { say } = view;
  const { arrays, meta } = view.overlap;
  const time = sharedTime(view);
  const points = [...arrays.overall.keys()];
  const x = points.map((at) => time.at(arrays.steps[3 * at]));
  const told = points.map((at) => say("compare.at", { a: view.number(arrays.steps[3 * at + 1]), b: view.number(arrays.steps[3 * at + 2]) }));
  const line = (y, name, style, more) => ({ x, y, name, mode: x.length > 1 ? "lines" : "markers", text: told, hovertemplate: "%{y:.3f} · %{text}", line: style, ...more });
  const layers = meta.layers.length > 1 ? meta.layers : [];
  const traces = layers.map((layer, place) => line(
    points.map((at) => arrays.jaccard[at * layers.length + place]), layerName(say, layer), layerLine(place, "solid"), { showlegend: layers.length <= MOST_LAYERS },
  ));
  traces.push(line([...arrays.by_chance], say("compare.chance"), { color: view.theme().soft, width: 1.5, dash: "dash" }));
  traces.push(line([...arrays.overall], say("compare.overall"), { color: view.theme().text, width: 2.5 }));
  react(view, node, traces, {
    ...sharedMarks(view, time),
    xaxis: { title: time.title, rangemode: "tozero" },
    yaxis: { title: "|A∩B| / |A∪B|", range: [0, 1.04], nticks: 5 },
  });
}

function layerLine(place, dash) {
  return { color: LAYER_COLOURS[place % LAYER_COLOURS.length], width: 1.5, dash };
}

// The share of its weights that each layer keeps, in both runs; a block of a Transformer is one layer.
export function drawDensities(view, node) {
  const { say } = view;
  const time = sharedTime(view);
  const order = new Map();
  const traces = view.sides.flatMap((side, at) => blocksOf(side).map(({ block, places, weights }) => {
    if (!order.has(block)) order.set(block, order.size);
    const all = weights.reduce((sum, n) => sum + n, 0);
    const kept = (row) => places.reduce((sum, place, i) => sum + row.density[place] * weights[i], 0) / all;
    const name = layerName(say, block);
    const first = !at || !view.sides[0].frame;
    return {
      x: side.records.map((row) => time.at(row.step)), y: side.records.map(kept), mode: "lines", name, legendgroup: name,
      showlegend: first && order.size <= MOST_LAYERS, line: layerLine(order.get(block), DASHES[at]), hovertemplate: `${view.letters[at]} · %{y:.1%} · %{x}`,
    };
  }));
  react(view, node, traces, {
    ...sharedMarks(view, time),
    xaxis: { title: time.title, rangemode: "tozero" },
    yaxis: { title: say("live.density"), range: [0, 1.04], tickformat: ".0%", nticks: 5 },
  });
}

function blocksOf({ frame }) {
  const blocks = new Map();
  (frame?.masks ?? []).forEach(({ layer }, place) => {
    const { block } = layer;
    if (!blocks.has(block)) blocks.set(block, { block, places: [], weights: [] });
    blocks.get(block).places.push(place);
    blocks.get(block).weights.push(layer.shape[0] * layer.shape[1]);
  });
  return [...blocks.values()];
}

// One range of x and y for both pictures of a curve: that of the data.
export function spanOf(sides) {
  const scenes = sides.map(({ scene }) => scene).filter((scene) => scene?.meta.kind === "curve");
  if (!scenes.length) return undefined;
  const range = (names) => {
    const values = scenes.flatMap(({ arrays }) => names.flatMap((name) => [...arrays[name]]));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return { range: [low - 0.04 * (high - low), high + 0.04 * (high - low)] };
  };
  return { x: range(["train.x", "grid.x"]), y: range(["train.y", "grid.y"]) };
}
