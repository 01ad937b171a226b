// How long to wait before connecting again: exponential with full jitter, so that a thousand pages that lost one server
// do not come back in step.

const BASE_MS = 400;
const CAP_MS = 15_000;

export class Backoff {
  #failures = 0;

  constructor(random = Math.random) {
    this.random = random;
  }

  /** The next delay in milliseconds; never shorter than `atLeast`. The first is short: most cuts are a restart. */
  next(atLeast = 0) {
    const bound = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return Math.max(atLeast, 100 + Math.round(this.random() * bound));
  }

  reset() {
    this.#failures = 0;
  }
}
