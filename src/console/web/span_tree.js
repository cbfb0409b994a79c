/** The spans of a trace as a tree, in the order in which a waterfall shows them. */
/** @import {Span} from './otlp_trace.js' */

/**
 * @typedef {object} TreeRow
 * @property {Span} span
 * @property {number} depth 0 for a root
 * @property {number} descendants rows that follow and belong to this one
 * @property {number} position from 1, among the rows of the same parent
 * @property {number} siblings how many those are, this one included
 * @property {number} parent index of the parent's row, -1 for a root
 * @property {boolean} isOrphan its parent is named, and is not in the trace
 */

/**
 * Depth-first, children in the order of the list. Every span has exactly one row: one whose parent is missing
 * stands as a root, and so does the first of a ring of spans that name each other.
 * @param {readonly Span[]} spans by start
 * @returns {TreeRow[]}
 */
export function treeRows(spans) {
  /** @type {Map<string, Span>} */
  const byId = new Map();
  for (const span of spans) if (span.spanId !== '' && !byId.has(span.spanId)) byId.set(span.spanId, span);
  /** @type {Map<Span, Span[]>} */
  const children = new Map();
  /** @type {Span[]} */
  const roots = [];
  for (const span of spans) {
    const parent = byId.get(span.parentSpanId);
    if (parent === undefined || parent === span) roots.push(span);
    else {
      const list = children.get(parent);
      if (list === undefined) children.set(parent, [span]);
      else list.push(span);
    }
  }
  /** @type {TreeRow[]} */
  const rows = [];
  /** @type {Set<Span>} */
  const placed = new Set();
  /** @param {Span} root */
  const place = (root) => {
    /** @type {{span: Span, depth: number, parent: number, position: number, siblings: number}[]} */
    const open = [{ span: root, depth: 0, parent: -1, position: 0, siblings: 0 }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (placed.has(next.span)) continue;
      placed.add(next.span);
      const index = rows.length;
      const isOrphan = next.parent < 0 && next.span.parentSpanId !== '';
      rows.push({ ...next, descendants: 0, isOrphan });
      const own = children.get(next.span) ?? [];
      for (let position = own.length; position >= 1; position -= 1) {
        const span = /** @type {Span} */ (own[position - 1]);
        open.push({ span, depth: next.depth + 1, parent: index, position, siblings: own.length });
      }
    }
  };
  for (const root of roots) place(root);
  for (const span of spans) if (!placed.has(span)) place(span);

  for (let index = rows.length - 1; index >= 0; index -= 1) {
    const row = /** @type {TreeRow} */ (rows[index]);
    const parent = rows[row.parent];
    if (parent !== undefined) parent.descendants += row.descendants + 1;
  }
  const rootRows = rows.filter((row) => row.parent < 0);
  for (const [index, row] of rootRows.entries()) {
    row.position = index + 1;
    row.siblings = rootRows.length;
  }
  return rows;
}

/**
 * Rows that show when some are folded.
 * @param {readonly TreeRow[]} rows
 * @param {ReadonlySet<TreeRow>} folded
 * @returns {TreeRow[]}
 */
export function visibleRows(rows, folded) {
  if (folded.size === 0) return [...rows];
  const visible = [];
  for (let index = 0; index < rows.length; index += 1) {
    const row = /** @type {TreeRow} */ (rows[index]);
    visible.push(row);
    if (folded.has(row)) index += row.descendants;
  }
  return visible;
}
