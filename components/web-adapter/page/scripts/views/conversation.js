// One conversation: who it is with, what was said, what one can say.

import { dayOf } from "../dates.js";
import { serviceOf } from "../services.js";
import { timelineOf } from "../timeline.js";
import { avatar } from "./avatar.js";
import { bubble } from "./bubble.js";
import { composerView } from "./composer.js";
import { el, fill, icon } from "./dom.js";

/** Closer to the end than this counts as being there. */
const NEAR_PX = 80;
/** Closer to the beginning than this, older messages are asked for. */
const OLDER_PX = 300;

/** The view, with `render()`, `renderHeader()`, `isAtEnd()`, `focus()`, `edit(text)`. */
export function conversationView({ store, outbox, drafts, actions }) {
  let shown = null;
  /** Nodes by item key, with what they were made of. */
  let nodes = new Map();
  let follows = true;
  /** Messages of others that came while one was reading further up. */
  let missed = 0;
  let newest = 0;

  const back = el("button.round.back", { type: "button", "aria-label": "Back to the list", onclick: actions.close }, icon("back"));
  const header = el("div.partner");
  const commands = el("div.commands", { role: "group" });
  const older = el("p.older", {}, "Loading older messages…");
  const empty = el("div.empty-log");
  const items = el("div.items", { role: "list", "aria-label": "Messages" });
  const scroller = el("div.scroller", { tabindex: 0, "aria-label": "Messages" }, older, empty, items);
  const jump = el("button.jump", { type: "button", id: "jump", "aria-label": "Jump to the latest message", onclick: toEnd }, icon("down"), el("span.badge"));
  const composer = composerView({ drafts, actions });
  const pane = el("section.pane", { "aria-label": "Conversation" }, el("header.head", {}, back, header), el("div.middle", {}, scroller, jump), commands, composer.node);
  const nothing = el(
    "section.nothing",
    { "aria-label": "No conversation" },
    el("img.logo", { src: "/favicon.svg", alt: "", width: 72, height: 72 }),
    el("h2", {}, "Select a conversation"),
    el("p", {}, "Choose a conversation on the left, or type a name above it to begin one. People who are offline get your messages when they return."),
  );
  const node = el("main.stage", {}, nothing);

  scroller.addEventListener("scroll", onScroll, { passive: true });
  // The keyboard of a phone opens, the window changes, a line is added to the composer: what was at the end stays there.
  new ResizeObserver(() => follows && toEnd()).observe(scroller);

  function render() {
    const { active } = store;
    if (active !== shown) switchTo(active);
    if (active === null) return;
    renderHeader();
    const before = { height: scroller.scrollHeight, top: scroller.scrollTop, first: items.firstElementChild?.dataset.key };
    const { log } = active;
    const list = timelineOf({ conversation: active, entries: outbox.entries().filter((entry) => store.with(entry.to) === active), me: store.me, isMe: store.isMe });
    reconcile(list);
    older.hidden = !active.loading || list.length === 0;
    renderEmpty(active, list);
    countMissed(log);
    place(active, before);
    askForOlder();
  }

  function switchTo(conversation) {
    shown = conversation;
    nodes = new Map();
    items.replaceChildren();
    missed = 0;
    follows = true;
    fill(node, conversation === null ? nothing : pane);
    if (conversation === null) return;
    newest = conversation.log.last?.seq ?? 0;
    composer.show(conversation, `Message ${conversation.name}`);
    const service = serviceOf(conversation.name);
    commands.hidden = service === null;
    commands.setAttribute("aria-label", service === null ? "" : `Commands of ${conversation.name}`);
    const buttons = (service?.commands ?? []).map((command) =>
      el(
        `button.chip.kind-${command.kind}`,
        { type: "button", title: command.about, "data-command": command.body, onclick: () => actions.say(conversation, command.body) },
        icon(command.icon),
        command.label,
      ),
    );
    fill(commands, buttons);
  }

  function renderHeader() {
    if (shown === null) return;
    const live = actions.isLive();
    const online = live && store.isOnline(shown.name);
    const words = store.isMe(shown.name)
      ? "Notes to yourself"
      : !live
        ? "Connecting…"
        : online
          ? "Online"
          : "Offline · will get your messages later";
    fill(header, avatar(shown.name, online), el("div.who", {}, el("h1.name", { dir: "auto" }, shown.name), el(`span.sub${online ? ".online" : ""}`, {}, words)));
  }

  /** Makes the nodes be what the list says; one that did not change stays the same node, with selection and focus. */
  function reconcile(list) {
    const next = new Map();
    let cursor = items.firstChild;
    for (const item of list) {
      const signature = `${item.kind}|${item.state}|${item.first}|${item.last}|${item.reason}|${item.kind === "day" ? dayOf(item.date) : ""}`;
      const known = nodes.get(item.key);
      const current = known?.signature === signature ? known.node : make(item);
      current.dataset.key = item.key;
      if (known !== undefined && known.node !== current) {
        if (known.node === cursor) cursor = cursor.nextSibling;
        known.node.remove();
      }
      if (current === cursor) cursor = cursor.nextSibling;
      else items.insertBefore(current, cursor);
      next.set(item.key, { node: current, signature });
    }
    for (const [key, { node: old }] of nodes) if (!next.has(key)) old.remove();
    nodes = next;
  }

  function make(item) {
    switch (item.kind) {
      case "day":
        return el("div.day", { role: "separator" }, el("span", {}, dayOf(item.date)));
      case "marker":
        return el("div.marker", { role: "separator" }, el("span", {}, "New messages"));
      case "start":
        return el("div.start", {}, `This is where your conversation with ${shown.name} begins.`);
      default:
        return bubble(item, actions);
    }
  }

  function renderEmpty(conversation, list) {
    empty.hidden = list.length > 0;
    if (list.length > 0) return;
    const service = serviceOf(conversation.name);
    if (conversation.loading) fill(empty, el("span.spinner"), el("p", {}, "Loading…"));
    else fill(empty, avatar(conversation.name), el("p", {}, service?.about ?? `No messages yet. Say hello to ${conversation.name}.`));
  }

  function countMissed(log) {
    const fresh = log.events.filter((event) => event.seq > newest);
    newest = Math.max(newest, log.last?.seq ?? 0);
    missed = follows ? 0 : missed + fresh.filter((event) => !store.isMe(event.sender)).length;
    renderJump();
  }

  function renderJump() {
    jump.classList.toggle("visible", !follows);
    jump.tabIndex = follows ? -1 : 0;
    jump.lastChild.textContent = missed === 0 ? "" : String(missed);
  }

  /** Where the scroller stands after its contents changed. */
  function place(conversation, before) {
    if (!conversation.isPlaced && conversation.log.events.length > 0) {
      conversation.isPlaced = true;
      const marker = nodes.get("marker")?.node;
      if (marker !== undefined && marker.offsetTop > scroller.clientHeight * 0.6 && scroller.scrollHeight - marker.offsetTop > scroller.clientHeight) {
        scroller.scrollTop = marker.offsetTop - 60;
        onScroll();
        return;
      }
    }
    if (follows) scroller.scrollTop = scroller.scrollHeight;
    else if (before.first !== undefined && items.firstElementChild?.dataset.key !== before.first) {
      scroller.scrollTop = before.top + scroller.scrollHeight - before.height;
    }
  }

  function isAtEnd() {
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;
  }

  function onScroll() {
    follows = isAtEnd();
    if (follows) {
      missed = 0;
      actions.reachedEnd();
    }
    renderJump();
    askForOlder();
  }

  function askForOlder() {
    if (shown !== null && scroller.scrollTop < OLDER_PX) actions.older(shown);
  }

  function toEnd() {
    follows = true;
    missed = 0;
    scroller.scrollTop = scroller.scrollHeight;
    renderJump();
  }

  return { node, render, renderHeader, isAtEnd: () => follows, focus: composer.focus, edit: composer.put, toEnd };
}
