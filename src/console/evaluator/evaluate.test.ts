import { describe, expect, test } from 'vitest';
import type { BurnRateExpression, Expression } from '../../slo/expression.ts';
import { compare, evaluateExpression } from './evaluate.ts';
import { fill, momentOf, storeOf } from './series_for_tests.ts';
import type { Vector } from './vector.ts';

function elements(vector: Vector) {
  return [...vector.values()];
}

test('a comparison with NaN is false', () => {
  for (const op of ['>', '>=', '<', '<='] as const) {
    expect(compare(Number.NaN, op, 1), op).toBe(false);
    expect(compare(1, op, 1), op).toBe(op.endsWith('='));
  }
});

describe('burn rate', () => {
  /** One query a second; from `fromS` on a share of them is bad. */
  function burning(share: number, fromS: number, seconds = 3600) {
    const store = storeOf(['inference_requests_total']);
    const steps = seconds / 15 + 1;
    const bad = Array.from({ length: steps }, (_, index) => 1000 + Math.max(0, index * 15 - fromS) * share);
    fill(store, 'inference_requests_total', { outcome: 'error' }, bad, { stepS: 15 });
    const total = Array.from({ length: steps }, (_, index) => 1000 + index * 15);
    fill(store, 'inference_requests_total', { outcome: 'all' }, total, { stepS: 15 });
    return momentOf(store, seconds);
  }
  const of = (outcome: string) =>
    ({
      kind: 'counter',
      metric: 'inference_requests_total',
      where: [{ label: 'outcome', is: 'in', values: [outcome] }],
    }) as const;
  const expression = (minimumTotal = 100): BurnRateExpression => ({
    kind: 'burn_rate',
    bad: of('error'),
    total: of('all'),
    by: [],
    budget: 0.01,
    pairs: [
      { shortS: 300, longS: 3600, factor: 14.4, minimumTotal },
      { shortS: 1800, longS: 3600, factor: 6, minimumTotal },
    ],
  });

  test('both windows have to burn, and the number is how fast it burns now', () => {
    // Bad 20 % for the whole hour: 20x on both windows.
    expect(elements(evaluateExpression(expression(), burning(0.2, 0)))[0]?.value).toBeCloseTo(20, 6);
    // Bad 80 % for the last quarter of an hour: 80x now, 20x on the long window.
    expect(elements(evaluateExpression(expression(), burning(0.8, 2700)))[0]?.value).toBeCloseTo(80, 6);
    // 20 % for the last five minutes alone: 20x on the short windows, 1.7x on the long one.
    expect(elements(evaluateExpression(expression(), burning(0.2, 3300)))).toEqual([]);
  });

  test('the second pair holds where the first does not', () => {
    // 10 % bad: 10x, below 14.4 and above 6.
    expect(elements(evaluateExpression(expression(), burning(0.1, 0)))[0]?.value).toBeCloseTo(10, 6);
    expect(elements(evaluateExpression(expression(), burning(0.05, 0)))).toEqual([]);
  });

  test('a minimum of traffic', () => {
    expect(elements(evaluateExpression(expression(4000), burning(0.2, 0)))).toEqual([]);
  });
});

test('a threshold holds where every guard has an element that holds', () => {
  const store = storeOf(['inference_queue_requests', 'process_uptime_seconds']);
  fill(store, 'inference_queue_requests', { model: 'a' }, [20]);
  fill(store, 'inference_queue_requests', { model: 'b' }, [20]);
  fill(store, 'process_uptime_seconds', { model: 'a' }, [5]);
  const level = (metric: 'inference_queue_requests' | 'process_uptime_seconds') =>
    ({ kind: 'level', metric, where: [], over: undefined, aggregate: 'max', by: ['model'] }) as const;
  const guarded = (threshold: number): Expression => ({
    kind: 'threshold',
    measure: level('inference_queue_requests'),
    op: '>',
    threshold: 10,
    guards: [{ measure: level('process_uptime_seconds'), op: '>', threshold }],
  });
  expect(elements(evaluateExpression(guarded(4), momentOf(store, 1)))).toEqual([
    { labels: { model: 'a' }, value: 20 },
  ]);
  expect(elements(evaluateExpression(guarded(5), momentOf(store, 1)))).toEqual([]);
});

test('against the past', () => {
  const store = storeOf(['inference_queue_requests']);
  fill(store, 'inference_queue_requests', { model: 'a' }, [10]);
  fill(store, 'inference_queue_requests', { model: 'a' }, [25], { fromS: 600 });
  fill(store, 'inference_queue_requests', { model: 'zero' }, [0]);
  fill(store, 'inference_queue_requests', { model: 'zero' }, [3], { fromS: 600 });
  fill(store, 'inference_queue_requests', { model: 'new' }, [25], { fromS: 600 });
  const measure = {
    kind: 'level',
    metric: 'inference_queue_requests',
    where: [],
    over: undefined,
    aggregate: 'max',
    by: ['model'],
  } as const;
  const expression: Expression = {
    kind: 'against_past',
    measure,
    offsetS: 600,
    op: '>',
    factor: 2,
    guards: [],
    pastGuards: [{ measure, op: '>', threshold: 1 }],
  };
  expect(elements(evaluateExpression(expression, momentOf(store, 610)))).toEqual([
    { labels: { model: 'a' }, value: 2.5 },
  ]);
  expect(
    elements(evaluateExpression({ ...expression, pastGuards: [] }, momentOf(store, 610))),
  ).toContainEqual({
    labels: { model: 'zero' },
    value: Number.POSITIVE_INFINITY,
  });
});

test('absent, with the labels that are fixed to one value', () => {
  const store = storeOf(['up']);
  const expression: Expression = {
    kind: 'absent',
    metric: 'up',
    where: [
      { label: 'job', is: 'in', values: ['gateway'] },
      { label: 'zone', is: 'in', values: ['a', 'b'] },
    ],
  };
  const missing = [{ labels: { job: 'gateway' }, value: 1 }];
  expect(elements(evaluateExpression(expression, momentOf(store, 0)))).toEqual(missing);
  fill(store, 'up', { job: 'gateway', zone: 'b' }, [0]);
  expect(elements(evaluateExpression(expression, momentOf(store, 10)))).toEqual([]);
  expect(elements(evaluateExpression(expression, momentOf(store, 301)))).toEqual(missing);
});

test('vanished: told of what is gone, until it is long ago', () => {
  const store = storeOf(['up']);
  fill(store, 'up', { instance: 'stays' }, [1, 1, 1]);
  fill(store, 'up', { instance: 'goes' }, [0, 1], { endsS: 100 });
  const expression: Expression = {
    kind: 'vanished',
    metric: 'up',
    where: [],
    lookbackS: 3600,
    by: ['instance'],
  };
  const at = (atS: number) => elements(evaluateExpression(expression, momentOf(store, atS)));
  expect(at(99)).toEqual([]);
  expect(at(120)).toEqual([{ labels: { instance: 'goes' }, value: 1 }]);
  expect(at(3659)).toContainEqual({ labels: { instance: 'goes' }, value: 1 });
  expect(at(3721)).toEqual([]);
});
