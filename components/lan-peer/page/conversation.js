// One conversation: its messages, and what can be done with whom it is.

import { element, find, icon } from "./dom.js";
import { avatar, trustText } from "./people.js";

const STATES = { queued: "waiting until they are online", delivered: "delivered", sent: "sent", failed: "not sent" };
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function item(entry) {
  const at = new Date(entry.sent);
  const foot = element("span", { className: "foot" },
    element("time", { dateTime: entry.sent, title: at.toLocaleString(), textContent: time.format(at) }));
  if (entry.remark) foot.prepend(element("span", { className: "remark", textContent: entry.remark }));
  if (STATES[entry.state]) foot.append(icon(entry.state, STATES[entry.state]));
  const own = entry.state === "received" ? "theirs" : "own";
  const made = element("li", { className: `${own} ${entry.state}` }, element("span", { className: "body", textContent: entry.body }), foot);
  made.dataset.row = entry.row;
  made.dataset.day = day.format(at);
  return made;
}

const button = (text, work, className = "") =>
  element("button", { type: "button", textContent: text, onclick: work, className });

// What people may have found out about a node of our own kind.
function judgements(peer, acts) {
  const verify = button("Verify", acts.verify, "primary verify");
  const block = button("Block", () => acts.judge("blocked"), "block");
  switch (peer.trust) {
    case "new": return [verify, block];
    case "changed": return [verify, button("This is a new contact", () => acts.judge("new"), "stranger"), block];
    case "verified": return [button("Remove verification", () => acts.judge("new"))];
    case "blocked": return [button("Unblock", () => acts.judge("new"))];
    default: return [];
  }
}

const NOTICES = {
  changed: "This is not the device that had this name before: same name, another key. Somebody may be in between. "
    + "Nothing is sent until you have compared fingerprints.",
  clear: "Not private: anybody on this network can read this conversation, and forge it.",
  blocked: "You have blocked this peer: nothing is sent to it, and its messages are rejected.",
};

export function head(peer, acts) {
  find("with").hidden = false;
  find("hint").hidden = true;
  find("composer").hidden = ["changed", "blocked"].includes(peer.trust);
  find("notice").hidden = !(peer.trust in NOTICES);
  find("notice").className = peer.trust;
  find("notice").textContent = NOTICES[peer.trust] ?? "";
  const back = element("button", { type: "button", className: "back", ariaLabel: "Back to everybody", onclick: acts.back }, icon("back"));
  const where = `${peer.online ? "online" : "offline"} · ${trustText(peer)} · ${peer.addresses.join(", ")}`;
  find("with").replaceChildren(back, avatar(peer),
    element("span", { className: "who" },
      element("h2", { textContent: peer.name }),
      element("span", { className: "note", title: where }, icon(peer.trust), element("span", { textContent: where }))),
    element("span", { className: "acts" }, ...judgements(peer, acts), button("Rename", acts.rename, "rename")));
}

// Shows the entries, keyed by their row: one that is there already is replaced, so none is shown twice.
export class Messages {
  #items = new Map();

  clear() {
    this.#items.clear();
    find("messages").replaceChildren();
    find("earlier").hidden = true;
  }

  // The row before which there may be more.
  get first() {
    return Number(find("messages").querySelector("li[data-row]")?.dataset.row ?? 0);
  }

  // A page of history; a full one says that there may be an earlier one.
  page(entries, size) {
    const scroller = find("scroller");
    const [height, top, was] = [scroller.scrollHeight, scroller.scrollTop, this.#items.size];
    this.add(entries);
    find("earlier").hidden = entries.length < size;
    if (was > 0 && entries[0]?.row === this.first) scroller.scrollTop = top + scroller.scrollHeight - height;
  }

  add(entries) {
    const scroller = find("scroller");
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
    for (const entry of entries) {
      const made = item(entry);
      const old = this.#items.get(entry.row);
      if (old) old.replaceWith(made);
      else this.#place(made);
      this.#items.set(entry.row, made);
    }
    this.#days();
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  }

  // Mostly the newest; otherwise before the first one that is newer.
  #place(made) {
    const list = find("messages");
    const row = Number(made.dataset.row);
    const newest = list.lastElementChild;
    if (!newest || Number(newest.dataset.row) < row) return list.append(made);
    const newer = [...list.querySelectorAll("li[data-row]")].find((other) => Number(other.dataset.row) > row);
    return newer.before(made);
  }

  #days() {
    const list = find("messages");
    list.querySelectorAll(".day").forEach((mark) => mark.remove());
    let before = "";
    for (const one of list.querySelectorAll("li[data-row]")) {
      if (one.dataset.day !== before) one.before(element("li", { className: "day", textContent: one.dataset.day }));
      before = one.dataset.day;
    }
  }
}
