// The list of people.

import { element, find } from "./dom.js";

const TRUST = {
  clear: "unverified, in the clear",
  new: "encrypted, not verified",
  verified: "encrypted, verified",
  changed: "ANOTHER KEY THAN BEFORE",
  blocked: "turned away",
};

export const trustText = (peer) => TRUST[peer.trust] ?? peer.trust;

// Why nobody is here, as the doctor finds it.
export function explain(checks) {
  const reasons = checks.filter((check) => check.finding !== "good");
  find("reasons").replaceChildren(...reasons.map((check) =>
    element("li", { className: check.finding, textContent: `${check.what}. ${check.advice ?? ""}` })));
}

export function show(peers, chosen, unread, choose) {
  find("nobody").hidden = peers.some((peer) => peer.online);
  find("people").replaceChildren(...peers.map((peer) => {
    const waiting = peer.waiting > 0 ? ` · ${peer.waiting} waiting` : "";
    const note = `${peer.online ? "here" : "away"} · ${trustText(peer)}${waiting}`;
    const button = element("button", { type: "button", onclick: () => choose(peer.key) },
      element("span", { className: "name", textContent: peer.name }),
      element("span", { className: "note muted", textContent: note }));
    button.setAttribute("aria-current", String(peer.key === chosen));
    const classes = [peer.online && "online", unread.has(peer.key) && "unread", peer.trust];
    return element("li", { className: classes.filter(Boolean).join(" ") }, button);
  }));
}
