// One conversation: who it is with, what was said, what one can say.

import { serviceOf } from "../services.js";
import { avatar } from "./avatar.js";
import { composerView } from "./composer.js";
import { el, fill, icon } from "./dom.js";
import { timelineView } from "./timeline.js";

/** The view, with `render()`, `focus()`, `edit(text)`, `toEnd()`, `toUnread()`. */
export function conversationView({ store, outbox, drafts, actions }) {
  let shown = null;
  let drawn = "";

  const back = el("button.round.back", { type: "button", "aria-label": "Back to the list", onclick: actions.close }, icon("back"));
  const header = el("div.partner");
  const commands = el("div.commands", { role: "group" });
  const timeline = timelineView({ store, outbox, actions });
  const composer = composerView({ drafts, actions });
  const pane = el("section.pane", { "aria-label": "Conversation" }, el("header.head", {}, back, header), timeline.node, commands, composer.node);
  const nothing = el(
    "section.nothing",
    { "aria-label": "No conversation" },
    el("img.logo", { src: "./favicon.svg", alt: "", width: 72, height: 72 }),
    el("h1", {}, "Select a conversation"),
    el("p", {}, "Choose a conversation on the left, or type a name above it to begin one. People who are offline get your messages when they return."),
  );
  const node = el("div.stage", {}, nothing);

  function render() {
    const { active } = store;
    if (active !== shown) switchTo(active);
    if (active === null) return;
    renderHeader();
    timeline.render();
  }

  function switchTo(conversation) {
    const isSame = shown !== null && conversation !== null && shown.key === conversation.key;
    shown = conversation;
    drawn = "";
    if (!isSame) fill(node, conversation === null ? nothing : pane);
    timeline.show(conversation);
    if (conversation === null || isSame) return;
    composer.show(conversation, `Message ${conversation.name}`);
    const service = serviceOf(conversation.name);
    commands.hidden = service === null;
    commands.setAttribute("aria-label", service === null ? "" : `Commands of ${conversation.name}`);
    const buttons = (service?.commands ?? []).map((command) =>
      el(
        `button.chip.kind-${command.kind}`,
        { type: "button", title: command.about, "data-command": command.body, onclick: () => actions.say(conversation, command.body) },
        icon(command.icon),
        command.label,
      ),
    );
    fill(commands, buttons);
  }

  function renderHeader() {
    const live = actions.isLive();
    const online = live && store.isOnline(shown.name);
    const words = store.isMe(shown.name)
      ? "Notes to yourself"
      : !live
        ? "Connecting…"
        : online
          ? "Online"
          : "Offline · will get your messages later";
    const said = `${shown.name}|${words}`;
    if (said === drawn) return;
    drawn = said;
    fill(header, avatar(shown.name, online), el("div.who", {}, el("h1.name", {}, el("bdi", {}, shown.name)), el(`span.sub${online ? ".online" : ""}`, {}, words)));
  }

  return { node, render, focus: composer.focus, read: timeline.focus, edit: composer.put, toEnd: timeline.toEnd, toUnread: timeline.toUnread };
}
