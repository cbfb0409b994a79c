/** Against numbers worked out by hand from Prometheus's definitions (promql/functions.go, promql/quantile.go). */
import { describe, expect, test } from 'vitest';
import type { CounterSource, LevelMeasure, QuantileMeasure, ResetsMeasure } from '../../slo/expression.ts';
import { aggregate, bucketQuantile, evaluateMeasure, increase, increaseOf, predict } from './measure.ts';
import { fill, momentOf, storeOf } from './series_for_tests.ts';

const END_MS = 300_000;

function samples(times: readonly number[], values: readonly number[]) {
  return { times: times.map((timeS) => timeS * 1000), values };
}

describe('increase over 5 minutes', () => {
  test.each([
    // raised 40 over 240 s, 10 s before and 50 s after: 40 * 300 / 240
    ['extrapolates to both edges', [10, 70, 130, 190, 250], [100, 110, 120, 130, 140], 50],
    // a counter was never below zero: nothing before the first sample
    ['but not below zero', [10, 70, 130, 190, 250], [0, 10, 20, 30, 40], (40 * 290) / 240],
    // zero lies 240 * 1 / 40 = 6 s before the first sample
    ['only down to zero', [10, 70, 130, 190, 250], [1, 11, 21, 31, 41], (40 * 296) / 240],
    // 110 before the reset, 10 in between: 15 - 100 + 110 = 25; the end is 110 s away, more than 66: half of 60
    ['adds what was there before a reset', [10, 70, 130, 190], [100, 110, 5, 15], (25 * 220) / 180],
    // the start is 100 s away, more than 66: half of 60
    ['reaches half a step into a gap', [100, 160, 220, 280], [1000, 1010, 1020, 1030], (30 * 230) / 180],
    ['is nothing for what stands still', [10, 150, 290], [7, 7, 7], 0],
    ['passes over what is no number in between', [10, 150, 290], [7, Number.NaN, 9], (2 * 300) / 280],
    ['is no number when the last is none', [10, 150, 290], [7, 8, Number.NaN], Number.NaN],
    ['is infinite', [10, 150, 290], [7, 8, Number.POSITIVE_INFINITY], Number.POSITIVE_INFINITY],
  ])('%s', (_, times, values, expected) => {
    const value = increase(samples(times, values), END_MS, 300_000);
    if (Number.isFinite(expected)) expect(value).toBeCloseTo(expected, 9);
    else expect(value).toBe(expected);
  });

  test('needs two samples', () => {
    expect(increase(samples([100], [5]), END_MS, 300_000)).toBeUndefined();
    expect(increase(samples([], []), END_MS, 300_000)).toBeUndefined();
  });
});

describe('quantiles of buckets', () => {
  const INF = Number.POSITIVE_INFINITY;
  const of = (...pairs: [number, number][]) => pairs.map(([edge, count]) => ({ edge, count }));
  test.each([
    ['in the first bucket, from zero', 0.25, of([0.1, 10], [0.5, 20], [INF, 20]), 0.05],
    ['at an edge', 0.5, of([0.1, 10], [0.5, 20], [INF, 20]), 0.1],
    ['in a straight line', 0.75, of([0.1, 10], [0.5, 20], [INF, 20]), 0.3],
    ['the last finite edge for what lies beyond', 0.99, of([0.1, 10], [0.5, 20], [INF, 40]), 0.5],
    ['buckets in any order', 0.75, of([INF, 20], [0.5, 20], [0.1, 10]), 0.3],
    [
      'a smaller count is raised to the one before',
      0.75,
      of([0.1, 10], [0.2, 8], [0.5, 20], [INF, 20]),
      0.35,
    ],
    ['nothing observed', 0.9, of([0.1, 0], [INF, 0]), Number.NaN],
    ['no last bucket', 0.9, of([0.1, 10], [0.5, 20]), Number.NaN],
  ])('%s', (_, q, buckets, expected) => {
    const value = bucketQuantile(q, buckets);
    if (Number.isNaN(expected)) expect(value).toBeNaN();
    else expect(value).toBeCloseTo(expected, 12);
  });
});

test('a line through samples goes on', () => {
  expect(predict(samples([180, 240, 300], [10, 20, 30]), END_MS, 60)).toBeCloseTo(40, 9);
  // The line is read from the end of the window, not from the last sample.
  expect(predict(samples([120, 180, 240], [10, 20, 30]), END_MS, 60)).toBeCloseTo(50, 9);
  expect(predict(samples([120, 180, 240], [7, 7, 7]), END_MS, 3600)).toBe(7);
  expect(predict(samples([120], [7]), END_MS, 60)).toBeUndefined();
  const INF = Number.POSITIVE_INFINITY;
  expect(predict(samples([120, 180], [INF, INF]), END_MS, 60)).toBeNaN();
});

test('aggregates treat NaN as Prometheus does', () => {
  expect(aggregate('max')([Number.NaN, 2, 1])).toBe(2);
  expect(aggregate('min')([3, Number.NaN, 2])).toBe(2);
  expect(aggregate('max')([Number.NaN])).toBeNaN();
  expect(aggregate('sum')([1, Number.NaN])).toBeNaN();
  expect(aggregate('avg')([1, 2, 6])).toBe(3);
});

