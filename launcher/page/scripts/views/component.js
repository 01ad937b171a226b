// One component: all that is known of it, and the end of its log.

import { show } from "../api.js";
import { bytes, duration, many, milliseconds, percent, plain } from "../format.js";
import { el, fill } from "./dom.js";
import { barChart, cpuText, lineChart, memoryText, most, pill, verbButton, verbsOf } from "./parts.js";

const CHART = { width: 420, height: 90 };
const REPORT_MS = 500;
const LEAST_CPU = 5;
const LEAST_MEMORY = 8 * 1024 * 1024;

export function componentView({ console, store, name }) {
  const head = el("div.panel-head", {});
  const facts = el("dl.facts", {});
  const charts = el("div.charts", {});
  const log = el("pre.lines", { tabindex: "0", "aria-label": `The end of the log of ${name}` });
  const links = el("p.links", {});
  const node = el(
    "div.page",
    {},
    el("p", {}, el("a", { href: "#/" }, "← All components")),
    el("section.panel", {}, head, facts, links),
    el("section.panel", {}, el("h2", {}, "The last hour"), charts),
    el("section.panel", {}, el("h2", {}, "End of the log"), log),
  );
  let explained = null;
  let state = null;

  const draw = () => {
    const component = store.component(name);
    if (component === null) {
      if (store.status !== null) fill(head, el("h2", {}, `There is no component ${name}`));
      return;
    }
    const focused = document.activeElement?.dataset?.verb;
    const verbs = console.readOnly ? [] : verbsOf(component.state).map((verb) => verbButton(verb, name, (...what) => console.act(...what)));
    fill(head, el("h2", {}, name), pill(component.state), el("span.filler"), el("span.verbs", {}, verbs));
    if (focused) head.querySelector(`[data-verb="${focused}"]`)?.focus();
    fill(facts, factsOf(component, explained).flatMap(([word, text]) => [el("dt", {}, word), el("dd", {}, text)]));
    fill(charts, chartsOf(component, store));
    if (state !== component.state) load();
    state = component.state;
  };
  const load = () => console.attempt(async () => {
    explained = await show(`/components/${encodeURIComponent(name)}`);
    fill(log, explained.last_lines.length === 0 ? "nothing yet" : explained.last_lines.map(plain).join("\n"));
    fill(
      links,
      el("a", { href: `#/logs/${encodeURIComponent(name)}` }, "Live log"),
      explained.crash ? el("a", { href: `#/crashes/${encodeURIComponent(explained.crash)}` }, "Newest crash report") : null,
    );
    draw();
  });
  // A restart may be over before the next status tells of it; the crash report is written soon after the event.
  const heard = ({ detail }) => detail.component === name && detail.ended?.by_itself && setTimeout(load, REPORT_MS);
  store.addEventListener("status", draw);
  store.addEventListener("history", draw);
  store.addEventListener("event", heard);
  draw();
  const end = () => {
    ["status", "history"].forEach((what) => store.removeEventListener(what, draw));
    store.removeEventListener("event", heard);
  };
  return { node, title: name, end };
}

function factsOf(it, explained) {
  const facts = [
    ["Because", it.reason],
    ...(explained?.causes ?? []).map(({ name, state, reason }) => ["Waits for", `${name}: ${state}${reason ? `, ${reason}` : ""}`]),
    ["Says", it.status_text],
    ["Next try", it.next_try_ms ? `in ${milliseconds(it.next_try_ms)}` : null],
    ["Last exit", it.last_error],
    ["Probe", it.liveness ? probe(it.liveness) : null],
    ["In a row", it.same_crashes > 1 ? `${it.same_crashes} identical crashes` : null],
    ["Needs", it.needs.length > 0 ? it.needs.join(", ") : null],
    ["Address", it.address],
    ["Process", it.pid ? `${it.pid}${it.load ? `, ${it.load.processes} in all` : ""}` : null],
    ["Ready for", it.uptime_s === null || it.uptime_s === undefined ? null : duration(it.uptime_s)],
    ["Ready in", it.ready_ms === null || it.ready_ms === undefined ? null : milliseconds(it.ready_ms)],
    ["Restarts", String(it.restarts)],
    ["Log lacks", it.log.dropped_lines > 0 ? `${many(it.log.dropped_lines, "line")}, ${bytes(it.log.dropped_bytes)}` : null],
    ["Required", it.required ? null : "no: the whole is healthy without it"],
  ];
  return facts.filter(([, text]) => text !== null && text !== undefined && text !== "");
}

function probe({ error, remark, took_ms, age_s, failures_in_a_row }) {
  const when = `in ${milliseconds(took_ms)}, ${duration(age_s)} ago`;
  if (error) return `failed ${when} (${failures_in_a_row} in a row): ${error}`;
  return remark ? `answered ${when}: ${remark}` : `passed ${when}`;
}

function chartsOf({ name, load }, store) {
  const series = store.series.get(name);
  const counts = store.restartsOf(name);
  const sum = counts.reduce((total, count) => total + count, 0);
  const line = (title, key, least, value, unit) => {
    const top = most(series, key);
    const text = top === null ? "nothing measured yet" : `at most ${unit(top)}`;
    return el("figure", {}, el("figcaption", {}, el("b", {}, title), el("span.figure", {}, value), el("span.hint", {}, text)), lineChart({ ...CHART, series, key, stepS: store.stepS, least, text: `${title}, ${text}` }));
  };
  return [
    line("CPU", "cpu_percent", LEAST_CPU, cpuText(load), percent),
    line("Memory", "memory_bytes", LEAST_MEMORY, memoryText(load), bytes),
    el("figure", {}, el("figcaption", {}, el("b", {}, "Restarts"), el("span.figure", {}, String(sum)), el("span.hint", {}, "by minute")), barChart({ ...CHART, counts, text: `${many(sum, "restart")} in the last hour` })),
  ];
}
