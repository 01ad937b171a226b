// What the page itself has to say: the banner while there is no connection, short notices, and words for screen readers.

import { el, fill } from "./dom.js";

/** Most cuts are over before anybody notices; a banner that only flickers is worse than none. */
const BANNER_MS = 600;

/**
 * The notices, over the nodes that the page has for them. `words(reason, when)` says that there is no connection, where `when` is empty or
 * such as " in 5 s"; a toast stays for `toastMs`.
 */
export function notices({ words: explain, toastMs }) {
  const banner = document.getElementById("banner");
  const toasts = document.getElementById("toasts");
  const announcer = document.getElementById("announcer");
  let ticking = null;
  let showing = null;

  /** Shows how the connection is; nothing while it is live. */
  function connection({ state, reason, retryAt }, hurry) {
    clearInterval(ticking);
    document.documentElement.dataset.connection = state;
    if (state === "live") return hide();
    showing ??= setTimeout(() => (banner.hidden = false), BANNER_MS);
    const words = el("span");
    const now = el("button.link", { type: "button", id: "retry", onclick: hurry }, "Try now");
    fill(banner, el("span.spinner", { "aria-hidden": "true" }), words, state === "waiting" ? now : null);
    const tell = () => {
      const seconds = Math.ceil((retryAt - Date.now()) / 1000);
      const when = state === "waiting" && seconds > 1 ? ` in ${seconds} s` : "";
      words.textContent = explain(reason, when);
    };
    tell();
    if (state === "waiting") ticking = setInterval(tell, 1000);
    return undefined;
  }

  function hide() {
    clearTimeout(showing);
    showing = null;
    banner.hidden = true;
  }

  function toast(text) {
    const node = el("div.toast", {}, text);
    toasts.append(node);
    while (toasts.children.length > 3) toasts.firstChild.remove();
    setTimeout(() => node.remove(), toastMs);
  }

  function announce(text) {
    announcer.textContent = text.slice(0, 300);
  }

  function clear() {
    clearInterval(ticking);
    hide();
    announcer.textContent = "";
  }

  return { connection, toast, announce, clear };
}
