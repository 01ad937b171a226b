// The picture of who needs whom.

import { direct, layout } from "../graph.js";
import { el, svg } from "./dom.js";
import { lookOf, signOf } from "./parts.js";

const WIDTH = 168;
const HEIGHT = 44;
const ACROSS = 64;
const DOWN = 16;
const EDGE = 8;
const NAME = 17;

/** Draws it for components and dependencies as they are. */
export function graphPicture(status) {
  const nodes = new Map();
  for (const { name, state } of status.dependencies) nodes.set(name, { name, state, needs: [], isOurs: false });
  for (const { name, state, needs } of status.components) nodes.set(name, { name, state, needs, isOurs: true });
  // What nobody needs and needs nobody, such as the configuration's own watch, would only stand about.
  const needed = new Set([...nodes.values()].flatMap(({ needs }) => needs));
  for (const { name, isOurs } of [...nodes.values()]) if (!isOurs && !needed.has(name)) nodes.delete(name);

  const drawn = direct([...nodes.keys()], (name) => nodes.get(name).needs);
  const { places, columns, rows } = layout([...nodes.keys()], (name) => nodes.get(name).needs);
  const height = rows * (HEIGHT + DOWN) - DOWN;
  const at = new Map(places.map(({ name, column, row, of }) => {
    const free = height - (of * (HEIGHT + DOWN) - DOWN);
    return [name, { x: EDGE + column * (WIDTH + ACROSS), y: EDGE + free / 2 + row * (HEIGHT + DOWN) }];
  }));
  const whole = { width: 2 * EDGE + columns * (WIDTH + ACROSS) - ACROSS, height: height + 2 * EDGE };
  const lines = [...nodes.values()].flatMap(({ name }) => drawn(name).map((need) => line(at.get(need), at.get(name), nodes.get(need))));
  const boxes = [...nodes.values()].map((node) => box(node, at.get(node.name)));
  const words = [...nodes.values()].map(({ name, state, needs }) => `${name} is ${state}${needs.length > 0 ? ` and needs ${needs.join(" and ")}` : ""}`).join(". ");
  const picture = svg(
    "svg",
    { class: "graph", viewBox: `0 0 ${whole.width} ${whole.height}`, width: whole.width, height: whole.height, role: "group", "aria-label": `Who needs whom. ${words}.` },
    ...lines,
    ...boxes,
  );
  return el("div.graph-frame", { tabindex: "0", role: "region", "aria-label": "Dependencies" }, picture);
}

function line(from, to, need) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  const d = `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2 - 6} ${y2}`;
  const isFine = ["good"].includes(lookOf(need.state));
  return svg(
    "g",
    { class: `edge ${isFine ? "" : "broken"}`, "aria-hidden": "true" },
    svg("path", { d }),
    svg("path", { class: "tip", d: `M${x2 - 7} ${y2 - 4}L${x2 - 1} ${y2}L${x2 - 7} ${y2 + 4}Z` }),
  );
}

function box({ name, state, isOurs }, { x, y }) {
  const short = name.length > NAME ? `${name.slice(0, NAME - 1)}…` : name;
  const drawn = svg(
    "g",
    { class: `node ${lookOf(state)}`, transform: `translate(${x} ${y})` },
    svg("title", {}, `${name}: ${state}`),
    svg("rect", { width: WIDTH, height: HEIGHT, rx: isOurs ? 12 : 22 }),
    svg("text", { class: "name", x: 14, y: 19 }, short),
    svg("text", { class: "state", x: 14, y: 35 }, `${signOf(state)} ${state}${isOurs ? "" : " · external"}`),
  );
  return isOurs ? svg("a", { href: `#/component/${encodeURIComponent(name)}`, "aria-label": `${name}, ${state}` }, drawn) : drawn;
}
