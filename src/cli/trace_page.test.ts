import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { assembleTrace, type RawSpan, type Trace } from '../client/trace.ts';
import { cellsOf, inCells, tracePage } from './trace_page.ts';

const LINK = 'http://localhost:16686/trace/1';

function raw(
  spanId: string,
  parentSpanId: string,
  startUs: number,
  durationUs: number,
  more: Partial<RawSpan> = {},
): RawSpan {
  return {
    spanId,
    parentSpanId,
    name: spanId,
    kind: 'internal',
    service: 'vitrine-worker',
    instance: 'worker-1',
    attributes: new Map(),
    status: 'unset',
    statusMessage: '',
    startNs: 1_700_000_000_000_000_000n + BigInt(startUs) * 1000n,
    endNs: 1_700_000_000_000_000_000n + BigInt(startUs + durationUs) * 1000n,
    events: [],
    links: [],
    ...more,
  };
}

function traceOf(...spans: RawSpan[]): Trace {
  const trace = assembleTrace('ab'.repeat(16), spans);
  if (trace === undefined) throw new Error('a trace of no spans');
  return trace;
}

const QUERY = raw('infer langid', '', 0, 10_000, {
  service: 'vitrine-gateway',
  instance: 'gateway-0',
  kind: 'server',
  attributes: new Map<string, string | number>([
    ['inference.model.name', 'langid'],
    ['inference.model.version', '1'],
    ['inference.outcome', 'ok'],
    ['http.response.status_code', 200],
    ['vitrine.total_ms', 10],
    ['vitrine.unattributed_ms', 0.01],
    ['vitrine.stage.receive_ms', 1],
    ['vitrine.stage.network_ms', 0.99],
    ['vitrine.stage.compute_ms', 8],
    ['vitrine.kept_because', 'all'],
  ]),
});

function page(trace: Trace, width = 100, color = false): string[] {
  return tracePage(trace, LINK, { width, color }).split('\n');
}

test('the waterfall places spans in time, and the ledger sums to its total', () => {
  const lines = page(traceOf(QUERY, raw('compute', 'infer langid', 5000, 2500)));
  expect(lines.slice(0, 2)).toEqual([`trace ${'ab'.repeat(16)}  2023-11-14T22:13:20.000Z`, LINK]);
  const whole = /█+/.exec(lines[4] ?? '')?.[0].length ?? 0;
  const part = /^(.*?)(█+)/.exec(lines[5] ?? '');
  const origin = (lines[4] ?? '').indexOf('█');
  expect(whole).toBeGreaterThan(40);
  expect(Math.abs((part?.[1]?.length ?? 0) - origin - whole / 2)).toBeLessThanOrEqual(1);
  expect(Math.abs((part?.[2]?.length ?? 0) - whole / 4)).toBeLessThanOrEqual(1);
  const text = lines.join('\n');
  expect(text).toContain('langid version 1  ok 200  10.0 ms');
  expect(text).toMatch(/^receive +1\.000 +10\.0 %/m);
  expect(text).toMatch(/^ {2}compute +8\.000 +80\.0 %/m);
  expect(text).toMatch(/^unattributed +0\.010 +0\.1 %/m);
  expect(text).toMatch(/^total +10\.000 +100\.0 %/m);
  expect(text).toMatch(/^kept because +all$/m);
  expect(text).not.toContain('does not close');
});

test('a ledger that does not close says so', () => {
  const attributes = new Map(QUERY.attributes);
  attributes.set('vitrine.unattributed_ms', 0.2);
  expect(page(traceOf({ ...QUERY, attributes })).join('\n')).toContain('does not close');
});

describe('what a span says cannot command the terminal', () => {
  const hostile = raw('child', 'infer langid', 1000, 10, {
    name: '\u001b]0;owned\u0007\u001b[31mred\rover\u202eevil\nnext',
    instance: '\u001b[2Jclear',
    status: 'error',
  });
  test('without colour no escape is left', () => {
    const text = tracePage(traceOf(QUERY, hostile), LINK, { width: 100, color: false });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/);
    expect(text).toContain('! red');
    expect(text).toMatch(/evil next +clear/);
  });
  test('with colour only our own are, and the text is the same', () => {
    const colored = tracePage(traceOf(QUERY, hostile), LINK, { width: 100, color: true });
    expect(colored).toContain('\u001b[31m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(colored.replaceAll(/\u001b\[\d+m/g, '')).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
    expect(stripVTControlCharacters(colored)).toBe(
      tracePage(traceOf(QUERY, hostile), LINK, { width: 100, color: false }),
    );
  });
});

test.each([40, 60, 100, 200, 5, 1000])('the waterfall keeps to a terminal of %i cells', (width) => {
  const spans = [QUERY, raw('a span with quite a long name 日本語のモデル', 'infer langid', 9_990, 10)];
  for (let depth = 0; depth < 30; depth += 1)
    spans.push(raw(`deep ${depth}`, depth === 0 ? 'infer langid' : `deep ${depth - 1}`, depth * 10, 5));
  const lines = page(traceOf(...spans), width);
  const waterfall = lines.slice(3, lines.indexOf('', 3));
  const ledger = lines.slice(
    lines.findIndex((line) => line.startsWith('STAGE')),
    lines.findIndex((line) => line.startsWith('total')),
  );
  const most = Math.max(40, Math.min(200, width));
  expect(waterfall.length).toBe(33);
  for (const line of [...waterfall, ...ledger]) expect(cellsOf(line)).toBeLessThanOrEqual(most);
});

test('beyond its limits a page says what it leaves out', () => {
  const many = Array.from({ length: 500 }, (_, at) => raw(`step ${at}`, '', at, 1));
  expect(page(traceOf(...many)).join('\n')).toContain('... 100 more spans; --json has them all');
  const queries = Array.from({ length: 6 }, (_, at) => ({ ...QUERY, spanId: `${at}` }));
  expect(page(traceOf(...queries)).join('\n')).toContain('... 2 more queries share this trace');
});

test('a span of no time at the very end still shows', () => {
  const line = page(traceOf(QUERY, raw('end', 'infer langid', 10_000, 0))).find((each) =>
    each.includes('end'),
  );
  expect(line).toContain('▏');
});

test('cells are those of a terminal, not of a string', () => {
  expect([cellsOf('abc'), cellsOf('日本'), cellsOf('e\u0301'), cellsOf('👋')]).toEqual([3, 4, 1, 2]);
  expect(inCells('日本語', 4)).toBe('日… ');
  expect(inCells('ab', 4)).toBe('ab  ');
});
