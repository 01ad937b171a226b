// Makes nodes. Texts become text nodes and nothing else; there is no way from here to markup.

/** An element: `el("button.primary", {type: "button", onclick}, "Send")`. Properties that start with `on` listen. */
export function el(selector, properties = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const node = document.createElement(tag);
  node.classList.add(...classes);
  return dress(node, properties, children);
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element. */
export function svg(tag, properties = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), properties, children);
}

function dress(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICONS = {
  thermometer: "M14 14.800V5a2 2 0 1 0-4 0v9.800a4 4 0 1 0 4 0z",
  spark: "M12 3l1.900 5.600a2.500 2.500 0 0 0 1.500 1.500L21 12l-5.600 1.900a2.500 2.500 0 0 0-1.500 1.500L12 21l-1.900-5.600a2.500 2.500 0 0 0-1.500-1.500L3 12l5.600-1.900a2.500 2.500 0 0 0 1.500-1.500z",
  bell: "M6 9a6 6 0 1 1 12 0c0 6 2.500 7 2.500 7h-17S6 15 6 9zM10 20a2.200 2.200 0 0 0 4 0",
  "bell-off": "M8 4.600A6 6 0 0 1 18 9c0 2.300.400 3.900.800 5M16 16H3.500S6 15 6 9c0-.500.100-1 .200-1.500M10 20a2.200 2.200 0 0 0 4 0M3 3l18 18",
  bars: "M5 20v-6M10 20V8M15 20v-9M20 20V4",
  refresh: "M20 11a8 8 0 0 0-14.300-4M4 4v4h4M4 13a8 8 0 0 0 14.300 4M20 20v-4h-4",
  help: "M9.200 9a2.900 2.900 0 1 1 4.300 2.500c-.900.500-1.500 1-1.500 2.100M12 17.200v.1M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18z",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.500 14a4.200 4.200 0 0 0 7 0M9 9.500v.1M15 9.500v.1",
  angry: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.500 16a4.200 4.200 0 0 1 7 0M8 9l2.500 1M16 9l-2.500 1",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c2.500 2.600 3.800 5.600 3.800 9s-1.300 6.400-3.800 9c-2.500-2.600-3.800-5.600-3.800-9S9.500 5.600 12 3z",
  send: "M5 12h13M12 5l7 7-7 7",
  back: "M19 12H6M12 5l-7 7 7 7",
  down: "M12 5v13M5 12l7 7 7-7",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 3v1.500M12 19.500V21M3 12h1.500M19.500 12H21M5.600 5.600l1.100 1.100M17.300 17.300l1.100 1.100M5.600 18.400l1.100-1.100M17.300 6.700l1.100-1.100",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  auto: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 3v18M12 7h6.500M12 12h9M12 17h6.500",
  leave: "M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M4 12h11M8 7l-5 5 5 5",
  check: "M5 12.500l4.500 4.500L19 7.500",
  double: "M2.500 12.500L7 17l9-9.500M11.500 16l1 1L22 7.500",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
  warn: "M12 4l9 16H3zM12 10v4M12 17v.1",
  inbox: "M4 13l2.500-8h11L20 13v6H4zM4 13h4.500a3.500 3.500 0 0 0 7 0H20",
  plus: "M12 5v14M5 12h14",
};

/** A line drawing that says nothing to a screen reader. */
export function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, path);
}

/** Takes everything out of a node and puts these in. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}
