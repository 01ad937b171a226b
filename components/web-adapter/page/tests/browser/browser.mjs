// Drives a real Chromium through chromedriver (W3C WebDriver), as far as tests of the page need it.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";

const PATIENCE_MS = 10_000;
const ARTEFACTS = process.env.P2P_TEST_ARTEFACTS ?? join(dirname(fileURLToPath(import.meta.url)), "../../../../../target/artefacts");

export const KEY = { enter: "\ue007", down: "\ue015", up: "\ue013", escape: "\ue00c", tab: "\ue004", control: "\ue009" };
/** Whether browsers are left out, as everywhere in the project. */
export const skipped = process.env.P2P_TEST_SKIP_BROWSER === "1" ? "P2P_TEST_SKIP_BROWSER=1" : false;

export class Browser {
  static async open({ width = 1280, height = 800 } = {}) {
    const browser = new Browser();
    browser.driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
    for await (const line of createInterface({ input: browser.driver.stdout })) {
      const port = /started successfully on port (\d+)/u.exec(line)?.[1];
      if (port !== undefined) browser.base = `http://127.0.0.1:${port}`;
      if (port !== undefined) break;
    }
    browser.profile = mkdtempSync(join(tmpdir(), "page-test-"));
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", `--user-data-dir=${browser.profile}`];
    const { sessionId } = await browser.ask("POST", "/session", { capabilities: { alwaysMatch: { browserName: "chrome", "goog:chromeOptions": { args }, "goog:loggingPrefs": { browser: "ALL" }, timeouts: { script: 60_000 } } } });
    browser.session = `/session/${sessionId}`;
    await browser.resize(width, height);
    return browser;
  }

  async ask(method, path, body) {
    const answer = await fetch(this.base + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const { value } = await answer.json();
    if (value?.error !== undefined) throw new Error(`${path}: ${value.error}: ${value.message.slice(0, 400)}`);
    return value;
  }

  async close() {
    await this.ask("DELETE", this.session).catch(() => {});
    this.driver.kill();
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  go(url) {
    return this.ask("POST", `${this.session}/url`, { url });
  }

  reload() {
    return this.ask("POST", `${this.session}/refresh`, {});
  }

  eval(expression) {
    return this.ask("POST", `${this.session}/execute/sync`, { script: `return (${expression});`, args: [] });
  }

  /** The value of an asynchronous function's body. */
  run(body) {
    return this.ask("POST", `${this.session}/execute/async`, { script: `const done = arguments[0]; (async () => { ${body} })().then(done, (e) => done("FAILED " + e));`, args: [] });
  }

  async until(expression, patience = PATIENCE_MS) {
    const deadline = Date.now() + patience;
    for (;;) {
      const value = await this.eval(expression);
      if (value) return value;
      if (Date.now() > deadline) throw new Error(`never true: ${expression}\n${await this.eval("document.body.innerText.slice(0, 800)")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Presses, or types, keys into whatever has the focus. */
  async keys(...texts) {
    const actions = texts.flatMap((text) => [...text]).flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]);
    await this.ask("POST", `${this.session}/actions`, { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  async chord(modifier, key) {
    const actions = [{ type: "keyDown", value: modifier }, { type: "keyDown", value: key }, { type: "keyUp", value: key }, { type: "keyUp", value: modifier }];
    await this.ask("POST", `${this.session}/actions`, { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  /** Clicks at the middle of an element with a mouse that is held down for a while. */
  async press(selector, heldMs = 0) {
    const { x, y } = await this.until(`(n => n && (r => ({ x: Math.round(r.x + r.width / 2), y: Math.round(r.y + r.height / 2) }))(n.getBoundingClientRect()))(document.querySelector(${JSON.stringify(selector)}))`);
    const actions = [{ type: "pointerMove", duration: 0, x, y }, { type: "pointerDown", button: 0 }, { type: "pause", duration: heldMs }, { type: "pointerUp", button: 0 }];
    await this.ask("POST", `${this.session}/actions`, { actions: [{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions }] });
  }

  cdp(cmd, params) {
    return this.ask("POST", `${this.session}/goog/cdp/execute`, { cmd, params });
  }

  resize(width, height) {
    return this.cdp("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  }

  prefer(scheme, more = []) {
    return this.cdp("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }, ...more] });
  }

  /** Slows the processor down so many times. */
  throttle(rate) {
    return this.cdp("Emulation.setCPUThrottlingRate", { rate });
  }

  async complaints() {
    const entries = await this.ask("POST", `${this.session}/se/log`, { type: "browser" });
    return entries.filter(({ level }) => level === "SEVERE").map(({ message }) => message);
  }

  async picture(name) {
    mkdirSync(ARTEFACTS, { recursive: true });
    writeFileSync(join(ARTEFACTS, `${name}.png`), Buffer.from(await this.ask("GET", `${this.session}/screenshot`), "base64"));
  }
}
