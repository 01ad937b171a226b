// How the page looks and what it says to assistive technology, in each of its states. Pictures are in `target/artefacts`.
//
// axe-core comes from npm and is kept in `target/tools`; without npm or a network this says that it was left out.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { Browser, KEY, skipped } from "./browser.mjs";
import { World, serve } from "./chat.mjs";

const TOOLS = join(dirname(fileURLToPath(import.meta.url)), "../../../../../target/tools");
const AXE = join(TOOLS, "axe.min.js");

/** Brings axe-core; false where that cannot be. */
function bringAxe() {
  try {
    if (existsSync(AXE)) return true;
    mkdirSync(TOOLS, { recursive: true });
    execFileSync("npm", ["pack", "--silent", "axe-core@4.10.3"], { cwd: TOOLS, timeout: 60_000 });
    execFileSync("tar", ["xzf", "axe-core-4.10.3.tgz", "--strip-components=1", "package/axe.min.js"], { cwd: TOOLS });
    return existsSync(AXE);
  } catch {
    return false;
  }
}

const SETTLED = "await new Promise((r) => setTimeout(r, 250)); await new Promise((r) => requestAnimationFrame(r));";

async function inBrowser(world, body, options = {}) {
  const [browser, server] = [await Browser.open(options), await serve(world, options)];
  try {
    await browser.prefer("light");
    await browser.go(server.address);
    await browser.until("document.querySelector('#name') !== null");
    await body(browser, server);
  } finally {
    await browser.close();
    server.close();
  }
}

async function login(browser, name = "alice") {
  await browser.eval("document.querySelector('#name').focus()");
  await browser.keys(name, KEY.enter);
  await browser.until("document.querySelector('.sidebar') !== null");
}

/** What axe finds wrong, as texts. */
async function violations(browser) {
  await browser.ask("POST", `${browser.session}/execute/sync`, { script: readFileSync(AXE, "utf8"), args: [] });
  const found = await browser.run("const { violations } = await axe.run(document, { resultTypes: ['violations'] }); return violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' | ')}`);");
  return found;
}

/** Many kinds of messages, people and states. */
function everything() {
  const world = new World();
  world.online = ["thermometer1", "alice", "Bob", "دانا"];
  const day = Date.now() - 26 * 3_600_000;
  world.say("Bob", "Morning! Is the new server up? See https://example.org/notes and `launcher status`.", { at: day });
  world.say("Bob", "Yes.\n```\nfn main() {\n    println!(\"a line that is long enough to be scrolled sideways in a narrow window\");\n}\n```", { own: true, at: day + 1000 });
  world.say("Bob", "שלום, מה שלומך היום?", { at: day + 2000 });
  world.say("Bob", "🎉", { own: true });
  world.say("Bob", "written on the train", { own: true });
  world.say("Bob", "请看 https://example.com。谢谢");
  world.with("Bob").seen = 5;
  world.say("دانا", "مرحبا");
  world.say("grace", "The compiler is done. Have a look when you find the time, it is quite a thing.");
  world.say("thermometer1", "Temperature range data", { metadata: { temps: [20.1, 21.4, 19.8, 22.3, 21], unit: "C" } });
  return world;
}

const STATES = [
  ["login", async () => {}],
  ["login-error", async (browser) => {
    await browser.eval("document.querySelector('#name').focus()");
    await browser.keys("two words", KEY.enter);
  }],
  ["list", async (browser) => {
    await browser.eval("document.querySelector('#name').value = ''");
    await login(browser);
  }],
  ["search", async (browser) => {
    await browser.chord(KEY.control, "k");
    await browser.keys("r", KEY.down);
  }],
  ["question", async (browser) => {
    await browser.eval("document.querySelector('#search').select()");
    await browser.keys("nobody", KEY.enter);
    await browser.until("document.querySelector('dialog[open]') !== null");
  }],
  ["conversation", async (browser, world) => {
    await browser.keys(KEY.escape);
    await browser.eval("location.hash = '#/Bob'");
    await browser.until("document.querySelectorAll('.message').length >= 6");
    world.refuse = true;
    await browser.eval("document.querySelector('#composer').focus()");
    await browser.run("const c = document.querySelector('#composer'); c.value = 'refused by the server'; c.dispatchEvent(new Event('input')); c.form.requestSubmit();");
    await browser.until("document.querySelector('.message.refused') !== null");
  }],
  ["thermometer", async (browser) => {
    await browser.eval("location.hash = '#/thermometer1'");
    await browser.until("document.querySelectorAll('.chart .bar').length === 5");
  }],
  ["reconnecting", async (browser, world) => {
    world.closed = true;
    for (const socket of world.sockets) socket.close();
    await browser.until("!document.querySelector('#banner').hidden");
  }],
];

