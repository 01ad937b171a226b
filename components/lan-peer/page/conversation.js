// One conversation: its messages, and what can be done with whom it is.

import { element, find } from "./dom.js";
import { trustText } from "./people.js";

const STATES = { sent: "sent", failed: "not sent" };

function item(entry) {
  const own = entry.state !== "received";
  const said = [new Date(entry.sent).toLocaleString(), STATES[entry.state], entry.remark].filter(Boolean);
  return element("li", { className: `${own ? "own" : ""} ${entry.state}` },
    entry.body, element("span", { className: "when", textContent: said.join(" · ") }));
}

export function head(peer, rename) {
  const again = element("button", { type: "button", textContent: "Rename", onclick: () => {
    const name = prompt("What should they be called here?", peer.name);
    if (name !== null) rename(peer, name);
  } });
  find("with").hidden = false;
  find("composer").hidden = false;
  find("with").replaceChildren(
    element("h2", { textContent: peer.name }),
    element("span", { className: "muted", textContent: `${trustText(peer)} · ${peer.addresses.join(", ")}` }),
    again);
}

// Shows the entries, keyed by their row: one that is there already is replaced, so none is shown twice.
export class Messages {
  #items = new Map();

  clear() {
    this.#items.clear();
    find("messages").replaceChildren();
  }

  add(entries) {
    const list = find("messages");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    for (const entry of entries) {
      const made = item(entry);
      const old = this.#items.get(entry.row);
      if (old) old.replaceWith(made);
      else list.append(made);
      this.#items.set(entry.row, made);
    }
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
}
