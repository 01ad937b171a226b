// Asks our own server, and says in words what went wrong.

async function answer(response) {
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({ detail: `the answer was ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(body.detail), { status: response.status });
  return body;
}

export const get = async (what, query = {}) =>
  answer(await fetch(`/api/v1/${what}?${new URLSearchParams(query)}`));

export const post = async (what, body) =>
  answer(await fetch(`/api/v1/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }));

// Calls `heard` with each event, and `state` when the connection comes and goes. The browser reconnects by itself.
export function follow(heard, state) {
  const events = new EventSource("/api/v1/events");
  events.onmessage = (message) => heard(JSON.parse(message.data));
  events.onopen = () => state(true);
  events.onerror = () => state(false);
}
