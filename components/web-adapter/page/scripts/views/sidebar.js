// Everybody one talks to or could talk to: conversations, services, people online; found and begun by typing a name.

import { briefly } from "../dates.js";
import { keyOf, problemWith } from "../names.js";
import { serviceOf } from "../services.js";
import { previewOf } from "../text.js";
import { avatar } from "./avatar.js";
import { el, fill, icon } from "./dom.js";

const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

/** The view, with `render()` and `search()`. */
export function sidebarView({ store, drafts, actions, theme }) {
  const self = el("div.self");
  const themeButton = el("button.round", { type: "button", id: "theme", onclick: () => (theme.next(), renderTheme()) });
  const check = el(
    "button.round",
    { type: "button", id: "check", title: "Check for unread messages", "aria-label": "Check for unread messages", onclick: actions.check },
    icon("inbox"),
  );
  const leave = el(
    "button.round",
    { type: "button", id: "logout", title: "Log out", "aria-label": "Log out", onclick: actions.logout },
    icon("leave"),
  );
  const field = el("input.search-field", {
    type: "search",
    id: "search",
    placeholder: "Find or start a conversation",
    "aria-label": "Find a conversation, or start one by name",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 64,
    dir: "auto",
  });
  const search = el("form.search", { role: "search", onsubmit: begin }, icon("search"), field);
  const list = el("div.list");
  field.addEventListener("input", render);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && field.value !== "") {
      event.stopPropagation();
      field.value = "";
      render();
    }
  });

  const node = el(
    "nav.sidebar",
    { "aria-label": "Conversations" },
    el("header.top", {}, self, check, themeButton, leave),
    search,
    list,
  );

  function renderTheme() {
    fill(themeButton, icon(THEME_ICONS[theme.current]));
    themeButton.title = THEMES[theme.current];
    themeButton.setAttribute("aria-label", THEMES[theme.current]);
  }

  function begin(event) {
    event.preventDefault();
    const typed = field.value.trim();
    if (typed === "") return;
    const known = matching(typed)[0];
    const exact = people().find((name) => keyOf(name) === keyOf(typed));
    const name = exact ?? (problemWith(typed) === null ? typed : known);
    if (name === undefined) return;
    go(name);
  }

  function go(name) {
    field.value = "";
    actions.open(name);
    render();
  }

  /** Everybody known, conversations first. */
  function people() {
    const spoken = store.recent().map(({ name }) => name);
    const names = [...spoken, ...[...store.online.values()].filter((name) => !store.isMe(name))];
    const seen = new Set();
    return names.filter((name) => !seen.has(keyOf(name)) && seen.add(keyOf(name)));
  }

  function matching(typed) {
    const key = keyOf(typed);
    return people().filter((name) => keyOf(name).includes(key));
  }

  function render() {
    const live = actions.isLive();
    const state = el("span.sub", {}, live ? "Online" : "Reconnecting…");
    fill(self, avatar(store.me, live), el("div.who", {}, el("strong.name", { dir: "auto" }, store.me), state));
    const typed = field.value.trim();
    const kept = focusKept();
    fill(list, typed === "" ? sections() : found(typed));
    kept();
  }

  /** Rows are made anew; the keyboard's place among them stays. */
  function focusKept() {
    const key = list.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    const scroll = list.scrollTop;
    return () => {
      list.scrollTop = scroll;
      if (key !== undefined) list.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
    };
  }

  function sections() {
    const recent = store.recent();
    const spoken = new Set(recent.map(({ key }) => key));
    const others = [...store.online.values()].filter((name) => !store.isMe(name) && !spoken.has(keyOf(name)));
    const strangers = others.filter((name) => serviceOf(name) === null);
    return [
      services(),
      section("Conversations", recent.map(({ name }) => row(name))),
      section("Online", strangers.map((name) => row(name))),
      recent.length + others.length === 0 ? lonely() : null,
    ];
  }

  /** The services that are there, one click away wherever their conversation stands. */
  function services() {
    const names = [...store.online.values()].filter((name) => serviceOf(name) !== null && !store.isMe(name));
    if (names.length === 0) return null;
    const button = (name) =>
      el(
        `button.service-button${store.active?.key === keyOf(name) ? ".active" : ""}`,
        { type: "button", "data-key": `service:${keyOf(name)}`, title: serviceOf(name).about, onclick: () => go(name) },
        avatar(name),
        el("span.name", {}, serviceOf(name).label),
      );
    return el("section.services", { "aria-label": "Services" }, names.map(button));
  }

  function lonely() {
    return el("p.lonely", {}, "Nobody else is online yet. Type a name above: they get your messages when they return.");
  }

  function found(typed) {
    const names = matching(typed);
    const isKnown = names.some((name) => keyOf(name) === keyOf(typed));
    const wrong = problemWith(typed);
    return [
      section("Found", names.map((name) => row(name))),
      isKnown || store.isMe(typed) ? null : wrong === null ? fresh(typed) : el("p.lonely", {}, wrong),
    ];
  }

  function fresh(name) {
    return section("New conversation", [
      el(
        "button.row",
        { type: "button", "data-key": `new:${keyOf(name)}`, onclick: () => go(name) },
        el("span.avatar.plain", { "aria-hidden": "true" }, icon("plus")),
        el("span.middle", {}, el("span.name", { dir: "auto" }, name), el("span.preview", {}, "Gets your messages when they are online")),
      ),
    ]);
  }

  function section(title, rows) {
    if (rows.length === 0) return null;
    return el("section", { "aria-label": title }, el("h2", {}, title), el("ul", {}, rows.map((item) => el("li", {}, item))));
  }

  function row(name) {
    const conversation = store.conversations.get(keyOf(name)) ?? null;
    const online = actions.isLive() && store.isOnline(name);
    const unseen = conversation?.unseen ?? 0;
    const isActive = store.active !== null && store.active.key === keyOf(name);
    const last = conversation?.last ?? null;
    return el(
      `button.row${isActive ? ".active" : ""}${unseen > 0 ? ".fresh" : ""}`,
      {
        type: "button",
        "data-key": keyOf(name),
        "aria-current": isActive ? "true" : null,
        "aria-label": spoken(name, online, unseen),
        onclick: () => go(name),
      },
      avatar(name, online),
      el(
        "span.middle",
        {},
        el("span.line", {}, el("span.name", { dir: "auto" }, name), last === null ? null : el("time", {}, briefly(new Date(last.timestamp)))),
        el("span.line", {}, preview(name, conversation), unseen > 0 ? el("span.badge", {}, unseen > 99 ? "99+" : String(unseen)) : null),
      ),
    );
  }

  function spoken(name, online, unseen) {
    const count = unseen === 0 ? "" : `, ${unseen} unread`;
    return `${name}, ${online ? "online" : "offline"}${count}`;
  }

  function preview(name, conversation) {
    const draft = conversation === store.active ? "" : drafts.get(keyOf(name));
    if (draft !== "") return el("span.preview.draft", { dir: "auto" }, `Draft: ${previewOf(draft)}`);
    const last = conversation?.last ?? null;
    if (last !== null) {
      const text = previewOf(last.body);
      return el("span.preview", { dir: "auto" }, store.isMe(last.sender) && !store.isMe(name) ? `You: ${text}` : text);
    }
    return el("span.preview", {}, serviceOf(name)?.about ?? "Say hello");
  }

  renderTheme();
  return { node, render, search: () => field.focus() };
}
