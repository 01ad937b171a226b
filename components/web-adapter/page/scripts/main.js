// Where the page begins: shows the login or, after a reload, joins again at once.

import { Chat } from "./chat.js";
import { keep, keepToken } from "./browser_storage.js";
import { keyOf } from "./names.js";
import { theme } from "./theme.js";
import { el } from "./views/dom.js";
import { loginView } from "./views/login.js";
import { notices } from "./views/notices.js";

const root = document.getElementById("root");
const messages = notices({
  words: (reason, when) => `${reason ? `${sentence(reason)} ` : ""}Reconnecting${when}… Your messages will be sent then.`,
  toastMs: 4_000,
});

const ERRORS = {
  taken: "This name is in use. Choose another one, or log out on your other device.",
  protected: "This name is protected. Enter it with a token of its account: name:TOKEN",
  reserved: "This name belongs to a service. Choose another one.",
};

function showLogin(error = null, name = keep.get("name", "")) {
  messages.clear();
  document.title = "P2P Chat";
  const login = loginView({ lastName: name, submit: (chosen, token) => {
    // Kept for this name as that of an earlier welcome would be.
    if (token !== null) keepToken(keyOf(chosen), token);
    join(chosen, login);
  } });
  root.replaceChildren(login.node);
  if (error === null) login.focus();
  else login.fail(ERRORS[error.code] ?? sentence(error.message));
}

function showJoining(name, giveUp) {
  root.replaceChildren(
    el(
      "main.login",
      {},
      el(
        "div.joining",
        {},
        el("img.logo", { src: "./favicon.svg", alt: "", width: 64, height: 64 }),
        el("p", { dir: "auto" }, `Joining as ${name}…`),
        el("button.secondary", { type: "button", id: "give-up", onclick: giveUp }, "Use another name"),
      ),
    ),
  );
}

/** Joins as somebody; `login` is the view that asked, or null after a reload. */
function join(name, login) {
  login?.busy(true);
  const chat = new Chat({
    name,
    notices: messages,
    onJoined: ({ node }) => {
      messages.clear();
      root.replaceChildren(node);
    },
    onEnded: (error) => showLogin(error, name),
    onWaiting: (status) => {
      if (status.state !== "waiting") return;
      if (login === null) return messages.connection(status, () => location.reload());
      chat.stop();
      login.busy(false);
      login.fail(sentence(`Cannot reach the chat server: ${status.reason}${/[.!?]$|allowed-/u.test(status.reason) ? "" : ". Try again in a moment"}`));
    },
  });
  if (login === null) {
    showJoining(name, () => {
      chat.stop();
      keep.setTab("name", null);
      showLogin();
    });
  }
  chat.start();
}

/** A server's words begin small and end bare. */
function sentence(text) {
  const words = text.trim();
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?…]$/u.test(words) ? "" : "."}`;
}

theme.restore();
const again = keep.tab("name");
if (again === null) showLogin();
else join(again, null);
