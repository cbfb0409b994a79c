import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTR } from '../contract/attributes.ts';
import { matchSpan } from './series_match.ts';
import type { StoredSpan } from './span.ts';
import {
  type DescribedSpan,
  describeSpan,
  expectedStored,
  insertAll,
  NOON_NS,
  pick,
  randomHex,
  seededRandom,
  type Value,
} from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceQuery, type TraceStore, type TraceStoreOptions } from './store.ts';

const SERVICES = ['vitrine-gateway', 'vitrine-worker', 'caller'];
const OPERATIONS = ['infer langid', 'infer digits', 'attempt', 'work', 'compute'];
const OUTCOMES = ['ok', 'error', 'expired'];
const LONG = 'x'.repeat(300);

/** Spans whose values repeat enough for searches to match; starts differ by whole microseconds, so that order is plain. */
function searchableSpans(random: () => number, traces: number): DescribedSpan[] {
  const spans: DescribedSpan[] = [];
  let startNs = NOON_NS;
  for (let trace = 0; trace < traces; trace += 1) {
    const traceId = randomHex(random, 32);
    for (let count = 1 + Math.floor(random() * 5); count > 0; count -= 1) {
      startNs += BigInt(1_000 + Math.floor(random() * 1e6));
      const attributes: Record<string, Value> = {};
      if (random() < 0.8) attributes[ATTR.model] = pick(random, ['langid', 'digits']);
      if (random() < 0.8) attributes[ATTR.outcome] = pick(random, OUTCOMES);
      if (random() < 0.5) attributes[ATTR.httpResponseStatusCode] = pick(random, [200, 503, 504]);
      if (random() < 0.3) attributes[ATTR.requestId] = `request-${Math.floor(random() * 200)}`;
      if (random() < 0.3) attributes.error = pick(random, [true, false]);
      if (random() < 0.5) attributes.tenant = pick(random, ['a', 'b', 7, 7.5, true]);
      if (random() < 0.02) attributes[ATTR.worker] = LONG;
      spans.push({
        traceId,
        spanId: randomHex(random, 16),
        parentSpanId: random() < 0.7 ? randomHex(random, 16) : '',
        service: pick(random, SERVICES),
        instance: pick(random, ['0', '1']),
        scope: 'vitrine',
        name: random() < 0.02 ? LONG : pick(random, OPERATIONS),
        kind: 1 + Math.floor(random() * 5),
        startNs,
        endNs: startNs + BigInt(Math.floor(Math.exp(random() * 22))),
        statusCode: Math.floor(random() * 3),
        statusMessage: '',
        traceState: '',
        attributes,
        events: [],
        links: [],
        dropped: [0, 0, 0],
      });
    }
  }
  return spans;
}

function randomQuery(random: () => number, spans: readonly StoredSpan[]): TraceQuery {
  const some = pick(random, spans);
  const tags = new Map<string, string>();
  const tag = (share: number, key: string, values: readonly string[]): void => {
    if (random() < share) tags.set(key, pick(random, values));
  };
  tag(0.2, ATTR.outcome, OUTCOMES);
  tag(0.2, ATTR.model, ['langid', 'digits', 'nowhere']);
  tag(0.1, ATTR.httpResponseStatusCode, ['200', '503']);
  tag(0.1, 'error', ['true', 'false']);
  tag(0.1, 'tenant', ['a', '7', '7.5', 'true', 'z']);
  tag(0.1, 'service.instance.id', ['0', '1', '2']);
  tag(0.05, 'span.kind', ['server', 'client']);
  tag(0.05, 'otel.status_code', ['ERROR', 'OK']);
  tag(0.05, 'otel.scope.name', ['vitrine', 'http']);
  tag(0.05, ATTR.worker, [LONG]);
  tag(0.15, ATTR.requestId, [`request-${Math.floor(random() * 220)}`]);
  const least = random() < 0.3 ? Math.floor(Math.exp(random() * 16)) : undefined;
  const most = random() < 0.2 ? (least ?? 0) + Math.floor(Math.exp(random() * 16)) : undefined;
  return {
    ...(random() < 0.7 && { service: pick(random, [...SERVICES, 'nobody']) }),
    ...(random() < 0.4 && { operation: pick(random, [...OPERATIONS, LONG, 'nothing']) }),
    ...(random() < 0.1 && { kind: 1 + Math.floor(random() * 5) }),
    tags,
    ...(least !== undefined && { minDurationUs: least }),
    ...(most !== undefined && { maxDurationUs: most }),
    ...(random() < 0.3 && { startMinUs: some.startUs - Math.floor(random() * 1e5) }),
    ...(random() < 0.3 && { startMaxUs: some.startUs + Math.floor(random() * 1e7) }),
    limit: pick(random, [1, 3, 20, 100]),
  };
}

