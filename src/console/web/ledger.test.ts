import { describe, expect, test } from 'vitest';
import { isComplete, ledgerOf, ledgerOfTiming, queriesOf } from './ledger.js';
import { SERVICE_GATEWAY, SERVICE_WORKER } from './names.js';
import type { Span, Trace, Value } from './otlp_trace.js';
import { readServerTiming } from './server_timing.js';

function span(spanId: string, more: Partial<Span> = {}, attributes: Record<string, Value> = {}): Span {
  return {
    spanId,
    parentSpanId: '',
    name: spanId,
    kind: 'server',
    service: SERVICE_GATEWAY,
    instance: '',
    scope: '',
    offsetMs: 0,
    durationMs: 10,
    status: 'unset',
    statusMessage: '',
    attributes: new Map(Object.entries(attributes)),
    resource: new Map(),
    events: [],
    links: [],
    dropped: 0,
    ...more,
  };
}

function trace(...spans: Span[]): Trace {
  return { traceId: '1', startUnixMs: 0, durationMs: 10, spans };
}

const STAGES = {
  'vitrine.stage.respond_ms': 1,
  'vitrine.stage.compute_ms': 5,
  'vitrine.stage.receive_ms': 3.95,
};

describe('the ledger of a span', () => {
  test('stages stand in the order in which a query meets them', () => {
    const ledger = ledgerOf(
      span('q', {}, { ...STAGES, 'vitrine.total_ms': 10, 'vitrine.unattributed_ms': 0.05 }),
    );
    expect(ledger?.stages).toEqual([
      { stage: 'receive', ms: 3.95, inWorker: false },
      { stage: 'compute', ms: 5, inWorker: true },
      { stage: 'respond', ms: 1, inWorker: false },
    ]);
    expect(ledger).toMatchObject({ totalMs: 10, unattributedMs: 0.05, closes: true });
  });

  test('it closes within the larger of 1 % and 50 µs, both ways', () => {
    const closes = (totalMs: number, unattributedMs: number) =>
      ledgerOf(
        span('q', {}, { ...STAGES, 'vitrine.total_ms': totalMs, 'vitrine.unattributed_ms': unattributedMs }),
      )?.closes;
    expect([
      closes(1, 0.05),
      closes(1, 0.051),
      closes(100, 1),
      closes(100, 1.01),
      closes(100, -1.01),
    ]).toEqual([true, false, true, false, false]);
  });

  test('without its total, the span’s duration; without stages, none', () => {
    expect(ledgerOf(span('q', { durationMs: 12 }, STAGES))?.unattributedMs).toBeCloseTo(2.05, 9);
    expect(ledgerOf(span('q'))).toBeUndefined();
    expect(ledgerOf(span('q', {}, { 'vitrine.stage.queue_ms': '<b>5</b>' }))).toBeUndefined();
  });
});

test('Server-Timing is read as the gateway writes it, and rubbish is left out', () => {
  const timing = readServerTiming(
    'receive;dur=0.25, queue;desc="a";dur=1.5, queue;dur=0.5, total;dur=3, x, y;dur=abc, <b>;dur=1',
  );
  expect([...timing]).toEqual([
    ['receive', 0.25],
    ['queue', 2],
    ['total', 3],
  ]);
  expect(ledgerOfTiming(timing)).toMatchObject({ totalMs: 3, unattributedMs: 0.75, closes: false });
  expect(ledgerOfTiming(readServerTiming(null))).toBeUndefined();
});

describe('the queries of a trace', () => {
  const query = span('q', { parentSpanId: 'caller' }, STAGES);
  const attempt = span('a', { parentSpanId: 'q', kind: 'client' });
  const work = span('w', { parentSpanId: 'a', service: SERVICE_WORKER });

  test('each gateway span with its attempts and the workers’ parts', () => {
    const [first, ...others] = queriesOf(trace(query, attempt, work));
    expect(others).toEqual([]);
    expect(first).toMatchObject({ isWhole: true, attempts: [attempt], works: [work] });
  });

  test('a worker’s part alone is a query of its own', () => {
    expect(queriesOf(trace(work))).toMatchObject([{ span: work, isWhole: false }]);
    expect(queriesOf(trace(span('other', { service: 'shop' })))).toEqual([]);
  });

  test('a trace is complete when every process that took part has sent its own', () => {
    expect(isComplete(trace(query, attempt, work))).toBe(true);
    expect(isComplete(trace(query, attempt))).toBe(false);
    expect(isComplete(trace(work))).toBe(false);
    expect(isComplete(trace(span('refused', {}, { 'vitrine.stage.receive_ms': 1 })))).toBe(true);
  });
});
