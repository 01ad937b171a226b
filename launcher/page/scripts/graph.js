// Where the components stand in the picture of their dependencies: who needs nothing is on the left, and everybody right of what they need.

/** The needs of each that do not follow from its other needs: a picture of all of them would be a thicket. */
export function direct(names, needs) {
  const known = new Set(names);
  const reached = new Map();
  const reach = (name, above) => {
    if (reached.has(name)) return reached.get(name);
    const all = new Set();
    for (const need of above.has(name) ? [] : needs(name).filter((one) => known.has(one))) {
      all.add(need);
      for (const further of reach(need, new Set([...above, name]))) all.add(further);
    }
    reached.set(name, all);
    return all;
  };
  return (name) => {
    const own = needs(name).filter((need) => known.has(need));
    return own.filter((need) => !own.some((other) => other !== need && reach(other, new Set()).has(need)));
  };
}

/** A place of each, `{ name, column, row }`, and `{ columns, rows }` of the whole. `needs` gives the names that one needs. */
export function layout(names, needs) {
  const known = new Set(names);
  const columns = new Map();
  const columnOf = (name, above) => {
    if (columns.has(name)) return columns.get(name);
    // A circle cannot be; if there were one, it would end here.
    if (above.has(name)) return 0;
    const below = needs(name).filter((need) => known.has(need));
    const column = below.reduce((most, need) => Math.max(most, columnOf(need, new Set([...above, name])) + 1), 0);
    columns.set(name, column);
    return column;
  };
  const placed = names.map((name) => [name, columnOf(name, new Set())]);
  const grouped = Array.from({ length: Math.max(0, ...placed.map(([, column]) => column)) + 1 }, () => []);
  for (const [name, column] of placed) grouped[column].push(name);
  // Each beside the middle of what it needs, so that few lines cross.
  const rows = new Map();
  const places = [];
  for (const [column, group] of grouped.entries()) {
    const wanted = (name) => {
      const below = needs(name).filter((need) => rows.has(need)).map((need) => rows.get(need));
      return below.length === 0 ? group.indexOf(name) : below.reduce((sum, row) => sum + row, 0) / below.length;
    };
    const sorted = group.map((name, index) => ({ name, index, wanted: wanted(name) }));
    sorted.sort((one, other) => one.wanted - other.wanted || one.index - other.index);
    for (const [row, { name }] of sorted.entries()) {
      rows.set(name, row - (sorted.length - 1) / 2);
      places.push({ name, column, row, of: sorted.length });
    }
  }
  return { places, columns: grouped.length, rows: Math.max(1, ...grouped.map((group) => group.length)) };
}
