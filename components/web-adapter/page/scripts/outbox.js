// What was said and is not acknowledged. Kept in the browser until it is, so a reload or a crash of the tab loses nothing, and
// sent again under the same `client_id`, so nothing is said twice, even when two tabs send the same entry.
//
// Bound: MAX_ENTRIES messages, MAX_CHARACTERS in all. Overflow rule: nothing more is taken; the composer says so.

const MAX_ENTRIES = 200;
const MAX_CHARACTERS = 512 * 1024;

export class Outbox {
  #key;
  #keep;
  /** What this tab knows, where the browser keeps nothing. */
  #memory = [];

  constructor(userKey, keep) {
    this.#key = `outbox.${userKey}`;
    this.#keep = keep;
    this.#memory = keep.get(this.#key, []);
  }

  /** Every entry in the order it was said: `{client_id, to, body, kind, at, refused?}`. */
  entries() {
    // Other tabs write it, too, so it is read anew each time.
    const kept = this.#keep.get(this.#key, null);
    return kept ?? this.#memory;
  }

  /** Takes a message; false when there is no room. */
  add(entry) {
    const entries = [...this.entries(), entry];
    const characters = entries.reduce((sum, { body }) => sum + body.length, 0);
    if (entries.length > MAX_ENTRIES || characters > MAX_CHARACTERS) return false;
    this.#write(entries);
    return true;
  }

  find(clientId) {
    return this.entries().find((entry) => entry.client_id === clientId) ?? null;
  }

  /** It is stored, or was discarded. */
  remove(clientId) {
    const entries = this.entries();
    // Asked for every event; writing would cost more than the event.
    if (entries.some((entry) => entry.client_id === clientId)) this.#write(entries.filter((entry) => entry.client_id !== clientId));
  }

  /** The server will never take it. */
  refuse(clientId, reason) {
    this.#write(this.entries().map((entry) => (entry.client_id === clientId ? { ...entry, refused: reason } : entry)));
  }

  clear() {
    this.#write([]);
  }

  #write(entries) {
    this.#memory = entries;
    if (!this.#keep.set(this.#key, entries.length === 0 ? null : entries)) this.#keep.set(this.#key, null);
  }
}

/** A fresh client id: 128 random bits, after the time so that ids sort by it. */
export function freshId(now = Date.now()) {
  const random = crypto.getRandomValues(new Uint8Array(10));
  return now.toString(16).padStart(12, "0") + [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
