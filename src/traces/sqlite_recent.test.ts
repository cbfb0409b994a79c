import { describe, expect, test } from 'vitest';
import { ATTR } from '../contract/attributes.ts';
import {
  type DescribedSpan,
  describeSpan,
  insertAll,
  NOON_NS,
  randomHex,
  seededRandom,
} from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore } from './store.ts';

const random = seededRandom(2);

/** Gateway, attempt and worker of one query. */
function query(place: number, given: Partial<DescribedSpan> = {}): DescribedSpan[] {
  const traceId = given.traceId ?? randomHex(random, 32);
  const startNs = NOON_NS + BigInt(place) * 1_000_000_000n;
  const endNs = startNs + BigInt(place + 1) * 1_000_000n;
  const gateway = describeSpan({
    traceId,
    spanId: randomHex(random, 16),
    startNs,
    endNs,
    attributes: {
      [ATTR.model]: place % 2 === 0 ? 'langid' : 'digits',
      [ATTR.outcome]: place % 3 === 0 ? 'error' : 'ok',
      [ATTR.requestId]: `request-${place}`,
      [ATTR.httpResponseStatusCode]: 500,
      [ATTR.errorCode]: 'model_failed',
    },
    statusCode: place % 3 === 0 ? 2 : 0,
    ...given,
  });
  const attempt = {
    ...gateway,
    spanId: randomHex(random, 16),
    parentSpanId: gateway.spanId,
    kind: 3,
    name: 'attempt',
  };
  const worker = {
    ...attempt,
    spanId: randomHex(random, 16),
    parentSpanId: attempt.spanId,
    kind: 2,
    service: 'vitrine-worker',
    name: 'work langid',
    statusCode: 0,
  };
  return [gateway, attempt, worker];
}

function batch(place: number): DescribedSpan {
  return describeSpan({
    traceId: randomHex(random, 32),
    service: 'vitrine-worker',
    name: 'batch langid',
    kind: 1,
    startNs: NOON_NS + BigInt(place) * 1_000_000_000n,
  });
}

function open(spans: readonly DescribedSpan[], maxSeries = DEFAULT_STORE_OPTIONS.maxSeries): TraceStore {
  const store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:', runEntries: 20, maxSeries });
  insertAll(store, spans, 16);
  return store;
}

function requests(store: TraceStore, ...asked: Parameters<TraceStore['recent']>): string[] {
  return store.recent(...asked).queries.map(({ requestId }) => requestId);
}

describe('the newest queries', () => {
  const places = Array.from({ length: 12 }, (_, place) => place);
  const spans = places.flatMap((place) => [...query(place), batch(place)]);

  test('are gateway spans, newest first, with what a list shows', () => {
    using store = open(spans);
    const { queries, scanLimitReached } = store.recent(100, {});
    // With almost no series every span is looked at, and says the same.
    using scanning = open(spans, 1);
    expect(scanning.recent(100, {}).queries.map(({ spanId }) => spanId)).toEqual(
      queries.map(({ spanId }) => spanId),
    );
    expect(queries.map(({ requestId }) => requestId)).toEqual(
      places.toReversed().map((place) => `request-${place}`),
    );
    expect(scanLimitReached).toBe(false);
    const [gateway] = query(0);
    const oldest = queries.at(-1);
    expect(oldest).toEqual({
      traceId: spans[0]?.traceId,
      spanId: spans[0]?.spanId,
      startUs: Number((gateway?.startNs ?? 0n) / 1000n),
      durationUs: 1_000,
      service: 'vitrine-gateway',
      operation: 'infer langid',
      kind: 2,
      outcome: 'error',
      model: 'langid',
      requestId: 'request-0',
      httpStatus: '500',
      errorCode: 'model_failed',
      error: true,
      spanCount: 3,
      errorSpanCount: 2,
    });
  });

  test('count spans once that were sent twice', () => {
    const spans = query(4);
    using store = open([...spans, ...spans]);
    expect(store.recent(10, {}).queries).toHaveLength(1);
    expect(store.recent(10, {}).queries[0]).toMatchObject({ spanCount: 3, errorSpanCount: 0 });
  });

  test('are cut to the number asked for and filtered', () => {
    using store = open(spans);
    expect(requests(store, 2, {})).toEqual(['request-11', 'request-10']);
    expect(requests(store, 0, {})).toEqual([]);
    expect(requests(store, 9, { model: 'digits', outcome: 'error' })).toEqual(['request-9', 'request-3']);
    expect(requests(store, 9, { error: true })).toEqual(['request-9', 'request-6', 'request-3', 'request-0']);
    expect(requests(store, 2, { error: false })).toEqual(['request-11', 'request-10']);
    expect(requests(store, 9, { minDurationUs: 11_500 })).toEqual(['request-11']);
    expect(requests(store, 9, { service: 'vitrine-worker' })).toEqual([]);
    expect(requests(store, 9, { operation: 'nothing' })).toEqual([]);
    const startUs = Number(NOON_NS / 1000n);
    const range = { startMinUs: startUs + 2_000_000, startMaxUs: startUs + 4_000_000 };
    expect(requests(store, 9, range)).toEqual(['request-4', 'request-3', 'request-2']);
  });

  test('with a parent are a gateway whose caller is traced, and parts whose parent was lost', () => {
    const caller = randomHex(random, 16);
    const [called] = query(1, { parentSpanId: caller });
    const [, , lost] = query(2);
    using store = open([called as DescribedSpan, lost as DescribedSpan]);
    const { queries } = store.recent(10, {});
    expect(queries.map(({ service, spanId }) => [service, spanId])).toEqual([
      ['vitrine-worker', lost?.spanId],
      ['vitrine-gateway', called?.spanId],
    ]);
  });

  test('of a caller whose spans are here too are the caller and the gateway', () => {
    const [gateway, attempt, worker] = query(1, { parentSpanId: 'ab'.repeat(8) }) as [
      DescribedSpan,
      DescribedSpan,
      DescribedSpan,
    ];
    const caller = {
      ...gateway,
      spanId: 'ab'.repeat(8),
      parentSpanId: '',
      service: 'caller',
      kind: 3,
      startNs: NOON_NS,
    };
    using store = open([caller, gateway, attempt, worker]);
    expect(store.recent(10, {}).queries.map(({ service }) => service)).toEqual(['vitrine-gateway', 'caller']);
    expect(store.recent(10, {}).queries.map(({ spanCount }) => spanCount)).toEqual([4, 4]);
  });
});
