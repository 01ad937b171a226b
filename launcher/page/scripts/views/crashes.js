// Crash reports: all of them in short, or one.

import { show } from "../api.js";
import { bytes, clock, milliseconds, plain } from "../format.js";
import { el, fill } from "./dom.js";
import { pill } from "./parts.js";

export function crashesView({ console, store, name }) {
  const panel = el("section.panel", {}, el("p.note", {}, "Loading…"));
  const load = () => console.attempt(async () => {
    if (name === "") fill(panel, el("h2", {}, "Crash reports"), list((await show("/crashes")).crashes));
    else {
      fill(panel, ...report(await show(`/crashes/${encodeURIComponent(name)}`)));
      const lines = panel.querySelector(".lines");
      lines.scrollTop = lines.scrollHeight;
    }
  });
  // A report is written soon after the event.
  const again = ({ detail }) => name === "" && detail.ended?.by_itself && setTimeout(load, 500);
  store.addEventListener("event", again);
  load();
  const back = name === "" ? null : el("p", {}, el("a", { href: "#/crashes" }, "← All crash reports"));
  return { node: el("div.page", {}, back, panel), title: "Crashes", end: () => store.removeEventListener("event", again) };
}

function list(crashes) {
  if (crashes.length === 0) return el("p.note", {}, "No component has crashed.");
  const entry = ({ id, component, at, reason, next, same_in_a_row, last_line }) =>
    el(
      "li.event",
      {},
      el("time", { datetime: at, title: at }, clock(at)),
      el(
        "div.event-text",
        {},
        el("a.component-name", { href: `#/crashes/${encodeURIComponent(id)}`, "data-crash": id }, component),
        el("span.reason", {}, reason),
        pill(next),
        same_in_a_row > 1 ? el("span.hint", {}, `the same ${same_in_a_row} times in a row`) : null,
        last_line ? el("code.last-line", {}, plain(last_line)) : null,
      ),
    );
  return el("ol.events", { id: "crashes", "aria-label": "Crash reports, the newest first" }, [...crashes].reverse().map(entry));
}

function report(it) {
  const exit = typeof it.exit === "string" ? it.exit : Object.entries(it.exit).map(([kind, number]) => `${kind} ${number}`).join();
  const used = it.usage ? `${milliseconds(it.usage.user_ms + it.usage.system_ms)} of processor time, ${bytes(it.usage.max_rss_kib * 1024)} of memory at most` : null;
  const facts = [
    ["When", it.at],
    ["Ended", exit],
    ["Lived", milliseconds(it.lived_ms)],
    ["Then", it.next],
    ["Used", used],
    ["In a row", it.same_in_a_row > 1 ? String(it.same_in_a_row) : null],
    ["Process", `${it.pid ?? "none"}, number ${it.epoch} of run ${it.run}`],
    ["Configuration", it.config],
    ["Others", Object.entries(it.others).map(([name, state]) => `${name} ${state}`).join(", ")],
    ...it.probes.slice(-5).map(({ at, kind, error, took_ms }) => [`${kind} probe`, `${clock(at)} ${error ?? "passed"} (${milliseconds(took_ms)})`]),
  ].filter(([, text]) => text);
  return [
    el("div.panel-head", {}, el("h2", {}, it.component), el("span.reason", {}, it.reason)),
    el("dl.facts", {}, facts.flatMap(([word, text]) => [el("dt", {}, word), el("dd", {}, text)])),
    el("h3", {}, "Last lines of its log"),
    el("pre.lines", { tabindex: "0" }, it.last_lines.length === 0 ? "none" : it.last_lines.map(plain).join("\n")),
    el("p.hint", {}, `launcher crashes ${it.id}`),
  ];
}
