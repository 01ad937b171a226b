// One WebSocket at a time in the native dialect, made anew for as long as it is wanted.
//
// The life of a connection: open → `hello` → `welcome` → live. Lost: wait (with jitter) and again. Refused for good (name taken,
// reserved or wrong): `onRefused`, and no further attempt. A connection on which nothing comes back is given up: the browser
// itself notices a dead peer only after minutes.

import { Backoff } from "./backoff.js";

const PING_EVERY_MS = 20_000;
const ANSWER_MS = 8_000;
const OPEN_MS = 10_000;
/** Where the server says why it refuses, only its operator can change that. */
const REFUSED_MS = 10_000;
const FINAL = new Set(["bad_name", "taken", "protected", "reserved", "expected_hello"]);

/** What the server says against a connection, or null. A POST carries the page's origin, as the WebSocket did. */
async function reasonAt(url) {
  const answer = await fetch(url, { method: "POST", signal: AbortSignal.timeout(ANSWER_MS) });
  return answer.status === 403 || answer.status === 421 ? (await answer.text()).trim().slice(0, 600) : null;
}

export class Connection {
  #socket = null;
  #welcomed = false;
  #wanted = false;
  #retry = null;
  #deadline = null;
  #heartbeat = null;
  #backoff = new Backoff();

  /**
   * `hello()` makes the first frame. `onFrame(frame)` gets every frame from `welcome` on. `onStatus({state, reason, retryAt})` has
   * state `connecting`, `live` or `waiting`. `onRefused(error)` is the end.
   */
  constructor({ url, explain = reasonAt, hello, onFrame, onStatus, onRefused }) {
    this.url = url;
    this.explain = explain;
    this.hello = hello;
    this.onFrame = onFrame;
    this.onStatus = onStatus;
    this.onRefused = onRefused;
  }

  get isLive() {
    return this.#welcomed;
  }

  start() {
    this.#wanted = true;
    this.#open();
  }

  /** Ends it; nothing is told afterwards. */
  stop() {
    this.#wanted = false;
    clearTimeout(this.#retry);
    this.#drop();
  }

  /** Does not wait any longer: the machine is back from sleep, or somebody pressed the button. */
  hurry() {
    if (this.#wanted && this.#socket === null) {
      clearTimeout(this.#retry);
      this.#open();
    } else if (this.#welcomed) {
      this.#ping();
    }
  }

  /** Sends a frame; false when there is no connection. */
  send(frame) {
    if (!this.#welcomed || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #open() {
    this.#drop();
    this.onStatus({ state: "connecting" });
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#expect(OPEN_MS);
    // Events of a socket that was dropped meanwhile are nobody's business.
    const current = (handle) => (event) => this.#socket === socket && handle(event);
    socket.addEventListener("open", current(() => socket.send(JSON.stringify(this.hello()))));
    socket.addEventListener("message", current(({ data }) => this.#read(data)));
    let isOpen = false;
    socket.addEventListener("open", () => (isOpen = true));
    socket.addEventListener("close", current(({ reason }) => (isOpen ? this.#lost(reason) : this.#refusedAt(socket))));
  }

  #read(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    clearTimeout(this.#deadline);
    switch (frame.type) {
      case "welcome":
        this.#welcomed = true;
        this.#backoff.reset();
        this.#heartbeat = setInterval(() => this.#ping(), PING_EVERY_MS);
        this.onStatus({ state: "live" });
        this.onFrame(frame);
        break;
      case "error":
        if (!this.#welcomed && FINAL.has(frame.code)) this.#refused(frame);
        else if (!this.#welcomed) this.#lost(frame.message, frame.retry_after_ms);
        else this.onFrame(frame);
        break;
      case "bye":
        this.#lost(frame.reason, frame.reconnect_after_ms);
        break;
      case "pong":
        break;
      default:
        if (this.#welcomed) this.onFrame(frame);
    }
  }

  #ping() {
    if (this.send({ type: "ping" })) this.#expect(ANSWER_MS);
  }

  #expect(withinMs) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lost("no answer"), withinMs);
  }

  /** A browser does not tell a page why its WebSocket was refused; the server does, when it is asked. */
  async #refusedAt(socket) {
    const why = await this.explain(this.url.replace(/^ws/u, "http")).catch(() => null);
    if (this.#socket === socket) this.#lost(why, why === null ? 0 : REFUSED_MS);
  }

  #refused(error) {
    this.#wanted = false;
    this.#drop();
    this.onRefused(error);
  }

  #lost(reason, atLeast = 0) {
    this.#drop();
    if (!this.#wanted) return;
    const wait = this.#backoff.next(atLeast ?? 0);
    this.#retry = setTimeout(() => this.#open(), wait);
    this.onStatus({ state: "waiting", reason: reason || "the connection was lost", retryAt: Date.now() + wait });
  }

  #drop() {
    clearTimeout(this.#deadline);
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomed = false;
    socket?.close();
  }
}
