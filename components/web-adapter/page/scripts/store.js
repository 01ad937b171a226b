// What the page knows: who is online, the conversations, what was said. Changes come in as frames of the native dialect; views read
// and are told that something changed. Knows neither the DOM nor the network.

import { Log } from "./log.js";
import { keyOf } from "./names.js";

const MAX_CONVERSATIONS = 500;

export class Conversation {
  log = new Log();
  /** Its key on the server; unknown until something was said. */
  id = null;
  /** The `seq` of its last event, and up to where this user has seen it. */
  head = 0;
  seen = 0;
  unseen = 0;
  /** Up to where the other user has it, as far as this page was told. */
  delivered = 0;
  /** The first event that was unseen when the conversation was opened: where the marker stands. */
  marker = null;
  /** Its newest event, also where the log holds none. */
  last = null;
  /** Set while a page of history is asked for. */
  loading = false;
  constructor(name) {
    this.name = name;
    this.key = keyOf(name);
  }

  get at() {
    return this.last === null ? 0 : Date.parse(this.last.timestamp);
  }
}

export class Store {
  me = null;
  /** Which log the server keeps: what is held here are places in it. */
  serverLog = null;
  /** Names by key, in the order they came. */
  online = new Map();
  conversations = new Map();
  active = null;
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

  get isMe() {
    const me = this.me === null ? null : keyOf(this.me);
    return (name) => keyOf(name) === me;
  }

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
    if (oldest !== undefined) this.conversations.delete(oldest.key);
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
      Object.assign(conversation, {
        name: summary.with,
        id: summary.conversation,
        head: Math.max(conversation.head, summary.head),
        seen: Math.max(conversation.seen, summary.seen),
        unseen: summary.unseen,
        last: newer(conversation.last, summary.last ?? null),
      });
    }
    this.#changed("everything");
  }

  /** A backup was restored: the same places hold other messages. */
  #forgetLog() {
    for (const conversation of this.conversations.values()) {
      const { name, key } = conversation;
      Object.assign(conversation, new Conversation(name), { key });
    }
  }

  presence({ name, online }) {
    if (online) this.online.set(keyOf(name), name);
    else this.online.delete(keyOf(name));
    this.#changed("presence");
  }

  /** An event of the server; returns its conversation, or null when it was known. */
  event(event) {
    const conversation = this.#of(event);
    if (!conversation.log.add(event)) return null;
    if (event.seq > conversation.head) {
      conversation.head = event.seq;
      if (!this.isMe(event.sender)) conversation.unseen += 1;
    }
    conversation.last = newer(conversation.last, event);
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
    conversation.id = frame.conversation;
    conversation.loading = false;
    conversation.log.addPage(frame.events, frame.more);
    conversation.last = newer(conversation.last, conversation.log.last);
    conversation.head = Math.max(conversation.head, conversation.last?.seq ?? 0);
    this.#changed("messages", conversation);
  }

  /** Shown up to `seq`, here or by another session of this user. */
  seen(id, seq) {
    const conversation = [...this.conversations.values()].find((candidate) => candidate.id === id);
    if (conversation === undefined || seq <= conversation.seen) return;
    conversation.seen = seq;
    conversation.unseen = Math.min(conversation.unseen, this.#unreadPast(conversation, seq));
    this.#changed("seen", conversation);
  }

  /** The other user has everything up to `seq`. */
  delivered(id, seq) {
    const conversation = [...this.conversations.values()].find((candidate) => candidate.id === id);
    if (conversation === undefined || seq <= conversation.delivered) return;
    conversation.delivered = seq;
    this.#changed("messages", conversation);
  }

  /** How many messages of others lie past `seq`: counted where the log holds all of them, at most so many where it does not. */
  #unreadPast({ log, head }, seq) {
    const past = log.events.filter((event) => event.seq > seq);
    const isWhole = past.length === head - seq;
    return isWhole ? past.filter((event) => !this.isMe(event.sender)).length : Math.max(0, head - seq);
  }

  open(conversation) {
    if (this.active === conversation) return;
    const before = this.active;
    this.active = conversation;
    if (before !== null) {
      before.marker = null;
      before.log.trim(300);
    }
    if (conversation !== null) conversation.marker = conversation.unseen > 0 ? conversation.seen : null;
    this.#changed("active", conversation);
  }

  /** Something that is not in the log changed: the outbox, a page on its way. */
  touch(conversation) {
    this.#changed("messages", conversation);
  }

  #of(event) {
    const other = this.isMe(event.sender) ? event.destination : event.sender;
    const conversation = this.with(other);
    conversation.id = event.conversation;
    return conversation;
  }
}

function newer(one, other) {
  if (one === null || other === null) return one ?? other;
  return other.seq >= one.seq ? other : one;
}
