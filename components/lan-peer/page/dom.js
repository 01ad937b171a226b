// Makes elements. Whatever others have written goes in as text only.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const find = (id) => document.getElementById(id);

// Lines of pictures of 24 by 24.
const PATHS = {
  clear: "M7 11V7a5 5 0 0 1 9.6-2M5 11h14v10H5z",
  new: "M7 11V7a5 5 0 0 1 10 0v4M5 11h14v10H5z",
  verified: "M12 3l7 3v5c0 5-3 8.500-7 10-4-1.500-7-5-7-10V6zM9 12l2 2 4-4",
  changed: "M12 3 2 20h20zM12 9v5M12 17v.5",
  blocked: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  queued: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2",
  sent: "M5 12l5 5 9-10",
  delivered: "M2 12l5 5 9-10M12 17l9-10",
  failed: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v6M12 16v.5",
  back: "M15 5l-7 7 7 7",
  send: "M4 12l16-8-5 16-3-7z",
};

const SVG = "http://www.w3.org/2000/svg";

export function icon(name, title = "") {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon ${name}`);
  if (title) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", title);
  } else svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
