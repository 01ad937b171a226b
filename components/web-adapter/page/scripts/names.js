// User names as the server compares them, and how a name looks: its letters and its colour.

/** Keys found before: each event asks for one. Bound: MAX_KEYS; all are forgotten then. */
const keys = new Map();
const MAX_KEYS = 2_000;

/** What two names have in common when they are the same person (`protocol::name`). */
export function keyOf(name) {
  let key = keys.get(name);
  if (key === undefined) {
    key = foldedOf(name);
    if (keys.size >= MAX_KEYS) keys.clear();
    keys.set(name, key);
  }
  return key;
}

function foldedOf(name) {
  let key = name.trim();
  // Folding can make what folds again; the server goes round as often.
  for (let round = 0; round < 4; round += 1) key = key.normalize("NFKC").toLowerCase().normalize("NFKC");
  return key;
}

/**
 * The names that a typed text may mean, the likeliest first: the name itself, those that begin with it, those with a part that does, those
 * that contain it; names of equal rank stay in their order.
 */
export function matching(typed, names) {
  const key = keyOf(typed);
  const rank = (name) => {
    const other = keyOf(name);
    if (other === key) return 0;
    if (other.startsWith(key)) return 1;
    if (other.split(/[._-]+/u).some((part) => part.startsWith(key))) return 2;
    return other.includes(key) ? 3 : 4;
  };
  const ranked = names.map((name) => [rank(name), name]).filter(([place]) => place < 4);
  return ranked.sort(([one], [other]) => one - other).map(([, name]) => name);
}

/** A name and the token of its account, from `alice:TOKEN` (`protocol::account`); the token is null where there is none. */
export function splitToken(text) {
  const at = text.indexOf(":");
  const token = text.slice(at + 1).trim();
  return at >= 0 && token.startsWith("p2p_") ? [text.slice(0, at), token] : [text, null];
}

const LIMIT = 32;

/** Why a text cannot be a name, or null when it can. The server has the last word. */
export function problemWith(text) {
  const name = text.trim().normalize("NFKC");
  const characters = [...name];
  if (characters.length === 0) return "Enter a name.";
  if (characters.length > LIMIT) return `A name can have at most ${LIMIT} characters.`;
  if (characters.every((c) => c === ".")) return "A name needs at least one letter or digit.";
  const fits = (c) => /[\p{Alphabetic}\p{N}\p{Mn}\p{Mc}_.-]/u.test(c) && !/\p{Default_Ignorable_Code_Point}/u.test(c);
  const bad = characters.find((c) => !fits(c));
  if (bad === undefined) return null;
  const isSeen = /[\p{L}\p{N}\p{P}\p{S}]/u.test(bad) && !/\p{Default_Ignorable_Code_Point}/u.test(bad);
  const what = bad === " " ? "a space" : isSeen ? `“${bad}”` : `U+${bad.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return `A name cannot contain ${what}. Use letters, digits, “_”, “-” and “.”.`;
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
