// Answers the page's requests in the launcher's place, at a time that stands still: what the page draws is then known exactly. A test
// changes `pretended.answers`, and says with `tell` what the stream brings.

Date.now = () => 1_800_000_000_000;

const component = (name, state, needs, more = {}) => ({
  name, state, needs, required: true, autostart: true, restarts: 0, same_crashes: 0, uptime_s: 60, load: null, log: { dropped_lines: 0 }, ...more,
});

window.pretended = {
  /** Requests so far: `GET /status`. */
  asked: [],
  /** Bodies of the changes so far. */
  sent: [],
  stream: null,
  status: {
    healthy: true,
    stopping: false,
    launcher_pid: 1,
    started_at: "2027-01-15T08:00:00Z",
    load: null,
    components: [
      component("store", "ready", ["database"]),
      component("server", "ready", ["store", "database"]),
      component("page", "ready", ["server"]),
      component("bot", "ready", ["server", "store"]),
      component("alone", "ready", []),
    ],
    dependencies: [{ name: "database", state: "ok" }, { name: "configuration", state: "ok" }],
  },
  answers: {
    "/session": { version: "1.2.3", read_only: false },
    "/history": { step_s: 10, components: {}, restarts: {} },
    "/events": { events: [] },
    "/logs": { lines: [], truncated: false },
    "/stop": { accepted: ["page"], refused: [] },
    "/restart": { accepted: ["page", "bot"], refused: [] },
  },

  /** A message of the stream. */
  tell(event, value) {
    this.stream.enqueue(new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`));
  },

  /** Lines of a log. */
  log(component, ...texts) {
    this.tell("log", { component, lines: texts.map((text) => ({ component, text })) });
  },

  /** The state of everything, with what a component has otherwise. */
  become(name, more) {
    Object.assign(this.status.components.find((one) => one.name === name), more);
    this.tell("status", this.status);
  },
};

window.fetch = async (address, { method = "GET", body } = {}) => {
  const { pathname } = new URL(address, location.href);
  const path = pathname.replace("/api/v1", "");
  pretended.asked.push(`${method} ${path}`);
  if (method === "POST") pretended.sent.push(JSON.parse(body));
  if (path === "/stream") {
    const stream = new ReadableStream({ start: (controller) => (pretended.stream = controller) });
    pretended.tell("status", pretended.status);
    return new Response(stream);
  }
  const answer = pretended.answers[path];
  return answer === undefined ? Response.json({ detail: `nothing at ${path}` }, { status: 404 }) : Response.json(answer);
};
