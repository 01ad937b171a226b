// What was said, as far as it is near what is in view: the nodes are those of a window over the log, some screens long, that moves along
// when one scrolls. A conversation may be of any length.
//
// Whatever changes, what is being read stays where it stands: the message at the top of the view is the anchor. Only at the end of the
// conversation is the end kept in view. What was in view while somebody could look at it is reported, with `actions.shown(seq)`; what the
// window lacks is asked for, with `actions.want(conversation, from, to)`.

import { dayOf } from "../dates.js";
import { serviceOf } from "../services.js";
import { timelineOf } from "../timeline.js";
import { avatar } from "./avatar.js";
import { bubble } from "./bubble.js";
import { el, fill, icon } from "./dom.js";
import { keyedList, setText } from "./keyed.js";

/** Closer to the end than this counts as being there. */
const NEAR_PX = 80;
/** Closer to an end of the window than this, the window moves. */
const EDGE_PX = 700;
/** Messages in the window: at an opening, added at a move, and at most. */
const OPENING = 60;
const STEP = 40;
const MOST = 180;
/** … and this far beyond it, history is asked for before it is needed. */
const AHEAD = 50;
/** Messages above the first unread one, at an opening. */
const ABOVE = 20;

/** The view: `node`, `show(conversation)`, `render()`, `toEnd()`, `toUnread()`. */
export function timelineView({ store, outbox, actions }) {
  let shown = null;
  /** The places in the window, both included. */
  let [low, high] = [1, 0];
  /** Whether the end is in view and stays there. */
  let follows = true;
  /** Set until the first unread message was brought into view. */
  let isOpening = false;

  const older = el("p.older", {}, "Loading older messages…");
  const empty = el("div.empty-log");
  const items = el("div.items");
  const scroller = el("div.scroller", { tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Messages" }, older, empty, items);
  const badge = el("span.badge");
  const jump = el("button.jump", { type: "button", id: "jump", onclick: toEnd }, icon("down"), badge);
  const node = el("div.timeline", {}, scroller, jump);
  const list = keyedList(items, make, () => scroller);

  scroller.addEventListener("scroll", onScroll, { passive: true });
  // The keyboard of a phone opens, the window changes, a line is added to the composer: what was at the end stays there.
  new ResizeObserver(() => follows && scrollToEnd()).observe(scroller);

  function show(conversation) {
    shown = conversation;
    [low, high] = [1, 0];
    list.render([]);
    follows = true;
    isOpening = false;
    if (conversation !== null && conversation.marker !== null) toUnread();
  }

  /** Begins at the first unread message. */
  function toUnread() {
    const first = shown.marker + 1;
    [low, high] = [Math.max(1, first - ABOVE), Math.min(shown.head, first + OPENING)];
    follows = false;
    isOpening = true;
  }

  function render() {
    if (shown === null) return;
    const anchor = follows ? null : anchorOf();
    if (follows) keepEnd();
    draw(anchor);
    for (let moves = 0; moves < 4 && moveWindow(); moves += 1) draw(anchor ?? anchorOf());
    report();
    renderJump();
    actions.want(shown, low - AHEAD, high + AHEAD);
  }

  function draw(anchor) {
    const entries = outbox.entries().filter((entry) => store.with(entry.to) === shown);
    const lines = timelineOf({ conversation: shown, entries, me: store.me, isMe: store.isMe, from: low, to: high });
    list.render(lines);
    older.hidden = true;
    renderEmpty(lines);
    place(anchor);
  }

  /** The window ends with the conversation; it is cut at its beginning now and then, not at each message. */
  function keepEnd() {
    const { head } = shown;
    if (high === 0) low = Math.max(1, head - OPENING);
    high = head;
    // A few at a time, so that no frame has much to do.
    if (high - low > OPENING + STEP / 2) low = high - OPENING - STEP / 4;
  }

  /** Moves the window where its edge is near what is in view, unless something is missing there; says whether it did. */
  function moveWindow() {
    const { log, head } = shown;
    const isFirst = low <= 1 || (log.older === false && low <= (log.first ?? low));
    if (scroller.scrollTop < EDGE_PX && !isFirst && (log.has(low) || low > high)) {
      low = Math.max(1, low - STEP);
      if (!follows) high = Math.min(high, low + MOST);
      return true;
    }
    if (follows || high >= head || distance() > EDGE_PX || !log.has(high)) return false;
    high = Math.min(head, high + STEP);
    low = Math.max(low, high - MOST);
    return true;
  }

  function make(item) {
    const still = (made) => ({ node: made, update() {} });
    switch (item.kind) {
      case "day": {
        const words = el("span");
        return { node: el("div.day", {}, words), update: ({ date }) => setText(words, dayOf(date)) };
      }
      case "marker":
        return still(el("div.marker", {}, el("span", {}, "New messages")));
      case "gap":
        return still(el("p.older", {}, "Loading messages…"));
      case "start":
        return still(el("div.start", {}, `This is where your conversation with ${shown.name} begins.`));
      default:
        return bubble(item, actions);
    }
  }

  function renderEmpty(lines) {
    empty.hidden = lines.length > 0;
    if (lines.length > 0) return;
    const service = serviceOf(shown.name);
    if (shown.loading !== null) fill(empty, el("span.spinner"), el("p", {}, "Loading…"));
    else fill(empty, avatar(shown.name), el("p", {}, service?.about ?? `No messages yet. Say hello to ${shown.name}.`));
  }

  function renderJump() {
    jump.classList.toggle("visible", !follows);
    jump.tabIndex = follows ? -1 : 0;
    if (follows && document.activeElement === jump) scroller.focus({ preventScroll: true });
    const { unseen } = shown;
    setText(badge, unseen === 0 ? "" : unseen > 99 ? "99+" : String(unseen));
    const words = unseen === 0 ? "Jump to the latest message" : `Jump to the latest message, ${unseen} unread`;
    if (jump.getAttribute("aria-label") !== words) jump.setAttribute("aria-label", words);
  }

  /** The first message in view, and where it stands. */
  function anchorOf() {
    const { top } = scroller.getBoundingClientRect();
    let found = null;
    for (const child of items.children) {
      const box = child.getBoundingClientRect();
      if (box.bottom <= top + 1) continue;
      found ??= { node: child, at: box.top };
      if (child.dataset.seq === undefined) continue;
      return { node: child, at: box.top };
    }
    return found;
  }

  /** Where the scroller stands after its contents changed. */
  function place(anchor) {
    const marker = isOpening ? list.nodeOf("marker") : null;
    if (marker !== null) {
      isOpening = false;
      scroller.scrollTop = marker.offsetTop - 60;
    } else if (follows) scrollToEnd();
    else if (anchor?.node.isConnected) {
      const moved = anchor.node.getBoundingClientRect().top - anchor.at;
      if (moved !== 0) scroller.scrollTop += moved;
    }
  }

  function distance() {
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  }

  function isAtEnd() {
    return high >= shown.head && (shown.head === 0 || shown.log.has(shown.head)) && distance() < NEAR_PX;
  }

  /** Tells up to where messages are in view: the end of each, or the beginning of one that is longer than half the view. */
  function report() {
    if (isOpening || document.visibilityState !== "visible") return;
    if (!follows && isAtEnd()) follows = true;
    if (follows && shown.log.has(shown.head)) return actions.shown(shown, shown.head);
    const { top, bottom, height } = scroller.getBoundingClientRect();
    for (let child = items.lastElementChild; child !== null; child = child.previousElementSibling) {
      if (child.dataset.seq === undefined) continue;
      const box = child.getBoundingClientRect();
      const isShown = box.bottom <= bottom + 8 || box.top < top + height / 2;
      if (isShown && box.bottom > top) return actions.shown(shown, Number(child.dataset.seq));
      if (isShown) return undefined;
    }
    return undefined;
  }

  function onScroll() {
    if (shown === null) return;
    const wasEnd = follows;
    // What came and is not drawn yet does not take the view from the end; only scrolling does.
    follows = follows ? distance() < NEAR_PX : isAtEnd();
    if (follows !== wasEnd) renderJump();
    if (scroller.scrollTop < EDGE_PX || distance() < EDGE_PX) render();
    else report();
  }

  function scrollToEnd() {
    scroller.scrollTop = scroller.scrollHeight;
  }

  function toEnd() {
    if (shown === null) return;
    follows = true;
    isOpening = false;
    if (shown.head - high > 0) [low, high] = [Math.max(1, shown.head - OPENING), shown.head];
    render();
  }

  return { node, show, render, toEnd, toUnread, focus: () => scroller.focus({ preventScroll: true }) };
}
