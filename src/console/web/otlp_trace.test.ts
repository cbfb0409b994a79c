import { expect, test } from 'vitest';
import { readTrace } from './otlp_trace.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const START = 1_700_000_000_123_456_789n;

function document(...spans: object[]): object {
  return {
    result: {
      resourceSpans: [
        {
          resource: {
            attributes: [
              { key: 'service.name', value: { stringValue: 'vitrine-gateway' } },
              { key: 'service.instance.id', value: { stringValue: 'gateway-0' } },
            ],
          },
          scopeSpans: [{ scope: { name: 'vitrine', version: '1' }, spans }],
        },
      ],
    },
  };
}

test('times are exact to the nanosecond, and spans stand by start', () => {
  const trace = readTrace(
    document(
      {
        spanId: 'B',
        name: 'late',
        startTimeUnixNano: String(START + 1500n),
        endTimeUnixNano: String(START + 2501n),
      },
      { spanId: 'a', name: 'short', startTimeUnixNano: String(START), endTimeUnixNano: String(START + 1n) },
      {
        spanId: 'c',
        name: 'long',
        startTimeUnixNano: String(START),
        endTimeUnixNano: String(START + 9000n),
        kind: 2,
      },
    ),
    TRACE,
  );
  expect(trace?.spans.map(({ name, offsetMs, durationMs }) => [name, offsetMs, durationMs])).toEqual([
    ['long', 0, 0.009],
    ['short', 0, 0.000001],
    ['late', 0.0015, 0.001001],
  ]);
  expect(trace?.durationMs).toBe(0.009);
  expect(trace?.startUnixMs).toBeCloseTo(1_700_000_000_123.457, 2);
  expect(trace?.spans[0]).toMatchObject({
    kind: 'server',
    service: 'vitrine-gateway',
    instance: 'gateway-0',
    scope: 'vitrine 1',
  });
  expect(trace?.spans[2]?.spanId).toBe('b');
});

test('attributes of every kind are read', () => {
  const attributes = [
    { key: 's', value: { stringValue: '<b>' } },
    { key: 'i', value: { intValue: '42' } },
    { key: 'big', value: { intValue: '9007199254740993' } },
    { key: 'd', value: { doubleValue: 0.5 } },
    { key: 'b', value: { boolValue: true } },
    { key: 'l', value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'x' }] } } },
    { key: 'm', value: { kvlistValue: { values: [{ key: 'k', value: { boolValue: false } }] } } },
    { key: 'none', value: {} },
  ];
  const span = {
    spanId: 'a',
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    attributes,
    status: { code: 2, message: 'm' },
  };
  const [read] = readTrace(document(span), TRACE)?.spans ?? [];
  expect(Object.fromEntries(read?.attributes ?? [])).toEqual({
    s: '<b>',
    i: 42,
    big: '9007199254740993',
    d: 0.5,
    b: true,
    l: [1, 'x'],
    m: { k: false },
    none: null,
  });
  expect(read).toMatchObject({ status: 'error', statusMessage: 'm' });
});

test('values that nest without end are cut, and rubbish is no trace', () => {
  let value: object = { stringValue: 'deep' };
  for (let depth = 0; depth < 5000; depth += 1) value = { arrayValue: { values: [value] } };
  const nested = document({
    spanId: 'a',
    startTimeUnixNano: '1',
    endTimeUnixNano: '2',
    attributes: [{ key: 'k', value }],
  });
  expect(JSON.stringify(readTrace(nested, TRACE)?.spans[0]?.attributes.get('k'))).toBe(
    '[[[[[[[[null]]]]]]]]',
  );
  for (const rubbish of [
    null,
    1,
    'x',
    [],
    {},
    { result: null },
    { result: { resourceSpans: 'x' } },
    document(),
  ]) {
    expect(readTrace(rubbish, TRACE)).toBeUndefined();
  }
});

test('a span with broken times still has a row', () => {
  const [read] =
    readTrace(
      document({ spanId: 'a', startTimeUnixNano: 'x', endTimeUnixNano: '-5', events: 3, links: null }),
      TRACE,
    )?.spans ?? [];
  expect(read).toMatchObject({ offsetMs: 0, durationMs: 0, events: [], links: [], name: '' });
  const [backwards] =
    readTrace(document({ startTimeUnixNano: '20', endTimeUnixNano: '10' }), TRACE)?.spans ?? [];
  expect(backwards?.durationMs).toBe(0);
});

test('what a sender left out is counted', () => {
  const span = { droppedAttributesCount: 2, droppedEventsCount: 3, droppedLinksCount: 4 };
  expect(readTrace(document(span), TRACE)?.spans[0]?.dropped).toBe(9);
});
