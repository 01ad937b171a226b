// One user's chat, from the login to the log-out: joins the connection, the store, the outbox and the views.
//
// The life of a message: composer → outbox (kept in the browser) → `send` → `ack` → store; or `error`: again later, or refused.
// The life of an event: frame → store → views, once per animation frame → `seen` once it was really shown.

import { Connection } from "./connection.js";
import { Drafts } from "./drafts.js";
import { keep, keepToken, tokenOf } from "./browser_storage.js";
import { keyOf } from "./names.js";
import { Outbox, freshId } from "./outbox.js";
import { kindOf } from "./services.js";
import { Store } from "./store.js";
import { previewOf } from "./text.js";
import { theme } from "./theme.js";
import { conversationView } from "./views/conversation.js";
import { el } from "./views/dom.js";
import { ask } from "./views/question.js";
import { sidebarView } from "./views/sidebar.js";

/** The first page of a conversation of which nothing is known. */
const PAGE_EVENTS = 50;
/** A request for history that is not answered within this time is made again. */
const HISTORY_MS = 10_000;
const MAX_RECEIPTS = 200;
/** `seen` is sent at most this often. */
const SEEN_MS = 250;

/** An address beside the page's own, wherever a proxy has put that. */
function addressOf(path) {
  return new URL(`./${path}`, document.baseURI.replace(/#.*$/u, "")).href;
}

/** `1 draft`, `3 drafts`, or nothing where there is none. */
function counted(number, noun) {
  return number === 0 ? "" : `${number} ${noun}${number === 1 ? "" : "s"}`;
}

export class Chat {
  #store = new Store();
  #key;
  #outbox;
  #drafts;
  /** Up to where others have what was said to them, by conversation; kept in the browser. The oldest go. */
  #receipts;
  #connection;
  #notices;
  #ended;
  #views = null;
  #timers = new Set();
  #cleanup = new AbortController();
  #drawn = false;
  /** Conversations whose cursor moved here and is to be told, while a timer runs. */
  #toTell = null;

  /** `onJoined(chat)` is called at the first welcome, `onEnded(message)` at the end: with an error, or null after a log-out. */
  constructor({ name, notices, onJoined, onEnded, onWaiting }) {
    this.name = name;
    this.#key = keyOf(name);
    this.#outbox = new Outbox(this.#key, keep);
    this.#drafts = new Drafts(this.#key, keep);
    this.#receipts = keep.get(`receipts.${this.#key}`, { log: null, upTo: [] });
    this.#notices = notices;
    this.#ended = onEnded;
    this.onJoined = onJoined;
    this.onWaiting = onWaiting;
    let token = null;
    this.#connection = new Connection({
      url: addressOf("ws").replace(/^http/u, "ws"),
      hello: () => {
        token = tokenOf(this.#key);
        const { serverLog } = this.#store;
        return {
          type: "hello",
          name,
          ...(token === null ? {} : { token }),
          cursors: this.#store.cursors(),
          ...(serverLog === null ? {} : { log: serverLog }),
          receipts: true,
        };
      },
      onFrame: (frame) => this.#take(frame),
      onStatus: (status) => this.#status(status),
      onRefused: (error) => {
        const newer = tokenOf(this.#key);
        // After a restart of the server another tab of ours was first, and has a new token.
        if (error.code === "taken" && newer !== null && newer !== token) this.#connection.start();
        else this.#end(error);
      },
    });
    this.#store.subscribe(() => this.#changed());
  }

  start() {
    const { signal } = this.#cleanup;
    globalThis.addEventListener("online", () => this.#connection.hurry(), { signal });
    document.addEventListener("visibilitychange", () => this.#onVisible(), { signal });
    this.#connection.start();
  }

  /** Gives up joining. */
  stop() {
    this.#connection.stop();
    this.#cleanup.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#views = null;
  }

  #end(error) {
    this.stop();
    if (error?.code === "taken" || error?.code === "protected") keepToken(this.#key, null);
    keep.setTab("name", null);
    this.#ended(error);
  }

  // --- frames ---------------------------------------------------------------------------------------------------------------

  #take(frame) {
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame);
      case "event":
        return this.#event(frame);
      case "ack":
        return this.#ack(frame);
      case "error":
        return this.#error(frame);
      case "presence":
        return this.#store.presence(frame);
      case "history":
        return this.#history(frame);
      case "delivered":
        return this.#delivered(frame.conversation, frame.seq);
      case "seen":
        return this.#store.seen(frame.conversation, frame.seq);
      default:
        // `live`, and whatever a newer server may say.
        return undefined;
    }
  }

  #welcome(frame) {
    keepToken(this.#key, frame.token);
    keep.setTab("name", frame.name);
    keep.set("name", frame.name);
    for (const conversation of this.#store.conversations.values()) conversation.loading = null;
    this.#store.welcome(frame);
    // The server does not tell again what it told before.
    if (frame.log === this.#receipts.log) for (const [id, seq] of this.#receipts.upTo) this.#store.delivered(id, seq);
    else this.#receipts = { log: frame.log, upTo: [] };
    if (this.#views === null) {
      this.#build();
      this.onJoined(this);
      this.#openFromAddress();
      this.#changed();
      if (this.#store.active === null) this.#views.sidebar.focus();
    }
    for (const entry of this.#outbox.entries()) if (entry.refused === undefined) this.#send(entry);
  }

  #event({ event, replayed }) {
    if (this.#store.isMe(event.sender)) this.#outbox.remove(event.client_id);
    const conversation = this.#store.event(event);
    if (conversation === null) return;
    if (replayed || this.#store.isMe(event.sender)) return;
    this.#notices.announce(`${event.sender}: ${previewOf(event.body)}`);
  }

  #ack(frame) {
    const entry = this.#outbox.find(frame.client_id);
    if (entry === null) return;
    this.#outbox.remove(frame.client_id);
    const conversation = this.#store.with(entry.to);
    const { seen } = conversation;
    this.#store.ack(frame, entry);
    if (conversation.seen > seen) this.#tell(conversation);
  }

  #error(frame) {
    const entry = frame.client_id === undefined ? null : this.#outbox.find(frame.client_id);
    if (entry === null && frame.code === "retry") return this.#later(frame.retry_after_ms ?? 500, () => this.#askAgain());
    if (entry === null) return this.#notices.toast(frame.message);
    if (frame.code === "retry") {
      return this.#later(frame.retry_after_ms ?? 500, () => this.#outbox.find(entry.client_id) && this.#send(entry));
    }
    this.#outbox.refuse(frame.client_id, frame.message);
    return this.#store.touch(this.#store.with(entry.to));
  }

  #history(frame) {
    this.#store.history(frame);
  }

  #delivered(id, seq) {
    this.#store.delivered(id, seq);
    const { log, upTo } = this.#receipts;
    this.#receipts = { log, upTo: [...upTo.filter(([other]) => other !== id), [id, seq]].slice(-MAX_RECEIPTS) };
    keep.set(`receipts.${this.#key}`, this.#receipts);
  }

  // --- what the person does -------------------------------------------------------------------------------------------------

  #say(conversation, text) {
    if (text === "!check") {
      this.#check();
      return true;
    }
    const entry = {
      client_id: freshId(),
      to: conversation.name,
      body: text,
      kind: kindOf(conversation.name, text),
      at: new Date().toISOString(),
    };
    if (!this.#outbox.add(entry)) {
      this.#notices.toast("Too many unsent messages. Wait until the connection is back.");
      return false;
    }
    this.#send(entry);
    this.#views.conversation.toEnd();
    this.#store.touch(conversation);
    return true;
  }

  #send({ client_id, to, body, kind }) {
    this.#connection.send({ type: "send", client_id, to, body, kind });
  }

  /** Begins a conversation with somebody of whom nothing is known here, if that is meant. */
  async #begin(name) {
    const sure = await ask({
      title: `Write to ${name}?`,
      text: `Nobody called “${name}” is online or in your conversations. If the name is right, they get your messages when they log in.`,
      yes: "Start conversation",
      isHarmless: true,
    });
    if (sure && this.#views !== null) this.#open(name);
  }

  #open(name) {
    const conversation = this.#store.with(name);
    const address = `#/${encodeURIComponent(conversation.name)}`;
    if (location.hash === address) this.#show(conversation);
    else location.hash = address;
  }

  #openFromAddress() {
    let name = null;
    try {
      name = decodeURIComponent(location.hash.replace(/^#\/?/u, ""));
    } catch {
      // An address that was cut somewhere.
    }
    this.#show(name ? this.#store.with(name) : null);
  }

  #show(conversation) {
    const before = this.#store.active;
    this.#store.open(conversation);
    if (conversation === before) return;
    requestAnimationFrame(() => this.#focus(before));
  }

  /** The focus goes where one reads or writes next, and never to nothing. */
  #focus(before) {
    if (this.#views === null || document.querySelector("dialog[open]") !== null) return;
    const { active } = this.#store;
    if (active === null) this.#views.sidebar.focus(before?.key);
    // On a phone the keyboard would hide half of what one came to read.
    else if (matchMedia("(pointer: fine)").matches) this.#views.conversation.focus();
    else this.#views.conversation.read();
  }

  #close() {
    location.hash = "#/";
  }

  /** Asks for what is missing from place `from` to `to`: one request at a time, and none for what was asked for. */
  #want(conversation, from, to) {
    const { log } = conversation;
    if (conversation.loading !== null) return;
    const isUnknown = log.head === 0 && log.older === null;
    const request = isUnknown ? { limit: PAGE_EVENTS } : log.request(from, to);
    if (request === null || !this.#connection.send({ type: "history", with: conversation.name, ...request })) return;
    conversation.loading = request;
    this.#later(HISTORY_MS, () => conversation.loading === request && this.#askAgain());
    if (isUnknown) this.#store.touch(conversation);
  }

  /** An answer is missing, or the store was; the view asks for what it still lacks. */
  #askAgain() {
    for (const conversation of this.#store.conversations.values()) conversation.loading = null;
    this.#changed();
  }

  #check() {
    this.#connection.hurry();
    const waiting = this.#store.recent().filter(({ unseen }) => unseen > 0);
    if (waiting.length === 0) return this.#notices.toast("No unread messages.");
    const sum = waiting.reduce((total, { unseen }) => total + unseen, 0);
    this.#notices.toast(`${sum} unread in ${waiting.length === 1 ? waiting[0].name : `${waiting.length} conversations`}`);
    return this.#open((waiting.find((conversation) => conversation !== this.#store.active) ?? waiting[0]).name);
  }

  async #logout() {
    const losses = [counted(this.#outbox.entries().length, "unsent message"), counted(this.#drafts.count, "draft")].filter(Boolean);
    const sure =
      losses.length === 0 ||
      (await ask({
        title: "Log out?",
        text: `${losses.join(" and ")} will be deleted from this browser.`,
        yes: "Log out",
      }));
    if (!sure) return;
    this.#outbox.clear();
    this.#drafts.clear();
    keepToken(this.#key, null);
    history.replaceState(null, "", addressOf(""));
    this.#end(null);
  }

  /** Something was really shown: the conversation is open, the message in view, the page visible. The server is told now and then. */
  #shown(conversation, seq) {
    if (conversation.id === null || seq <= conversation.seen) return;
    this.#store.seen(conversation.id, seq);
    this.#tell(conversation);
  }

  #tell(conversation) {
    const isWaiting = this.#toTell !== null;
    this.#toTell ??= new Set();
    this.#toTell.add(conversation);
    if (!isWaiting) this.#later(SEEN_MS, () => this.#tellSeen());
  }

  #tellSeen() {
    for (const { id, seen } of this.#toTell ?? []) this.#connection.send({ type: "seen", conversation: id, seq: seen });
    this.#toTell = null;
  }

  #onVisible() {
    if (document.visibilityState !== "visible") return this.#tellSeen();
    this.#connection.hurry();
    const { active } = this.#store;
    if (active !== null && active.unseen > 0) {
      // What came while nobody looked is read from its beginning.
      this.#store.mark(active);
      this.#views?.conversation.toUnread();
    }
    return this.#changed();
  }

  #status(status) {
    if (this.#views === null) return this.onWaiting(status);
    this.#notices.connection(status, () => this.#connection.hurry());
    return this.#changed();
  }

  #later(ms, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }

  // --- what is shown --------------------------------------------------------------------------------------------------------

  #build() {
    const actions = {
      open: (name) => this.#open(name),
      begin: (name) => this.#begin(name),
      close: () => this.#close(),
      check: () => this.#check(),
      isLive: () => this.#connection.isLive,
      logout: () => this.#logout(),
      say: (conversation, text) => this.#say(conversation, text),
      want: (conversation, from, to) => this.#want(conversation, from, to),
      shown: (conversation, seq) => this.#shown(conversation, seq),
      edit: (message) => {
        this.#discard(message);
        this.#views.conversation.edit(message.body);
      },
      discard: (message) => this.#discard(message),
    };
    const shared = { store: this.#store, outbox: this.#outbox, drafts: this.#drafts, actions, theme };
    this.#views = { sidebar: sidebarView(shared), conversation: conversationView(shared) };
    this.node = el("main.app", {}, this.#views.sidebar.node, this.#views.conversation.node);
    const { signal } = this.#cleanup;
    globalThis.addEventListener("hashchange", () => this.#openFromAddress(), { signal });
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    // Another tab sent what was waiting, or wrote something.
    globalThis.addEventListener("storage", () => this.#store.active !== null && this.#store.touch(this.#store.active), { signal });
  }

  #discard({ clientId }) {
    const entry = this.#outbox.find(clientId);
    this.#outbox.remove(clientId);
    if (entry !== null) this.#store.touch(this.#store.with(entry.to));
  }

  #onKey(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#views.sidebar.search();
    } else if (event.key === "Escape" && this.#store.active !== null && document.querySelector("dialog[open]") === null) {
      this.#close();
    } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      this.#step(event.key === "ArrowDown" ? 1 : -1);
    }
  }

  /** The next conversation in the list. */
  #step(by) {
    const list = this.#store.recent();
    if (list.length === 0) return;
    const at = list.indexOf(this.#store.active);
    this.#open(list[(at + by + list.length) % list.length].name);
  }

  #changed() {
    if (this.#drawn || this.#views === null) return;
    this.#drawn = true;
    // A hidden page has no animation frames, and its title should still count.
    const draw = () => {
      try {
        this.#draw();
      } finally {
        // What drawing changed, because a message was shown, is drawn by now.
        this.#drawn = false;
      }
    };
    if (document.visibilityState === "visible") requestAnimationFrame(draw);
    else queueMicrotask(draw);
  }

  #draw() {
    if (this.#views === null) return;
    this.node.dataset.pane = this.#store.active === null ? "list" : "conversation";
    this.#views.conversation.render();
    this.#views.sidebar.render();
    const { unseen, active } = this.#store;
    const title = `${unseen > 0 ? `(${unseen}) ` : ""}${active === null ? "P2P Chat" : `${active.name} · P2P Chat`}`;
    if (document.title !== title) document.title = title;
  }
}
