// Curves of two runs on the same axes: the first solid, the second dashed.

import { LAYER_COLOURS, marks, metricAxes, react, stackedRows, timeline } from "../shared/charts.js";
import { blocksOf, keptShare, layerName } from "../shared/layers.js";

const DASHES = ["solid", "dash"];
const MOST_LAYERS = 6; // in a legend; with more layers only the pointer names a line

// Epochs where both runs have the same, else steps.
function sharedTime({ sides, say }) {
  const [first, second] = sides.map((side) => side.scene?.meta.steps_an_epoch);
  return timeline(say, first === second || second === undefined ? first : undefined);
}

// The changes by hand of both runs, each in the colour of its run.
function sharedMarks(view, time) {
  return { shapes: marks(view, time, view.sides.flatMap((side, place) => side.changes.map(({ step }) => ({ step, colour: view.tints[place] })))) };
}

// Loss above the scores; train thin, test bold.
export function drawMetrics(view, node) {
  const time = sharedTime(view);
  const name = view.sides[0].metricName();
  const scores = view.sides.every((side) => side.scene?.meta.kind === "confusion") ? [name, "macro_f1"] : [name];
  const losses = view.sides.flatMap(({ records }) => records.map(({ loss }) => loss));
  const axes = metricAxes(view.say, losses, scores, stackedRows(1 + scores.length));
  const traces = view.sides.flatMap((side, place) => metricLines(view, side, place, scores, time));
  react(view, node, traces, { ...sharedMarks(view, time), ...axes, xaxis: { title: time.title, anchor: `y${scores.length + 1}`, rangemode: "tozero" } });
}

function metricLines(view, side, place, scores, time) {
  const letter = view.letters[place];
  const shape = { color: view.tints[place], dash: DASHES[place] };
  const line = (rows, y, more) => ({ x: rows.map((row) => time.at(row.step)), y, mode: "lines", ...more });
  const measured = side.records.filter((row) => row.metrics);
  const loss = line(side.records, side.records.map((row) => row.loss), { name: `${letter} ${view.say("live.loss")}`, showlegend: false, line: { ...shape, width: 1 } });
  return [loss, ...scores.flatMap((score, at) => [["train", 1], ["test", 2.5]].map(([part, width]) => (
    line(measured, measured.map((row) => row.metrics[part]?.[score] ?? null), { name: `${letter} ${view.say(`live.${part}`)}`, yaxis: `y${at + 2}`, showlegend: at === 0, line: { ...shape, width } })
  )))];
}

// Jaccard index of the two masks: all constrained layers bold, each layer thin, and the value expected by chance.
export function drawOverlap(view, node) {
  const { say } = view;
  const { meta, steps, jaccard, overall, by_chance: byChance } = view.overlap;
  const time = sharedTime(view);
  const points = [...overall.keys()];
  const x = points.map((at) => time.at(steps[3 * at]));
  const text = points.map((at) => say("compare.at", { a: view.number(steps[3 * at + 1]), b: view.number(steps[3 * at + 2]) }));
  const line = (y, name, style, more) => ({ x, y, name, mode: x.length > 1 ? "lines" : "markers", text, hovertemplate: "%{y:.3f} · %{text}", line: style, ...more });
  const layers = meta.layers.length > 1 ? meta.layers : [];
  const traces = layers.map((layer, place) => line(
    points.map((at) => jaccard[at * layers.length + place]), layerName(say, layer), layerLine(place, "solid"), { showlegend: layers.length <= MOST_LAYERS },
  ));
  traces.push(line([...byChance], say("compare.chance"), { color: view.theme().soft, width: 1.5, dash: "dash" }));
  traces.push(line([...overall], say("compare.overall"), { color: view.theme().text, width: 2.5 }));
  react(view, node, traces, {
    ...sharedMarks(view, time),
    xaxis: { title: time.title, rangemode: "tozero" },
    yaxis: { title: "|A∩B| / |A∪B|", range: [0, 1.04], nticks: 5 },
  });
}

function layerLine(place, dash) {
  return { color: LAYER_COLOURS[place % LAYER_COLOURS.length], width: 1.5, dash };
}

// The density of each layer in both runs.
export function drawDensities(view, node) {
  const { say } = view;
  const time = sharedTime(view);
  const order = new Map();
  const traces = view.sides.flatMap((side, at) => blocksOf(side.frame?.masks ?? [], say).map((each) => {
    const { block, name } = each;
    if (!order.has(block)) order.set(block, order.size);
    const first = !at || !view.sides[0].frame;
    return {
      x: side.records.map((row) => time.at(row.step)), y: side.records.map((row) => keptShare(each, row)), mode: "lines", name, legendgroup: name,
      showlegend: first && order.size <= MOST_LAYERS, line: layerLine(order.get(block), DASHES[at]), hovertemplate: `${view.letters[at]} · %{y:.1%} · %{x}`,
    };
  }));
  react(view, node, traces, {
    ...sharedMarks(view, time),
    xaxis: { title: time.title, rangemode: "tozero" },
    yaxis: { title: say("live.density"), range: [0, 1.04], tickformat: ".0%", nticks: 5 },
  });
}

// One range of x and y for both pictures of a curve: the range of the data.
export function spanOf(sides) {
  const scenes = sides.map(({ scene }) => scene).filter((scene) => scene?.meta.kind === "curve");
  if (!scenes.length) return undefined;
  const range = (axis) => {
    const values = scenes.flatMap(({ train, grid }) => [...train[axis], ...grid[axis]]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return { range: [low - 0.04 * (high - low), high + 0.04 * (high - low)] };
  };
  return { x: range("x"), y: range("y") };
}
