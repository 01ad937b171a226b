// What is asked and shown over the page.

import { find } from "./dom.js";
import { sentence } from "./people.js";

// Asks for one line; resolves with it, or with null when nothing is to be done.
function ask(dialog, field, before) {
  field.value = before;
  dialog.returnValue = "";
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? field.value : null), { once: true });
  });
}

export function showOwn(me) {
  for (const place of document.querySelectorAll("[data-own=fingerprint]")) place.textContent = me.fingerprint;
  find("link").textContent = me.link;
}

export function rename(peer) {
  find("rename-what").textContent = peer.claimed
    ? `They call themselves ${peer.claimed}. Only you see this name.`
    : "Only you see this name.";
  return ask(find("rename"), find("rename-name"), peer.name);
}

// Asks for their fingerprint until it is right, or until nobody wants to know any more.
export async function verify(peer, check) {
  find("verify-title").textContent = `Verify ${peer.name}`;
  const wrong = find("verify-wrong");
  wrong.hidden = true;
  for (let proof = ""; ;) {
    proof = await ask(find("verify"), find("verify-proof"), proof);
    if (!proof?.trim()) return;
    try {
      await check(proof);
      return;
    } catch (error) {
      wrong.textContent = sentence(error.message);
      wrong.hidden = false;
    }
  }
}

for (const dialog of document.querySelectorAll("dialog")) {
  // A click beside it closes it, as everywhere.
  dialog.addEventListener("click", (click) => click.target === dialog && dialog.close());
  for (const button of dialog.querySelectorAll("[data-close]")) button.onclick = () => dialog.close();
}

find("own").onclick = () => find("mine").showModal();
