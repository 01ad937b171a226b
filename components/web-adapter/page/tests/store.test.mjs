// What the page knows, told in frames.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Store } from "../scripts/store.js";
import { timelineOf } from "../scripts/timeline.js";

const ID = "dm:alice:bob";
let clock = Date.parse("2026-11-20T10:00:00Z");
const event = (seq, sender, more = {}) => ({
  id: `id${seq}`, conversation: ID, seq, sender, destination: sender === "bob" ? "Alice" : "bob", body: `m${seq}`, type: "chat",
  client_id: `c${seq}`, timestamp: new Date((clock += 1000)).toISOString(), ...more,
});
const welcome = (more = {}) => ({ type: "welcome", name: "Alice", token: "t", online: ["thermometer1", "Alice"], conversations: [], durability: "fsync", ...more });

function joined(more) {
  const store = new Store();
  store.welcome(welcome(more));
  return store;
}

test("what the server counted as unseen is not counted again when it is sent", () => {
  const last = event(3, "bob");
  const store = joined({ conversations: [{ conversation: ID, with: "bob", head: 3, seen: 1, unseen: 2, last }] });
  assert.equal(store.unseen, 2);
  store.event(event(2, "bob"));
  store.event(last);
  assert.equal(store.unseen, 2);
  store.event(event(4, "bob"));
  assert.equal(store.unseen, 3);
  assert.equal(store.event(event(4, "bob")), null, "an event that is known changes nothing");
  assert.equal(store.unseen, 3);
  store.seen(ID, 4);
  assert.equal(store.unseen, 0);
});

test("another session that saw a part leaves the rest unseen", () => {
  const store = joined();
  for (const seq of [1, 2, 3]) store.event(event(seq, "bob"));
  store.seen(ID, 2);
  assert.equal(store.unseen, 1);
  store.seen(ID, 1);
  assert.equal(store.unseen, 1, "a cursor never goes back");
});

test("what was read elsewhere is read here, also where this page holds none of it", () => {
  const summary = (head, seen, unseen) => ({ conversation: ID, with: "bob", head, seen, unseen, last: event(head, "bob") });
  const store = joined({ conversations: [summary(100, 10, 90)] });
  store.seen(ID, 40);
  assert.equal(store.unseen, 60, "a part was read: the rest stays unread");
  store.seen(ID, 100);
  assert.equal(store.unseen, 0, "as a read by REST or by another client does");
  assert.equal(store.with("bob").unseen, 0);
});

test("a message is saved, and not delivered, because its receiver is online", () => {
  const store = joined({ online: ["Alice", "bob"] });
  store.ack({ client_id: "x", conversation: ID, seq: 1, id: "i", at: "2026-11-20T10:00:00Z", online: true }, { to: "bob", body: "hi", kind: "chat" });
  const items = timelineOf({ conversation: store.with("bob"), entries: [], me: "Alice", isMe: store.isMe });
  assert.deepEqual(items.filter(({ kind }) => kind === "message").map(({ state }) => state), ["saved"]);
});

test("a message is delivered once the other user has it", () => {
  const store = joined();
  for (const seq of [1, 2]) store.ack({ client_id: `x${seq}`, conversation: ID, seq, id: `i${seq}`, at: "2026-11-20T10:00:00Z", online: true }, { to: "bob", body: "hi", kind: "chat" });
  store.delivered(ID, 1);
  store.delivered("dm:alice:nobody", 9);
  const items = timelineOf({ conversation: store.with("bob"), entries: [], me: "Alice", isMe: store.isMe });
  assert.deepEqual(items.filter(({ kind }) => kind === "message").map(({ state }) => state), ["delivered", "saved"]);
});

test("a restored log is not taken for the one before", () => {
  const store = joined({ log: "one" });
  for (const seq of [1, 2, 3]) store.event(event(seq, "bob"));
  store.welcome(welcome({ log: "one" }));
  assert.deepEqual(store.cursors(), { [ID]: 3 });
  store.welcome(welcome({ log: "two" }));
  assert.deepEqual(store.cursors(), {});
  assert.notEqual(store.event(event(1, "bob")), null, "the same place holds another message");
  assert.equal(store.unseen, 1);
});

