// One message.

import { fully, timeOf } from "../dates.js";
import { readingOf } from "../services.js";
import { isOnlyEmoji, partsOf } from "../text.js";
import { el, icon } from "./dom.js";
import { readingCard } from "./reading.js";

const STATES = {
  waiting: ["clock", "Waiting to be sent"],
  saved: ["check", "Saved"],
  delivered: ["double", "Saved and delivered"],
  refused: ["warn", "Not sent"],
};

/** The message's node; `actions` has `edit(message)` and `discard(message)` for one that was refused. */
export function bubble(message, actions) {
  const { own, type, state, first, last, body } = message;
  const classes = [own ? "own" : "other", `kind-${type}`, first ? "first" : null, last ? "last" : null, state];
  const isEmoji = type === "chat" && isOnlyEmoji(body);
  const reading = own ? null : readingOf(message.metadata);
  const label = type === "chat" || !first ? null : el("span.kind", {}, type);
  return el(
    `div.message.${classes.filter(Boolean).join(".")}${isEmoji ? ".emoji" : ""}`,
    { role: "listitem", "data-seq": message.seq },
    el(
      "div.bubble",
      {},
      el("span.unseen-text", {}, own ? "You said: " : `${message.sender} said: `),
      label,
      // The time stands at the end of the last line where there is room, so it belongs to the body.
      el("div.body", { dir: "auto" }, partsOf(body).map(nodeOf), reading === null ? null : readingCard(reading), foot(message)),
    ),
    state === "refused" ? refusal(message, actions) : null,
  );
}

function nodeOf({ kind, text, href }) {
  switch (kind) {
    case "link":
      return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
    case "code":
      return el("code", {}, text);
    case "block":
      return el("pre", {}, el("code", {}, text));
    case "strong":
      return el("strong", {}, text);
    default:
      return document.createTextNode(text);
  }
}

function foot({ date, own, state }) {
  const time = el("time", { datetime: date.toISOString(), title: fully(date) }, timeOf(date));
  if (!own) return el("span.foot", {}, time);
  const [name, words] = STATES[state];
  return el("span.foot", {}, time, el(`span.state.${state}`, { role: "img", title: words, "aria-label": words }, icon(name)));
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
