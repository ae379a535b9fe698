// "Is it learning?": loss, scores and gradient over time, one row each, and the scores of another run.

import { colourOf, isConstrained } from "../shared/cards.js";
import { lineMode, logAxis, metricAxes, react, stackedRows, timeline } from "../shared/charts.js";
import { make, setText } from "../shared/dom.js";
import { labelledMarks } from "./sparsity_chart.js";

export function drawMetrics(view, node) {
  const { records, rows: known, say } = view;
  const time = timeline(say, view.scene?.meta.steps_an_epoch);
  const name = view.metricName();
  const scores = view.scene?.meta.kind === "confusion" ? [name, "macro_f1"] : [name];
  const certified = records.filter((row) => row.certificate);
  const curved = certified.length > 1; // a single one is a sentence below the figure
  const rows = stackedRows(1 + scores.length + (curved ? 1 : 0));
  const loss = lossLine(view, known, time);
  const traces = [loss, ...scores.flatMap((score, place) => scoreLines(view, score, `y${place + 2}`, time, place === 0))];
  const axes = metricAxes(say, loss.y, scores, rows);
  const last = scores.length + (curved ? 2 : 1);
  if (curved) {
    const lines = certificateLines(view, certified, `y${last}`, time);
    traces.push(...lines);
    axes[`yaxis${last}`] = { title: say("live.stationarity"), domain: rows.at(-1), ...logAxis(lines.flatMap(({ y }) => y)) };
  }
  react(view, node, traces, { ...labelledMarks(view, time), ...axes, xaxis: { title: time.title, anchor: `y${last}`, rangemode: "tozero" } });
}

function lossLine(view, records, time) {
  const line = { color: view.theme().text, width: 1 };
  return { x: records.map((row) => time.at(row.step)), y: records.map((row) => row.loss), name: view.say("live.loss"), mode: lineMode(records), showlegend: false, line };
}

// A score on each part of the data: test bold, the others thin; the legend names each part once.
function scoreLines(view, score, yaxis, time, named) {
  const { say } = view;
  const measured = view.records.filter((row) => row.metrics);
  const x = measured.map((row) => time.at(row.step));
  const color = colourOf(view.method);
  const line = (part, label, style, figure = score) => (
    { x, y: measured.map((row) => row.metrics[part]?.[figure] ?? null), name: label, mode: lineMode(measured), yaxis, showlegend: named, line: { color, ...style } }
  );
  const lines = [line("train", say("live.train"), { width: 1 }), line("test", say("live.test"), { width: 2.5 })];
  const clean = `${score}_clean`; // against the data without its noise, where the task measures that
  if (measured.some((row) => clean in row.metrics.test)) lines.push(line("test", say("live.test_clean"), { width: 1.5, dash: "dot" }, clean));
  if (measured.some((row) => row.metrics.validation)) lines.splice(1, 0, line("validation", say("live.validation"), { width: 1, dash: "dot" }));
  return [...lines, ...limitLine(view, yaxis, x, named), ...comparedLine(view, score, yaxis, named)];
}

// The best score that is possible, or the score of the simplest guess.
function limitLine(view, yaxis, x, named) {
  const meta = view.scene?.meta ?? {};
  const limit = ["floor", "ceiling", "majority"].find((each) => typeof meta[each] === "number");
  if (!limit || !x.length || !named) return [];
  const line = { color: view.theme().text, width: 1, dash: "dash" };
  return [{ x: [0, x.at(-1)], y: [meta[limit], meta[limit]], name: view.say(`live.limit.${limit}`), mode: "lines", yaxis, line }];
}

// The test score of the run to compare with, dashed, in the colour of its method.
function comparedLine(view, score, yaxis, named) {
  const other = view.compare;
  const part = other?.rows.map((row) => row.metrics.test?.[score] ?? null) ?? [];
  if (!part.some((value) => value !== null)) return [];
  const line = { color: colourOf(other.method), width: 2, dash: "dash" };
  const x = other.rows.map((row) => row.step / (other.steps_an_epoch ?? 1));
  const mode = part.length > 2 ? "lines" : "lines+markers"; // a run that ended at once has one or two points
  return [{ x, y: part, name: other.short, mode, yaxis, showlegend: named, line }];
}

// Distance from stationarity: the gradient that should vanish, and the smallest L that covers the rest.
function certificateLines(view, certified, yaxis, time) {
  const x = certified.map((row) => time.at(row.step));
  const color = colourOf(view.method);
  const line = (field, label, style) => (
    { x, y: certified.map((row) => row.certificate[field] || null), name: view.say(label), mode: "lines", yaxis, line: { color, ...style } }
  );
  const found = [line("max_gradient_on", "live.on_support", { width: 1, dash: "dot" })];
  if (isConstrained(view.method)) found.push(line("smallest_lipschitz", "live.smallest_l", { width: 2.5, dash: "dot" }));
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
    this.page = make("a", "", box);
  }

  // The link to the Compare page.
  link(word, run, chosen, language) {
    setText(this.page, word);
    this.page.href = `./compare?a=${run}${chosen ? `&b=${chosen}` : ""}&lang=${language}`;
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
