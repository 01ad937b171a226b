// One conversation: its messages, and what can be done with whom it is.

import { element, find } from "./dom.js";
import { trustText } from "./people.js";

const STATES = { queued: "waiting", delivered: "on their disk", sent: "sent", failed: "not sent" };

function item(entry) {
  const own = entry.state !== "received";
  const said = [new Date(entry.sent).toLocaleString(), STATES[entry.state], entry.remark].filter(Boolean);
  return element("li", { className: `${own ? "own" : ""} ${entry.state}` },
    entry.body, element("span", { className: "when", textContent: said.join(" · ") }));
}

const button = (text, work) => element("button", { type: "button", textContent: text, onclick: work });

function renameButton(peer, act) {
  return button("Rename", () => {
    const name = prompt("What should they be called here?", peer.name);
    if (name !== null) act("rename", { peer: peer.key, name });
  });
}

// What can be found out about a node of our own kind.
function judgements(peer, act) {
  const judge = (verdict, proof = null) => act("trust", { peer: peer.key, verdict, proof });
  const verify = button("Verify", () => {
    const question = `Their fingerprint should be\n\n${peer.fingerprint}\n\n`
      + "Ask them what their own page shows, by another way than this chat, and type it here:";
    const proof = prompt(question);
    if (proof) judge("verified", proof);
  });
  switch (peer.trust) {
    case "new": return [verify, button("Block", () => judge("blocked"))];
    case "changed":
      return [verify, button("It is somebody new", () => judge("new")), button("Block", () => judge("blocked"))];
    case "verified": return [button("Not verified any more", () => judge("new"))];
    case "blocked": return [button("Let in again", () => judge("new"))];
    default: return [];
  }
}

const CHANGED = "This is not the device that had this name before: same name, another key. Somebody may be in between. "
  + "Nothing is sent until you have compared fingerprints.";

export function head(peer, act) {
  find("with").hidden = false;
  find("composer").hidden = ["changed", "blocked"].includes(peer.trust);
  const warning = peer.trust === "changed" ? [element("p", { className: "warning", textContent: CHANGED })] : [];
  find("with").replaceChildren(
    element("h2", { textContent: peer.name }),
    element("span", { className: "muted", textContent: `${trustText(peer)} · ${peer.addresses.join(", ")}` }),
    renameButton(peer, act), ...judgements(peer, act), ...warning);
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
