// Sentences of a view: the facts of a step, the certificate, the notice of a run that went wrong.

import { isConstrained, metricOf } from "./cards.js";
import { layerName } from "./layers.js";

const STILL = 100; // steps without a change of the support before the status line mentions it

// Setting, step, weights kept, metric, seconds, support: one text each, in the order of the status line.
export function factsOf(view) {
  const { config, say, number } = view;
  const meta = view.frame?.meta;
  const density = config ? Number((meta?.density ?? config.density).toPrecision(3)) : 1;
  const sparsity = density < 1 ? ` (${say("live.sparsity", { share: Number((100 * (1 - density)).toPrecision(3)) })})` : "";
  const setting = config ? `${say(`task.${config.task}`)} · ${say(`method.${meta?.method ?? config.method}`)} · ρ ${density}${sparsity} · ${say("live.seed", { seed: config.seed })}` : "";
  if (!meta) return [setting, "", "", "", "", ""];
  return [
    setting,
    say("live.at", { step: number(meta.step) }),
    say("live.of", { kept: number(meta.nonzeros), all: number(meta.constrained) }),
    metricFact(view, meta.metrics?.test?.[view.metricName()]),
    `${meta.seconds.toFixed(1)} s`,
    supportFact(view, meta),
  ];
}

function metricFact(view, value) {
  if (value === undefined) return "";
  const figure = metricOf(view.config).percent ? `${(value * 100).toPrecision(3)} %` : value.toPrecision(3);
  return `${view.say("live.test")} ${view.say(`live.metric.${view.metricName()}`)} ${figure}`;
}

function supportFact({ say, number }, meta) {
  if (!isConstrained(meta.method)) return "";
  if (meta.frozen) return say("live.frozen");
  return meta.still >= STILL ? say("live.still", { steps: number(meta.still) }) : "";
}

// How close the present weights are to the conditions of an optimum, in one line.
export function certificateOf(view, found) {
  if (!found) return "";
  const short = (value) => (value === null ? "∞" : value.toPrecision(3));
  const on = short(Math.max(found.max_gradient_on, found.max_gradient_free));
  if (!isConstrained(view.method)) return view.say("live.certificate.free", { on });
  const kept = Object.values(found.groups).map((group) => group.threshold ?? Infinity);
  const values = { l: short(found.smallest_lipschitz), on, off: short(found.max_gradient_off), m: short(Math.min(...kept)) };
  return view.say("live.certificate", values);
}

// A change by hand at a step, short enough for a chart.
export function changeLabel({ say }, row) {
  const shown = { density: "ρ", learning_rate: "lr", keep_alive: "≥", keep_alive_layer: "≥" };
  return Object.entries(row).filter(([name]) => !["kind", "step"].includes(name)).map(([name, value]) => {
    if (name === "method") return say(`method.${value}`);
    if (name === "freeze_at") return say(value === null ? "live.thawed" : "live.frozen");
    return `${shown[name] ?? name} ${value}`;
  }).join(", ");
}

// What went wrong, and how to fix it; empty while all is well.
export function noticeOf(view, shown) {
  const { say, number } = view;
  const { detail, error } = view.status ?? {};
  if (shown === "collapsed") return say(`live.collapsed.${detail.what}`, { layer: layerName(say, detail.layer ?? ""), step: number(detail.step) });
  if (shown === "diverged") return say(`live.diverged.${detail.what}`, { step: number(detail.step), layer: layerName(say, detail.layer ?? "") });
  if (shown === "failed") return say("live.failed", { error, run: view.run });
  if (shown === "deleted") return say("live.deleted");
  if (view.lost) return say(view.lost);
  if (view.status?.trouble) return say(`live.store.${view.status.trouble.kind}`, view.status.trouble);
  const relaxed = view.frame?.meta.relaxed ?? [];
  const groups = relaxed.map((group) => (group === "global" ? say("method.global") : layerName(say, group)));
  return groups.length ? say("live.relaxed", { groups: groups.join(", ") }) : "";
}

// The place of a queued run, and roughly when it starts.
export function queuedOf({ status, say }) {
  const { place, wait } = status;
  if (wait === null || wait < 1) return say("live.queued", { place });
  const [unit, seconds] = wait < 120 ? ["seconds", 1] : wait < 7200 ? ["minutes", 60] : ["hours", 3600];
  return say("live.queued.wait", { place, wait: say(`live.wait.${unit}`, { n: Math.ceil(wait / seconds) }) });
}

// Describe each chart for screen readers: its question, and the fact that answers it.
export function describeCharts({ facts, dataPanel, outputPanel, fitPanel, sparsityPanel, histogramPanel }) {
  const [setting, , kept, metric] = facts.map((fact) => fact.textContent);
  const answers = [[dataPanel, setting], [outputPanel, metric], [fitPanel, metric], [sparsityPanel, kept], [histogramPanel, kept]];
  for (const [{ title, plot }, fact] of answers) {
    const name = [title.textContent, fact].filter(Boolean).join(" ");
    if (plot.ariaLabel === name) continue;
    plot.ariaLabel = name;
    plot.role = name ? "img" : null; // an empty node is no picture
  }
}
