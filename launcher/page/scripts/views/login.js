// Where one shows that one may look.

import { el, fill, icon } from "./dom.js";

/** The view, with `fail(message)` and `busy(isBusy)`. `submit(token)` is called with what was entered. */
export function loginView({ submit }) {
  const field = el("input.field", {
    id: "token",
    type: "password",
    placeholder: "Token",
    autocomplete: "current-password",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: 200,
    "aria-describedby": "token-error token-hint",
  });
  const problem = el("p.problem", { id: "token-error", role: "alert" });
  const button = el("button.primary", { type: "submit", id: "enter" }, "Log in");

  const fail = (message) => {
    fill(problem, message === "" ? null : [icon("warn"), el("span", {}, message)]);
    field.setAttribute("aria-invalid", String(message !== ""));
    if (message !== "") field.focus();
  };
  const onsubmit = (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (token === "") fail("Enter the token, or open the link that 'launcher console' prints.");
    else submit(token);
  };
  field.addEventListener("input", () => fail(""));

  const form = el(
    "form.card",
    { onsubmit, novalidate: true },
    el("img.logo", { src: "/favicon.svg", alt: "", width: 64, height: 64 }),
    el("h1", {}, "Launcher"),
    el("p.tagline", {}, "The components of this chat, and what they do."),
    el("label.label", { for: "token" }, "Token"),
    field,
    problem,
    button,
    el("p.hint", { id: "token-hint" }, "On the launcher's machine, ", el("code", {}, "launcher console"), " prints a link that needs no token, and ", el("code", {}, "launcher console --token"), " prints the token."),
  );
  const busy = (isBusy) => (button.disabled = isBusy);
  return { node: el("main.login", {}, form), fail, busy, focus: () => field.focus() };
}
