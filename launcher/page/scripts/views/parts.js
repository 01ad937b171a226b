// What several views show: states, buttons, small charts.

import { shape, thinned } from "../chart.js";
import { bytes, percent } from "../format.js";
import { el, svg } from "./dom.js";

/** What a state is: the colour says it, and a sign for those who see no colours. */
const LOOKS = {
  ready: ["good", "✓"],
  finished: ["good", "✓"],
  scheduled: ["good", "◷"],
  ok: ["good", "✓"],
  starting: ["busy", "…"],
  running: ["busy", "…"],
  stopping: ["busy", "…"],
  waiting: ["busy", "…"],
  unknown: ["busy", "…"],
  backoff: ["bad", "!"],
  unready: ["bad", "!"],
  failed: ["bad", "✕"],
  degraded: ["bad", "!"],
  stopped: ["quiet", "■"],
  skipped: ["quiet", "–"],
};

/** How a state looks: `good`, `busy`, `bad` or `quiet`. */
export const lookOf = (state) => LOOKS[state]?.[0] ?? "quiet";

/** The sign of a state. */
export const signOf = (state) => LOOKS[state]?.[1] ?? "?";

/** A state as a label. */
export function pill(state, more = "") {
  return el(`span.pill.${lookOf(state)}`, {}, el("span.sign", { "aria-hidden": "true" }, signOf(state)), `${state}${more}`);
}

const PATHS = {
  play: "M8 5v14l11-7z",
  stop: "M6 6h12v12H6z",
  restart: "M20 11a8 8 0 1 0-2.300 6M20 4v7h-7",
  pause: "M9 6v12M15 6v12",
};

/** A line drawing of ours. */
export function sign(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}

const STARTABLE = new Set(["stopped", "failed", "finished", "scheduled"]);
const STOPPABLE = new Set(["waiting", "starting", "ready", "unready", "running", "backoff", "scheduled"]);

/** What can be done with a component now. */
export function verbsOf(state) {
  if (state === "skipped") return [];
  const verbs = [];
  if (STARTABLE.has(state)) verbs.push("start");
  if (STOPPABLE.has(state)) verbs.push("restart", "stop");
  return verbs;
}

const WORDS = { start: ["Start", "play"], stop: ["Stop", "stop"], restart: ["Restart", "restart"] };

/** A button that does something with a component after asking. */
export function verbButton(verb, name, act, isSmall = false) {
  const [word, drawing] = WORDS[verb];
  const properties = { type: "button", onclick: () => act(verb, [name]), "data-verb": verb, "data-component": name };
  if (!isSmall) return el(`button.verb.${verb}`, properties, sign(drawing), word);
  return el("button.round", { ...properties, "aria-label": `${word} ${name}`, title: `${word} ${name}` }, sign(drawing));
}

const HOUR_S = 3600;

/** Values of the last hour as a line; `text` says in words what it shows. */
export function lineChart({ series, key, stepS, width, height, least, text, now = Date.now() / 1000 }) {
  // Two pixels for a value are as many as an eye tells apart.
  const step = Math.max(stepS, (HOUR_S / width) * 2);
  const { at, values } = thinned(series?.at ?? [], series?.[key] ?? [], step);
  const drawn = shape({ at, values, from: now - HOUR_S, to: now, gap: step * 2.5, width, height, least });
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": text },
    svg("path", { class: "base", d: `M0 ${height - 0.5}H${width}` }),
    svg("path", { class: "area", d: drawn.area }),
    svg("path", { class: "line", d: drawn.line }),
  );
}

/** Counts of the last 60 minutes as bars. */
export function barChart({ counts, width, height, text }) {
  const most = Math.max(1, ...counts);
  const step = width / counts.length;
  const bar = (count, index) => {
    const tall = (count / most) * (height - 1);
    return count === 0 ? null : svg("rect", { x: index * step, y: height - tall, width: Math.max(1, step - 0.5), height: tall });
  };
  const base = svg("path", { class: "base", d: `M0 ${height - 0.5}H${width}` });
  return svg("svg", { class: "chart bars", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": text }, base, ...counts.map(bar));
}

/** The largest value of a series in the last hour. */
export function most(series, key) {
  return series === undefined || series.at.length === 0 ? null : Math.max(...series[key]);
}

export const cpuText = (load) => (load ? percent(load.cpu_percent) : "–");
export const memoryText = (load) => (load ? bytes(load.memory_bytes) : "–");

/** What there is to say beyond the state. */
export function remark({ state, reason, status_text, last_error }) {
  const said = reason ?? (state === "ready" ? status_text : null) ?? "";
  const failed = state === "backoff" || state === "failed";
  return failed && last_error && !said.includes(last_error) ? [said, last_error].filter(Boolean).join("; ") : said;
}
