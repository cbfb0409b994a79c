import { expect, test } from 'vitest';
import { ATTR, stageAttribute } from '../contract/attributes.ts';
import {
  type DescribedSpan,
  describeSpan,
  insertAll,
  NOON_NS,
  randomHex,
  seededRandom,
} from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type LedgerQuery, type TraceStore } from './store.ts';

const random = seededRandom(5);
const NOON_US = Number(NOON_NS / 1000n);

/** One query a second from noon: gateway, its attempts, and the last attempt's worker. */
function query(place: number): DescribedSpan[] {
  const startNs = NOON_NS + BigInt(place) * 1_000_000_000n;
  const gateway = describeSpan({
    traceId: randomHex(random, 32),
    spanId: randomHex(random, 16),
    startNs,
    endNs: startNs + 10_000_000n,
    attributes: {
      [ATTR.model]: place % 2 === 0 ? 'langid' : 'digits',
      [ATTR.version]: '1',
      [ATTR.outcome]: place % 10 === 0 ? 'error' : 'ok',
      ...(place % 10 === 0 ? { [ATTR.errorCode]: 'model_failed' } : {}),
      [ATTR.totalMs]: 10.5,
      [ATTR.unattributedMs]: 0.25,
      [stageAttribute('queue')]: 3,
      [stageAttribute('compute')]: place,
    },
  });
  const attempt = (worker: string, afterMs: bigint): DescribedSpan => ({
    ...gateway,
    spanId: randomHex(random, 16),
    parentSpanId: gateway.spanId,
    kind: 3,
    name: 'attempt',
    startNs: startNs + afterMs * 1_000_000n,
    attributes: { [ATTR.model]: 'langid', [ATTR.worker]: worker },
  });
  const attempts =
    place % 5 === 0 ? [attempt('worker-1', 1n), attempt('worker-2', 2n)] : [attempt('worker-1', 1n)];
  const work = {
    ...gateway,
    spanId: randomHex(random, 16),
    parentSpanId: attempts[0]?.spanId ?? '',
    service: 'vitrine-worker',
    name: 'work langid',
  };
  return [gateway, ...attempts, work];
}

function open(count: number, more: Partial<typeof DEFAULT_STORE_OPTIONS> = {}): TraceStore {
  const store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:', runEntries: 50, ...more });
  insertAll(store, Array.from({ length: count }, (_, place) => query(place)).flat(), 16);
  return store;
}

function asked(fromS: number, toS: number, more: Partial<LedgerQuery> = {}): LedgerQuery {
  return { startMinUs: NOON_US + fromS * 1e6, startMaxUs: NOON_US + toS * 1e6, limit: 1000, ...more };
}

test('ledgers of the queries that began in the range, with the worker of the last attempt', () => {
  using store = open(40);
  const { queries, matched, scanLimitReached } = store.ledgers(asked(10, 19));
  expect([queries.length, matched, scanLimitReached]).toEqual([10, 10, false]);
  expect(queries.at(-1)).toEqual({
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    startUs: NOON_US + 10_000_000,
    totalMs: 10.5,
    unattributedMs: 0.25,
    stagesMs: { queue: 3, compute: 10 },
    model: 'langid',
    version: '1',
    outcome: 'error',
    errorCode: 'model_failed',
    worker: 'worker-2',
  });
  expect(queries.map(({ stagesMs }) => stagesMs.compute)).toEqual([19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
  expect(queries.filter(({ worker }) => worker === 'worker-1')).toHaveLength(8);
});

test('of one model', () => {
  using store = open(20);
  expect(store.ledgers(asked(0, 60, { model: 'digits' })).queries.map(({ model }) => model)).toEqual(
    Array.from({ length: 10 }, () => 'digits'),
  );
  expect(store.ledgers(asked(0, 60, { model: 'other' })).queries).toEqual([]);
  // With almost no series every span is looked at, and says the same.
  using scanning = open(20, { maxSeries: 1 });
  expect(scanning.ledgers(asked(0, 60, { model: 'digits' })).queries).toHaveLength(10);
});

test('of more than the limit an even sample', () => {
  using store = open(200);
  const { queries, matched } = store.ledgers(asked(0, 300, { limit: 20 }));
  expect([queries.length, matched]).toEqual([20, 200]);
  const places = queries.map(({ startUs }) => (startUs - NOON_US) / 1e6);
  // Newest first, and no two further apart than twice the even distance.
  for (const [index, place] of places.slice(1).entries()) {
    expect((places[index] as number) - place).toBeGreaterThan(0);
    expect((places[index] as number) - place).toBeLessThanOrEqual(20);
  }
  expect(places[0]).toBeGreaterThan(175);
  expect(places.at(-1)).toBeLessThan(25);
});

test('the scan limit ends it, and says so', () => {
  using store = open(200, { scanLimit: 100 });
  expect(store.ledgers(asked(0, 300)).scanLimitReached).toBe(true);
});
