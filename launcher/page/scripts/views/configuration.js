// What the configuration on disk would change, and applying it.

import { change, show } from "../api.js";
import { many } from "../format.js";
import { el, fill } from "./dom.js";
import { ask } from "./question.js";

const PARTS = [
  ["restarted", "Restart"],
  ["started", "Start"],
  ["stopped", "Stop"],
  ["changed", "Change without a restart"],
  ["kept", "Keep"],
];

export function configurationView({ console }) {
  const plan = el("div", { id: "plan", "aria-live": "polite" });
  const again = el("button.verb", { type: "button", id: "look-again" }, "Look again");
  const load = () => console.attempt(async () => {
    try {
      draw(await show("/reload"));
    } catch (error) {
      fill(plan, el("p.note.bad", {}, error.message));
    }
  });
  const draw = (summary) => {
    const settings = summary.settings;
    const does = PARTS.filter(([key]) => summary[key].length > 0);
    const isEmpty = settings.length === 0 && ["restarted", "started", "stopped", "changed"].every((key) => summary[key].length === 0);
    const apply = isEmpty || console.readOnly ? null : el("button.primary", { type: "button", id: "apply", onclick: () => carryOut(summary) }, "Apply");
    fill(
      plan,
      el("p", {}, isEmpty ? "The configuration on disk is the one in force." : `${many(settings.length, "setting")} differ${settings.length === 1 ? "s" : ""} from what is in force.`),
      settings.length === 0 ? null : el("p.settings", {}, settings.map((setting) => el("code", {}, setting))),
      isEmpty ? null : el("dl.facts", {}, does.flatMap(([key, word]) => [el("dt", {}, word), el("dd", {}, summary[key].join(", "))])),
      summary.consent.length === 0 ? null : el("p.note.bad", {}, `Needs your consent, for it moves a running chat: ${summary.consent.join(", ")}`),
      apply,
    );
  };
  const carryOut = async (summary) => {
    const names = [...summary.restarted, ...summary.stopped];
    const text = `${names.length === 0 ? "No component is restarted or stopped." : `Restarted or stopped: ${names.join(", ")}.`}${summary.consent.length === 0 ? "" : ` This moves the running chat: ${summary.consent.join(", ")}.`}`;
    if (!(await ask({ title: "Apply the configuration?", text, yes: "Apply" }))) return;
    await console.attempt(async () => {
      await change("/reload", { yes: summary.consent.length > 0 });
      console.messages.toast("Applied");
    });
    await load();
  };
  again.addEventListener("click", load);
  load();
  const node = el("div.page", {}, el("section.panel", {}, el("div.panel-head", {}, el("h2", {}, "Configuration"), el("span.filler"), again), plan));
  return { node, title: "Configuration" };
}
