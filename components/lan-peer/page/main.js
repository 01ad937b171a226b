// Holds what the page knows: who there is, with whom we talk, and what was not read.

import { follow, get, post } from "./api.js";
import { Messages, head } from "./conversation.js";
import { rename, showOwn, verify } from "./dialogs.js";
import { find } from "./dom.js";
import { explain, sentence, show } from "./people.js";

// Messages in one answer of the server.
const PAGE = 200;

let me = null;
let peers = [];
let chosen = null;
const unread = new Map();
const messages = new Messages();

function problem(error) {
  find("problem").textContent = sentence(error.message);
  find("problem").hidden = false;
}

async function attempt(work) {
  try {
    find("problem").hidden = true;
    return await work();
  } catch (error) {
    problem(error);
    return null;
  }
}

function render() {
  if (me === null) return;
  show(peers, chosen, unread, choose);
  const peer = peers.find((one) => one.key === chosen);
  if (peer) head(peer, actsOn(peer));
  const count = [...unread.values()].reduce((sum, one) => sum + one, 0);
  document.title = `${count > 0 ? `(${count}) ` : ""}${me.name}: people on this network`;
}

async function look() {
  const overview = await get("overview");
  ({ me, peers } = overview);
  find("me").textContent = me.name;
  showOwn(me);
  render();
  if (!peers.some((peer) => peer.online)) explain(await get("doctor"));
}

async function load(query = {}) {
  if (chosen === null) return;
  const asked = chosen;
  const entries = await get("history", { peer: asked, ...query });
  if (asked === chosen) messages.page(entries, PAGE);
}

function choose(key) {
  chosen = key;
  document.body.classList.add("talking");
  unread.delete(key);
  messages.clear();
  render();
  attempt(load);
  // On a phone the keyboard would cover what one came to read.
  if (matchMedia("(width >= 44rem)").matches) find("text").focus();
}

function back() {
  chosen = null;
  document.body.classList.remove("talking");
  render();
}

const act = async (what, body) => {
  await post(what, body);
  await look();
};

const actsOn = (peer) => {
  const judge = (verdict, proof = null) => act("trust", { peer: peer.key, verdict, proof });
  return {
    back,
    judge: (verdict) => attempt(() => judge(verdict)),
    verify: () => verify(peer, (proof) => judge("verified", proof)),
    rename: () => attempt(async () => {
      const name = await rename(peer);
      if (name !== null) await act("rename", { peer: peer.key, name });
    }),
  };
};

// How many messages wait for somebody changes with each of them; asking once is enough.
let soon = null;

function lookSoon() {
  soon ??= setTimeout(() => {
    soon = null;
    attempt(look);
  }, 300);
}

function heard(event) {
  if (event.type === "message") {
    const { entry } = event;
    const peer = peers.find((one) => one.key === entry.peer);
    if (peer && entry.state !== "received" && (peer.waiting > 0 || !peer.online)) lookSoon();
    if (entry.peer === chosen) messages.add([entry]);
    if (entry.state === "received" && (entry.peer !== chosen || document.hidden)) {
      unread.set(entry.peer, (unread.get(entry.peer) ?? 0) + 1);
    }
    render();
  } else {
    attempt(look);
    if (event.type === "lagged") attempt(load);
  }
}

function state(connected) {
  find("connection").hidden = connected;
  if (connected) attempt(async () => { await look(); await load(); });
}

// What was a node's address gets nothing unencrypted until people say that it may.
async function send(message) {
  try {
    return await post("send", message);
  } catch (error) {
    const question = "A node that encrypts is or was at this address. Send this unencrypted, for anybody on this network to read?";
    if (error.status !== 409 || !message.peer.startsWith("old:") || !confirm(question)) throw error;
    return post("send", { ...message, unencrypted: true });
  }
}

find("composer").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const [peer, text] = [chosen, find("text").value];
  if (!text.trim()) return;
  find("text").value = "";
  attempt(async () => {
    try {
      const entry = await send({ peer, text });
      if (entry.state === "failed") throw new Error(`Not sent: ${entry.remark}`);
    } catch (error) {
      if (!find("text").value) find("text").value = text;
      throw error;
    }
  });
});

find("text").addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && !pressed.shiftKey && !pressed.isComposing) {
    pressed.preventDefault();
    find("composer").requestSubmit();
  }
});

find("earlier").onclick = () => attempt(() => load({ before: messages.first }));

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && unread.delete(chosen)) render();
});

follow(heard, state);