test("what one says oneself is never unseen, here or in another session", () => {
  const store = joined();
  store.event(event(1, "Alice"));
  store.ack({ client_id: "x", conversation: ID, seq: 2, id: "i", at: "2026-11-20T10:00:00Z", online: true }, { to: "bob", body: "hi", kind: "chat" });
  assert.equal(store.unseen, 0);
  assert.equal(store.with("BOB").log.events.length, 2);
});

test("cursors name what this page holds, so that nothing comes twice after a cut", () => {
  const store = joined();
  assert.deepEqual(store.cursors(), {});
  store.event(event(1, "bob"));
  store.event(event(2, "bob"));
  assert.deepEqual(store.cursors(), { [ID]: 2 });
});

test("people come and go", () => {
  const store = joined();
  store.presence({ name: "Bob", online: true });
  assert.ok(store.isOnline("bob"));
  assert.equal(store.with("bob").name, "Bob");
  store.presence({ name: "bob", online: false });
  assert.ok(!store.isOnline("Bob"));
});

test("the latest conversation is first, and one in which nothing was said is not listed", () => {
  const store = joined();
  store.with("carol");
  store.event(event(1, "bob"));
  const other = { ...event(1, "dave"), conversation: "dm:alice:dave", destination: "Alice" };
  store.event(other);
  assert.deepEqual(store.recent().map(({ name }) => name), ["dave", "bob"]);
});

test("a message with another time has its day, and makes no day's line", () => {
  const store = joined();
  const at = (seq, stored, said) => store.event({ ...event(seq, "bob"), at: stored, timestamp: said ?? stored });
  at(1, "2026-11-20T10:00:00Z");
  at(2, "2026-11-20T10:01:00Z", "2026-11-18T09:00:00Z");
  at(3, "2026-11-20T10:02:00Z");
  at(4, "2026-11-21T10:00:00Z", "2026-11-20T09:00:00Z");
  at(5, "2026-11-21T10:01:00Z");
  const items = shown(store, "bob");
  assert.deepEqual(items.map(({ kind, key }) => (kind === "day" ? key : kind)), ["start", "d:20261020", "message", "message", "message", "d:20261021", "message", "message"]);
  assert.deepEqual(items.filter(({ kind }) => kind === "message").map(({ isElsewhen }) => isElsewhen), [false, true, false, true, false]);
});

const shown = (store, name, entries = []) => timelineOf({ conversation: store.with(name), entries, me: store.me, isMe: store.isMe });

test("messages close to each other are one group; days and what is new stand apart", () => {
  const store = joined({ conversations: [{ conversation: ID, with: "bob", head: 3, seen: 2, unseen: 1 }] });
  for (const e of [event(1, "bob"), event(2, "bob"), event(3, "bob")]) store.event(e);
  store.open(store.with("bob"));
  const items = shown(store, "bob");
  assert.deepEqual(items.map(({ kind }) => kind), ["start", "day", "message", "message", "marker", "message"]);
  assert.deepEqual(items.filter(({ kind }) => kind === "message").map(({ first, last }) => [first, last]), [[true, false], [false, true], [true, true]]);
});

test("a message is one item from the moment it is said, whatever becomes of it", () => {
  const store = joined();
  const entry = { client_id: "x", to: "bob", body: "hi", kind: "chat", at: "2026-11-20T10:00:00Z" };
  const one = (entries) => shown(store, "bob", entries).filter(({ kind }) => kind === "message").map(({ key, state }) => [key, state]);
  assert.deepEqual(one([entry]), [["c:x", "waiting"]]);
  assert.deepEqual(one([{ ...entry, refused: "no" }]), [["c:x", "refused"]]);
  store.ack({ client_id: "x", conversation: ID, seq: 1, id: "i", at: "2026-11-20T10:00:00Z", online: false }, entry);
  assert.deepEqual(one([entry]), [["c:x", "saved"]]);
});
