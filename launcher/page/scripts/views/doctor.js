// Is this machine fit? Asked when somebody wants to know.

import { show } from "../api.js";
import { el, fill } from "./dom.js";

const LOOKS = { ok: ["good", "✓"], warn: ["busy", "!"], fail: ["bad", "✕"] };

export function doctorView({ console }) {
  const found = el("div", { id: "findings", "aria-live": "polite" }, el("p.note", {}, "Checks the clock, the disk, limits, ports, the store, certificates and keys. It takes some seconds."));
  const button = el("button.verb", { type: "button", id: "diagnose" }, "Diagnose");
  button.addEventListener("click", () => console.attempt(async () => {
    button.disabled = true;
    fill(found, el("p.note", {}, el("span.spinner", { "aria-hidden": "true" }), " Looking…"));
    try {
      const { findings } = await show("/doctor");
      fill(found, el("ul.findings", {}, findings.map(finding)));
    } catch (error) {
      fill(found, el("p.note", {}, error.message));
      throw error;
    } finally {
      button.disabled = false;
    }
  }));
  const node = el("div.page", {}, el("section.panel", {}, el("div.panel-head", {}, el("h2", {}, "Doctor"), el("span.filler"), button), found));
  return { node, title: "Doctor" };
}

function finding({ check, verdict, found, advice }) {
  const [look, mark] = LOOKS[verdict];
  return el(
    "li.finding",
    {},
    el(`span.pill.${look}`, {}, el("span.sign", { "aria-hidden": "true" }, mark), verdict),
    el("div", {}, el("b", {}, check), el("p.found", {}, found), advice ? el("p.advice", {}, `→ ${advice}`) : null),
  );
}