/** What a search must find: every span looked at, newest first. */
function bruteForce(spans: readonly StoredSpan[], query: TraceQuery): string[] {
  const found = spans.filter((span) => matchSpan(span, query)).sort((a, b) => b.startUs - a.startUs);
  return [...new Set(found.map((span) => span.traceId))].slice(0, query.limit);
}

describe.each<[string, Partial<TraceStoreOptions>]>([
  ['all in memory', {}],
  ['in many runs', { runEntries: 60 }],
  ['with traces that are opened again', { runEntries: 500, openTraces: 8 }],
  ['with more series than are held', { runEntries: 500, maxSeries: 12 }],
])('search, %s, against looking at every span', (_, options) => {
  const random = seededRandom(21);
  const described = searchableSpans(random, 800);
  const stored = described.map(expectedStored);
  // Spans arrive nearly in order, as exporters send them; some much later.
  const arrival = described
    .map((span, index) => ({ span, at: index + random() * (random() < 0.05 ? 3_000 : 20) }))
    .sort((a, b) => a.at - b.at)
    .map(({ span }) => span);
  let store: TraceStore;

  beforeAll(() => {
    store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:', ...options });
    insertAll(store, arrival, 64);
  });

  afterAll(() => store[Symbol.dispose]());

  test('finds the same traces in the same order, whole', () => {
    let matches = 0;
    for (let round = 0; round < 200; round += 1) {
      const query = randomQuery(random, stored);
      const { traces, scanLimitReached } = store.search(query);
      const expected = bruteForce(stored, query);
      expect(
        traces.map(({ traceId }) => traceId),
        JSON.stringify({ ...query, tags: [...(query.tags ?? [])] }),
      ).toEqual(expected);
      expect(scanLimitReached).toBe(false);
      matches += expected.length;
      for (const trace of traces.slice(0, 3)) {
        const ids = stored.filter(({ traceId }) => traceId === trace.traceId).map(({ spanId }) => spanId);
        expect(trace.spans.map(({ spanId }) => spanId).sort()).toEqual(ids.sort());
      }
    }
    expect(matches).toBeGreaterThan(500);
  });

  test('knows services and operations', () => {
    expect(store.services()).toEqual([...SERVICES].sort());
    const known = stored.filter((span) => span.origin.service === 'caller' && OPERATIONS.includes(span.name));
    const expected = [...new Set(known.map((span) => `${span.name} ${span.kind}`))].sort();
    const told = store.operations('caller').map((operation) => `${operation.name} ${operation.kind}`);
    if (options.maxSeries === undefined) expect(told).toEqual(expected);
    else expect(expected).toEqual(expect.arrayContaining(told));
    expect(store.operations('nobody')).toEqual([]);
    expect(new Set(store.operations('caller', 2).map(({ kind }) => kind))).toEqual(
      new Set(told.length > 0 && told.some((name) => name.endsWith(' 2')) ? [2] : []),
    );
  });
});

describe('a series of many blocks', () => {
  test('is read to its end, in order', () => {
    const random = seededRandom(6);
    const spans = Array.from({ length: 90 }, (_, place) => {
      const startNs = NOON_NS + BigInt(place) * 1_000_000n;
      const ids = { traceId: randomHex(random, 32), spanId: randomHex(random, 16) };
      return describeSpan({ ...ids, startNs, endNs: startNs + 5_000n });
    });
    using store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:', runEntries: 2 });
    insertAll(store, spans, 2);
    const newest = spans.toReversed().map(({ traceId }) => traceId);
    const found = (query: TraceQuery): string[] => store.search(query).traces.map(({ traceId }) => traceId);
    expect(found({ limit: 1_000 })).toEqual(newest);
    const middle = Number((NOON_NS + 45_000_000n) / 1000n);
    expect(found({ startMaxUs: middle, limit: 5 })).toEqual(newest.slice(44, 49));
    expect(found({ startMinUs: middle, limit: 1_000 })).toEqual(newest.slice(0, 45));
  });
});

describe('a search that looks at too much', () => {
  test('ends at its limit and says so', () => {
    const described = searchableSpans(seededRandom(5), 600);
    const options = { ...DEFAULT_STORE_OPTIONS, path: ':memory:', runEntries: 200, scanLimit: 2_000 };
    using store = createSqliteStore(options);
    insertAll(store, described, 64);
    const unindexed = store.search({ tags: new Map([['tenant', 'nobody']]), limit: 5 });
    expect(unindexed.traces).toEqual([]);
    expect(unindexed.scanLimitReached).toBe(true);
    expect(unindexed.scanned).toBeGreaterThanOrEqual(2_000);
    expect(unindexed.scanned).toBeLessThan(3_000);
    const indexed = store.search({ tags: new Map([[ATTR.outcome, 'ok']]), limit: 5 });
    expect(indexed.traces).toHaveLength(5);
    expect(indexed.scanLimitReached).toBe(false);
  });
});
