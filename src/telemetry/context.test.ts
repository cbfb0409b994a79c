import { describe, expect, test } from 'vitest';
import { createEventLoopDelay } from './event_loop.ts';
import { newSpanId, newTraceId } from './ids.ts';
import { createKeeping } from './keeping.ts';
import { formatTraceparent, parseTraceparent, traceIdFromHeader } from './traceparent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('traceparent', () => {
  test('reads what it writes', () => {
    const traceId = newTraceId();
    const spanId = newSpanId();
    expect(parseTraceparent(formatTraceparent(traceId, spanId, true), 'a=1')).toEqual({
      traceId,
      spanId,
      flags: 1,
      traceState: 'a=1',
    });
    expect(parseTraceparent(formatTraceparent(traceId, spanId, false))?.flags).toBe(0);
  });

  test.each([
    undefined,
    '',
    'rubbish',
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-01-extra`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-0g`,
    'x'.repeat(100_000),
  ])('%s is no parent', (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  test('a later version with more fields is read by what is known of it', () => {
    expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-later`)?.traceId).toBe(TRACE);
  });

  test('an oversized tracestate is dropped, the parent stays', () => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`, 'a='.padEnd(600, 'x'))?.traceState).toBe('');
  });

  test('X-Trace-Id: hex or a UUID, nothing else', () => {
    expect(traceIdFromHeader(TRACE)).toBe(TRACE);
    expect(traceIdFromHeader('0AF76519-16CD-43DD-8448-EB211C80319C')).toBe(TRACE);
    expect(traceIdFromHeader('0'.repeat(32))).toBeUndefined();
    expect(traceIdFromHeader('order-17')).toBeUndefined();
    expect(traceIdFromHeader(undefined)).toBeUndefined();
  });
});

describe('keeping', () => {
  const options = { ratio: 0.1, slowMs: 100, callerTracesPerSecondLimit: 2 };
  const facts = { caller: '127.0.0.1', nowMs: 0 };
  const end = { totalMs: 1, outcome: 'ok', attempts: 1 } as const;

  test('all keeps everything but what the caller cleared', () => {
    const keeping = createKeeping({ ...options, mode: 'all' });
    expect(keeping.start({ ...facts, callerSampled: undefined }).kept).toBe('all');
    expect(keeping.start({ ...facts, callerSampled: true }).kept).toBe('caller');
    expect(keeping.start({ ...facts, callerSampled: false })).toEqual({
      kept: undefined,
      undecided: false,
      shed: false,
    });
  });

  test('ratio keeps its share, and the caller up to its rate', () => {
    let drawn = 0;
    const draws = [0.05, 0.5, 0.5, 0.5];
    const keeping = createKeeping(
      { ...options, mode: 'ratio' },
      () => draws[drawn++ % draws.length] as number,
    );
    expect(keeping.start({ ...facts, callerSampled: undefined }).kept).toBe('ratio');
    expect(keeping.start({ ...facts, callerSampled: undefined }).kept).toBeUndefined();
    const flagged = Array.from({ length: 4 }, () => keeping.start({ ...facts, callerSampled: true }).kept);
    expect(flagged).toEqual(['caller', 'caller', undefined, undefined]);
    expect(keeping.start({ ...facts, caller: '127.0.0.2', callerSampled: true }).kept).toBe('caller');
    expect(keeping.start({ ...facts, nowMs: 1000, callerSampled: true }).kept).toBe('caller');
  });

  test('retroactive decides at the end, also for a cleared flag', () => {
    const keeping = createKeeping({ ...options, mode: 'retroactive' }, () => 0.99);
    expect(keeping.start({ ...facts, callerSampled: undefined }).undecided).toBe(true);
    expect(keeping.start({ ...facts, callerSampled: false }).undecided).toBe(true);
    expect(keeping.verdict(end)).toBeUndefined();
    expect(keeping.verdict({ ...end, totalMs: 100 })).toBe('slow');
    expect(keeping.verdict({ ...end, outcome: 'rejected' })).toBe('refused');
    expect(keeping.verdict({ ...end, outcome: 'expired' })).toBe('failed');
    expect(keeping.verdict({ ...end, attempts: 2 })).toBe('retried');
  });
});

describe('event-loop delay', () => {
  test('a query is told of a block that began before it and of one that still goes on', async () => {
    using delay = createEventLoopDelay();
    await new Promise<void>((resolve) => setTimeout(resolve, 30));
    const startMs = performance.now();
    const until = startMs + 80;
    while (performance.now() < until);
    expect(delay.maxBetweenMs(startMs, performance.now())).toBeGreaterThan(50);
    await new Promise<void>((resolve) => setTimeout(resolve, 30));
    expect(delay.maxBetweenMs(startMs, until)).toBeGreaterThan(50);
  });
});
