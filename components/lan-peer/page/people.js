// The list of people.

import { element, find } from "./dom.js";

const TRUST = {
  clear: "unverified, in the clear",
};

export const trustText = (peer) => TRUST[peer.trust] ?? peer.trust;

export function show(peers, chosen, unread, choose) {
  find("nobody").hidden = peers.length > 0;
  find("people").replaceChildren(...peers.map((peer) => {
    const note = `${peer.online ? "here" : "away"} · ${trustText(peer)}`;
    const button = element("button", { type: "button", onclick: () => choose(peer.key) },
      element("span", { className: "name", textContent: peer.name }),
      element("span", { className: "note muted", textContent: note }));
    button.setAttribute("aria-current", String(peer.key === chosen));
    const classes = [peer.online && "online", unread.has(peer.key) && "unread", peer.trust];
    return element("li", { className: classes.filter(Boolean).join(" ") }, button);
  }));
}
