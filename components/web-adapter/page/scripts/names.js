// User names as the server compares them, and how a name looks: its letters and its colour.

/** What two names have in common when they are the same person (`protocol::name`). */
export function keyOf(name) {
  return name.trim().normalize("NFKC").toLowerCase().normalize("NFKC");
}

const LIMIT = 32;

/** Why a text cannot be a name, or null when it can. The server has the last word. */
export function problemWith(text) {
  const name = text.trim().normalize("NFKC");
  const characters = [...name];
  if (characters.length === 0) return "Type a name.";
  if (characters.length > LIMIT) return `A name has at most ${LIMIT} characters.`;
  const bad = characters.find((c) => !/[\p{Alphabetic}\p{N}_.-]/u.test(c));
  if (bad === undefined) return null;
  const what = bad === " " ? "a space" : `“${bad}”`;
  return `A name cannot hold ${what}. Use letters, digits, “_”, “-” and “.”.`;
}

/** One or two letters that stand for a name: `alice` → A, `Ada.Lovelace` → AL, `bob2` → B. */
export function initials(name) {
  const words = name.split(/[._-]+/u).filter(Boolean);
  const letters = words.slice(0, 2).map((word) => [...word][0]);
  return (letters.join("") || [...name][0] || "?").toUpperCase();
}

/** A hue from 0 to 359 that is always the same for a person (FNV-1a over the key, then spread by the golden angle). */
export function hueOf(name) {
  let hash = 0x811c9dc5;
  for (const c of keyOf(name)) {
    hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193) >>> 0;
  }
  return Math.floor(((hash % 1024) * 137.508) % 360);
}
