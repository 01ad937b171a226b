// A message's text as parts that a view makes nodes of. Nothing here ever makes markup of a text.

// Where Chinese, Japanese and Korean are written without spaces, an address ends at their punctuation; and its host at their letters,
// unless the host begins with them. In a path their letters are common.
const URL_PATTERN = (() => {
  const never = "\\s<>\"'`\\\\^{|}\\u3000-\\u3004\\u3008-\\u3020\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65“”‘’…—";
  const letters = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}";
  const host = `(?:[${letters}][^${never}/?#]*|[^${never}${letters}/?#]+)`;
  return new RegExp(`\\bhttps?://${host}(?:[/?#][^${never}]*)?`, "giu");
})();
const TRAILING = new Set(".,;:!?…)]}*_~'\"");

/** The parts of a text: `{kind: "text" | "link" | "code" | "block" | "strong", text}`, and `href` for a link. */
export function partsOf(text) {
  // A block stands on lines of its own, so the line ends around it are not the text's.
  return text.split(/\n?(```[\s\S]*?```)\n?/u).flatMap((piece, index) => (index % 2 === 1 ? [blockOf(piece)] : inline(piece)));
}

function blockOf(fenced) {
  const inner = fenced.slice(3, -3);
  const lines = inner.split("\n");
  // The first line may name a language.
  const body = lines.length > 1 && /^[\w+#.-]*$/u.test(lines[0].trim()) ? lines.slice(1).join("\n") : inner;
  return { kind: "block", text: body.replace(/\n$/u, "") };
}

function inline(text) {
  return text
    .split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/u)
    .flatMap((piece, index) => {
      if (index % 2 === 0) return links(piece);
      return piece.startsWith("`")
        ? [{ kind: "code", text: piece.slice(1, -1) }]
        : [{ kind: "strong", text: piece.slice(2, -2) }];
    });
}

function links(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(URL_PATTERN)) {
    const address = trimmed(match[0]);
    if (!isLink(address)) continue;
    if (match.index > from) parts.push({ kind: "text", text: text.slice(from, match.index) });
    parts.push({ kind: "link", text: address, href: address });
    from = match.index + address.length;
  }
  if (from < text.length) parts.push({ kind: "text", text: text.slice(from) });
  return parts;
}

/** Without what ends the sentence around it; a closing bracket stays where the address opened it. */
function trimmed(address) {
  let open = 0;
  for (const character of address) open += character === "(" ? 1 : character === ")" ? -1 : 0;
  let end = address.length;
  while (end > 0 && TRAILING.has(address[end - 1])) {
    if (address[end - 1] === ")") {
      if (open >= 0) break;
      open += 1;
    }
    end -= 1;
  }
  return address.slice(0, end);
}

function isLink(address) {
  try {
    const { protocol, hostname } = new URL(address);
    return (protocol === "http:" || protocol === "https:") && hostname !== "";
  } catch {
    return false;
  }
}

/** Whether a text is one to three emoji and nothing else; those are shown large. */
export function isOnlyEmoji(text) {
  if (text.length > 40) return false;
  const bare = text.replace(/[\s\u200d\ufe0f\u20e3]|\p{Emoji_Modifier}/gu, "");
  return bare !== "" && [...bare].length <= 6 && /^(?:\p{Extended_Pictographic}|\p{Regional_Indicator})+$/u.test(bare);
}

const encoder = new TextEncoder();

/** The length of a text on the wire, in bytes. */
export function bytesOf(text) {
  return encoder.encode(text).length;
}

/** The first words of a message, on one line. */
export function previewOf(text) {
  // Of a long message the beginning is enough.
  return text.slice(0, 1000).replace(/```\w*|\*\*|`/gu, "").replace(/\s+/gu, " ").trim().slice(0, 160);
}
