// "Is it learning?": loss, scores and gradient over time, one row each, and another run beside this one.

import { marks, METHOD_COLOURS, react, timeline } from "./charts.js";
import { make, setText } from "./dom.js";

const ROW_GAP = 0.08;
const ONE_DECADE = 1.3; // of values; with its margins Plotly, asked for four, labels every digit of it

export function drawFit(view, node) {
  const { records, say } = view;
  const time = timeline(view);
  const name = view.metricName();
  const scores = view.scene?.meta.kind === "confusion" ? [name, "macro_f1"] : [name];
  const certified = records.filter((row) => row.certificate);
  const curved = certified.length > 1; // one at the end is told in words below the figure
  const rows = fitRows(1 + scores.length + (curved ? 1 : 0));
  const traces = [lossLine(view, records, time)];
  const axes = { yaxis: { title: say("live.loss"), domain: rows[0], ...logAxis(traces[0].y) } };
  scores.forEach((score, place) => {
    const axis = `y${place + 2}`;
    axes[`yaxis${place + 2}`] = { title: say(`live.metric.${score}`), domain: rows[place + 1], rangemode: score === "rmse" ? "tozero" : "normal", nticks: 4 };
    traces.push(...scoreLines(view, score, axis, time, place === 0));
  });
  const last = scores.length + 2;
  if (curved) {
    const lines = drawCertificates(view, certified, `y${last}`, time);
    traces.push(...lines);
    axes[`yaxis${last}`] = { title: say("live.stationarity"), domain: rows.at(-1), ...logAxis(lines.flatMap(({ y }) => y)) };
  }
  react(view, node, traces, {
    ...marks(view), ...axes, xaxis: { title: time.title, anchor: curved ? `y${last}` : `y${last - 1}`, rangemode: "tozero" },
  });
}

// A logarithmic axis of these values, with as many labels as stand clear of each other.
export function logAxis(values) {
  const logs = values.filter((value) => value > 0).map(Math.log10);
  const low = logs.reduce((least, each) => Math.min(least, each), Infinity);
  const high = logs.reduce((most, each) => Math.max(most, each), -Infinity);
  return { type: "log", tickformat: "~g", nticks: high - low < ONE_DECADE ? 3 : 4 };
}

// The shares of the height that so many rows take, from the top.
export function fitRows(count) {
  const height = (1 - ROW_GAP * (count - 1)) / count;
  return Array.from({ length: count }, (_, row) => {
    const top = 1 - row * (height + ROW_GAP);
    return [Math.max(0, top - height), top];
  });
}

function lossLine(view, records, time) {
  const line = { color: view.theme().text, width: 1 };
  return { x: records.map((row) => time.at(row.step)), y: records.map((row) => row.loss), name: view.say("live.loss"), mode: "lines", showlegend: false, line };
}

// A score of the parts of the data: test bold, the others thin; named in the legend once.
function scoreLines(view, score, yaxis, time, named) {
  const { say } = view;
  const measured = view.records.filter((row) => row.metrics);
  const x = measured.map((row) => time.at(row.step));
  const color = METHOD_COLOURS[view.method] ?? METHOD_COLOURS.dense;
  const line = (part, label, style, figure = score) => (
    { x, y: measured.map((row) => row.metrics[part]?.[figure] ?? null), name: label, mode: "lines", yaxis, showlegend: named, line: { color, ...style } }
  );
  const lines = [line("train", say("live.train"), { width: 1 }), line("test", say("live.test"), { width: 2.5 })];
  if (score === "rmse") lines.push(line("test", say("live.test_clean"), { width: 1.5, dash: "dot" }, "rmse_clean"));
  if (measured.some((row) => row.metrics.validation)) lines.splice(1, 0, line("validation", say("live.validation"), { width: 1, dash: "dot" }));
  return [...lines, ...limitLine(view, yaxis, x, named), ...comparedLine(view, score, yaxis, named)];
}

// The best that can be reached, or what the simplest guess reaches.
function limitLine(view, yaxis, x, named) {
  const meta = view.scene?.meta;
  const best = meta?.floor ?? meta?.ceiling ?? meta?.majority;
  if (best === undefined || !x.length || !named) return [];
  const line = { color: view.theme().text, width: 1, dash: "dash" };
  return [{ x: [0, x.at(-1)], y: [best, best], name: view.say(`live.limit.${meta.kind}`), mode: "lines", yaxis, line }];
}

// The test score of the run that this one is compared with, dashed, in its own method's colour.
function comparedLine(view, score, yaxis, named) {
  const other = view.compare;
  const part = other?.rows.map((row) => row.metrics.test?.[score] ?? null) ?? [];
  if (!part.some((value) => value !== null)) return [];
  const line = { color: METHOD_COLOURS[other.method] ?? METHOD_COLOURS.dense, width: 2, dash: "dash" };
  const x = other.rows.map((row) => row.step / (other.steps_an_epoch ?? 1));
  const mode = part.length > 2 ? "lines" : "lines+markers"; // a run that ended at once is a point or two
  return [{ x, y: part, name: other.short, mode, yaxis, showlegend: named, line }];
}

// How far from stationary: the gradient that should vanish, and the smallest L that covers the rest.
function drawCertificates(view, certified, yaxis, time) {
  const x = certified.map((row) => time.at(row.step));
  const color = METHOD_COLOURS[view.method] ?? METHOD_COLOURS.dense;
  const line = (field, label, style) => (
    { x, y: certified.map((row) => row.certificate[field] || null), name: view.say(label), mode: "lines", yaxis, line: { color, ...style } }
  );
  const found = [line("max_gradient_on", "live.on_support", { width: 1, dash: "dot" })];
  if (view.method !== "dense") found.push(line("smallest_lipschitz", "live.smallest_l", { width: 2.5, dash: "dot" }));
  return found;
}

// The list of runs of this task to compare with, in the title of the figure.
export class CompareChoice {
  constructor(title, choose) {
    const box = make("span", "sc-compare", title);
    this.label = make("label", "", box);
    this.word = make("span", "", this.label);
    this.select = make("select", "", this.label);
    this.select.onchange = () => choose(this.select.value);
    this.beside = make("a", "", box);
  }

  // The way to the page on which two runs stand side by side.
  link(word, run, chosen, language) {
    setText(this.beside, word);
    this.beside.href = `/compare?a=${run}${chosen ? `&b=${chosen}` : ""}&lang=${language}`;
  }

  show(word, none, others, chosen) {
    setText(this.word, word);
    const known = JSON.stringify([none, others]);
    if (known !== this.known) {
      this.known = known;
      this.select.replaceChildren(...[{ id: "", label: none }, ...others].map(({ id, label }) => {
        const option = make("option");
        option.value = id;
        option.textContent = label;
        return option;
      }));
    }
    this.select.value = chosen;
    this.label.hidden = !others.length;
  }
}
