// The page's modules that know neither the DOM nor the network: `node --test components/web-adapter/page/tests/`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../scripts/backoff.js";
import { briefly, dayOf, daysBetween } from "../scripts/dates.js";
import { Drafts } from "../scripts/drafts.js";
import { Conversation } from "../scripts/model/conversation.js";
import { Log } from "../scripts/model/log.js";
import { hueOf, initials, keyOf, matching, problemWith } from "../scripts/names.js";
import { Outbox, freshId } from "../scripts/outbox.js";
import { kindOf, readingOf, serviceOf } from "../scripts/services.js";
import { bodyOf } from "../scripts/views/composer.js";
import { bytesOf, isOnlyEmoji, partsOf, previewOf } from "../scripts/text.js";

/** Storage in memory, with the face of `keep`. */
function memory({ full = false } = {}) {
  const map = new Map();
  return {
    get: (key, fallback = null) => (map.has(key) ? JSON.parse(map.get(key)) : fallback),
    set: (key, value) => {
      if (value === null) map.delete(key);
      else if (full) return false;
      else map.set(key, JSON.stringify(value));
      return true;
    },
  };
}

test("names are compared as the server compares them", () => {
  assert.equal(keyOf(" Joe "), keyOf("jOE"));
  assert.equal(keyOf("ÅSA"), keyOf("a\u030asa"));
  assert.equal(problemWith("Ada.Lovelace-2_b"), null);
  assert.equal(problemWith("דנה"), null);
  for (const good of ["สมศักดิ์", "हिन्दी", "İstanbul", "..x"]) assert.equal(problemWith(good), null, good);
  assert.equal(keyOf("İstanbul"), keyOf("i\u0307stanbul"));
  for (const bad of ["..", "thermometer1\u3164", "a\u034fb", "", "  ", "two words", "a:b", "a\u200db", "<b>", "x".repeat(33)]) assert.notEqual(problemWith(bad), null, bad);
});

test("a name has letters and a colour that stay the same", () => {
  assert.deepEqual(["alice", "Ada.Lovelace", "bob-2", "..."].map(initials), ["A", "AL", "B2", "."]);
  assert.equal(hueOf("Alice"), hueOf("alice"));
  assert.ok(hueOf("alice") >= 0 && hueOf("alice") < 360);
});

test("links end where people end them, and only http becomes one", () => {
  const links = (text) => partsOf(text).filter(({ kind }) => kind === "link").map(({ href }) => href);
  assert.deepEqual(links("see https://a.example/x?y=1#z."), ["https://a.example/x?y=1#z"]);
  assert.deepEqual(links("(https://a.example/b_(c)) and http://d.example!"), ["https://a.example/b_(c)", "http://d.example"]);
  assert.deepEqual(links("javascript:alert(1) data:text/html,x ftp://x http://"), []);
  assert.deepEqual(links('"https://a.example/"onmouseover="x'), ["https://a.example/"]);
});

test("the parts of a text make up the text", () => {
  const texts = ["plain", "<img src=x onerror=alert(1)>", "a `code` b **bold** c", "https://x.example, y", "``` open", "**", "`"];
  for (const text of texts) {
    const marks = { code: ["`", "`"], strong: ["**", "**"] };
    const again = partsOf(text).map(({ kind, text: part }) => `${marks[kind]?.[0] ?? ""}${part}${marks[kind]?.[1] ?? ""}`);
    assert.equal(again.join(""), text);
  }
  const [before, block, after] = partsOf("a\n```rust\nlet x = 1;\n```\nb");
  assert.deepEqual([before.text, block.kind, block.text, after.text], ["a", "block", "let x = 1;", "b"]);
});

test("parsing hostile texts takes time in proportion to their length", () => {
  const start = performance.now();
  for (const text of ["`".repeat(16384), "*".repeat(16384), `https://${"(".repeat(16000)}`, `https://x.example/${")".repeat(16000)}`, "```".repeat(5000), "https://".repeat(2000)]) {
    partsOf(text);
  }
  assert.ok(performance.now() - start < 2000);
});

test("one to three emoji are large, words and numbers are not", () => {
  for (const text of ["🎉", "👍🏽", "👩‍👩‍👧", "🇩🇪 🎉", "❤️"]) assert.ok(isOnlyEmoji(text), text);
  for (const text of ["", "1", "123", "#", "ok 🎉", "🎉".repeat(9)]) assert.ok(!isOnlyEmoji(text), text);
  assert.equal(bytesOf("é"), 2);
  assert.equal(previewOf("a\n**b** `c`"), "a b c");
});

test("days are counted by midnights", () => {
  const now = new Date(2026, 10, 21, 0, 10);
  assert.equal(daysBetween(new Date(2026, 10, 20, 23, 50), now), 1);
  assert.equal(dayOf(new Date(2026, 10, 20, 23, 50), now), "Yesterday");
  assert.equal(dayOf(now, now), "Today");
  assert.equal(briefly(new Date(2026, 10, 20), now), "Yesterday");
  assert.match(dayOf(new Date(2020, 0, 2), now), /2020/u);
});

test("waiting grows, is bounded, and starts again", () => {
  const backoff = new Backoff(() => 1);
  const waits = Array.from({ length: 12 }, () => backoff.next());
  assert.ok(waits[0] <= 600 && waits.at(-1) <= 15_100 && waits[3] > waits[0]);
  assert.equal(backoff.next(60_000), 60_000);
  backoff.reset();
  assert.equal(backoff.next(), waits[0]);
});

const event = (seq, more = {}) => ({ seq, sender: "bob", destination: "alice", body: `m${seq}`, client_id: `c${seq}`, timestamp: "2026-11-20T10:00:00Z", conversation: "dm:alice:bob", ...more });

