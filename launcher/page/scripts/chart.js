// Small charts of the last hour. Time goes from left to right; where nobody looked there is a gap.

/** Means of the values within each `step` of time. */
export function thinned(at, values, step) {
  const means = { at: [], values: [] };
  let count = 0;
  for (const [index, time] of at.entries()) {
    const begin = Math.floor(time / step) * step;
    const last = means.at.length - 1;
    if (means.at[last] === begin) {
      count += 1;
      means.values[last] += (values[index] - means.values[last]) / count;
    } else {
      count = 1;
      means.at.push(begin);
      means.values.push(values[index]);
    }
  }
  return means;
}

/** Paths of the pieces without a gap, within `width` times `height`: `{ line, area }`, and the largest value. */
export function shape({ at, values, from, to, gap, width, height, least = 0 }) {
  const seen = at.map((time, index) => [time, values[index]]).filter(([time]) => time >= from && time <= to);
  const most = Math.max(least, ...seen.map(([, value]) => value));
  const x = (time) => ((time - from) / (to - from)) * width;
  const y = (value) => height - (most === 0 ? 0 : (value / most) * (height - 2)) - 1;
  const pieces = [];
  for (const [time, value] of seen) {
    const last = pieces.at(-1);
    if (last !== undefined && time - last.at(-1)[0] <= gap) last.push([time, value]);
    else pieces.push([[time, value]]);
  }
  const text = (number) => number.toFixed(1);
  const through = (piece) => piece.map(([time, value]) => `${text(x(time))} ${text(y(value))}`).join("L");
  // A single sample would be no line.
  const line = pieces.map((piece) => `M${through(piece)}${piece.length === 1 ? "h2" : ""}`).join("");
  const area = pieces
    .map((piece) => `M${text(x(piece[0][0]))} ${height}L${through(piece)}L${text(x(piece.at(-1)[0]))} ${height}Z`)
    .join("");
  return { line, area, most };
}
