// The services that are users, and what one can ask them with a click.

import { keyOf } from "./names.js";

const THERMOMETER = {
  label: "Thermometer",
  icon: "thermometer",
  about: "Reports the temperature, on request or regularly.",
  commands: [
    { label: "Subscribe", body: "subscribe", kind: "subscription", icon: "bell", about: "Get regular temperature updates" },
    { label: "Unsubscribe", body: "unsubscribe", kind: "subscription", icon: "bell-off", about: "Stop the temperature updates" },
    { label: "Range", body: "range", kind: "command", icon: "bars", about: "The last five temperatures" },
    { label: "Reboot", body: "reboot", kind: "command", icon: "refresh", about: "Restart the thermometer" },
  ],
};

const BOT = {
  label: "Assistant",
  icon: "spark",
  about: "Answers questions. Choose how it talks.",
  commands: [
    { label: "Help", body: "help", kind: "command", icon: "help", about: "What it can do, and its personality" },
    { label: "Happy", body: "personality happy", kind: "command", icon: "smile", about: "A happy personality" },
    { label: "Angry", body: "personality angry", kind: "command", icon: "angry", about: "An angry personality" },
    { label: "Spanish", body: "personality spanish", kind: "command", icon: "globe", about: "Answers in Spanish" },
    { label: "Next personality", body: "rotate", kind: "command", icon: "refresh", about: "The next personality" },
  ],
};

/** What a name is known to do, or null for people. */
export function serviceOf(name) {
  const key = keyOf(name);
  if (/^thermometer\d*$/u.test(key)) return THERMOMETER;
  if (key === "openai") return BOT;
  return null;
}

/** The kind a text is sent as: what is an order to a service is shown as one. */
export function kindOf(name, text) {
  const said = text.trim().toLowerCase();
  const command = serviceOf(name)?.commands.find(({ body }) => body === said || (said === "info" && body === "help"));
  return command?.kind ?? "chat";
}

/** What a thermometer's message carries, or null: `{temperature, unit}` or `{temps, unit}`. */
export function readingOf(metadata) {
  if (metadata === undefined || metadata === null) return null;
  const unit = typeof metadata.unit === "string" ? metadata.unit.slice(0, 4) : "C";
  if (Number.isFinite(metadata.temperature)) return { temperature: metadata.temperature, unit };
  const { temps } = metadata;
  const isRange = Array.isArray(temps) && temps.length > 0 && temps.length <= 24 && temps.every(Number.isFinite);
  return isRange ? { temps, unit } : null;
}
