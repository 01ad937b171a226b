// The part of one conversation's log that this page holds: events by `seq`, each once, whatever order they come in.
//
// Bound: `trim` keeps the newest; what it drops is read again when somebody scrolls back.

export class Log {
  /** In order of `seq`. */
  events = [];
  /** Whether there is more before the first event: true, false, or null where nobody asked yet. */
  older = null;

  get first() {
    return this.events[0]?.seq ?? null;
  }

  get last() {
    return this.events.at(-1) ?? null;
  }

  /** Adds an event; false when it was there. */
  add(event) {
    let at = this.events.length;
    while (at > 0 && this.events[at - 1].seq > event.seq) at -= 1;
    if (at > 0 && this.events[at - 1].seq === event.seq) return false;
    this.events.splice(at, 0, event);
    if (event.seq === 1) this.older = false;
    return true;
  }

  /** Adds a page of history. */
  addPage(events, more) {
    const reachesBack = events.length === 0 || this.first === null || events[0].seq <= this.first;
    for (const event of events) this.add(event);
    if (reachesBack) this.older = more;
  }

  /** The newest gap as a request for it, `{before, limit}`, or null. */
  gap() {
    for (let at = this.events.length - 1; at > 0; at -= 1) {
      const missing = this.events[at].seq - this.events[at - 1].seq - 1;
      if (missing > 0) return { before: this.events[at].seq, limit: Math.min(missing, 100) };
    }
    return null;
  }

  /** Drops the oldest events beyond `limit`. */
  trim(limit) {
    if (this.events.length <= limit) return;
    this.events = this.events.slice(-limit);
    this.older = true;
  }
}
