// How far a conversation was shown to this user. What the user said counts as shown once everything before it is.
//
// Bound: MAX_AHEAD own messages past one that was not shown. Overflow rule: the oldest of them is forgotten.

const MAX_AHEAD = 1024;

export class Cursor {
  /** Everything up to here was shown. */
  shown = 0;
  #own = new Set();

  /** Shown up to `seq`, here or elsewhere; returns whether the cursor moved. */
  show(seq) {
    return this.#raise(seq);
  }

  /** This user said `seq`; returns whether the cursor moved. */
  own(seq) {
    if (seq > this.shown) this.#own.add(seq);
    if (this.#own.size > MAX_AHEAD) this.#own.delete(Math.min(...this.#own));
    return this.#raise(0);
  }

  #raise(seq) {
    const before = this.shown;
    this.shown = Math.max(before, seq);
    while (this.#own.delete(this.shown + 1)) this.shown += 1;
    if (this.shown > before) for (const own of this.#own) if (own <= this.shown) this.#own.delete(own);
    return this.shown > before;
  }
}
