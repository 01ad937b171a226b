// Finds somebody by what is typed: a combobox whose list is the people who fit (WAI-ARIA Authoring Practices, combobox with list
// autocomplete). Arrows choose, Enter opens, Escape gives up. A name that nobody known has is offered last, and only where nothing fits first.

import { keyOf, matching, problemWith } from "../names.js";
import { avatar } from "./avatar.js";
import { el, icon } from "./dom.js";
import { keyedList } from "./keyed.js";

/** Most people listed; who is not among them types more letters. */
const MOST = 50;

/**
 * The view: `form`, `list`, `isOpen()`, `render()`, `focus()`. `people()` returns the names known; `changed()` is called when it opens or
 * closes.
 */
export function finderView({ store, actions, people, changed }) {
  let options = [];
  let chosen = 0;

  const field = el("input.search-field", {
    type: "search",
    id: "search",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": "found",
    "aria-autocomplete": "list",
    placeholder: "Find or start a conversation",
    "aria-label": "Find a conversation, or start one by name",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 64,
    dir: "auto",
  });
  const form = el("form.search", { role: "search", onsubmit: pick }, icon("search"), field);
  const found = el("ul.found", { id: "found", role: "listbox", "aria-label": "Found", onpointerdown: (event) => event.preventDefault() });
  const problem = el("p.lonely", { role: "status" });
  const list = el("div", { hidden: true }, found, problem);
  const rows = keyedList(found, make);

  field.addEventListener("input", () => {
    chosen = 0;
    changed();
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !isOpen()) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      clear();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (event.altKey) return;
      event.preventDefault();
      const count = Math.max(1, options.length);
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + count) % count;
      render();
      rows.nodeOf(options[chosen]?.key)?.scrollIntoView({ block: "nearest" });
    }
  });

  function isOpen() {
    return field.value.trim() !== "";
  }

  function clear() {
    field.value = "";
    chosen = 0;
    changed();
  }

  function pick(event) {
    event.preventDefault();
    if (options[chosen] !== undefined) go(options[chosen]);
  }

  function go({ name, isNew }) {
    clear();
    if (isNew) actions.begin(name);
    else actions.open(name);
  }

  function render() {
    list.hidden = !isOpen();
    field.setAttribute("aria-expanded", String(isOpen()));
    const typed = field.value.trim();
    options = isOpen() ? optionsFor(typed) : [];
    chosen = Math.max(0, Math.min(chosen, options.length - 1));
    rows.render(options.map((option, index) => ({ ...option, isChosen: index === chosen })));
    found.hidden = options.length === 0;
    if (options.length === 0) field.removeAttribute("aria-activedescendant");
    else field.setAttribute("aria-activedescendant", idOf(options[chosen]));
    problem.textContent = isOpen() && options.length === 0 ? (problemWith(typed) ?? "That is you.") : "";
  }

  function optionsFor(typed) {
    const names = matching(typed, people());
    const isKnown = store.isMe(typed) || names.some((name) => keyOf(name) === keyOf(typed));
    const known = names.slice(0, MOST).map((name) => ({ key: keyOf(name), name, isNew: false }));
    const fresh = isKnown || problemWith(typed) !== null ? [] : [{ key: `new:${keyOf(typed)}`, name: typed, isNew: true }];
    return [...known, ...fresh];
  }

  function make({ key, name, isNew }) {
    const face = isNew ? el("span.avatar.plain", { "aria-hidden": "true" }, icon("plus")) : avatar(name, null);
    const label = el("span.middle", {}, el("span.name", {}, el("bdi", {}, name)), isNew ? el("span.preview", {}, "New conversation") : null);
    const node = el("li.row", { role: "option", id: idOf({ key }), "data-found": key, onclick: () => go({ name, isNew }) }, face, label);
    return { node, update: ({ isChosen }) => node.setAttribute("aria-selected", String(isChosen)) };
  }

  return { form, list, isOpen, render, focus: () => (field.focus(), field.select()) };
}

function idOf({ key }) {
  return `found-${encodeURIComponent(key)}`;
}
