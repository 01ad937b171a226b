// Where one says who one is.

import { problemWith, splitToken } from "../names.js";
import { el, fill, icon } from "./dom.js";

/** The view, with `fail(message)` and `busy(isBusy)`. `submit(name, token)` is called with a name that can be one, and the token typed with it, or null. */
export function loginView({ lastName, submit }) {
  const field = el("input.field", {
    id: "name",
    name: "name",
    type: "text",
    value: lastName,
    placeholder: "Your name",
    autocomplete: "nickname",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 200,
    dir: "auto",
    "aria-describedby": "name-error name-hint",
  });
  const problem = el("p.problem", { id: "name-error", role: "alert" });
  const button = el("button.primary", { type: "submit", id: "join" }, "Join the chat");

  const fail = (message) => {
    fill(problem, message === "" ? null : [icon("warn"), el("span", {}, message)]);
    field.setAttribute("aria-invalid", String(message !== ""));
    if (message !== "") field.focus();
  };
  const busy = (isBusy) => {
    button.disabled = isBusy;
    button.textContent = isBusy ? "Joining…" : "Join the chat";
  };
  const onsubmit = (event) => {
    event.preventDefault();
    const [name, token] = splitToken(field.value);
    const wrong = problemWith(name);
    fail(wrong ?? "");
    if (wrong !== null) return;
    // The token is not to be seen, or remembered by the browser as a name.
    field.value = name.trim();
    submit(name.trim(), token);
  };
  field.addEventListener("input", () => fail(""));

  const logo = el("img.logo", { src: "./favicon.svg", alt: "", width: 64, height: 64 });
  const form = el(
    "form.card",
    { onsubmit, novalidate: true },
    logo,
    el("h1", {}, "P2P Chat"),
    el("p.tagline", {}, "Your own chat. No message gets lost."),
    el("label.label", { for: "name" }, "Name"),
    field,
    problem,
    button,
    el("p.hint", { id: "name-hint" }, "Letters, digits, “_”, “-” and “.” are fine. No password needed; a protected name takes its token: name:TOKEN. Messages are stored while you are offline."),
  );
  const node = el("main.login", {}, form);
  return { node, fail, busy, focus: () => (field.focus(), field.select()) };
}
