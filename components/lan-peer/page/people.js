// The list of people.

import { element, find, icon } from "./dom.js";

const TRUST = {
  clear: "unverified, unencrypted",
  new: "encrypted, not verified",
  verified: "encrypted, verified",
  changed: "KEY CHANGED",
  blocked: "blocked",
};

export const trustText = (peer) => TRUST[peer.trust] ?? peer.trust;

// The same colour for the same key, wherever it is shown.
function hue(key) {
  let sum = 0;
  for (const char of key) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

export function avatar(peer) {
  const face = element("span", { className: "avatar", ariaHidden: "true" },
    [...peer.name].find((char) => /[\p{L}\p{N}]/u.test(char))?.toUpperCase() ?? "?");
  face.style.setProperty("--hue", hue(peer.key));
  if (peer.online) face.append(element("span", { className: "here" }));
  return face;
}

// As a sentence begins; names such as mDNS stay as they are.
export const sentence = (text) => text.replace(/^[a-z](?=[a-z ])/, (first) => first.toUpperCase());

// Why nobody is here, as the doctor finds it.
export function explain(checks) {
  const reasons = checks.filter((check) => check.finding !== "good")
    .sort((a, b) => (b.finding === "bad") - (a.finding === "bad"));
  find("reasons").replaceChildren(...reasons.map((check) =>
    element("li", { className: check.finding }, element("strong", { textContent: sentence(check.what) }),
      element("span", { textContent: sentence(check.advice ?? "") }))));
}

function row(peer, chosen, unread, choose) {
  const waiting = peer.waiting > 0 ? ` · ${peer.waiting} waiting` : "";
  const button = element("button", { type: "button", className: "person", onclick: () => choose(peer.key) },
    avatar(peer),
    element("span", { className: "who" },
      element("span", { className: "name", textContent: peer.name }),
      element("span", { className: "note" }, icon(peer.trust),
        element("span", { textContent: `${peer.online ? "online" : "offline"} · ${trustText(peer)}${waiting}` }))));
  if (unread > 0) button.append(element("span", { className: "badge", ariaLabel: `${unread} unread`, textContent: unread }));
  button.setAttribute("aria-current", String(peer.key === chosen));
  const item = element("li", { className: peer.trust }, button);
  item.dataset.key = peer.key;
  return item;
}

export function show(peers, chosen, unread, choose) {
  find("nobody").hidden = peers.some((peer) => peer.online);
  const focused = document.activeElement?.closest?.("#people li")?.dataset.key;
  const rows = peers.map((peer) => row(peer, chosen, unread.get(peer.key) ?? 0, choose));
  find("people").replaceChildren(...rows);
  rows.find((item) => item.dataset.key === focused)?.firstChild.focus();
}
