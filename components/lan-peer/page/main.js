// Holds what the page knows: who there is, with whom we talk, and what was not read.

import { follow, get, post } from "./api.js";
import { Messages, head } from "./conversation.js";
import { find } from "./dom.js";
import { explain, show } from "./people.js";

let peers = [];
let chosen = null;
const unread = new Set();
const messages = new Messages();

function problem(error) {
  find("problem").textContent = error.message;
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
  show(peers, chosen, unread, choose);
  const peer = peers.find((one) => one.key === chosen);
  if (peer) head(peer, act);
}

async function look() {
  const overview = await get("overview");
  peers = overview.peers;
  find("me").textContent = overview.me.name;
  find("fingerprint").textContent = overview.me.fingerprint;
  document.title = `${overview.me.name}: people on this network`;
  render();
  if (!peers.some((peer) => peer.online)) explain(await get("doctor"));
}

async function load() {
  if (chosen === null) return;
  const asked = chosen;
  const entries = await get("history", { peer: asked });
  if (asked === chosen) messages.add(entries);
}

function choose(key) {
  chosen = key;
  unread.delete(key);
  messages.clear();
  render();
  attempt(load);
  find("text").focus();
}

const act = (what, body) => attempt(async () => {
  await post(what, body);
  await look();
});

function heard(event) {
  if (event.type === "message") {
    if (event.entry.peer === chosen) messages.add([event.entry]);
    else if (event.entry.state === "received") unread.add(event.entry.peer);
    render();
  } else {
    attempt(look);
    if (event.type === "lagged") attempt(load);
  }
}

function state(connected) {
  find("connection").textContent = connected ? "" : "This node does not answer; trying again.";
  find("connection").className = connected ? "" : "warning";
  if (connected) attempt(async () => { await look(); await load(); });
}

find("composer").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const [peer, text] = [chosen, find("text").value];
  if (!text.trim()) return;
  find("text").value = "";
  attempt(async () => {
    try {
      const entry = await post("send", { peer, text });
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

follow(heard, state);
