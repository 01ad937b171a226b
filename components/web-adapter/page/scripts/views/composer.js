// Where one writes: grows with its text, Enter sends, Shift+Enter makes a new line, and what is not sent is kept as a draft. On a phone,
// whose keyboard has no Shift+Enter, Enter makes a new line and the button sends.

import { bytesOf } from "../text.js";
import { el, icon } from "./dom.js";

const BODY_BYTES = 16 * 1024;
const MAX_HEIGHT = 200;

/** What is sent of what was written: without empty lines around it. The first line may be indented, as pasted code is. */
export function bodyOf(text) {
  return text.trimEnd().replace(/^(?:[^\S\n]*\n)+/u, "");
}

/** Whether text is put in on a screen; the mouse of a tablet changes that at any time. */
function isPhone() {
  return matchMedia("(pointer: coarse) and (hover: none)").matches;
}

/** The view for one conversation at a time: `show(conversation, placeholder)`, `focus()`, `put(text)`. */
export function composerView({ drafts, actions }) {
  let conversation = null;
  const field = el("textarea", {
    id: "composer",
    rows: 1,
    "aria-label": "Message",
    "aria-describedby": "composer-hint",
    autocomplete: "off",
    enterkeyhint: isPhone() ? "enter" : "send",
    dir: "auto",
  });
  const button = el("button.send", { type: "submit", id: "send", title: "Send", "aria-label": "Send" }, icon("send"));
  const hint = el("p.composer-hint", { id: "composer-hint" });
  const form = el("form.composer", { onsubmit: send }, el("div.composer-box", {}, field, button), hint);

  field.addEventListener("keydown", (event) => {
    // The Enter that ends a composition is the input method's; Safari sends it afterwards, with this code.
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key === "Enter" && !event.shiftKey && !isComposing && !isPhone()) {
      event.preventDefault();
      send(event);
    }
  });
  field.addEventListener("input", () => {
    if (conversation !== null) drafts.set(conversation.key, field.value);
    measure();
  });

  function send(event) {
    event.preventDefault();
    const body = bodyOf(field.value);
    if (conversation === null || body === "" || bytesOf(body) > BODY_BYTES) return;
    if (!actions.say(conversation, body)) return;
    drafts.set(conversation.key, "");
    field.value = "";
    measure();
    field.focus();
  }

  function measure() {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, MAX_HEIGHT)}px`;
    const left = BODY_BYTES - bytesOf(bodyOf(field.value));
    button.disabled = bodyOf(field.value) === "" || left < 0;
    hint.classList.toggle("over", left < 0);
    if (left < 0) hint.textContent = `Too long by ${-left} bytes. Split it into two messages.`;
    else if (left < 1024) hint.textContent = `${left} bytes left`;
    else hint.textContent = "Enter sends, Shift + Enter makes a new line";
  }

  return {
    node: form,
    show(next, placeholder) {
      conversation = next;
      field.placeholder = placeholder;
      field.value = drafts.get(next.key);
      measure();
    },
    focus: () => field.focus({ preventScroll: true }),
    put(text) {
      field.value = text;
      if (conversation !== null) drafts.set(conversation.key, text);
      measure();
      field.focus();
    },
  };
}
