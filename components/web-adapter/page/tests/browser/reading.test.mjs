// Everyday reading in a real Chromium, over a chat server of the test's: `node --test components/web-adapter/page/tests/browser/`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Browser, KEY, skipped } from "./browser.mjs";
import { World, serve } from "./chat.mjs";

const MINUTE = 60_000;
const SETTLED = `await new Promise((r) => setTimeout(r, 400)); for (let i = 0; i < 3; i += 1) await new Promise((r) => requestAnimationFrame(r));`;
/** The text at the top of what is in view, and where it stands. */
const TOP = `(s => { const m = [...document.querySelectorAll('.message')].find((m) => m.getBoundingClientRect().bottom > s.top + 1); return m && [m.querySelector('.body').firstChild.textContent, Math.round(m.getBoundingClientRect().top - s.top)]; })(document.querySelector('.scroller').getBoundingClientRect())`;
const VISIBLE = `(s => [...document.querySelectorAll('.message')].filter((m) => (r => r.bottom > s.top && r.top < s.bottom)(m.getBoundingClientRect())).map((m) => m.querySelector('.body').firstChild.textContent))(document.querySelector('.scroller').getBoundingClientRect())`;

/** How three seconds' frames came, and the longest tasks. */
const FRAMES = `const long = []; const observer = new PerformanceObserver((l) => long.push(...l.getEntries().map((e) => e.duration))); observer.observe({ type: 'longtask' });
  await new Promise((r) => setTimeout(r, 500)); const gaps = []; let last = await new Promise((r) => requestAnimationFrame(r)); const end = last + 3000;
  while (last < end) { const now = await new Promise((r) => requestAnimationFrame(r)); gaps.push(now - last); last = now; }
  observer.disconnect(); gaps.sort((a, b) => b - a); return { frames: gaps.length, worst: gaps.slice(0, 5).map(Math.round), late: gaps.filter((g) => g > 25).length, long };`;

/** What the page's thread has worked so far, in milliseconds of the processor. */
async function busyMs(browser) {
  const { metrics } = await browser.cdp("Performance.getMetrics", {});
  console.log(`# ${metrics.filter(({ name }) => name.endsWith("Duration")).map(({ name, value }) => `${name} ${Math.round(value * 1000)}`).join(", ")}`);
  return metrics.find(({ name }) => name === "TaskDuration").value * 1000;
}

async function join(world, body, options = {}) {
  const [browser, server] = [await Browser.open(options), await serve(world, options)];
  try {
    await browser.prefer("light");
    await browser.go(server.address);
    await browser.until("document.querySelector('#name') !== null");
    await browser.eval("document.querySelector('#name').focus()");
    await browser.keys("alice", KEY.enter);
    await browser.until("document.querySelector('.sidebar') !== null");
    await body(browser, server);
    assert.deepEqual(await browser.complaints(), []);
  } finally {
    await browser.close();
    server.close();
  }
}

const scenario = (name, body, options) => test(name, { skip: skipped }, body, options);

scenario("scrolling up keeps its place and asks for one page at a time", async () => {
  const world = new World();
  const day = new Date().setHours(0, 0, 1, 0);
  for (let i = 0; i < 2000; i += 1) world.say("bob", `line ${i}`, { own: i % 2 === 0, at: day + i * 20 });
  world.with("bob").seen = 2000;
  await join(world, async (browser) => {
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length > 20");
    await browser.run(`${SETTLED} document.querySelector('.scroller').scrollTop = 250; ${SETTLED}`);
    const before = world.count("history");
    const place = await browser.eval(TOP);
    await browser.run(`await new Promise((r) => setTimeout(r, 1500)); return 1`);
    assert.deepEqual(await browser.eval(TOP), place, "the place moved by itself");
    assert.ok(world.count("history") - before <= 1, `${world.count("history") - before} pages were asked for without input`);
  });
});

