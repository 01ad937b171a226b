// The console: what is heard goes into the store, and the view that is chosen shows it.

import { Problem, Stream, change, show } from "./api.js";
import { Store } from "./store.js";
import { el, fill } from "./views/dom.js";
import { head } from "./views/head.js";
import { overviewView } from "./views/overview.js";
import { componentView } from "./views/component.js";
import { logsView } from "./views/logs.js";
import { eventsView } from "./views/events.js";
import { crashesView } from "./views/crashes.js";
import { doctorView } from "./views/doctor.js";
import { configurationView } from "./views/configuration.js";
import { confirm } from "./views/confirm.js";
import { many } from "./format.js";

/** The views, by the first word of the address after `#/`. */
const VIEWS = {
  "": overviewView,
  component: componentView,
  logs: logsView,
  events: eventsView,
  crashes: crashesView,
  doctor: doctorView,
  configuration: configurationView,
};
const EVENTS = 200;

const DONE = { start: "Starting", stop: "Stopping", restart: "Restarting" };

export class Console {
  #view = null;
  #isRouting = false;
  #wanted = null;

  constructor({ session, messages, leave, refused }) {
    this.store = new Store();
    this.store.session = session;
    this.messages = messages;
    this.readOnly = session.read_only;
    this.head = head({ console: this, leave });
    this.stage = el("main.console-stage", { id: "stage", tabindex: "-1" });
    this.node = el("div.console", {}, el("a.skip", { href: "#stage", onclick: (event) => (event.preventDefault(), this.stage.focus()) }, "Skip to the content"), this.head.node, this.stage);
    this.stream = new Stream({
      heard: (event, value) => this.#hear(event, value),
      state: (status) => this.#connection(status),
      refused,
    });
    this.store.addEventListener("status", ({ detail }) => this.#announce(detail));
    this.route = () => this.#route(true);
  }

  start() {
    window.addEventListener("hashchange", this.route);
    this.#route(false);
    this.#load();
  }

  stop() {
    window.removeEventListener("hashchange", this.route);
    this.stream.stop();
    this.#view?.end?.();
    this.messages.clear();
  }

  /** Which logs are followed: names, `["all"]`, or null for none. */
  follow(logs) {
    this.#wanted = logs;
    if (!this.#isRouting) this.#listen();
  }

  #listen() {
    if (JSON.stringify(this.stream.logs) !== JSON.stringify(this.#wanted)) this.stream.start(this.#wanted);
  }

  /** Does something after asking; says how it went. */
  async act(verb, names) {
    const asker = document.activeElement;
    const yes = await confirm(this.store, verb, names);
    // The button may have been drawn anew while the question was open; whoever uses the keyboard stays where they were.
    if (!asker.isConnected) this.#focusOn(verb, names[0]);
    if (!yes) return;
    await this.attempt(async () => {
      const { accepted, refused } = await change(`/${verb}`, { components: names });
      const what = accepted.length === 1 ? accepted[0] : many(accepted.length, "component");
      this.messages.toast(`${DONE[verb]} ${what}`);
      for (const { component, reason } of refused) this.messages.toast(`${component}: ${reason}`);
    });
  }

  #focusOn(verb, name) {
    const its = [...this.stage.querySelectorAll("[data-verb]")].filter((button) => button.dataset.component === name);
    (its.find((button) => button.dataset.verb === verb) ?? its[0])?.focus({ preventScroll: true });
  }

  /** Runs something, and says what went wrong. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.messages.toast(error.message);
      return null;
    }
  }

  #route(moved) {
    const [word, ...rest] = location.hash.replace(/^#\/?/u, "").split("/").map(decodeURIComponent);
    const make = VIEWS[word] ?? overviewView;
    this.#view?.end?.();
    this.#wanted = null;
    this.#isRouting = true;
    this.#view = make({ console: this, store: this.store, name: rest.join("/") });
    this.#isRouting = false;
    this.#listen();
    fill(this.stage, this.#view.node);
    this.stage.scrollTop = 0;
    this.head.show(VIEWS[word] === undefined ? "" : word);
    document.title = `${this.#view.title} – Launcher`;
    if (moved) this.stage.focus({ preventScroll: true });
  }

  #hear(event, value) {
    if (event === "status") this.store.setStatus(value);
    else if (event === "event") this.store.addEvent(value);
    else if (event === "log") this.store.addLines(value);
  }

  #connection(status) {
    const before = document.documentElement.dataset.connection;
    this.messages.connection(status, () => this.stream.hurry());
    if (status.state === "live" && before === "waiting") this.#load();
  }

  async #load() {
    await this.attempt(async () => {
      this.store.setHistory(await show("/history"));
      this.store.setEvents((await show("/events", { limit: EVENTS })).events);
    });
  }

  #announce(changed) {
    if (changed.length === 0) return;
    this.messages.announce(changed.map(({ name, state }) => `${name} is ${state}`).join(", "));
  }
}
