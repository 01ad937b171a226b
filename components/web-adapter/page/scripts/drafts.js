// What was written and not sent, by conversation; kept in the browser. Bound: MAX_DRAFTS; the oldest go first.

const MAX_DRAFTS = 40;

export class Drafts {
  #key;
  #keep;
  #texts;

  constructor(userKey, keep) {
    this.#key = `drafts.${userKey}`;
    this.#keep = keep;
    this.#texts = new Map(keep.get(this.#key, []));
  }

  /** How many there are. */
  get count() {
    return this.#texts.size;
  }

  get(conversationKey) {
    return this.#texts.get(conversationKey) ?? "";
  }

  set(conversationKey, text) {
    this.#texts.delete(conversationKey);
    if (text.trim() !== "") this.#texts.set(conversationKey, text);
    const kept = [...this.#texts].slice(-MAX_DRAFTS);
    this.#texts = new Map(kept);
    this.#keep.set(this.#key, kept.length === 0 ? null : kept);
  }

  clear() {
    this.#texts.clear();
    this.#keep.set(this.#key, null);
  }
}
