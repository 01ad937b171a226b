// Points in time as people say them, in the browser's own language and zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dated = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const long = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const withYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** Midnights between two moments: 0 on the same day, 1 for yesterday. */
export function daysBetween(earlier, later) {
  const midnight = (date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((midnight(later) - midnight(earlier)) / 86_400_000);
}

/** `23:21` */
export function timeOf(date) {
  return clock.format(date);
}

/** `20 Nov, 23:21`: a time that belongs to another day than what stands around it. */
export function momentOf(date, now = new Date()) {
  return `${date.getFullYear() === now.getFullYear() ? short.format(date) : dated.format(date)}, ${clock.format(date)}`;
}

/** The day above a day's messages: `Today`, `Yesterday`, `Friday`, `Friday, 20 November`. */
export function dayOf(date, now = new Date()) {
  const days = daysBetween(date, now);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days > 1 && days < 7) return weekday.format(date);
  return date.getFullYear() === now.getFullYear() ? long.format(date) : withYear.format(date);
}

/** The time beside a conversation in the list: `23:21`, `Yesterday`, `20 Nov`. */
export function briefly(date, now = new Date()) {
  const days = daysBetween(date, now);
  if (days <= 0) return clock.format(date);
  if (days === 1) return "Yesterday";
  return short.format(date);
}

/** Everything there is to say about a moment. */
export function fully(date) {
  return full.format(date);
}
