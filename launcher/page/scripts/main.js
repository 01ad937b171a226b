// Where the page begins: takes the token out of a login link, asks for one, or shows the console at once.

import { Problem, change, keepToken, show } from "./api.js";
import { Console } from "./console.js";
import { theme } from "./theme.js";
import { loginView } from "./views/login.js";
import { el } from "./views/dom.js";
import { notices } from "./views/notices.js";

const root = document.getElementById("root");
const messages = notices({
  words: (reason, when) => `${reason}. What is shown may be out of date. Connecting again${when}…`,
  toastMs: 5_000,
});
let running = null;

/** Shows the field for a token, with what is wrong. */
function askForToken(problem = "") {
  running?.stop();
  running = null;
  messages.clear();
  delete document.documentElement.dataset.connection;
  const login = loginView({ submit: (token) => enter(token, login) });
  root.replaceChildren(login.node);
  if (problem === "") login.focus();
  else login.fail(problem);
}

async function enter(token, login) {
  login.busy(true);
  keepToken(token);
  await open((problem) => {
    login.busy(false);
    login.fail(problem);
  });
}

/** Shows the console, if the launcher lets us in. */
async function open(refuse) {
  try {
    const session = await show("/session");
    running = new Console({ session, messages, leave: () => (keepToken(null), askForToken()), refused: () => askForToken(WRONG) });
    root.replaceChildren(running.node);
    running.start();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) refuse(sentence(error.message));
    else await wait(error, refuse);
  }
}

const WRONG = "The token is not valid any more. Log in again.";
const AGAIN_MS = 1500;

/** A launcher that starts or restarts answers soon. */
async function wait(error, refuse) {
  root.replaceChildren(el("main.login", {}, el("div.joining", {}, el("span.spinner"), el("p", {}, `${sentence(error.message)} Trying again…`))));
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  await open(refuse);
}

function sentence(text) {
  const words = text.trim();
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?…]$/u.test(words) ? "" : "."}`;
}

/** What follows `#login=` is for us alone: it leaves the address before anything else happens. */
async function begin() {
  theme.restore();
  const code = /^#login=(.+)$/u.exec(location.hash)?.[1];
  if (code !== undefined) {
    history.replaceState(null, "", location.pathname);
    try {
      keepToken((await change("/login", { code })).token);
    } catch (error) {
      return askForToken(sentence(error.message));
    }
  }
  return open((problem) => askForToken(code === undefined ? "" : problem));
}

begin();
