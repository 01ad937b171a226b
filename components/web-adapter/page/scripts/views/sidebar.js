// Everybody one talks to or could talk to: conversations, services, people online; found and begun by typing a name.

import { keyOf } from "../names.js";
import { serviceOf } from "../services.js";
import { avatar } from "./avatar.js";
import { el, fill, icon } from "./dom.js";
import { finderView } from "./finder.js";
import { keyedList, setText } from "./keyed.js";
import { rowView } from "./row.js";

const THEMES = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

/** The view, with `render()` and `search()`. */
export function sidebarView({ store, drafts, actions, theme }) {
  const state = el("span.sub");
  const face = el("span.face");
  const self = el("div.self", {}, face, el("div.who", {}, el("strong.name", {}, el("bdi", {}, store.me)), state));
  const themeButton = el("button.round", { type: "button", id: "theme", onclick: () => (theme.next(), renderTheme()) });
  const round = (id, words, picture, onclick) => el("button.round", { type: "button", id, title: words, "aria-label": words, onclick }, icon(picture));
  const check = round("check", "Check for unread messages", "inbox", actions.check);
  const leave = round("logout", "Log out", "leave", actions.logout);
  const finder = finderView({ store, actions, people, changed: render });
  const services = el("section.services", { "aria-label": "Services" });
  const serviceRows = keyedList(services, makeService, () => check);
  const conversations = section("Conversations");
  const online = section("Online");
  const lonely = el("p.lonely", {}, "Nobody else is online yet. Type a name above: they get your messages when they return.");
  const all = el("div", {}, services, conversations.node, online.node, lonely);
  const list = el("div.list", { tabindex: -1 }, all, finder.list);
  const node = el("nav.sidebar", { "aria-label": "Conversations" }, el("h1.unseen-text", {}, "P2P Chat"), el("header.top", {}, self, check, themeButton, leave), finder.form, list);
  /** While a button is pressed the rows stay where they are: a press that ends on another row opens nothing, or the wrong conversation. */
  let isPressed = false;
  let drawn = null;

  list.addEventListener("pointerdown", () => (isPressed = true));
  for (const end of ["pointerup", "pointercancel"]) globalThis.addEventListener(end, release);

  function release() {
    if (!isPressed) return;
    // The click comes after the pointer's own events.
    setTimeout(() => {
      isPressed = false;
      render();
    });
  }

  function renderTheme() {
    fill(themeButton, icon(THEME_ICONS[theme.current]));
    themeButton.title = THEMES[theme.current];
    themeButton.setAttribute("aria-label", THEMES[theme.current]);
  }

  function section(title) {
    const rows = el("ul");
    const place = el("section", { "aria-label": title }, el("h2", {}, title), rows);
    const keyed = keyedList(rows, (facts) => rowView(facts, actions.open), () => check);
    const render = (names) => {
      place.hidden = names.length === 0;
      keyed.render(names.map(factsOf));
    };
    return { node: place, render };
  }

  /** Everybody known, conversations first. */
  function people() {
    const spoken = store.recent().map(({ name }) => name);
    const names = [...spoken, ...[...store.online.values()].filter((name) => !store.isMe(name))];
    const seen = new Set();
    return names.filter((name) => !seen.has(keyOf(name)) && seen.add(keyOf(name)));
  }

  function render() {
    if (isPressed) return;
    const live = actions.isLive();
    setText(state, live ? "Online" : "Reconnecting…");
    if (drawn !== live) face.replaceChildren(avatar(store.me, live));
    drawn = live;
    all.hidden = finder.isOpen();
    finder.render();
    const recent = store.recent();
    const spoken = new Set(recent.map(({ key }) => key));
    const others = [...store.online.values()].filter((name) => !store.isMe(name));
    const strangers = others.filter((name) => !spoken.has(keyOf(name)) && serviceOf(name) === null);
    renderServices(others.filter((name) => serviceOf(name) !== null));
    conversations.render(recent.map(({ name }) => name));
    online.render(strangers);
    lonely.hidden = recent.length + strangers.length > 0;
  }

  /** The services that are there, one click away wherever their conversation stands. */
  function renderServices(names) {
    services.hidden = names.length === 0;
    serviceRows.render(names.map((name) => ({ key: keyOf(name), name })));
  }

  function makeService({ key, name }) {
    const button = el(
      "button.service-button",
      { type: "button", "data-key": `service:${key}`, title: serviceOf(name).about, onclick: () => actions.open(name) },
      avatar(name),
      el("span.name", {}, serviceOf(name).label),
    );
    return { node: button, update: () => button.classList.toggle("active", store.active?.key === key) };
  }

  function factsOf(name) {
    const key = keyOf(name);
    const conversation = store.conversations.get(key) ?? null;
    const last = conversation?.last ?? null;
    return {
      key,
      name,
      online: actions.isLive() && store.isOnline(name),
      unseen: conversation?.unseen ?? 0,
      isActive: store.active?.key === key,
      last,
      draft: conversation === store.active ? "" : drafts.get(key),
      isMine: last !== null && store.isMe(last.sender) && !store.isMe(name),
    };
  }

  /** Gives the focus to somebody's row, or to the list. */
  function focus(key = "") {
    (list.querySelector(`[data-key="${CSS.escape(key)}"]`) ?? list).focus({ preventScroll: true });
  }

  renderTheme();
  return { node, render, focus, search: finder.focus };
}
