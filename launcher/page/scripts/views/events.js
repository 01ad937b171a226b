// What happened, the newest first.

import { clock, milliseconds } from "../format.js";
import { MOST_EVENTS } from "../store.js";
import { el, fill } from "./dom.js";
import { pill } from "./parts.js";

export function eventsView({ store }) {
  let chosen = "";
  const list = el("ol.events", { id: "events", "aria-label": "Events, the newest first" });
  const select = el("select.select", { id: "event-component", "aria-label": "Component" });
  const choices = () => {
    const names = (store.status?.components ?? []).map((component) => component.name);
    if (select.options.length === names.length + 1) return;
    fill(select, el("option", { value: "" }, "all components"), names.map((one) => el("option", { value: one }, one)));
    select.value = chosen;
  };
  const fits = (event) => chosen === "" || event.component === chosen;
  const draw = () => {
    const drawn = store.events.filter(fits).map(entry).reverse();
    fill(list, drawn.length === 0 ? el("li.note", {}, "Nothing happened yet.") : drawn);
  };
  const added = ({ detail }) => {
    if (!fits(detail)) return;
    list.querySelector(".note")?.remove();
    list.prepend(entry(detail));
    while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
  };
  select.addEventListener("change", () => {
    chosen = select.value;
    draw();
  });
  store.addEventListener("status", choices);
  store.addEventListener("events", draw);
  store.addEventListener("event", added);
  choices();
  draw();
  const end = () => {
    store.removeEventListener("status", choices);
    store.removeEventListener("events", draw);
    store.removeEventListener("event", added);
  };
  const node = el("div.page", {}, el("section.panel", {}, el("div.panel-head", {}, el("h2", {}, "Events"), el("span.filler"), select), list));
  return { node, title: "Events", end };
}

function entry(event) {
  const time = el("time", { datetime: event.at, title: event.at }, clock(event.at));
  return el("li.event", {}, time, el("div.event-text", {}, ...words(event)));
}

const name = (component) => el("a.component-name", { href: `#/component/${encodeURIComponent(component)}` }, component);

function words(event) {
  switch (event.event) {
    case "transition":
      return [name(event.component), pill(event.from), el("span", { "aria-label": "to" }, "→"), pill(event.to), el("span.reason", {}, reason(event))];
    case "probe":
      return [name(event.component), el("span.reason", {}, event.error ? `${event.kind} probe failed: ${event.error}` : `${event.kind} probe passes again (${milliseconds(event.took_ms)})`)];
    case "launcher-started":
      return [el("b", {}, "launcher"), el("span.reason", {}, `started, version ${event.version}, pid ${event.pid}`)];
    case "launcher-ended":
      return [el("b", {}, "launcher"), el("span.reason", {}, "ended")];
    default:
      return [el("b", {}, event.component ?? "launcher"), el("span.reason", {}, JSON.stringify(event))];
  }
}

function reason({ reason: why, ended, pid }) {
  const lived = ended?.lived_ms === undefined || ended === null ? "" : `, after ${milliseconds(ended.lived_ms)}`;
  return `${why ?? ""}${lived}${pid ? ` · pid ${pid}` : ""}`;
}
