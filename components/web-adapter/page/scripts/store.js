// What the page knows: who is online, the conversations, what was said. Changes come in as frames of the native dialect; views read
// and are told that something changed. Knows neither the DOM nor the network.

import { Conversation } from "./model/conversation.js";
import { keyOf } from "./names.js";

const MAX_CONVERSATIONS = 500;
/** Events kept of a conversation that is not open; the rest is read again when it is. */
const MAX_CLOSED = 300;

export class Store {
  me = null;
  /** Which log the server keeps: what is held here are places in it. */
  serverLog = null;
  /** Names by key, in the order they came. */
  online = new Map();
  conversations = new Map();
  active = null;
  #byId = new Map();
  #mine = null;
  #listeners = new Set();

  subscribe(listener) {
    this.#listeners.add(listener);
  }

  #changed(what, conversation = null) {
    for (const listener of this.#listeners) listener(what, conversation);
  }

  get unseen() {
    let sum = 0;
    for (const { unseen } of this.conversations.values()) sum += unseen;
    return sum;
  }

  /** Whether a name is this user's; asked for every event, so names already compared are remembered. */
  isMe = (name) => {
    if (this.#mine?.of !== this.me) this.#mine = { of: this.me, key: this.me === null ? null : keyOf(this.me), known: new Map() };
    const { key, known } = this.#mine;
    if (!known.has(name)) {
      if (known.size >= MAX_CONVERSATIONS) known.clear();
      known.set(name, keyOf(name) === key);
    }
    return known.get(name);
  };

  isOnline(name) {
    return this.online.has(keyOf(name));
  }

  /** Conversations in which something was said, the latest first. */
  recent() {
    const spoken = [...this.conversations.values()].filter(({ last }) => last !== null);
    return spoken.sort((one, other) => other.at - one.at || one.key.localeCompare(other.key));
  }

  /** The conversation with somebody, made where there is none. */
  with(name) {
    const key = keyOf(name);
    let conversation = this.conversations.get(key);
    if (conversation === undefined) {
      if (this.conversations.size >= MAX_CONVERSATIONS) this.#forgetOne();
      conversation = new Conversation(this.online.get(key) ?? name.trim());
      this.conversations.set(key, conversation);
    }
    return conversation;
  }

  /** The one longest silent goes; the server has it. */
  #forgetOne() {
    const candidates = [...this.conversations.values()].filter((c) => c !== this.active && c.unseen === 0);
    const oldest = candidates.reduce((one, other) => (other.at < one.at ? other : one), candidates[0]);
    if (oldest === undefined) return;
    this.conversations.delete(oldest.key);
    this.#byId.delete(oldest.id);
  }

  /** The cursors for `hello`: what this page holds and need not be sent again. */
  cursors() {
    const held = [...this.conversations.values()].filter(({ id, log }) => id !== null && log.last !== null);
    return Object.fromEntries(held.slice(-200).map(({ id, log }) => [id, log.last.seq]));
  }

  welcome(frame) {
    this.me = frame.name;
    if (frame.log !== undefined) {
      if (this.serverLog !== null && this.serverLog !== frame.log) this.#forgetLog();
      this.serverLog = frame.log;
    }
    this.online = new Map(frame.online.map((name) => [keyOf(name), name]));
    for (const summary of frame.conversations) {
      const conversation = this.with(summary.with);
      conversation.summary({ ...summary, name: summary.with, id: summary.conversation });
      this.#byId.set(conversation.id, conversation);
    }
    this.#changed("everything");
  }

  /** A backup was restored: the same places hold other messages. */
  #forgetLog() {
    for (const conversation of this.conversations.values()) {
      const fresh = new Conversation(conversation.name);
      this.conversations.set(fresh.key, fresh);
      if (conversation === this.active) this.active = fresh;
    }
    this.#byId.clear();
  }

  presence({ name, online }) {
    if (online) this.online.set(keyOf(name), name);
    else this.online.delete(keyOf(name));
    this.#changed("presence");
  }

  /** An event of the server; returns its conversation, or null when it was known. */
  event(event) {
    const own = this.isMe(event.sender);
    const conversation = this.with(own ? event.destination : event.sender);
    this.#identify(conversation, event.conversation);
    if (!conversation.add(event, own)) return null;
    if (conversation.unseen === 0) conversation.log.trim();
    this.#changed("messages", conversation);
    return conversation;
  }

  /** What this page said is stored. */
  ack(ack, entry) {
    const conversation = this.with(entry.to);
    this.event({
      id: ack.id,
      conversation: ack.conversation,
      seq: ack.seq,
      at: ack.at,
      timestamp: ack.at,
      sender: this.me,
      destination: entry.to,
      body: entry.body,
      type: entry.kind,
      client_id: ack.client_id,
    });
    this.#changed("messages", conversation);
  }

  history(frame) {
    const conversation = this.with(frame.with);
    this.#identify(conversation, frame.conversation);
    conversation.addPage(frame.events, frame.more, this.#isOwn);
    conversation.loading = null;
    this.#changed("messages", conversation);
  }

  /** Shown up to `seq`, here or by another session of this user. */
  seen(id, seq) {
    const conversation = this.#byId.get(id);
    if (conversation?.show(seq, this.#isOwn)) this.#changed("seen", conversation);
  }

  /** The other user has everything up to `seq`. */
  delivered(id, seq) {
    const conversation = this.#byId.get(id);
    if (conversation === undefined || seq <= conversation.delivered) return;
    conversation.delivered = seq;
    this.#changed("delivered", conversation);
  }

  open(conversation) {
    if (this.active === conversation) return;
    const before = this.active;
    this.active = conversation;
    if (before !== null) {
      before.marker = null;
      before.log.trim(MAX_CLOSED);
    }
    this.mark(conversation);
    this.#changed("active", conversation);
  }

  /** What is unread now stands below a marker. */
  mark(conversation) {
    if (conversation !== null) conversation.marker = conversation.unseen > 0 ? conversation.seen : null;
  }

  /** Something that is not in the log changed: the outbox, a page on its way. */
  touch(conversation) {
    this.#changed("messages", conversation);
  }

  #isOwn = (event) => this.isMe(event.sender);

  #identify(conversation, id) {
    if (conversation.id === id) return;
    conversation.id = id;
    this.#byId.set(id, conversation);
  }
}
