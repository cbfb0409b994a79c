import { expect, test } from 'vitest';
import { durationText, parseDurationShorthand } from './duration.ts';
import type { Expression } from './expression.ts';
import { expressionPromql, measurePromql, quoted, signalPromql } from './promql.ts';
import {
  averageLevel,
  counter,
  guard,
  having,
  increase,
  level,
  observations,
  quotient,
  rate,
} from './shapes.ts';

const BY_MODEL = ['model'] as const;
const requests = (...outcome: string[]) => counter('inference_requests_total', having({ outcome }));

test('an increase is summed over the labels that stay', () => {
  expect(measurePromql(increase(requests('error'), 300, BY_MODEL))).toBe(
    'sum by (model) (increase(inference_requests_total{outcome="error"}[5m]))',
  );
  expect(measurePromql(increase(counter('inference_requests_total'), 3600, []))).toBe(
    'sum(increase(inference_requests_total[1h]))',
  );
  expect(measurePromql(rate(counter('inference_executor_busy_seconds_total'), 90, ['thread']))).toBe(
    'sum by (thread) (rate(inference_executor_busy_seconds_total[90s]))',
  );
});

test('slower than an edge is all less the bucket, each summed by itself', () => {
  const above = {
    kind: 'above',
    metric: 'inference_service_duration_seconds',
    where: having({ model: ['langid'] }),
    edge: 0.05,
  } as const;
  expect(measurePromql(increase(above, 300, []))).toBe(
    '(sum(increase(inference_service_duration_seconds_count{model="langid"}[5m])) - sum(increase(inference_service_duration_seconds_bucket{model="langid",le="0.05"}[5m])))',
  );
});

test('a quotient, a guard and an offset', () => {
  const expression: Expression = {
    kind: 'threshold',
    measure: quotient(
      increase(requests('error', 'expired'), 300, BY_MODEL),
      increase(requests('ok'), 300, BY_MODEL),
    ),
    op: '>',
    threshold: 0.05,
    guards: [guard(increase(observations('inference_service_duration_seconds'), 300, BY_MODEL), '>=', 20)],
  };
  expect(expressionPromql(expression)).toBe(
    `sum by (model) (increase(inference_requests_total{outcome=~"error|expired"}[5m])) / sum by (model) (increase(inference_requests_total{outcome="ok"}[5m])) > 0.05
and
sum by (model) (increase(inference_service_duration_seconds_count[5m])) >= 20`,
  );
  expect(measurePromql(expression.measure, 86_400)).toContain('[5m] offset 1d');
});

test('a quantile keeps le inside', () => {
  expect(
    measurePromql({
      kind: 'quantile',
      metric: 'inference_service_duration_seconds',
      where: [],
      quantile: 0.99,
      windowS: 300,
      by: BY_MODEL,
    }),
  ).toBe(
    'histogram_quantile(0.99, sum by (model, le) (rate(inference_service_duration_seconds_bucket[5m])))',
  );
});

test('levels, now and over a window, and where they head', () => {
  expect(measurePromql(level('up', having({ job: ['vitrine-gateway'] }), 'max', ['job']))).toBe(
    'max by (job) (up{job="vitrine-gateway"})',
  );
  expect(measurePromql(level('up', [], 'min', []), 60)).toBe('min(up offset 1m)');
  expect(measurePromql(averageLevel('inference_queue_requests', [], 300, 'sum', BY_MODEL))).toBe(
    'sum by (model) (avg_over_time(inference_queue_requests[5m]))',
  );
  const predicted = {
    kind: 'prediction',
    metric: 'process_memory_usage_bytes',
    where: [],
    windowS: 1800,
    horizonS: 3600,
    aggregate: 'max',
    by: ['instance'],
  } as const;
  expect(measurePromql(predicted)).toBe(
    'max by (instance) (predict_linear(process_memory_usage_bytes[30m], 3600))',
  );
  expect(
    measurePromql({ kind: 'resets', metric: 'process_uptime_seconds', where: [], windowS: 900, by: [] }),
  ).toBe('sum(resets(process_uptime_seconds[15m]))');
});

