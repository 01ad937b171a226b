// The bar above: how the whole is, the ways to the views, and the theme.

import { theme } from "../theme.js";
import { duration, many } from "../format.js";
import { el, fill, icon } from "./dom.js";

const WAYS = [
  ["", "Components"],
  ["logs", "Logs"],
  ["events", "Events"],
  ["crashes", "Crashes"],
  ["doctor", "Doctor"],
  ["configuration", "Configuration"],
];
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

/** Whether the whole may be well with one as it is. */
function isFine({ required, autostart, state, schedule }) {
  if (!required || (state === "stopped" && autostart === false) || (state === "running" && schedule)) return true;
  return ["ready", "scheduled", "finished", "skipped"].includes(state);
}

/** What is not well: the one thing by its name, or how many there are. */
function said(wrong) {
  if (wrong.length === 1) return `${wrong[0].name} is ${wrong[0].state}`;
  return wrong.length === 0 ? "Not well" : `${many(wrong.length, "thing")} to look at`;
}

/** The bar, with `show(word)` for the view that is chosen. */
export function head({ console, leave }) {
  const { store } = console;
  const health = el("a.health", { id: "health" });
  const about = el("span.about", {});
  const ways = WAYS.map(([word, title]) => [word, el("a.way", { href: `#/${word}` }, title)]);
  const themeButton = el("button.round", { type: "button", onclick: () => (theme.next(), dress()) });
  const dress = () => {
    fill(themeButton, icon(THEME_ICONS[theme.current]));
    themeButton.setAttribute("aria-label", `Theme: ${theme.current}`);
    themeButton.title = `Theme: ${theme.current}`;
  };
  dress();

  const tell = () => {
    const { status, session } = store;
    if (status === null) return;
    const ailing = status.components.filter((component) => !isFine(component));
    const wrong = [...ailing, ...status.dependencies.filter(({ state }) => state !== "ok")];
    const [look, words] = status.stopping ? ["busy", "Stopping"] : status.healthy ? ["good", "All is well"] : ["bad", said(wrong)];
    health.href = wrong.length === 1 && ailing.length === 1 ? `#/component/${encodeURIComponent(ailing[0].name)}` : "#/";
    health.className = `health ${look}`;
    fill(health, el("span.lamp", { "aria-hidden": "true" }), words);
    const up = duration((Date.now() - Date.parse(status.started_at)) / 1000);
    about.textContent = `${session.version} · pid ${status.launcher_pid} · up ${up}`;
  };
  store.addEventListener("status", tell);

  const node = el(
    "header.console-head",
    {},
    el(
      "div.console-title",
      {},
      el("img", { src: "/favicon.svg", alt: "", width: 32, height: 32 }),
      el("h1", {}, "Launcher"),
      health,
      about,
      console.readOnly ? el("span.badge.plain", { id: "read-only" }, "read-only") : null,
      el("span.filler"),
      themeButton,
      el("button.round", { type: "button", id: "leave", "aria-label": "Log out", title: "Log out", onclick: leave }, icon("leave")),
    ),
    el("nav.ways", { "aria-label": "Views" }, ways.map(([, link]) => link)),
  );
  const show = (chosen) => {
    for (const [word, link] of ways) {
      const isChosen = word === chosen || (word === "" && chosen === "component");
      if (isChosen) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  return { node, show };
}
