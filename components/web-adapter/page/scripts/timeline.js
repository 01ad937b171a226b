// What a conversation shows, top to bottom, as a list of items. Pure: views make nodes of it.
//
// Items: {kind: "start"}, {kind: "day", date}, {kind: "marker"}, {kind: "message", …} with `first` and `last` of its group.

const GROUP_MS = 5 * 60_000;

/** One message, stored or not, as it is shown. */
function messageOf(event, isMe) {
  return {
    kind: "message",
    key: isMe(event.sender) ? `c:${event.client_id}` : `s:${event.seq}`,
    seq: event.seq,
    sender: event.sender,
    own: isMe(event.sender),
    body: event.body,
    type: event.type ?? "chat",
    metadata: event.metadata ?? {},
    date: new Date(event.timestamp),
    clientId: event.client_id,
  };
}

function waitingOf(entry, me) {
  return {
    kind: "message",
    key: `c:${entry.client_id}`,
    seq: null,
    sender: me,
    own: true,
    body: entry.body,
    type: entry.kind,
    metadata: {},
    date: new Date(entry.at),
    clientId: entry.client_id,
    state: entry.refused === undefined ? "waiting" : "refused",
    reason: entry.refused,
  };
}

/** The items of a conversation: its log, then `entries` of the outbox that go there. */
export function timelineOf({ conversation, entries, me, isMe }) {
  const { log, marker, delivered = 0 } = conversation;
  const stored = new Set(log.events.map((event) => event.client_id));
  const messages = [
    ...log.events.map((event) => {
      const message = messageOf(event, isMe);
      const state = event.seq <= delivered ? "delivered" : "saved";
      return { ...message, state: message.own ? state : null };
    }),
    ...entries.filter(({ client_id }) => !stored.has(client_id)).map((entry) => waitingOf(entry, me)),
  ];
  const items = log.older === false && messages.length > 0 ? [{ kind: "start", key: "start" }] : [];
  let previous = null;
  let isMarked = marker === null;
  for (const message of messages) {
    const day = message.date.toDateString();
    const isNewDay = previous === null || previous.date.toDateString() !== day;
    if (isNewDay) items.push({ kind: "day", key: `d:${day}`, date: message.date });
    const isMarker = !isMarked && !message.own && message.seq > marker;
    if (isMarker) {
      items.push({ kind: "marker", key: "marker" });
      isMarked = true;
    }
    message.first = isNewDay || isMarker || !isGrouped(previous, message);
    message.last = true;
    if (previous !== null && !message.first) previous.last = false;
    items.push(message);
    previous = message;
  }
  return items;
}

function isGrouped(one, other) {
  return one !== null && one.sender === other.sender && other.date - one.date < GROUP_MS && one.type === other.type;
}
