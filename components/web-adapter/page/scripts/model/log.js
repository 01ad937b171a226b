// The part of one conversation's log that this page holds: events by `seq`, each once, whatever order they come in, and what is missing
// between them. The server numbers the events of a conversation from 1 without gaps; it may have deleted the oldest.
//
// Bound: MAX_EVENTS. Overflow rule: where all was read the oldest go, else the newest are not kept (`isFull`); what is not here is read
// again when somebody scrolls there.

const MAX_EVENTS = 20_000;
/** Events in one request, at most: the server's own limit. */
const PAGE = 200;
/** … and at least: a page that a screen shows needs no second request. */
const LEAST = 50;

export class Log {
  /** In order of `seq`. */
  events = [];
  /** Whether there is more before the first event: true, false, or null where nobody asked yet. */
  older = null;
  /** The `seq` of the last event on the server, as far as this page knows. */
  head = 0;
  /** Places the server has nothing for. */
  #void = new Set();

  get first() {
    return this.events[0]?.seq ?? null;
  }

  get last() {
    return this.events.at(-1) ?? null;
  }

  get isFull() {
    return this.events.length >= MAX_EVENTS;
  }

  /** How many of the events held lie before `seq`. */
  indexOf(seq) {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.events[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(seq) {
    return this.events[this.indexOf(seq)]?.seq === seq;
  }

  /** The events from `from` to `to`, both included. */
  between(from, to) {
    return this.events.slice(this.indexOf(from), this.indexOf(to + 1));
  }

  /** Adds an event; false when it was there. */
  add(event) {
    const at = this.indexOf(event.seq);
    if (this.events[at]?.seq === event.seq) return false;
    if (at === this.events.length) this.events.push(event);
    else this.events.splice(at, 0, event);
    this.head = Math.max(this.head, event.seq);
    if (event.seq === 1) this.older = false;
    return true;
  }

  /** Adds a page of history; `asked` is the request it answers. */
  addPage(events, more, asked = null) {
    const reachesBack = events.length === 0 || this.first === null || events[0].seq <= this.first;
    for (const event of events) this.add(event);
    if (reachesBack && (events.length > 0 || this.first === null || !more)) this.older = more;
    // Whatever else the answer left out is not there: asking again would ask for ever.
    if (asked?.before !== undefined && !events.some(({ seq }) => seq === asked.before - 1)) this.#void.add(asked.before - 1);
  }

  /** What is not here of the places from `from` to `to`: `[first, last]`, in order. */
  gaps(from = 1, to = this.head) {
    const found = [];
    let next = Math.max(from, this.older === false ? (this.first ?? from) : 1);
    const end = Math.min(to, this.head);
    const note = (last) => {
      while (next <= last && this.#void.has(next)) next += 1;
      if (next <= last) found.push([next, last]);
    };
    for (let at = this.indexOf(next); at < this.events.length && this.events[at].seq <= end; at += 1) {
      note(this.events[at].seq - 1);
      next = this.events[at].seq + 1;
    }
    note(end);
    return found;
  }

  /** One request, `{before, limit}`, for the newest of what is missing from `from` to `to` and all that fits in; null when nothing is. */
  request(from, to) {
    const gaps = this.gaps(from, to);
    if (gaps.length === 0) return null;
    const last = gaps.at(-1)[1];
    const [lowest] = gaps.find(([, end]) => end > last - PAGE);
    return { before: last + 1, limit: Math.min(PAGE, Math.max(LEAST, last - lowest + 1)) };
  }

  /** Drops the oldest events beyond `limit`. */
  trim(limit = MAX_EVENTS) {
    if (this.events.length <= limit) return;
    this.events = this.events.slice(-limit);
    this.older = true;
  }
}
