// Asks before something is done, and says what else it concerns.

import { ask } from "./question.js";

const TITLES = { start: "Start", stop: "Stop", restart: "Restart" };
const TEXTS = {
  start: () => "It is started now, and kept running.",
  stop: (name) => `It is ended in order, and stays stopped until somebody starts it.${dependents(name, "Who needs it keeps running")}`,
  restart: (name) => `It is ended in order and started again; new connections wait meanwhile.${dependents(name, "Who needs it keeps running")}`,
};

let needing = () => [];

function dependents(name, words) {
  const names = needing(name);
  return names.length === 0 ? "" : ` ${words}: ${names.join(", ")}.`;
}

/** Resolves to whether the answer was yes. */
export function confirm(store, verb, names) {
  needing = (name) => (store.status?.components ?? []).filter(({ needs }) => needs.includes(name)).map((it) => it.name);
  const what = names.length === 1 && names[0] !== "all" ? names[0] : "all components";
  const text = what === names[0] ? TEXTS[verb](names[0]) : "In the order of their dependencies.";
  return ask({ title: `${TITLES[verb]} ${what}?`, text, yes: TITLES[verb] });
}
