// A list of nodes that is told what it should be and changes no more than it must: an item's node is made once, stays the same node for
// as long as its key is in the list, and is moved only where the order changed. So presses, selections and the focus survive.

/**
 * The list in `parent`. `make(item)` returns `{node, update(item)}`; `update` is called at each rendering. `refuge()` returns what gets the
 * focus when the node that has it goes.
 */
export function keyedList(parent, make, refuge = () => null) {
  let rows = new Map();

  /** Makes the list be that of `items`, each with a `key` of its own. */
  function render(items) {
    const next = new Map();
    for (const item of items) {
      const row = rows.get(item.key) ?? make(item);
      row.update(item);
      next.set(item.key, row);
    }
    for (const [key, { node }] of rows) if (!next.has(key)) drop(node);
    let cursor = parent.firstChild;
    for (const { node } of next.values()) {
      if (node === cursor) cursor = cursor.nextSibling;
      else place(node, cursor);
    }
    rows = next;
  }

  function drop(node) {
    const hadFocus = node.contains(document.activeElement);
    node.remove();
    if (hadFocus) refuge()?.focus({ preventScroll: true });
  }

  function place(node, before) {
    if (node.parentNode !== parent) return parent.insertBefore(node, before);
    const focused = node.contains(document.activeElement) ? document.activeElement : null;
    parent.insertBefore(node, before);
    return focused?.focus({ preventScroll: true });
  }

  return { render, nodeOf: (key) => rows.get(key)?.node ?? null };
}

/** Sets a node's text where it differs. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
