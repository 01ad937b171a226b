// What a thermometer tells, drawn: one temperature as a large figure on a scale, several as bars.

import { el, svg } from "./dom.js";

const format = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** The card of a reading: `{temperature, unit}` or `{temps, unit}`. */
export function readingCard(reading) {
  return reading.temps === undefined ? single(reading) : range(reading);
}

function withUnit(value, unit) {
  return `${format.format(value)} °${unit}`;
}

function single({ temperature, unit }) {
  const figure = el("span.figure", {}, format.format(temperature), el("small", {}, `°${unit}`));
  const scale = el("span.scale", { "aria-hidden": "true" }, el("span.needle"));
  const celsius = unit === "F" ? (temperature - 32) / 1.8 : temperature;
  scale.firstChild.style.setProperty("--at", String(Math.min(1, Math.max(0, (celsius + 10) / 50))));
  return el("div.reading", {}, figure, scale);
}

const WIDTH = 34;
const GAP = 10;
const HEIGHT = 74;

function range({ temps, unit }) {
  const low = Math.min(...temps);
  const high = Math.max(...temps);
  const spread = Math.max(high - low, 0.1);
  const bars = temps.map((value, index) => {
    // The lowest still has a bar: it is cold, not nothing.
    const height = 14 + ((value - low) / spread) * (HEIGHT - 14);
    const x = index * (WIDTH + GAP);
    const y = 16 + HEIGHT - height;
    const extreme = value === high ? " high" : value === low ? " low" : "";
    return [
      svg("rect", { class: `bar${extreme}`, x, y, width: WIDTH, height, rx: 6 }),
      svg("text", { class: "bar-label", x: x + WIDTH / 2, y: y - 5, "text-anchor": "middle" }, format.format(value)),
    ];
  });
  const width = temps.length * (WIDTH + GAP) - GAP;
  const label = `${temps.length} temperatures: ${temps.map((value) => withUnit(value, unit)).join(", ")}`;
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT + 18}`, width, height: HEIGHT + 18, role: "img", "aria-label": label }, ...bars.flat());
  const words = el("span.words", {}, `Lowest ${withUnit(low, unit)} · highest ${withUnit(high, unit)}`);
  return el("div.reading.range", {}, chart, words);
}
