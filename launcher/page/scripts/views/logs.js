// Live logs: chosen by component, searched, paused; and a search in all that is stored.

import { show } from "../api.js";
import { clock, many, plain } from "../format.js";
import { MOST_LINES } from "../store.js";
import { el, fill } from "./dom.js";
import { sign } from "./parts.js";

const FIRST = 300;
const FOUND = 1000;
const TYPING_MS = 150;
/** Pixels from the end at which one still reads along. */
const NEAR = 40;

export function logsView({ console, store, name }) {
  let chosen = name === "" ? null : name;
  let paused = false;
  let waiting = [];
  let stored = null;
  const list = el("div.log-lines", { id: "log-lines", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log lines" });
  const count = el("span.hint", { id: "log-count", role: "status" });
  const search = el("input.search-field", { id: "log-search", type: "search", placeholder: "Search (press /)", "aria-label": "Search in the lines", autocomplete: "off", spellcheck: "false" });
  const select = el("select.select", { id: "log-component", "aria-label": "Component" });
  const pause = el("button.verb", { type: "button", id: "pause", "aria-pressed": "false" });
  const since = el("select.select", { id: "log-since", "aria-label": "Since" }, [["10m", "10 minutes"], ["1h", "1 hour"], ["24h", "1 day"], ["", "all that is stored"]].map(([value, text]) => el("option", { value }, text)));
  const find = el("button.verb", { type: "button", id: "find-stored" }, "Search stored logs");
  const back = el("button.verb", { type: "button", id: "back-to-live", hidden: true }, "Back to live");
  const newer = el("button.newer", { type: "button", hidden: true });

  const choices = () => {
    const names = ["launcher", ...(store.status?.components ?? []).map((component) => component.name)];
    if (chosen !== null && !names.includes(chosen)) names.push(chosen);
    if (select.options.length === names.length + 1) return;
    fill(select, el("option", { value: "" }, "all components"), names.map((one) => el("option", { value: one }, one)));
    select.value = chosen ?? "";
  };

  const wanted = () => search.value.trim().toLowerCase();
  const fits = (line) => wanted() === "" || line.text.toLowerCase().includes(wanted());
  const isAtEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
  const toEnd = () => (list.scrollTop = list.scrollHeight);
  const tell = () => {
    const shown = list.childElementCount;
    const words = stored !== null ? `${many(shown, "line")} found${stored.truncated ? ", older ones left out" : ""}` : `${many(shown, "line")}${wanted() === "" ? "" : " with this text"}`;
    count.textContent = paused ? `paused, ${many(waiting.length, "new line")}` : words;
    newer.hidden = stored !== null || paused || isAtEnd();
    fill(newer, "↓ Newest lines");
  };
  const draw = () => {
    const lines = stored?.lines ?? store.lines;
    fill(list, (stored === null ? lines.filter(fits) : lines).map((line) => drawn(line, chosen === null, wanted())));
    toEnd();
    tell();
  };
  const add = (lines) => {
    if (stored !== null) return;
    if (paused) {
      waiting = [...waiting, ...lines].slice(-MOST_LINES);
      return tell();
    }
    const follows = isAtEnd();
    list.append(...lines.filter(fits).map((line) => drawn(line, chosen === null, wanted())));
    while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
    if (follows) toEnd();
    return tell();
  };
  const setPaused = (isPaused) => {
    paused = isPaused;
    pause.setAttribute("aria-pressed", String(paused));
    fill(pause, sign(paused ? "play" : "pause"), paused ? "Go on" : "Pause");
    if (!paused && waiting.length > 0) {
      const lines = waiting;
      waiting = [];
      add(lines);
    }
    tell();
  };
  const load = () => console.attempt(async () => {
    stored = null;
    back.hidden = true;
    waiting = [];
    console.follow([chosen ?? "all"]);
    const answer = await show("/logs", { component: chosen, lines: FIRST });
    store.setLines(answer.lines);
  });
  const searchStored = () => console.attempt(async () => {
    find.disabled = true;
    count.textContent = "searching…";
    try {
      stored = await show("/logs", { component: chosen, lines: FOUND, since: since.value, search: search.value.trim() });
      back.hidden = false;
      draw();
    } finally {
      find.disabled = false;
      if (stored === null) tell();
    }
  });

  let typing = null;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    if (stored === null) typing = setTimeout(draw, TYPING_MS);
  });
  search.addEventListener("keydown", (event) => event.key === "Enter" && searchStored());
  select.addEventListener("change", () => {
    chosen = select.value === "" ? null : select.value;
    history.replaceState(null, "", chosen === null ? "#/logs" : `#/logs/${encodeURIComponent(chosen)}`);
    load();
  });
  pause.addEventListener("click", () => setPaused(!paused));
  find.addEventListener("click", searchStored);
  back.addEventListener("click", () => {
    stored = null;
    back.hidden = true;
    draw();
  });
  newer.addEventListener("click", toEnd);
  list.addEventListener("scroll", tell, { passive: true });
  const slash = (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea, dialog")) return;
    event.preventDefault();
    search.focus();
  };
  document.addEventListener("keydown", slash);
  const added = ({ detail }) => add(detail);
  store.addEventListener("status", choices);
  store.addEventListener("lines", draw);
  store.addEventListener("added", added);
  setPaused(false);
  choices();
  load();

  const node = el(
    "div.page.filling",
    {},
    el("div.tools", {}, select, search, pause, el("span.filler"), count),
    el("div.log-frame", {}, list, newer),
    el("div.tools", {}, find, el("label.inline", {}, "since ", since), back),
  );
  const end = () => {
    clearTimeout(typing);
    document.removeEventListener("keydown", slash);
    store.removeEventListener("status", choices);
    store.removeEventListener("lines", draw);
    store.removeEventListener("added", added);
  };
  return { node, title: "Logs", end };
}

/** One line; its component in front where there are several. */
function drawn({ component, time, text, skipped }, isNamed, wanted) {
  const clean = plain(text);
  // The time is in the line already, for those logs that have it; otherwise it is in front.
  const hasTime = time && (clean.startsWith(time.slice(0, 19)) || clean.startsWith("{\"time\""));
  return el(
    `div.log-line${skipped ? ".skipped" : ""}`,
    { title: time ?? false },
    isNamed ? el("span.log-name", { "data-hue": hue(component) }, component) : null,
    hasTime ? el("span.log-time", {}, clock(time)) : null,
    el("span.log-text", {}, marked(hasTime ? withoutTime(clean) : clean, wanted)),
  );
}

/** A line of text without the time that is shown in front of it. */
function withoutTime(text) {
  return text.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?\s+/u, "");
}

/** The text with what is searched for marked. */
function marked(text, wanted) {
  if (wanted === "") return text;
  const at = text.toLowerCase().indexOf(wanted);
  if (at < 0) return text;
  return [text.slice(0, at), el("mark", {}, text.slice(at, at + wanted.length)), text.slice(at + wanted.length)];
}

const HUES = 6;

function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % HUES;
}
