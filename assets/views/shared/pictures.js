// Pictures of a task's data and of what its network computes, by the kind that the scene names.

import { colourOf } from "./cards.js";
import { react } from "./charts.js";
import { setText } from "./dom.js";
import { shares } from "./frame.js";

const POINT = "x %{x:.3g}, y %{y:.3g}"; // under the pointer
const FLAT = 0.005; // probabilities that differ by less look all alike
const CLASS_COLOURS = ["#0072b2", "#d55e00"];
const PICTURES = {
  curve: { data: drawPoints, output: drawCurve },
  boundary: { data: drawClasses, output: drawBoundary },
  confusion: { data: drawGrades, output: drawConfusion },
};

// Draw the data of the view's scene in a panel.
export function drawData(view, panel) {
  draw(view, panel, "data");
}

// Draw what the network computes at a frame in a panel.
export function drawOutput(view, panel, frame) {
  draw(view, panel, "output", frame);
}

// A scene of a kind that these scripts do not know gets a sentence in place of its picture.
function draw(view, panel, part, frame) {
  const { kind } = view.scene.meta;
  const known = Object.hasOwn(PICTURES, kind);
  replaceChart(panel, known ? "" : view.say("live.picture.unknown", { kind }));
  if (known) PICTURES[kind][part](view, panel.plot, frame);
}

// Show a sentence in place of a panel's chart, or, with none, the chart.
export function replaceChart({ plot, instead }, text) {
  plot.hidden = Boolean(text);
  instead.hidden = !text;
  setText(instead, text);
}

export function outputTitle(say, scene) {
  const { kind } = scene?.meta ?? {};
  return say(`live.title.output.${Object.hasOwn(PICTURES, kind) ? kind : "curve"}`);
}

// -- y over x -----------------------------------------------------------------------------------------------

function drawPoints(view, node) {
  const points = { mode: "markers", marker: { size: 4, opacity: 0.7, color: CLASS_COLOURS[0] }, name: view.say("live.train"), hovertemplate: POINT };
  react(view, node, [{ ...points, ...view.scene.train }], { showlegend: false, xaxis: { title: "x" }, yaxis: { title: "y" } });
}

function drawCurve(view, node, frame) {
  const { say, span, tint } = view;
  const { train, grid } = view.scene;
  const { text } = view.theme();
  react(view, node, [
    { ...train, mode: "markers", name: say("live.data"), hovertemplate: POINT, marker: { size: 3, opacity: 0.35, color: text } },
    { ...grid, mode: "lines", name: "sin(x)/x", hovertemplate: POINT, line: { dash: "dash", width: 1.5, color: text } },
    { x: grid.x, y: frame.picture.fit, mode: "lines", name: say("live.network"), hovertemplate: POINT, line: { width: 3, color: tint ?? colourOf(frame.meta.method) } },
  ], { xaxis: { title: "x", ...span?.x }, yaxis: { title: "y", ...span?.y } });
}

// -- two classes in the plane -------------------------------------------------------------------------------

function drawClasses(view, node) {
  react(view, node, classPoints(view, 3), planeAxes(view.scene.meta));
}

function drawBoundary(view, node, frame) {
  const { meta } = view.scene;
  const chance = shares(frame.picture.chance, Float64Array);
  const paper = `rgb(${view.ink().paper.join(",")})`;
  const name = `P(${view.say("live.class", { label: 1 })})`;
  const field = {
    type: "heatmap", name, ...planeOf(meta, chance), zmin: 0, zmax: 1, showscale: false, zsmooth: "fast",
    colorscale: [[0, "#7fb8d8"], [0.5, paper], [1, "#eaa679"]], hovertemplate: `${name} = %{z:.3f}<extra></extra>`,
  };
  react(view, node, [field, ...classPoints(view, 2.5)], { ...planeAxes(meta), annotations: flatNote(view, chance, paper) });
}

// A network that answers the same everywhere, in words: its picture is one colour.
function flatNote({ say, scene: { meta: { edge } } }, chance, paper) {
  const [low, high] = chance.reduce(([least, most], each) => [Math.min(least, each), Math.max(most, each)], [1, 0]);
  if (high - low > FLAT) return [];
  const text = say("live.flat", { share: Number((100 * low).toPrecision(3)) });
  return [{ text, x: 0, y: edge, yanchor: "top", showarrow: false, bgcolor: paper, borderpad: 6, font: { size: 14 } }];
}

export function planeAxes({ edge }) {
  const axis = (title) => ({ title, constrain: "domain", constraintoward: "top", range: [-edge, edge], nticks: 5, zeroline: false });
  return { margin: { l: 32, r: 4, t: 6, b: 36 }, xaxis: { ...axis("x₁"), constraintoward: "center" }, yaxis: { ...axis("x₂"), scaleanchor: "x" } };
}

// Values of a square of cells, row by row from the lowest y, with their coordinates, for a heat map.
export function planeOf({ edge }, values) {
  const side = Math.sqrt(values.length);
  const step = (2 * edge) / side;
  const z = Array.from({ length: side }, (_, row) => Array.from(values.subarray(row * side, (row + 1) * side)));
  return { z, x0: -edge + step / 2, dx: step, y0: -edge + step / 2, dy: step };
}

function classPoints(view, size) {
  const { points, labels } = view.scene;
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

// -- grades of texts ----------------------------------------------------------------------------------------

// The grades of a scene in the reader's language; a grade that the words do not name stays as it is.
export function gradeNames({ scene: { meta }, say }) {
  return meta.grades.map((grade, place) => { const name = say(`grade.${place}`); return name.includes(grade) ? name : grade; });
}

function drawGrades(view, node) {
  const { scene: { labels }, say, number } = view;
  const bars = { type: "bar", x: gradeNames(view), y: labels, marker: { color: CLASS_COLOURS[0] }, text: [...labels].map(number) };
  react(view, node, [bars], { showlegend: false, xaxis: { title: say("live.grade"), type: "category" }, yaxis: { title: say("live.texts") } });
}

function drawConfusion(view, node, frame) {
  const { say } = view;
  const grades = gradeNames(view);
  const side = grades.length;
  const counts = Array.from({ length: side }, (_, row) => [...frame.picture.confusion.subarray(row * side, (row + 1) * side)]);
  const shares = counts.map((row) => { const all = row.reduce((a, b) => a + b, 0); return row.map((n) => (all ? n / all : 0)); });
  react(view, node, [{
    type: "heatmap", z: shares, x: grades, y: grades, text: counts, texttemplate: "%{text}", name: say("save.share"), meta: say("live.texts"),
    colorscale: "Cividis", zmin: 0, zmax: 1, showscale: false,
    hovertemplate: `${say("live.true")} %{y} → ${say("live.predicted")} %{x}: %{text} (%{z:.1%})<extra></extra>`,
  }], { showlegend: false, xaxis: { title: say("live.predicted"), type: "category" }, yaxis: { title: say("live.true"), type: "category", autorange: "reversed" } });
}
