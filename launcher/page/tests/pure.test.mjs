// The page's modules without a browser: node --test launcher/page/tests/

import assert from "node:assert/strict";
import test from "node:test";

import { shape, thinned } from "../scripts/chart.js";
import { bytes, clock, duration, many, milliseconds, percent, plain } from "../scripts/format.js";
import { direct, layout } from "../scripts/graph.js";
import { Parser } from "../scripts/sse.js";
import { MOST_LINES, Store } from "../scripts/store.js";

test("numbers are short", () => {
  assert.deepEqual([5, 65, 3700, 90_000].map(duration), ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
  assert.deepEqual([12, 1590].map(milliseconds), ["12 ms", "1.5 s"]);
  assert.deepEqual([512, 2048, 12_345_678, 1024 ** 2 - 1].map(bytes), ["512 B", "2.0 KiB", "12 MiB", "1.0 MiB"]);
  assert.deepEqual([0.31, 42.4].map(percent), ["0.3 %", "42 %"]);
  assert.deepEqual([many(1, "line"), many(2, "line")], ["1 line", "2 lines"]);
  assert.equal(clock("nonsense"), "nonsense");
});

test("what is meant for a terminal is left out of a line", () => {
  assert.equal(plain("\u001b[1;31mred\u001b[0m and \u202ebidi\u0007"), "red and \ufffdbidi\ufffd");
  assert.equal(plain("tab\tstays"), "tab\tstays");
});

test("events come in whatever pieces", () => {
  const text = ": hello\n\nevent: status\ndata: {\"a\":\ndata: 1}\n\nevent: log\r\ndata: x\r\n\r\ndata: y\n\n";
  for (const size of [1, 2, 7, 1000]) {
    const parser = new Parser();
    const messages = [];
    for (let at = 0; at < text.length; at += size) messages.push(...parser.push(text.slice(at, at + size)));
    const expected = [{ event: "status", data: "{\"a\":\n1}" }, { event: "log", data: "x" }, { event: "message", data: "y" }];
    assert.deepEqual(messages, expected, `pieces of ${size}`);
  }
});

test("everybody stands right of what they need", () => {
  const needs = { a: [], b: ["a"], c: ["b", "mongodb"], d: ["b", "a"], e: [] };
  const { places, columns, rows } = layout(Object.keys(needs), (name) => needs[name]);
  const column = Object.fromEntries(places.map((place) => [place.name, place.column]));
  assert.deepEqual(column, { a: 0, b: 1, c: 2, d: 2, e: 0 });
  assert.deepEqual([columns, rows], [3, 2]);
  assert.equal(new Set(places.map(({ column: x, row }) => `${x} ${row}`)).size, 5);
  assert.equal(layout(["x", "y"], (name) => (name === "x" ? ["y"] : ["x"])).places.length, 2);
});

test("a chart has a gap where nobody looked", () => {
  const drawn = shape({ at: [0, 10, 20, 100], values: [1, 2, 4, 4], from: 0, to: 100, gap: 15, width: 100, height: 10 });
  assert.equal(drawn.line, "M0.0 7.0L10.0 5.0L20.0 1.0M100.0 1.0h2");
  assert.equal(drawn.most, 4);
  assert.equal(shape({ at: [], values: [], from: 0, to: 1, gap: 1, width: 1, height: 1, least: 5 }).most, 5);
});

test("what follows from other needs is not drawn", () => {
  const needs = { a: [], b: ["a"], c: ["a", "b"], d: ["c", "a", "e"], e: [] };
  const drawn = direct(Object.keys(needs), (name) => needs[name]);
  assert.deepEqual(Object.keys(needs).map(drawn), [[], ["a"], ["b"], ["c", "e"], []]);
  const circle = { x: ["y"], y: ["x"] };
  assert.equal(direct(["x", "y"], (name) => circle[name])("x").length, 1);
});

test("a small chart has means", () => {
  assert.deepEqual(thinned([0, 10, 20, 60, 130], [1, 2, 3, 8, 5], 60), { at: [0, 60, 120], values: [2, 8, 5] });
});

test("samples, restarts and lines are bounded", () => {
  const store = new Store();
  const component = { name: "a", state: "ready", load: { cpu_percent: 1, memory_bytes: 2 } };
  for (let now = 0; now < 8000; now += 2) store.setStatus({ components: [component] }, now);
  assert.equal(store.series.get("a").at.length, 360);
  const restarts = Array(60).fill(0);
  restarts[59] = 2;
  store.setHistory({ step_s: 10, components: {}, restarts: { a: restarts } }, 6000);
  assert.equal(store.restartsOf("a", 6000).at(-1), 2);
  assert.equal(store.restartsOf("a", 6060).at(-2), 2);
  assert.deepEqual(store.restartsOf("a", 60_000), Array(60).fill(0));
  const line = { component: "a", text: "x" };
  for (let index = 0; index < MOST_LINES + 5; index += 1) store.addLines({ component: "a", lines: [line] });
  store.addLines({ component: "a", lines: [line], skipped_bytes: 7 });
  assert.equal(store.lines.length, MOST_LINES);
  assert.match(store.lines.at(-2).text, /7 bytes/u);
});

test("who changes their state is told", () => {
  const store = new Store();
  const told = [];
  store.addEventListener("status", ({ detail }) => told.push(detail.map(({ name }) => name)));
  const status = (state) => ({ components: [{ name: "a", state }, { name: "b", state: "ready" }] });
  store.setStatus(status("ready"));
  store.setStatus(status("backoff"));
  assert.deepEqual(told, [[], ["a"]]);
});
