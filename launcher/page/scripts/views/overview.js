// All components: a picture of who needs whom, and a table.

import { duration, many } from "../format.js";
import { el, fill } from "./dom.js";
import { graphPicture } from "./graph.js";
import { barChart, cpuText, lineChart, memoryText, most, pill, remark, verbButton, verbsOf } from "./parts.js";
import { bytes, percent } from "../format.js";

const CHART = { width: 120, height: 28 };
/** With less than this the line of an idle component would be a mountain range. */
const LEAST_CPU = 5;
const LEAST_MEMORY = 8 * 1024 * 1024;

export function overviewView({ console, store }) {
  const graph = el("div", {});
  const body = el("tbody", {});
  const dependencies = el("div.dependencies", {});
  const table = el(
    "table.components",
    {},
    el("caption.unseen-text", {}, "Components"),
    el("thead", {}, el("tr", {}, ["Component", "State", "Uptime", "CPU", "Memory", "Restarts", "Actions"].map((title) => el("th", { scope: "col" }, title)))),
    body,
  );
  const all = console.readOnly ? null : el("button.verb", { type: "button", id: "restart-all", onclick: () => console.act("restart", ["all"]) }, "Restart all");
  const node = el(
    "div.page",
    {},
    el("section.panel", { "aria-label": "Dependencies" }, el("h2", {}, "Who needs whom"), graph, dependencies),
    el("section.panel", {}, el("div.panel-head", {}, el("h2", {}, "Components"), el("span.hint", {}, "charts: the last hour"), el("span.filler"), all), el("div.wide", {}, table)),
  );
  let drawn = "";

  const draw = () => {
    const { status } = store;
    if (status === null) return;
    const picture = JSON.stringify([status.components.map(({ name, state, needs }) => [name, state, needs]), status.dependencies]);
    if (picture !== drawn) {
      drawn = picture;
      fill(graph, graphPicture(status));
      fill(dependencies, status.dependencies.filter(({ state }) => state !== "ok").map(dependency));
    }
    const focused = focusOf(body);
    fill(body, [...status.components.map((component) => row(component, console, store)), launcherRow(status, store)]);
    restore(body, focused);
  };
  store.addEventListener("status", draw);
  store.addEventListener("history", draw);
  draw();
  const end = () => ["status", "history"].forEach((what) => store.removeEventListener(what, draw));
  return { node, title: "Components", end };
}

/** Whoever uses the keyboard stays where they are when the table is drawn anew. */
function focusOf(body) {
  const focused = document.activeElement;
  return body.contains(focused) ? [focused.dataset.verb ?? "", focused.dataset.component ?? focused.closest("tr")?.dataset.component] : null;
}

function restore(body, focused) {
  if (focused === null) return;
  const [verb, name] = focused;
  const row = [...body.rows].find((one) => one.dataset.component === name);
  (row?.querySelector(verb === "" ? "a" : `[data-verb="${verb}"]`) ?? row?.querySelector("a, button"))?.focus({ preventScroll: true });
}

function dependency({ name, state, reason }) {
  return el("p.note", {}, pill(state), ` ${name}: ${reason ?? "has not answered yet"}`);
}

function cell(title, ...content) {
  return el("td", { "data-title": title }, ...content);
}

function row(component, console, store) {
  const { name, state, load, restarts, uptime_s } = component;
  const series = store.series.get(name);
  const counts = store.restartsOf(name);
  const recent = counts.reduce((sum, count) => sum + count, 0);
  const words = remark(component);
  return el(
    "tr",
    { "data-component": name },
    el(
      "th",
      { scope: "row" },
      el("a.component-name", { href: `#/component/${encodeURIComponent(name)}` }, name),
      words === "" ? null : el("span.remark", {}, words),
    ),
    cell("State", pill(state)),
    cell("Uptime", uptime_s === null || uptime_s === undefined ? "–" : duration(uptime_s)),
    cell("CPU", el("span.figure", {}, cpuText(load)), cpuChart(name, series, store)),
    cell("Memory", el("span.figure", {}, memoryText(load)), memoryChart(name, series, store)),
    cell("Restarts", el("span.figure", {}, String(restarts)), barChart({ ...CHART, counts, text: `${name}: ${many(recent, "restart")} in the last hour` })),
    cell("Actions", console.readOnly ? el("span.hint", {}, "read-only") : el("span.verbs", {}, verbsOf(state).map((verb) => verbButton(verb, name, (...what) => console.act(...what), true)))),
  );
}

function launcherRow(status, store) {
  const series = store.series.get("launcher");
  const up = (Date.now() - Date.parse(status.started_at)) / 1000;
  return el(
    "tr.launcher",
    { "data-component": "launcher" },
    el("th", { scope: "row" }, "launcher", el("span.remark", {}, "itself")),
    cell("State", pill(status.stopping ? "stopping" : "running")),
    cell("Uptime", duration(up)),
    cell("CPU", el("span.figure", {}, cpuText(status.load)), cpuChart("launcher", series, store)),
    cell("Memory", el("span.figure", {}, memoryText(status.load)), memoryChart("launcher", series, store)),
    cell("Restarts", "–"),
    cell("Actions", ""),
  );
}

function cpuChart(name, series, store) {
  const top = most(series, "cpu_percent");
  const text = `${name}: CPU of the last hour, ${top === null ? "nothing measured" : `at most ${percent(top)}`}`;
  return lineChart({ ...CHART, series, key: "cpu_percent", stepS: store.stepS, least: LEAST_CPU, text });
}

function memoryChart(name, series, store) {
  const top = most(series, "memory_bytes");
  const text = `${name}: memory of the last hour, ${top === null ? "nothing measured" : `at most ${bytes(top)}`}`;
  return lineChart({ ...CHART, series, key: "memory_bytes", stepS: store.stepS, least: LEAST_MEMORY, text });
}