test("a log holds each event once, in order, and knows its gaps", () => {
  const log = new Log();
  assert.ok(log.add(event(5)));
  assert.ok(log.add(event(8)));
  assert.ok(!log.add(event(5)));
  assert.deepEqual(log.gaps(5), [[6, 7]]);
  log.addPage([event(6), event(7)], true);
  assert.deepEqual(log.gaps(5), []);
  assert.equal(log.older, null, "a page that fills a gap says nothing of what is older");
  log.addPage([event(1), event(2), event(3), event(4)], false);
  assert.deepEqual(log.events.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(log.older, false);
  log.trim(3);
  assert.deepEqual([log.first, log.older], [6, true]);
});

test("all gaps near each other are one request, and what the server does not have is not asked for again", () => {
  const log = new Log();
  for (let seq = 2; seq <= 400; seq += 2) log.add(event(seq));
  assert.deepEqual(log.request(1, 400), { before: 400, limit: 199 });
  log.addPage(Array.from({ length: 200 }, (_, i) => event(200 + i)), true, log.request(1, 400));
  assert.deepEqual(log.request(1, 400), { before: 200, limit: 199 });
  assert.deepEqual(log.request(150, 400), { before: 200, limit: 50 });
  const short = new Log();
  short.head = 10;
  short.add(event(9));
  short.add(event(10));
  short.addPage([], true, { before: 9, limit: 50 });
  assert.deepEqual(short.gaps(8), []);
  short.addPage([event(7)], false, { before: 8, limit: 50 });
  assert.deepEqual(short.gaps(), [], "the server deleted what was before");
});

test("a log is bounded: unread ones that do not fit are read again later", () => {
  const conversation = new Conversation("bob");
  for (let seq = 1; seq <= 20_010; seq += 1) conversation.add(event(seq), false);
  assert.deepEqual([conversation.log.events.length, conversation.unseen, conversation.head], [20_000, 20_010, 20_010]);
  assert.deepEqual(conversation.log.gaps(), [[20_001, 20_010]]);
});

test("what is typed finds who begins with it before who contains it", () => {
  assert.deepEqual(matching("car", ["oscar", "Ada.Carr", "Carol", "bob", "CAR"]), ["CAR", "Carol", "Ada.Carr", "oscar"]);
});

test("the first line keeps its indentation, empty lines around a text go", () => {
  assert.equal(bodyOf("\n  \n    if x:\n        y\n\n"), "    if x:\n        y");
  assert.equal(bodyOf(" \n\t"), "");
});

test("an address ends where Chinese, Japanese or Korean goes on", () => {
  const links = (text) => partsOf(text).filter(({ kind }) => kind === "link").map(({ href }) => href);
  assert.deepEqual(links("https://example.com。谢谢"), ["https://example.com"]);
  assert.deepEqual(links("请看https://example.com/a，谢谢（https://b.example/c）"), ["https://example.com/a", "https://b.example/c"]);
  assert.deepEqual(links("https://example.com谢谢 https://example.com:8080を見て"), ["https://example.com", "https://example.com:8080"]);
  assert.deepEqual(links("https://zh.wikipedia.org/wiki/中文。好"), ["https://zh.wikipedia.org/wiki/中文"]);
  assert.deepEqual(links("https://例子.中国/x"), ["https://例子.中国/x"]);
});

test("what is unsent is kept until it is acknowledged, by every tab of the browser", () => {
  const keep = memory();
  const [one, other] = [new Outbox("alice", keep), new Outbox("alice", keep)];
  assert.ok(one.add({ client_id: "c1", to: "bob", body: "hi" }));
  assert.ok(other.add({ client_id: "c2", to: "bob", body: "ho" }));
  assert.deepEqual(one.entries().map(({ client_id }) => client_id), ["c1", "c2"]);
  one.refuse("c2", "no");
  assert.equal(other.find("c2").refused, "no");
  other.remove("c1");
  one.remove("c2");
  assert.deepEqual(new Outbox("alice", keep).entries(), []);
});

test("the outbox is bounded, and works where the browser keeps nothing", () => {
  const outbox = new Outbox("alice", memory());
  const taken = Array.from({ length: 250 }, (_, i) => outbox.add({ client_id: `c${i}`, to: "bob", body: "x" })).filter(Boolean);
  assert.equal(taken.length, 200);
  const forgetful = new Outbox("alice", memory({ full: true }));
  assert.ok(forgetful.add({ client_id: "c", to: "bob", body: "x" }));
  assert.equal(forgetful.entries().length, 1);
});

test("client ids are unique and what the server takes", () => {
  const ids = new Set(Array.from({ length: 1000 }, () => freshId()));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/u);
});

test("drafts come back, and an empty one is none", () => {
  const keep = memory();
  new Drafts("alice", keep).set("bob", "half a sen");
  assert.equal(new Drafts("alice", keep).get("bob"), "half a sen");
  new Drafts("alice", keep).set("bob", "  ");
  assert.equal(new Drafts("alice", keep).get("bob"), "");
});

test("services are known by name, their readings by shape", () => {
  assert.equal(serviceOf("Thermometer1").label, "Thermometer");
  assert.equal(serviceOf("bob"), null);
  assert.deepEqual([kindOf("thermometer1", " SUBSCRIBE "), kindOf("thermometer1", "range"), kindOf("bob", "range")], ["subscription", "command", "chat"]);
  assert.deepEqual(readingOf({ temperature: 22.9, unit: "C" }), { temperature: 22.9, unit: "C" });
  assert.deepEqual(readingOf({ temps: [1, 2] }), { temps: [1, 2], unit: "C" });
  for (const bad of [undefined, {}, { temperature: "hot" }, { temps: [] }, { temps: ["x"] }, { temps: Array(99).fill(1) }]) assert.equal(readingOf(bad), null);
});
