// One message.

import { fully, momentOf, timeOf } from "../dates.js";
import { readingOf } from "../services.js";
import { isOnlyEmoji, partsOf } from "../text.js";
import { el, fill, icon } from "./dom.js";
import { readingCard } from "./reading.js";

const STATES = {
  waiting: ["clock", "Waiting to be sent"],
  saved: ["check", "Saved"],
  delivered: ["double", "Saved and delivered"],
  refused: ["warn", "Not sent"],
};

/**
 * The message's row: `{node, update(message)}`. What it says is made once; its state and its place in its group may change. `actions` has
 * `edit(message)` and `discard(message)` for one that was refused.
 */
export function bubble(message, actions) {
  const { own, type, body } = message;
  const fixed = `message ${own ? "own" : "other"} kind-${type}${type === "chat" && isOnlyEmoji(body) ? " emoji" : ""}`;
  const reading = own ? null : readingOf(message.metadata);
  const label = type === "chat" ? null : el("span.kind", {}, type);
  const state = own ? el("span.state", { role: "img" }) : null;
  const node = el(
    "div",
    { role: "article", "data-seq": message.seq },
    el(
      "div.bubble",
      {},
      el("span.unseen-text", {}, own ? "You said: " : `${message.sender} said: `),
      label,
      // The time stands at the end of the last line where there is room, so it belongs to the body.
      el("div.body", { dir: "auto" }, partsOf(body).map(nodeOf), reading === null ? null : readingCard(reading), el("span.foot", {}, timeNode(message), state)),
    ),
  );
  let drawn = {};

  function update(next) {
    if (drawn.state !== next.state || drawn.first !== next.first || drawn.last !== next.last) {
      node.className = `${fixed}${next.first ? " first" : ""}${next.last ? " last" : ""}${next.state === null ? "" : ` ${next.state}`}`;
      if (label !== null) label.hidden = !next.first;
    }
    if (drawn.seq !== next.seq && next.seq !== null) node.dataset.seq = next.seq;
    if (own && drawn.state !== next.state) renderState(state, next.state);
    if (drawn.reason !== next.reason) renderRefusal(node, next, actions);
    drawn = next;
  }

  return { node, update };
}

function renderState(state, name) {
  const [picture, words] = STATES[name];
  state.className = `state ${name}`;
  state.title = words;
  state.setAttribute("aria-label", words);
  fill(state, icon(picture));
}

function renderRefusal(node, message, actions) {
  node.querySelector(".refusal")?.remove();
  if (message.state === "refused") node.append(refusal(message, actions));
}

function nodeOf({ kind, text, href }) {
  switch (kind) {
    case "link":
      return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
    case "code":
      return el("code", {}, text);
    case "block":
      return el("pre", { tabindex: 0, role: "region", "aria-label": "Code" }, el("code", {}, text));
    case "strong":
      return el("strong", {}, text);
    default:
      return document.createTextNode(text);
  }
}

/** The time, with its day where that is not the day under which the message stands. */
function timeNode({ date, isElsewhen }) {
  const words = isElsewhen ? momentOf(date) : timeOf(date);
  return el("time", { datetime: date.toISOString(), title: fully(date) }, words);
}

function refusal(message, actions) {
  return el(
    "p.refusal",
    {},
    `Not sent: ${message.reason} `,
    el("button.link", { type: "button", onclick: () => actions.edit(message) }, "Edit"),
    " · ",
    el("button.link", { type: "button", onclick: () => actions.discard(message) }, "Discard"),
  );
}
