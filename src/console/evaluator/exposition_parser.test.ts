import { expect, test } from 'vitest';
import { asSeries, renderFamilies } from '../../telemetry/exposition.ts';
import { parseExposition } from './exposition_parser.ts';

test('reads what our own processes write, whatever stands in a label', () => {
  const odd = 'a "quoted"\nvalue, with } and \\ and #';
  const families = [
    {
      name: 'x',
      type: 'counter',
      help: 'A "counter"\nof two lines.',
      samples: [
        { suffix: '_total', labels: [['model', odd]] as const, value: 12.5 },
        {
          suffix: '_total',
          labels: [],
          value: Number.POSITIVE_INFINITY,
          exemplar: { traceId: 'a', spanId: 'b', value: 1, timestampS: 2 },
        },
      ],
    },
    { name: 'y', type: 'gauge', help: '', samples: [{ suffix: '', labels: [], value: Number.NaN }] },
  ] as const;
  for (const format of ['openmetrics', 'classic'] as const) {
    expect(parseExposition(renderFamilies(families.map(asSeries), format)), format).toEqual([
      { name: 'x_total', labels: { model: odd }, value: 12.5 },
      { name: 'x_total', labels: {}, value: Number.POSITIVE_INFINITY },
      { name: 'y', labels: {}, value: Number.NaN },
    ]);
  }
});

test.each([
  ['x{a="1" 2', 'labels are not separated by commas'],
  ['x{a="1', 'no closing quote'],
  ['x{a=1} 2', 'not name="value"'],
  ['x', 'no value'],
  ['x one', 'no number'],
  ['1x 2', 'does not begin with a metric name'],
  [`x{a="${'a'.repeat(2000)}"} 1`, 'too long'],
])('tells what is wrong with %s', (line, message) => {
  expect(() => parseExposition(`ok 1\n${line}\n`)).toThrow(message);
  expect(() => parseExposition(`ok 1\n${line}\n`)).toThrow('line 2');
});

test('too many samples are refused', () => {
  expect(() => parseExposition('x 1\nx 2\nx 3\n', { samples: 2, labelValueChars: 10 })).toThrow(
    'more than 2',
  );
});

test('an edge of a bucket is read as Prometheus stores it', () => {
  expect(parseExposition('x_bucket{le="1"} 3\ny{le="1"} 3\n').map(({ labels }) => labels.le)).toEqual([
    '1.0',
    '1',
  ]);
});