test("every state looks as it should and axe finds nothing in it", { skip: skipped }, async () => {
  const world = everything();
  const isChecked = bringAxe();
  if (!isChecked) console.log(`# NOT TESTED: no axe-core at ${AXE}`);
  const found = [];
  await inBrowser(world, async (browser) => {
    for (const [name, reach] of STATES) {
      await browser.resize(1440, 900);
      await reach(browser, world);
      for (const [scheme, width, height, more] of [["light", 1440, 900], ["dark", 1440, 900], ["light", 390, 844], ["dark", 390, 844], ["light", 320, 568], ["dark", 320, 568], ["forced", 1440, 900, [{ name: "forced-colors", value: "active" }]]]) {
        await browser.prefer(scheme === "dark" ? "dark" : "light", more);
        await browser.resize(width, height);
        await browser.run(SETTLED);
        await browser.picture(`${name}-${width}-${scheme}`);
        assert.equal(await browser.eval("document.documentElement.scrollWidth > innerWidth"), false, `${name} is wider than ${width}`);
        assert.notEqual(await browser.eval("document.activeElement.tagName"), name === "reconnecting" ? "" : "BODY", `${name}: the focus fell to the body`);
        if (isChecked && !(width === 320 && scheme === "light")) found.push(...(await violations(browser)).map((text) => `${name} ${width} ${scheme}: ${text}`));
      }
    }
  });
  assert.deepEqual(found, []);
});

test("the login is whole on the smallest phone", { skip: skipped }, async () => {
  await inBrowser(new World(), async (browser) => {
    const box = await browser.eval("(r => ({ top: r.top, left: r.left, right: r.right }))(document.querySelector('.card').getBoundingClientRect())");
    assert.ok(box.top >= 0 && box.left >= 0 && box.right <= 320, JSON.stringify(box));
    assert.ok(await browser.eval("document.querySelector('#join').getBoundingClientRect().bottom <= innerHeight"));
  }, { width: 320, height: 480 });
});

test("a phone without conversations says what one can do", { skip: skipped }, async () => {
  const world = new World();
  world.online = ["thermometer1", "alice"];
  await inBrowser(world, async (browser) => {
    await login(browser);
    await browser.until("document.body.innerText.includes('Nobody else is online yet')");
    await browser.picture("empty-390-light");
  }, { width: 390, height: 844 });
});

test("a receipt is there after a reload, drafts are not deleted silently, the focus is never lost", { skip: skipped }, async () => {
  const world = everything();
  await inBrowser(world, async (browser) => {
    await login(browser);
    await browser.eval("location.hash = '#/Bob'");
    await browser.until("document.querySelectorAll('.message.own').length >= 2");
    world.push({ type: "delivered", conversation: world.with("Bob").id, seq: 5 });
    await browser.until("document.querySelectorAll('.message.own.delivered').length >= 2");
    await browser.reload();
    await browser.until("document.querySelectorAll('.message.own').length >= 2");
    await browser.run(SETTLED);
    assert.ok((await browser.eval("document.querySelectorAll('.message.own.delivered').length")) >= 2, "✓✓ became ✓");
    await browser.eval("document.querySelector('#composer').focus()");
    await browser.keys("half a sen");
    await browser.keys(KEY.escape);
    await browser.until("document.querySelector('#composer') === null");
    await browser.run(SETTLED);
    assert.equal(await browser.eval("document.activeElement.dataset.key"), "bob");
    await browser.press("#logout");
    await browser.until("document.querySelector('dialog[open]')?.textContent.includes('1 draft')");
    await browser.keys(KEY.escape);
    await browser.run(SETTLED);
    assert.equal(await browser.eval("document.activeElement.id"), "logout");
  });
});

test("the Enter that ends a composition does not send, and on a phone Enter makes a new line", { skip: skipped }, async () => {
  const world = everything();
  await inBrowser(world, async (browser) => {
    await login(browser);
    await browser.eval("location.hash = '#/Bob'");
    await browser.until("document.querySelector('#composer') !== null");
    const enter = (more) => `(() => { const c = document.querySelector('#composer'); c.focus(); c.value = 'かな'; c.dispatchEvent(new Event('input')); const e = new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ${more} }); c.dispatchEvent(e); return e.defaultPrevented; })()`;
    assert.equal(await browser.eval(enter("isComposing: true")), false);
    assert.equal(await browser.eval(enter("keyCode: 229")), false);
    assert.equal(world.count("send"), 0);
    await browser.cdp("Emulation.setEmulatedMedia", { features: [{ name: "pointer", value: "coarse" }, { name: "hover", value: "none" }] });
    await browser.cdp("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 5 });
    await browser.cdp("Emulation.setEmitTouchEventsForMouse", { enabled: true, configuration: "mobile" });
    if (await browser.eval("matchMedia('(pointer: coarse) and (hover: none)').matches")) assert.equal(await browser.eval(enter("")), false);
    else console.log("# NOT TESTED: this Chromium does not emulate a phone's pointer");
  });
});

test("the page works below a path", { skip: skipped }, async () => {
  const world = everything();
  await inBrowser(world, async (browser) => {
    await login(browser);
    await browser.press("[data-key='bob']");
    await browser.until("document.querySelectorAll('.message').length >= 6");
    assert.deepEqual(await browser.complaints(), []);
  }, { base: "/chat" });
});

test("a refusal names the origin, the host and the key, in the page", { skip: skipped }, async () => {
  const refuse = ({ headers }) => ({ status: 403, text: `the page's origin ${headers.origin} is not that of the requested host chat; add it to web-adapter.allowed-origins` });
  await inBrowser(everything(), async (browser, server) => {
    await browser.eval("document.querySelector('#name').focus()");
    await browser.keys("alice", KEY.enter);
    await browser.until("document.querySelector('.problem').textContent.includes('allowed-origins')");
    assert.ok((await browser.eval("document.querySelector('.problem').textContent")).includes(new URL(server.address).origin));
    assert.ok(!(await browser.eval("document.querySelector('.problem').textContent")).includes("Try again"));
  }, { refuse });
});