scenario("a page of older messages leaves what is being read where it stands", async () => {
  const world = new World();
  for (let i = 0; i < 600; i += 1) world.say("bob", `line ${i}`, { at: Date.now() - MINUTE });
  world.with("bob").seen = 600;
  world.latency = 300;
  await join(world, async (browser) => {
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length > 20");
    await browser.run(`${SETTLED} document.querySelector('.scroller').scrollTop = 100; ${SETTLED}`);
    const asked = world.count("history");
    await browser.run("document.querySelector('.scroller').scrollTop = 30; await new Promise((r) => requestAnimationFrame(r));");
    const place = await browser.eval(TOP);
    await browser.run("await new Promise((r) => setTimeout(r, 1000))");
    assert.deepEqual(await browser.eval(TOP), place);
    assert.ok(world.count("history") - asked <= 1);
  });
});

scenario("own messages between unread ones are there, each gap asked for at most once", async () => {
  const world = new World();
  for (let i = 0; i < 400; i += 1) world.say("bob", `line ${i}`, { own: i % 3 === 1 });
  world.latency = 20;
  await join(world, async (browser) => {
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length > 10");
    await browser.run("await new Promise((r) => setTimeout(r, 2500))");
    assert.ok(world.count("history") <= 6, `${world.count("history")} requests for history`);
    const shown = await browser.eval(VISIBLE);
    const first = Number(shown[0].split(" ")[1]);
    assert.deepEqual(shown, shown.map((_, index) => `line ${first + index}`), "something between is missing");
    await browser.eval("document.querySelector('#composer').focus()");
    const start = Date.now();
    await browser.keys("an answer", KEY.enter);
    await browser.until("[...document.querySelectorAll('.message.own.saved .body')].some((b) => b.firstChild.textContent === 'an answer')");
    assert.ok(Date.now() - start < 2000, `acknowledged after ${Date.now() - start} ms`);
    assert.equal(world.count("history") <= 8, true, `${world.count("history")} requests`);
  });
});

scenario("no click is lost while events come", async () => {
  const world = new World();
  for (const name of ["bob", "carol", "dave", "erin"]) world.say(name, "hello");
  await join(world, async (browser) => {
    await browser.until("document.querySelectorAll('.row').length === 4");
    let number = 0;
    const busy = setInterval(() => world.say("erin", `news ${(number += 1)}`, { live: true }), 50);
    try {
      let lost = 0;
      for (let round = 0; round < 20; round += 1) {
        const name = ["bob", "carol"][round % 2];
        await browser.press(`.row[data-key='${name}']`, 120);
        const opened = await browser.run(`await new Promise((r) => setTimeout(r, 60)); return document.querySelector('.partner h1')?.textContent`);
        if (opened !== name) lost += 1;
      }
      assert.equal(lost, 0, `${lost} of 20 clicks were lost`);
    } finally {
      clearInterval(busy);
    }
  });
});

scenario("a conversation opens at its first unread message, and only what was visible is read", async () => {
  const world = new World();
  for (let i = 0; i < 300; i += 1) world.say("bob", `line ${i}`);
  world.with("bob").seen = 100;
  await join(world, async (browser) => {
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length > 10");
    await browser.run(SETTLED);
    const visible = await browser.eval(VISIBLE);
    assert.ok(visible.includes("line 100"), `shows ${visible[0]} to ${visible.at(-1)}`);
    assert.ok(await browser.eval("document.querySelector('.marker') !== null"));
    const last = Number(visible.at(-1).split(" ")[1]);
    const { seen } = world.with("bob");
    assert.ok(seen >= 101 && seen <= last + 1, `${seen} are read and ${last + 1} were shown`);
    const badge = Number(await browser.eval("document.querySelector(\"[data-key='bob'] .badge\")?.textContent.replace('+', '')"));
    assert.ok(badge > 50, `the badge says ${badge}`);
    await browser.press("#jump");
    await browser.until("document.querySelector('.row .badge') === null || document.querySelector('.row .badge').hidden");
    await browser.run(SETTLED);
    assert.equal(world.with("bob").seen, 300);
  });
});

scenario("the end stays in view while messages come faster than they are drawn", async () => {
  const world = new World();
  for (let i = 0; i < 80; i += 1) world.say("bob", `line ${i}`);
  world.with("bob").seen = 80;
  await join(world, async (browser) => {
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length > 20");
    await browser.run(SETTLED);
    let number = 0;
    const busy = setInterval(() => world.say("bob", `news ${(number += 1)}`, { live: true, own: number % 3 === 0 }), 2);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    clearInterval(busy);
    await browser.run(SETTLED);
    assert.equal((await browser.eval(VISIBLE)).at(-1), `news ${number}`);
    assert.equal(await browser.eval("document.querySelector('#jump').classList.contains('visible')"), false);
  });
});

