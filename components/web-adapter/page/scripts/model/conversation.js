// What this page knows of one conversation: its log with what is missing, how far it was shown, how much is unread. Pure; the rules and
// the table of cases that the terminal is held to as well are in `docs/client-model.md`.

import { keyOf } from "../names.js";
import { Cursor } from "./cursor.js";
import { Log } from "./log.js";

export class Conversation {
  log = new Log();
  cursor = new Cursor();
  /** Its key on the server; unknown until something was said. */
  id = null;
  /** Messages of others past the cursor. */
  unseen = 0;
  /** Up to where the other user has it, as far as this browser was told. */
  delivered = 0;
  /** The cursor when the conversation was opened with unread messages: where the marker stands. */
  marker = null;
  /** Its newest event, also where the log holds none. */
  last = null;
  /** The request for history that is in flight. */
  loading = null;
  #at = null;

  constructor(name) {
    this.name = name;
    this.key = keyOf(name);
  }

  get head() {
    return this.log.head;
  }

  get seen() {
    return this.cursor.shown;
  }

  /** When its newest event was stored, in milliseconds. */
  get at() {
    if (this.#at?.of !== this.last) this.#at = { of: this.last, ms: this.last === null ? 0 : Date.parse(this.last.at ?? this.last.timestamp) };
    return this.#at.ms;
  }

  /** The server's account of it, at a login. */
  summary({ name, id, head, seen, unseen, last = null }) {
    this.name = name;
    this.id = id;
    this.log.head = Math.max(this.log.head, head);
    const isAhead = this.cursor.shown > seen;
    this.cursor.show(seen);
    // What was shown here and has not reached the server yet is not unread again.
    this.unseen = isAhead ? Math.min(this.unseen, unseen) : unseen;
    this.#newest(last);
  }

  /** An event; false when it was known. */
  add(event, own) {
    const isNews = event.seq > this.log.head;
    if (isNews && this.log.isFull && this.unseen > 0) this.log.head = event.seq;
    else if (!this.log.add(event)) return false;
    if (own) this.cursor.own(event.seq);
    else if (isNews && event.seq > this.seen) this.unseen += 1;
    this.#newest(event);
    return true;
  }

  /** A page of history; `isOwn(event)` says whose each is. */
  addPage(events, more, isOwn) {
    const news = events.filter((event) => event.seq > this.log.head && event.seq > this.seen && !isOwn(event)).length;
    this.log.addPage(events, more, this.loading);
    for (const event of events) if (isOwn(event)) this.cursor.own(event.seq);
    this.unseen += news;
    this.#newest(this.log.last);
  }

  /** Shown up to `seq`, here or in another session; returns whether anything changed. */
  show(seq, isOwn) {
    const before = this.seen;
    if (seq <= before) return false;
    const passed = this.log.between(before + 1, seq).filter((event) => !isOwn(event)).length;
    this.cursor.show(seq);
    // Where the log does not hold what was passed, no more can be unread than there is left.
    this.unseen = Math.max(0, Math.min(this.unseen - passed, this.head - this.seen));
    return true;
  }

  #newest(event) {
    if (event !== null && (this.last === null || event.seq >= this.last.seq)) this.last = event;
  }
}