describe('over series', () => {
  const requests: CounterSource = { kind: 'counter', metric: 'inference_requests_total', where: [] };

  test('sums by labels; a series that began a moment ago adds nothing', () => {
    const store = storeOf(['inference_requests_total']);
    fill(store, 'inference_requests_total', { model: 'a', outcome: 'ok' }, [100, 110, 120, 130, 140, 150]);
    fill(store, 'inference_requests_total', { model: 'a', outcome: 'error' }, [50, 50, 50, 50, 50, 50]);
    fill(store, 'inference_requests_total', { model: 'new', outcome: 'ok' }, [900], { fromS: 290 });
    const vector = increaseOf(momentOf(store, 300), requests, 300, ['model']);
    // (0, 300]: five samples from 60 s on, 40 in 240 s, 60 s of head
    expect([...vector.values()]).toEqual([{ labels: { model: 'a' }, value: 50 }]);
  });

  test('a window is open on the left', () => {
    const store = storeOf(['inference_requests_total']);
    fill(store, 'inference_requests_total', {}, [0, 100, 200]);
    expect(increaseOf(momentOf(store, 120), requests, 60, []).size).toBe(0);
    expect(increaseOf(momentOf(store, 120), requests, 61, []).get('')?.value).toBeCloseTo((100 * 61) / 60, 9);
  });

  test('observations above an edge: the count less its bucket, each on its own', () => {
    const store = storeOf(['inference_service_duration_seconds']);
    const name = 'inference_service_duration_seconds';
    fill(store, `${name}_count`, {}, [1000, 1010, 1020, 1030, 1040, 1050]);
    fill(store, `${name}_bucket`, { le: '0.05' }, [900, 906, 912, 918, 924, 930]);
    fill(store, `${name}_bucket`, { le: '0.1' }, [950, 951, 952, 953, 954, 955]);
    const above: CounterSource = { kind: 'above', metric: name, where: [], edge: 0.05 };
    expect(increaseOf(momentOf(store, 300), above, 300, []).get('')?.value).toBeCloseTo(50 - 30, 9);
    const unknown: CounterSource = { ...above, edge: 0.25 };
    expect(increaseOf(momentOf(store, 300), unknown, 300, []).size).toBe(0);
  });

  test('a quantile over the buckets of all instances', () => {
    const store = storeOf(['inference_service_duration_seconds']);
    const name = 'inference_service_duration_seconds_bucket';
    for (const instance of ['a', 'b']) {
      fill(store, name, { instance, le: '0.1' }, [100, 110, 120]);
      fill(store, name, { instance, le: '0.5' }, [100, 120, 140]);
      fill(store, name, { instance, le: '+Inf' }, [100, 120, 140]);
    }
    const measure: QuantileMeasure = {
      kind: 'quantile',
      metric: 'inference_service_duration_seconds',
      where: [],
      quantile: 0.75,
      windowS: 180,
      by: [],
    };
    expect(evaluateMeasure(measure, momentOf(store, 120)).get('')?.value).toBeCloseTo(0.3, 12);
  });

  test('levels: the newest within the lookback, unless the series has ended', () => {
    const store = storeOf(['inference_queue_requests']);
    const name = 'inference_queue_requests';
    fill(store, name, { model: 'alive' }, [1, 2, 3]);
    fill(store, name, { model: 'ended' }, [1, 2, 3], { endsS: 130 });
    fill(store, name, { model: 'back' }, [1, 2], { endsS: 70 });
    fill(store, name, { model: 'back' }, [9], { fromS: 100 });
    fill(store, name, { model: 'odd "label"\n\\' }, [Number.POSITIVE_INFINITY], { fromS: 120 });
    const measure: LevelMeasure = {
      kind: 'level',
      metric: name,
      where: [],
      over: undefined,
      aggregate: 'max',
      by: ['model'],
    };
    const at = (atS: number) =>
      Object.fromEntries(
        [...evaluateMeasure(measure, momentOf(store, atS)).values()].map(({ labels, value }) => [
          labels.model,
          value,
        ]),
      );
    expect(at(129)).toEqual({ alive: 3, ended: 3, back: 9, 'odd "label"\n\\': Number.POSITIVE_INFINITY });
    expect(at(131)).not.toHaveProperty('ended');
    // The newest sample is at 120 s: (120, 420] no longer holds it.
    expect(at(419)).toMatchObject({ alive: 3 });
    expect(at(420)).toEqual({});
    const averaged: LevelMeasure = { ...measure, over: { take: 'avg', windowS: 120 } };
    // A window still sees the samples before the end: 60 s and 120 s.
    expect([...evaluateMeasure(averaged, momentOf(store, 131)).values()]).toContainEqual({
      labels: { model: 'ended' },
      value: 2.5,
    });
  });

  test('resets are counted, and one sample is none', () => {
    const store = storeOf(['process_uptime_seconds']);
    fill(store, 'process_uptime_seconds', { instance: 'a' }, [100, 160, 5, 65, 3, 63]);
    fill(store, 'process_uptime_seconds', { instance: 'b' }, [100], { fromS: 290 });
    const measure: ResetsMeasure = {
      kind: 'resets',
      metric: 'process_uptime_seconds',
      where: [],
      windowS: 600,
      by: ['instance'],
    };
    expect([...evaluateMeasure(measure, momentOf(store, 300)).values()]).toEqual([
      { labels: { instance: 'a' }, value: 2 },
      { labels: { instance: 'b' }, value: 0 },
    ]);
  });
});