scenario("Ctrl-K finds people by the beginning of their names, with the keyboard alone", async () => {
  const world = new World();
  world.say("Carol", "hello");
  world.say("oscar", "hello");
  world.say("bob", "hello");
  await join(world, async (browser) => {
    await browser.until("document.querySelectorAll('.row').length === 3");
    await browser.chord(KEY.control, "k");
    await browser.keys("car", KEY.enter);
    await browser.until("document.querySelector('.partner h1') !== null");
    assert.equal(await browser.eval("document.querySelector('.partner h1').textContent"), "Carol");
    await browser.chord(KEY.control, "k");
    await browser.keys("car", KEY.down, KEY.enter);
    await browser.until("document.querySelector('.partner h1').textContent === 'oscar'");
    await browser.chord(KEY.control, "k");
    await browser.keys("nobody", KEY.enter);
    await browser.until("document.querySelector('dialog[open]') !== null");
    await browser.keys(KEY.escape);
    assert.equal(await browser.eval("document.querySelector('.partner h1').textContent"), "oscar", "nobody was written to");
    await browser.run(SETTLED);
    await browser.chord(KEY.control, "k");
    await browser.eval("document.querySelector('#search').select()");
    await browser.keys("nobody", KEY.enter);
    await browser.until("document.querySelector('dialog[open]') !== null");
    await browser.keys(KEY.enter);
    await browser.until("document.querySelector('.partner h1').textContent === 'nobody'");
  });
});

scenario("10,000 unread messages are drawn at once, and 100 events a second fit into their frames", async () => {
  const world = new World();
  for (let i = 0; i < 10_000; i += 1) world.say("bob", `line ${i} with some words to wrap and read`, { at: Date.now() - (10_000 - i) * 1000 });
  world.say("carol", "hello");
  await join(world, async (browser) => {
    await browser.until("document.querySelector(\"[data-key='bob'] .badge\") !== null");
    await browser.run("await new Promise((r) => setTimeout(r, 1500))");
    const drawn = await browser.run(`const start = performance.now(); document.querySelector(".row[data-key='bob']").click();
      while (document.querySelector('.message') === null) await new Promise((r) => requestAnimationFrame(r));
      document.querySelector('.scroller').getBoundingClientRect(); return performance.now() - start;`);
    console.log(`# drawn in ${Math.round(drawn)} ms, nodes ${await browser.eval("document.querySelectorAll('.message').length")}`);
    assert.ok(drawn < 300, `drawn after ${drawn} ms`);
    await browser.eval("document.querySelector('#jump').click()");
    await browser.run(SETTLED);
    await browser.cdp("Performance.enable", { timeDomain: "threadTicks" });
    let number = 0;
    let due = Date.now();
    const busy = setInterval(() => {
      for (; due <= Date.now(); due += 10) world.say("bob", `news ${(number += 1)}`, { live: true });
    }, 5);
    try {
      // How long frames take to come depends on what else the machine does; how long the page's thread works for one does not.
      const before = await busyMs(browser);
      const frames = await browser.run(FRAMES);
      const work = ((await busyMs(browser)) - before) / frames.frames;
      console.log(`# ${JSON.stringify(frames)}, ${number} events, ${work.toFixed(2)} ms of work a frame`);
      assert.ok(work < 16, `a frame takes ${work} ms`);
      await browser.throttle(4);
      console.log(`# 4 times slower: ${JSON.stringify(await browser.run(FRAMES))}`);
    } finally {
      clearInterval(busy);
      await browser.throttle(1);
    }
    const own = await browser.run(`const c = document.querySelector('#composer'); c.value = 'mine'; c.dispatchEvent(new Event('input')); const start = performance.now(); c.form.requestSubmit();
      while (![...document.querySelectorAll('.message.own .body')].some((b) => b.firstChild.textContent === 'mine')) await new Promise((r) => requestAnimationFrame(r)); return performance.now() - start;`);
    console.log(`# own message after ${Math.round(own)} ms`);
    assert.ok(own < 100, `an own message was shown after ${own} ms`);
  });
});
