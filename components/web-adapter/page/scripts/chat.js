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

const PAGE_EVENTS = 50;
/** A gap in a log is asked for after this long; mostly what fills it is on its way. */
const GAP_MS = 1_000;

export class Chat {
  #store = new Store();
  #key;
  #outbox;
  #drafts;
  #connection;
  #notices;
  #ended;
  #views = null;
  #timers = new Set();
  #cleanup = new AbortController();
  #drawn = false;

  /** `onJoined(chat)` is called at the first welcome, `onEnded(message)` at the end: with an error, or null after a log-out. */
  constructor({ name, notices, onJoined, onEnded, onWaiting }) {
    this.name = name;
    this.#key = keyOf(name);
    this.#outbox = new Outbox(this.#key, keep);
    this.#drafts = new Drafts(this.#key, keep);
    this.#notices = notices;
    this.#ended = onEnded;
    this.onJoined = onJoined;
    this.onWaiting = onWaiting;
    let token = null;
    this.#connection = new Connection({
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
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
    if (error?.code === "taken") keepToken(this.#key, null);
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
        return this.#store.delivered(frame.conversation, frame.seq);
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
    for (const conversation of this.#store.conversations.values()) conversation.loading = false;
    this.#store.welcome(frame);
    if (this.#views === null) {
      this.#build();
      this.onJoined(this);
      this.#openFromAddress();
      this.#changed();
    }
    for (const entry of this.#outbox.entries()) if (entry.refused === undefined) this.#send(entry);
    if (this.#store.active !== null) this.#older(this.#store.active);
  }

  #event({ event, replayed }) {
    this.#outbox.remove(event.client_id);
    const conversation = this.#store.event(event);
    if (conversation === null) return;
    if (conversation.log.gap() !== null) this.#later(GAP_MS, () => this.#fillGap(conversation));
    if (replayed || this.#store.isMe(event.sender)) return;
    this.#notices.announce(`${event.sender}: ${previewOf(event.body)}`);
  }

  #ack(frame) {
    const entry = this.#outbox.find(frame.client_id);
    if (entry === null) return;
    this.#outbox.remove(frame.client_id);
    this.#store.ack(frame, entry);
  }

  #error(frame) {
    const entry = frame.client_id === undefined ? null : this.#outbox.find(frame.client_id);
    if (entry === null) return this.#notices.toast(frame.message);
    if (frame.code === "retry") {
      return this.#later(frame.retry_after_ms ?? 500, () => this.#outbox.find(entry.client_id) && this.#send(entry));
    }
    this.#outbox.refuse(frame.client_id, frame.message);
    return this.#store.touch(this.#store.with(entry.to));
  }

  #history(frame) {
    this.#store.history(frame);
    const conversation = this.#store.with(frame.with);
    if (conversation === this.#store.active) this.#markSeen();
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
    this.#store.open(conversation);
    if (conversation === null) return;
    conversation.isPlaced = false;
    this.#older(conversation);
    // On a phone the keyboard would hide half of what one came to read.
    if (matchMedia("(pointer: fine)").matches) requestAnimationFrame(() => this.#views?.conversation.focus());
  }

  #close() {
    location.hash = "#/";
  }

  /** Asks for what was said before the oldest message here. */
  #older(conversation) {
    const { log } = conversation;
    if (conversation.loading || log.older === false) return;
    const before = log.first === null ? {} : { before: log.first };
    if (!this.#connection.send({ type: "history", with: conversation.name, limit: PAGE_EVENTS, ...before })) return;
    conversation.loading = true;
    this.#store.touch(conversation);
  }

  #fillGap(conversation) {
    const gap = conversation.log.gap();
    if (gap !== null) this.#connection.send({ type: "history", with: conversation.name, ...gap });
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
    const unsent = this.#outbox.entries().length;
    const sure =
      unsent === 0 ||
      (await ask({
        title: "Log out?",
        text: `${unsent === 1 ? "1 message has" : `${unsent} messages have`} not been sent yet and will be dropped.`,
        yes: "Log out",
      }));
    if (!sure) return;
    this.#outbox.clear();
    this.#drafts.clear();
    keepToken(this.#key, null);
    history.replaceState(null, "", "/");
    this.#end(null);
  }

  /** Tells the server what was really shown: the conversation is open, its end in view, the page visible. */
  #markSeen() {
    const { active } = this.#store;
    if (active === null || this.#views === null || document.visibilityState !== "visible") return;
    if (!this.#views.conversation.isAtEnd() || active.id === null || active.log.last === null) return;
    const { seq } = active.log.last;
    if (seq <= active.seen) return;
    if (this.#connection.send({ type: "seen", conversation: active.id, seq })) this.#store.seen(active.id, seq);
  }

  #onVisible() {
    if (document.visibilityState !== "visible") return;
    this.#connection.hurry();
    this.#markSeen();
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
      close: () => this.#close(),
      check: () => this.#check(),
      isLive: () => this.#connection.isLive,
      logout: () => this.#logout(),
      say: (conversation, text) => this.#say(conversation, text),
      older: (conversation) => this.#older(conversation),
      reachedEnd: () => this.#markSeen(),
      edit: (message) => {
        this.#discard(message);
        this.#views.conversation.edit(message.body);
      },
      discard: (message) => this.#discard(message),
    };
    const shared = { store: this.#store, outbox: this.#outbox, drafts: this.#drafts, actions, theme };
    this.#views = { sidebar: sidebarView(shared), conversation: conversationView(shared) };
    this.node = el("div.app", {}, this.#views.sidebar.node, this.#views.conversation.node);
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
      this.#drawn = false;
      this.#draw();
    };
    if (document.visibilityState === "visible") requestAnimationFrame(draw);
    else queueMicrotask(draw);
  }

  #draw() {
    if (this.#views === null) return;
    this.node.dataset.pane = this.#store.active === null ? "list" : "conversation";
    this.#views.conversation.render();
    this.#markSeen();
    this.#views.sidebar.render();
    const { unseen, active } = this.#store;
    document.title = `${unseen > 0 ? `(${unseen}) ` : ""}${active === null ? "P2P Chat" : `${active.name} · P2P Chat`}`;
  }
}
