import { describe, expect, test } from 'vitest';
import type { Span } from './otlp_trace.js';
import { treeRows, visibleRows } from './span_tree.js';

function span(spanId: string, parentSpanId = ''): Span {
  return {
    spanId,
    parentSpanId,
    name: spanId,
    kind: 'internal',
    service: '',
    instance: '',
    scope: '',
    offsetMs: 0,
    durationMs: 1,
    status: 'unset',
    statusMessage: '',
    attributes: new Map(),
    resource: new Map(),
    events: [],
    links: [],
    dropped: 0,
  };
}

function shape(...spans: Span[]): string[] {
  return treeRows(spans).map((row) => `${'-'.repeat(row.depth)}${row.span.spanId}${row.isOrphan ? '?' : ''}`);
}

describe('a tree of spans', () => {
  test('depth-first, children in the order given', () => {
    expect(shape(span('root'), span('a', 'root'), span('b', 'root'), span('c', 'a'))).toEqual([
      'root',
      '-a',
      '--c',
      '-b',
    ]);
  });

  test('missing parents, spans that are their own parent, rings and doubled ids: each span has one row', () => {
    expect(shape(span('x', 'gone'), span('y', 'x'))).toEqual(['x?', '-y']);
    expect(shape(span('self', 'self'), span('c', 'self'))).toEqual(['self?', '-c']);
    expect(shape(span('r1', 'r2'), span('r2', 'r1'), span('r3', 'r2'))).toEqual(['r1?', '-r2', '--r3']);
    expect(shape(span('twin'), span('twin'), span('c', 'twin'))).toEqual(['twin', '-c', 'twin']);
    expect(shape(span(''), span('', ''))).toEqual(['', '']);
  });

  test('rows know their place among their siblings, and how many they hold', () => {
    const rows = treeRows([
      span('root'),
      span('a', 'root'),
      span('b', 'root'),
      span('c', 'a'),
      span('other'),
    ]);
    expect(
      rows.map((row) => [row.span.spanId, row.position, row.siblings, row.descendants, row.parent]),
    ).toEqual([
      ['root', 1, 2, 3, -1],
      ['a', 1, 2, 1, 0],
      ['c', 1, 1, 0, 1],
      ['b', 2, 2, 0, 0],
      ['other', 2, 2, 0, -1],
    ]);
  });

  test('a chain as long as the store allows does not exhaust the stack', () => {
    const chain = Array.from({ length: 20_000 }, (_, at) => span(`s${at}`, at === 0 ? '' : `s${at - 1}`));
    const rows = treeRows(chain);
    expect(rows.at(-1)?.depth).toBe(19_999);
    expect(rows[0]?.descendants).toBe(19_999);
  });
});

test('what is folded takes its descendants out of sight', () => {
  const rows = treeRows([span('root'), span('a', 'root'), span('c', 'a'), span('b', 'root')]);
  const [root, a] = rows;
  if (root === undefined || a === undefined) throw new Error('no rows');
  const names = (...folded: (typeof root)[]) =>
    visibleRows(rows, new Set(folded)).map((row) => row.span.spanId);
  expect(names()).toEqual(['root', 'a', 'c', 'b']);
  expect(names(a)).toEqual(['root', 'a', 'b']);
  expect(names(root, a)).toEqual(['root']);
});
