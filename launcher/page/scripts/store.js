// What the page knows. Views are told what has changed, and draw it.

const HOUR_S = 3600;
const MINUTES = 60;
/** Lines and events that the page keeps; the oldest go. */
export const MOST_LINES = 3000;
export const MOST_EVENTS = 500;

export class Store extends EventTarget {
  status = null;
  session = null;
  /** Samples by component: `{ at, cpu_percent, memory_bytes }`. */
  series = new Map();
  stepS = 10;
  /** Minutes of Unix time of each restart, by component. */
  restarts = new Map();
  events = [];
  lines = [];
  /** Lines and bytes that were skipped, since the page was opened. */
  skippedBytes = 0;

  #tell(what, detail = null) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  component(name) {
    return this.status?.components.find((component) => component.name === name) ?? null;
  }

  /** How everything is; adds the loads to the samples. */
  setStatus(status, nowS = Date.now() / 1000) {
    const before = new Map(this.status?.components.map(({ name, state }) => [name, state]));
    this.status = status;
    for (const { name, load } of [...status.components, { name: "launcher", load: status.load }]) {
      if (load) this.#sample(name, load, nowS);
    }
    const changed = status.components.filter(({ name, state }) => before.has(name) && before.get(name) !== state);
    this.#tell("status", changed);
  }

  #sample(name, { cpu_percent, memory_bytes }, nowS) {
    if (!this.series.has(name)) this.series.set(name, { at: [], cpu_percent: [], memory_bytes: [] });
    const series = this.series.get(name);
    const at = Math.floor(nowS / this.stepS) * this.stepS;
    const last = series.at.length - 1;
    if (series.at[last] === at) {
      series.cpu_percent[last] = (series.cpu_percent[last] + cpu_percent) / 2;
      series.memory_bytes[last] = memory_bytes;
      return;
    }
    series.at.push(at);
    series.cpu_percent.push(cpu_percent);
    series.memory_bytes.push(memory_bytes);
    while (series.at[0] <= nowS - HOUR_S) {
      series.at.shift();
      series.cpu_percent.shift();
      series.memory_bytes.shift();
    }
  }

  /** The last hour, as the launcher knows it. */
  setHistory({ step_s, components, restarts }, nowS = Date.now() / 1000) {
    this.stepS = step_s;
    this.series = new Map(Object.entries(components));
    const minute = Math.floor(nowS / 60);
    this.restarts = new Map();
    for (const [name, counts] of Object.entries(restarts)) {
      const times = counts.flatMap((count, index) => Array(count).fill(minute - (MINUTES - 1 - index)));
      this.restarts.set(name, times);
    }
    this.#tell("history");
  }

  /** Restarts of each of the last 60 minutes. */
  restartsOf(name, nowS = Date.now() / 1000) {
    const first = Math.floor(nowS / 60) - (MINUTES - 1);
    const counts = Array(MINUTES).fill(0);
    for (const minute of this.restarts.get(name) ?? []) {
      if (minute >= first && minute - first < MINUTES) counts[minute - first] += 1;
    }
    return counts;
  }

  setEvents(events) {
    this.events = events.slice(-MOST_EVENTS);
    this.#tell("events");
  }

  addEvent(event) {
    this.events.push(event);
    if (this.events.length > MOST_EVENTS) this.events.shift();
    if (event.event === "transition" && event.to === "backoff") {
      const times = this.restarts.get(event.component) ?? [];
      this.restarts.set(event.component, [...times, Math.floor(Date.parse(event.at) / 60_000)].slice(-MOST_EVENTS));
    }
    this.#tell("event", event);
  }

  setLines(lines) {
    this.lines = lines.slice(-MOST_LINES);
    this.skippedBytes = 0;
    this.#tell("lines");
  }

  addLines({ component, lines, skipped_bytes = 0 }) {
    if (skipped_bytes > 0) {
      this.skippedBytes += skipped_bytes;
      lines = [{ component, text: `… ${skipped_bytes} bytes were written too fast to be shown here; they are in the log …`, skipped: true }, ...lines];
    }
    this.lines.push(...lines);
    if (this.lines.length > MOST_LINES) this.lines.splice(0, this.lines.length - MOST_LINES);
    this.#tell("added", lines);
  }
}
