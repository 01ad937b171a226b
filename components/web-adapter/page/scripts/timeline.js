// What a conversation shows, top to bottom, as a list of items. Pure: views make nodes of it.
//
// Items: {kind: "start"}, {kind: "day", date}, {kind: "marker"}, {kind: "gap"}, {kind: "message", …} with `first` and `last` of its group.
//
// The order is the log's, by `seq`; the days are those on which the server stored the messages, whatever time their senders give them.

const GROUP_MS = 5 * 60_000;

/** What an event always looks like; the same events are drawn again and again. */
const known = new WeakMap();

function factsOf(event) {
  let facts = known.get(event);
  if (facts === undefined) {
    const date = new Date(event.timestamp);
    const stored = new Date(event.at ?? event.timestamp);
    facts = { date, stored, day: dayNumber(stored), isElsewhen: dayNumber(date) !== dayNumber(stored) };
    known.set(event, facts);
  }
  return facts;
}

/** Days in the order of the calendar, in the browser's zone. */
function dayNumber(date) {
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

/** One message, stored or not, as it is shown. */
function messageOf(event, own, delivered) {
  return {
    kind: "message",
    key: own ? `c:${event.client_id}` : `s:${event.seq}`,
    seq: event.seq,
    sender: event.sender,
    own,
    body: event.body,
    type: event.type ?? "chat",
    metadata: event.metadata ?? {},
    clientId: event.client_id,
    state: own ? (event.seq <= delivered ? "delivered" : "saved") : null,
    ...factsOf(event),
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
    ...factsOf({ timestamp: entry.at }),
    clientId: entry.client_id,
    state: entry.refused === undefined ? "waiting" : "refused",
    reason: entry.refused,
  };
}

/**
 * The items of a conversation from place `from` to `to`: its log with its gaps, then, at its end, `entries` of the outbox that go there.
 */
export function timelineOf({ conversation, entries, me, isMe, from = 1, to = Infinity }) {
  const { log, marker, delivered = 0 } = conversation;
  const events = log.between(from, to);
  const isEnd = to >= log.head;
  const stored = new Set(isEnd && entries.length > 0 ? log.events.slice(-400).map((event) => event.client_id) : []);
  const messages = events.map((event) => messageOf(event, isMe(event.sender), delivered));
  if (isEnd) messages.push(...entries.filter(({ client_id }) => !stored.has(client_id)).map((entry) => waitingOf(entry, me)));
  const gaps = log.gaps(from, to);
  const items = log.older === false && messages.length > 0 && from <= (log.first ?? 1) ? [{ kind: "start", key: "start" }] : [];
  let before = log.events[log.indexOf(from) - 1] ?? null;
  if (before !== null && before.seq !== from - 1) before = null;
  let previous = before === null ? null : messageOf(before, isMe(before.sender), delivered);
  let day = previous?.day ?? 0;
  let isMarked = marker === null || (previous !== null && previous.seq > marker);
  for (const message of messages) {
    const isAfterGap = gaps.length > 0 && (message.seq === null || gaps[0][1] < message.seq);
    while (gaps.length > 0 && (message.seq === null || gaps[0][1] < message.seq)) items.push(gapOf(gaps.shift()));
    const isNewDay = message.day > day;
    if (isNewDay) items.push({ kind: "day", key: `d:${message.day}`, date: message.stored });
    day = Math.max(day, message.day);
    const isMarker = !isMarked && !message.own && message.seq > marker;
    if (isMarker) items.push({ kind: "marker", key: "marker" });
    isMarked ||= isMarker;
    message.first = isNewDay || isMarker || isAfterGap || !isGrouped(previous, message);
    message.last = true;
    if (previous !== null && !message.first) previous.last = false;
    items.push(message);
    previous = message;
  }
  items.push(...gaps.map(gapOf));
  return items;
}

/** Its end is its name: what fills a gap mostly fills it from there. */
function gapOf([first, last]) {
  return { kind: "gap", key: `g:${last}`, first, last };
}

function isGrouped(one, other) {
  return one !== null && one.sender === other.sender && other.stored - one.stored < GROUP_MS && one.type === other.type;
}
