// A question with two answers, as a dialog of the browser: focus stays inside, Escape means no.

import { el } from "./dom.js";

/** Asks; resolves to whether the answer was yes. Enter means no unless `isHarmless`. Afterwards the focus is where it was. */
export function ask({ title, text, yes, no = "Cancel", isHarmless = false }) {
  return new Promise((resolve) => {
    const dialog = el(
      "dialog.question",
      { "aria-labelledby": "question-title" },
      el("h2", { id: "question-title" }, title),
      el("p", {}, text),
      el(
        "div.answers",
        {},
        el("button.secondary", { type: "button", onclick: () => dialog.close("no") }, no),
        el("button.primary", { type: "button", autofocus: isHarmless, onclick: () => dialog.close("yes") }, yes),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