test('a measure against its past is bracketed where it has to be', () => {
  const measure = quotient(
    increase(requests('error'), 300, BY_MODEL),
    increase(requests('ok'), 300, BY_MODEL),
  );
  const expression: Expression = {
    kind: 'against_past',
    measure,
    offsetS: 86_400,
    op: '>',
    factor: 2,
    guards: [],
    pastGuards: [guard(increase(requests('ok'), 300, BY_MODEL), '>=', 500)],
  };
  const error = 'sum by (model) (increase(inference_requests_total{outcome="error"}[5m]';
  const ok = 'sum by (model) (increase(inference_requests_total{outcome="ok"}[5m]';
  expect(expressionPromql(expression)).toBe(
    `(${error})) / ${ok}))) / (${error} offset 1d)) / ${ok} offset 1d))) > 2
and
${ok} offset 1d)) >= 500`,
  );
});

test('a burn rate needs both windows and enough traffic, in any of its pairs', () => {
  const expression: Expression = {
    kind: 'burn_rate',
    bad: requests('error'),
    total: requests('ok', 'error'),
    by: [],
    budget: 0.001,
    pairs: [
      { shortS: 300, longS: 3600, factor: 14.4, minimumTotal: 348 },
      { shortS: 1800, longS: 21_600, factor: 6, minimumTotal: 834 },
    ],
  };
  const ratio = (window: string) =>
    `sum(increase(inference_requests_total{outcome="error"}[${window}])) / sum(increase(inference_requests_total{outcome=~"ok|error"}[${window}])) / 0.001`;
  const total = (window: string) => `sum(increase(inference_requests_total{outcome=~"ok|error"}[${window}]))`;
  expect(expressionPromql(expression)).toBe(
    `(
${ratio('5m')} > 14.4
and
${ratio('1h')} > 14.4
and
${total('1h')} >= 348
)
or
(
${ratio('30m')} > 6
and
${ratio('6h')} > 6
and
${total('6h')} >= 834
)`,
  );
  expect(signalPromql(expression)).toBe(ratio('5m'));
});

test('absence of a series, of a histogram, and of what was there', () => {
  expect(expressionPromql({ kind: 'absent', metric: 'up', where: having({ job: ['a'] }) })).toBe(
    'absent(up{job="a"})',
  );
  expect(expressionPromql({ kind: 'absent', metric: 'inference_service_duration_seconds', where: [] })).toBe(
    'absent(inference_service_duration_seconds_count)',
  );
  expect(
    expressionPromql({ kind: 'vanished', metric: 'up', where: [], lookbackS: 3600, by: ['instance'] }),
  ).toBe('max by (instance) (max_over_time(up[1h]))\nunless\nmax by (instance) (up)');
  expect(expressionPromql({ kind: 'always' })).toBe('vector(1)');
});

test('label values are taken literally', () => {
  expect(quoted('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
  const where = having({ model: ['a.b', 'c|d'] });
  expect(measurePromql(level('inference_queue_requests', where, 'sum', []))).toBe(
    'sum(inference_queue_requests{model=~"a\\\\.b|c\\\\|d"})',
  );
  expect(measurePromql(level('up', [{ label: 'job', is: 'not_in', values: ['x'] }], 'sum', []))).toBe(
    'sum(up{job!="x"})',
  );
});

test('durations in the largest unit that divides them', () => {
  expect([0, 0.25, 1.5, 90, 300, 5400, 86_400, 2_592_000].map(durationText)).toEqual([
    '0s',
    '250ms',
    '1500ms',
    '90s',
    '5m',
    '90m',
    '1d',
    '30d',
  ]);
  expect(['30d', '4w', '720h', '15m', '0d', '1M', '1.5h', '-1d', ''].map(parseDurationShorthand)).toEqual([
    2_592_000,
    2_419_200,
    2_592_000,
    900,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
