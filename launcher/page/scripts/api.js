// Requests to the launcher. The token is kept for this tab: other servers on this machine do not see it, as they would a cookie.

import { Backoff } from "./backoff.js";
import { keep } from "./browser_storage.js";
import { Parser } from "./sse.js";

const ROOT = "/api/v1";

/** A request that was not done; `status` is 0 where nobody answered. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function headers(more = {}) {
  const token = keep.tab("console-token");
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The launcher does not answer");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Problem(response.status, problem.detail ?? `The launcher answers ${response.status}`);
}

/** Shows something: `show("/logs", { lines: 10 })`. */
export async function show(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  const response = await answered(fetch(`${ROOT}${path}${text ? `?${text}` : ""}`, { headers: headers() }));
  return response.json();
}

/** Changes something. */
export async function change(path, body = {}) {
  const sent = { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  const response = await answered(fetch(`${ROOT}${path}`, sent));
  return response.json();
}

/** Keeps a token for this tab, or forgets it with `null`. */
export function keepToken(token) {
  keep.setTab("console-token", token);
}

/**
 * Follows the stream until `stop()`, again and again. `heard(event, value)` gets each message; `state({ state, reason, retryAt })` how the
 * connection is; `refused()` that the token is not right any more.
 */
export class Stream {
  #controller = null;
  #backoff = new Backoff();
  #timer = null;
  /** What is followed; undefined before the start. */
  logs = undefined;

  constructor({ heard, state, refused }) {
    this.heard = heard;
    this.state = state;
    this.refused = refused;
  }

  /** Begins, or begins anew with other logs: names, or null for none. */
  start(logs) {
    this.stop();
    this.logs = logs;
    this.#controller = new AbortController();
    this.#follow(this.#controller.signal);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
    this.#controller = null;
  }

  /** Tries at once. */
  hurry() {
    this.start(this.logs);
  }

  async #follow(signal) {
    let reason = "The launcher has ended the connection";
    try {
      const query = this.logs === null ? "" : `?logs=${encodeURIComponent(this.logs.join(","))}`;
      const response = await answered(fetch(`${ROOT}/stream${query}`, { headers: headers(), signal }));
      const parser = new Parser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (signal.aborted || done) break;
        for (const { event, data } of parser.push(value)) {
          if (event === "lagged") reason = "This page was too slow";
          else this.#hear(event, data);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return this.refused();
      if (error instanceof Problem) reason = error.message;
    }
    if (!signal.aborted) this.#again(reason);
  }

  #hear(event, data) {
    this.#backoff.reset();
    this.state({ state: "live" });
    this.heard(event, JSON.parse(data));
  }

  #again(reason) {
    const wait = this.#backoff.next(500);
    this.state({ state: "waiting", reason, retryAt: Date.now() + wait });
    this.#timer = setTimeout(() => this.start(this.logs), wait);
  }
}
