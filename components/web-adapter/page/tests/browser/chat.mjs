// A chat server for tests of the page: serves the page's files and speaks the native dialect over WebSockets, with whatever was said put
// there by the test. It counts what the page asks for.

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json" };
/** What answers may hold at most, as on the real server. */
const PAGE_EVENTS = 200;

/** One user's chat: conversations by the other's name. */
export class World {
  constructor(me = "alice") {
    this.me = me;
    this.conversations = new Map();
    this.online = [me];
    this.sockets = new Set();
    this.asked = [];
    /** How long a page of history takes. */
    this.latency = 0;
    /** Whether messages are refused, and connections. */
    this.refuse = false;
    this.closed = false;
  }

  with(name) {
    if (!this.conversations.has(name)) this.conversations.set(name, { id: `dm:${[this.me, name].sort().join(":")}`, events: [], seen: 0, delivered: 0 });
    return this.conversations.get(name);
  }

  /** Adds an event to the log; `live` also sends it. */
  say(name, body, { own = false, at = Date.now(), live = false, clientId, metadata } = {}) {
    const conversation = this.with(name);
    const seq = conversation.events.length + 1;
    const when = new Date(at).toISOString();
    const event = {
      id: `id-${name}-${seq}`, conversation: conversation.id, seq, at: when, timestamp: when, type: "chat", body,
      sender: own ? this.me : name, destination: own ? name : this.me, client_id: clientId ?? `${own ? "own" : name}-${seq}`, ...(metadata ? { metadata } : {}),
    };
    conversation.events.push(event);
    if (live) this.push({ type: "event", event });
    return event;
  }

  push(frame) {
    for (const socket of this.sockets) socket.send(frame);
  }

  count(type) {
    return this.asked.filter((frame) => frame.type === type).length;
  }

  take(frame, socket) {
    this.asked.push(frame);
    switch (frame.type) {
      case "hello":
        return this.#hello(frame, socket);
      case "history":
        return setTimeout(() => socket.send(this.#history(frame)), this.latency);
      case "send": {
        if (this.refuse) return socket.send({ type: "error", code: "refused", message: "this is not said here", client_id: frame.client_id });
        const event = this.say(frame.to, frame.body, { own: true, clientId: frame.client_id });
        return socket.send({ type: "ack", client_id: frame.client_id, conversation: event.conversation, seq: event.seq, id: event.id, at: event.at, durability: "fsync", online: false });
      }
      case "seen": {
        const conversation = [...this.conversations.values()].find(({ id }) => id === frame.conversation);
        if (conversation !== undefined) conversation.seen = Math.max(conversation.seen, frame.seq);
        return undefined;
      }
      case "ping":
        return socket.send({ type: "pong" });
      default:
        return undefined;
    }
  }

  #hello(frame, socket) {
    this.me = frame.name;
    this.sockets.add(socket);
    const unread = ({ events, seen }) => events.slice(seen).filter(({ sender }) => sender !== this.me);
    const summaries = [...this.conversations].filter(([, { events }]) => events.length > 0).map(([name, conversation]) => ({
      conversation: conversation.id, with: name, head: conversation.events.length, seen: conversation.seen, unseen: unread(conversation).length,
      last: conversation.events.at(-1), ...(frame.receipts && conversation.delivered ? { delivered: conversation.delivered } : {}),
    }));
    socket.send({ type: "welcome", name: frame.name, token: "t", online: this.online, conversations: summaries, durability: "fsync", log: "one" });
    for (const conversation of this.conversations.values()) {
      const held = frame.cursors?.[conversation.id];
      const events = held === undefined ? unread(conversation) : conversation.events.slice(held);
      for (const event of events) socket.send({ type: "event", event, replayed: true });
    }
    socket.send({ type: "live" });
  }

  #history({ with: name, before, limit = 50 }) {
    const { id, events } = this.with(name);
    const end = Math.min(events.length, (before ?? Infinity) - 1);
    const start = Math.max(0, end - Math.min(limit, PAGE_EVENTS));
    return { type: "history", with: name, conversation: id, events: events.slice(start, end), more: start > 0 };
  }
}

/** Serves the page and the world; `refuse(request)` may answer a WebSocket's request with a status and a text. */
export async function serve(world, { base = "", refuse = () => null } = {}) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname;
    const inside = path.startsWith(`${base}/`) ? path.slice(base.length + 1) : null;
    const file = inside === null ? "" : join(PAGE, normalize(`/${inside || "index.html"}`));
    const denied = inside === "ws" ? refuse(request) : null;
    if (denied !== null) return response.writeHead(denied.status, { "content-type": "text/plain" }).end(denied.text);
    if (inside === null || !existsSync(file)) return response.writeHead(404).end("there is nothing here\n");
    response.writeHead(200, { "content-type": KINDS[extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" });
    return createReadStream(file).pipe(response);
  });
  server.on("upgrade", (request, stream) => {
    const denied = world.closed ? { status: 503, text: "closed" } : refuse(request);
    if (denied !== null) return stream.end(`HTTP/1.1 ${denied.status} No\r\nContent-Length: ${denied.text.length}\r\nContent-Type: text/plain\r\n\r\n${denied.text}`);
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    stream.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    return attach(stream, world);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const streams = new Set();
  server.on("connection", (stream) => streams.add(stream));
  const close = () => {
    for (const stream of streams) stream.destroy();
    server.close();
  };
  return { address: `http://127.0.0.1:${server.address().port}${base}/`, close };
}

/** The frames of one WebSocket (RFC 6455 §5), as far as a browser's short text frames need it. */
function attach(stream, world) {
  const socket = { send: (frame) => stream.writable && stream.write(framed(Buffer.from(JSON.stringify(frame)))), close: () => stream.destroy() };
  let held = Buffer.alloc(0);
  stream.on("data", (data) => {
    held = Buffer.concat([held, data]);
    for (let next = unframed(held); next !== null; next = unframed(held)) {
      held = held.subarray(next.end);
      if (next.opcode === 8) stream.destroy();
      if (next.opcode === 1) world.take(JSON.parse(next.payload.toString()), socket);
    }
  });
  stream.on("error", () => {});
  stream.on("close", () => world.sockets.delete(socket));
}

function framed(payload) {
  const { length } = payload;
  const head = length < 126 ? Buffer.from([0x81, length]) : length < 65536 ? Buffer.from([0x81, 126, length >> 8, length & 255]) : Buffer.alloc(10);
  if (length >= 65536) {
    head.set([0x81, 127]);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

function unframed(data) {
  if (data.length < 6) return null;
  const short = data[1] & 127;
  const at = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (data.length < at + 4) return null;
  const length = short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short;
  const end = at + 4 + length;
  if (data.length < end) return null;
  const mask = data.subarray(at, at + 4);
  return { opcode: data[0] & 15, payload: Buffer.from(data.subarray(at + 4, end).map((byte, index) => byte ^ mask[index % 4])), end };
}
