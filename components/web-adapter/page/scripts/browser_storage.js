// What the browser keeps for us. A browser that keeps nothing (private windows, full quota) costs comfort, never an error.
//
// For this tab (sessionStorage): who is logged in, so that a reload joins again and another tab may be somebody else.
// For this browser (localStorage): the last name, tokens by name, unsent messages and drafts by name, the theme.

const PREFIX = "p2p-chat.";
const MAX_TOKENS = 8;

function read(storage, key, fallback) {
  try {
    const text = storage().getItem(PREFIX + key);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

function write(storage, key, value) {
  try {
    if (value === null) storage().removeItem(PREFIX + key);
    else storage().setItem(PREFIX + key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

// Even naming them may throw where storage is forbidden.
const tab = () => globalThis.sessionStorage;
const browser = () => globalThis.localStorage;

export const keep = {
  tab: (key, fallback = null) => read(tab, key, fallback),
  setTab: (key, value) => write(tab, key, value),
  get: (key, fallback = null) => read(browser, key, fallback),
  set: (key, value) => write(browser, key, value),
};

/** The token that joins the sessions of a name, by its key. */
export function tokenOf(key) {
  return keep.get("tokens", []).find((entry) => entry.key === key)?.token ?? null;
}

/** Keeps a token, or forgets it with `null`; the oldest go first. */
export function keepToken(key, token) {
  const others = keep.get("tokens", []).filter((entry) => entry.key !== key);
  const tokens = token === null ? others : [...others, { key, token }];
  keep.set("tokens", tokens.slice(-MAX_TOKENS));
}
