// Where one says who one is.

import { problemWith } from "../names.js";
import { el, fill, icon } from "./dom.js";

/** The view, with `fail(message)` and `busy(isBusy)`. `submit(name)` is called with a name that can be one. */
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
    maxlength: 64,
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
    const wrong = problemWith(field.value);
    fail(wrong ?? "");
    if (wrong === null) submit(field.value.trim());
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
    el("p.hint", { id: "name-hint" }, "Letters, digits, “_”, “-” and “.” are fine. No password needed. Messages are stored while you are offline."),
  );
  const node = el("main.login", {}, form);
  return { node, fail, busy, focus: () => (field.focus(), field.select()) };
}
