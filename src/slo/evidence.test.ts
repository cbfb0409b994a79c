import { describe, expect, test } from 'vitest';
import { type Fault, simulate } from '../../bench/evidence_scenarios.ts';
import { explain } from './evidence.ts';
import type { EvidenceInput, QueryLedger } from './evidence_input.ts';

const AT_MS = 1_790_000_000_000;

function input(fault: Fault | undefined, more: Partial<EvidenceInput> = {}, ratePerS = 20): EvidenceInput {
  const common = { ratePerS, workers: 2, pauseShare: 0.01 };
  return {
    atMs: AT_MS,
    windowS: 40,
    baselineS: 60,
    subject: 'latency',
    baseline: simulate({ ...common, seed: 11, seconds: 60, fromMs: AT_MS - 100_000, fault: undefined }),
    now: simulate({ ...common, seed: 12, seconds: 40, fromMs: AT_MS - 40_000, fault }),
    thresholdMs: undefined,
    circumstances: [],
    traceUrl: (traceId) => `http://localhost:16686/trace/${traceId}`,
    ...more,
  };
}

describe('evidence', () => {
  test('names stage, worker, beginning and the slowest traces of a slow worker', () => {
    const evidence = explain(input({ stage: 'compute', worker: 'worker-2', delayMs: 50 }));
    expect(evidence.stage?.stage).toBe('compute');
    expect(evidence.stage?.growthMs).toBeGreaterThan(40);
    const worker = evidence.places.find(({ dimension }) => dimension === 'worker');
    expect(worker).toEqual({ dimension: 'worker', values: ['worker-2'], all: false });
    expect(evidence.sinceMs).toBe(AT_MS - 40_000);
    expect(evidence.traces).toHaveLength(5);
    expect(evidence.traces.every((trace) => trace.worker === 'worker-2')).toBe(true);
    expect(evidence.text).toMatch(/compute takes \d+ ms instead of \d/);
    expect(evidence.text).toContain('only worker worker-2');
    expect(evidence.text.split('\n').length).toBeLessThanOrEqual(6);
  });

  test('work that makes queries wait is named, not the wait', () => {
    const evidence = explain(input({ stage: 'compute', worker: undefined, delayMs: 200 }, {}, 300));
    expect(evidence.stages[0]?.stage).toBe('queue');
    expect(evidence.stage?.stage).toBe('compute');
    expect(evidence.text).toContain('queries wait behind it: queue');
  });

  test('a few that are far over the threshold are told from many that are a little slower than most', () => {
    const slowed = (query: QueryLedger): QueryLedger => {
      const compute = (query.stagesMs.get('compute') ?? 0) + 600;
      return {
        ...query,
        serviceMs: query.serviceMs + 600,
        stagesMs: new Map(query.stagesMs).set('compute', compute),
      };
    };
    const calm = input(undefined, { thresholdMs: 500 });
    const now = calm.now.map((query, index) =>
      index % 30 === 0 && query.worker === 'worker-1' ? slowed(query) : query,
    );
    const evidence = explain({ ...calm, now });
    expect(evidence.stage?.stage).toBe('compute');
    expect(evidence.places.find(({ dimension }) => dimension === 'worker')).toMatchObject({
      values: ['worker-1'],
      all: false,
    });
    expect(explain(calm).cannotSay).toBe('the window looks as the time before it did');
  });

  test('healthy traffic claims nothing, and neither do too few queries', () => {
    expect(explain(input(undefined)).cannotSay).toBe('the window looks as the time before it did');
    const few = explain(input({ stage: 'compute', worker: undefined, delayMs: 50 }, { baseline: [] }));
    expect(few.cannotSay).toMatch(/to compare with/);
    expect(explain(input(undefined, { now: [] }))).toMatchObject({ confidence: 0, stage: undefined });
  });

  test('most failed before any worker: the few that failed at one do not place it there', () => {
    const failing = (query: QueryLedger, index: number): QueryLedger => {
      if (index % 20 === 1) return { ...query, outcome: 'expired', errorCode: 'deadline_exceeded' };
      return index % 2 === 0 ? { ...query, worker: '', outcome: 'rejected', errorCode: 'overloaded' } : query;
    };
    const { now, ...rest } = input(undefined);
    const evidence = explain({ ...rest, subject: 'errors', now: now.map(failing) });
    expect(evidence.places.find(({ dimension }) => dimension === 'worker')).toBeUndefined();
    expect(evidence.text).toContain('Where: before any worker.');
  });

  test('errors: which code, where, and not a stage', () => {
    const failing = (query: QueryLedger): QueryLedger =>
      query.worker === 'worker-1' ? { ...query, outcome: 'error', errorCode: 'model_failed' } : query;
    const { baseline, now, ...rest } = input(undefined);
    const evidence = explain({ ...rest, subject: 'errors', baseline, now: now.map(failing) });
    expect(evidence.cannotSay).toBeUndefined();
    expect(evidence.stage).toBeUndefined();
    expect(evidence.text).toContain('100 % of them with model_failed');
    expect(evidence.places.find(({ dimension }) => dimension === 'worker')?.values).toEqual(['worker-1']);
  });
});
