// One person in the list: their name, when and what was said last, what is unread.

import { briefly } from "../dates.js";
import { serviceOf } from "../services.js";
import { previewOf } from "../text.js";
import { avatar } from "./avatar.js";
import { el } from "./dom.js";
import { setText } from "./keyed.js";

/**
 * The row: `{node, update(facts)}` for facts `{name, online, unseen, isActive, last, draft, isMine}`; `open(name)` is called when it is
 * pressed. The button stays the same for as long as the row is there.
 */
export function rowView({ name, key }, open) {
  const face = el("span.face");
  const title = el("bdi", {}, name);
  const time = el("time", { dir: "auto" });
  const preview = el("span.preview", { dir: "auto" });
  const badge = el("span.badge");
  const button = el(
    "button.row",
    { type: "button", "data-key": key, onclick: () => open(name) },
    face,
    el("span.middle", {}, el("span.line", {}, el("span.name", {}, title), time), el("span.line", {}, preview)),
  );
  const node = el("li", {}, button);
  let drawn = {};

  function update(facts) {
    const { online, unseen, isActive, last } = facts;
    setText(title, facts.name);
    if (drawn.name !== facts.name || drawn.online !== online) face.replaceChildren(avatar(facts.name, online));
    button.classList.toggle("active", isActive);
    button.classList.toggle("fresh", unseen > 0);
    if (isActive) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    time.hidden = last === null;
    if (last !== null) setText(time, briefly(new Date(last.at ?? last.timestamp)));
    if (drawn.last !== last || drawn.draft !== facts.draft || last === null) renderPreview(facts);
    if (unseen === 0) badge.remove();
    else setText(badge, unseen > 99 ? "99+" : String(unseen));
    if (unseen > 0 && !badge.isConnected) preview.after(badge);
    const spoken = `${facts.name}, ${online ? "online" : "offline"}${unseen === 0 ? "" : `, ${unseen} unread`}`;
    if (drawn.spoken !== spoken) button.setAttribute("aria-label", spoken);
    drawn = { ...facts, spoken };
  }

  function renderPreview({ last, draft, isMine, name: current }) {
    preview.classList.toggle("draft", draft !== "");
    if (draft !== "") setText(preview, `Draft: ${previewOf(draft)}`);
    else if (last !== null) setText(preview, `${isMine ? "You: " : ""}${previewOf(last.body)}`);
    else setText(preview, serviceOf(current)?.about ?? "Say hello");
  }

  return { node, update };
}
