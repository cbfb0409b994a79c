import { expect, test } from 'vitest';
import { formatProgress, formatReport } from './format.ts';
import { judgeGenerator } from './generator_watch.ts';
import type { LatencyReport, LoadReport } from './report.ts';

const CALM = {
  cpuCores: 0.4,
  loopUtilization: 0.3,
  loopDelayP99Ms: 1,
  loopDelayMaxMs: 4,
  latenessP99Ms: 0.2,
};

function latencyOf(p50Ms: number): LatencyReport {
  const summary = {
    count: 900,
    meanMs: p50Ms,
    minMs: 0.1,
    p50Ms,
    p90Ms: p50Ms * 2,
    p95Ms: p50Ms * 3,
    p99Ms: p50Ms * 10,
    p999Ms: p50Ms * 100,
    maxMs: p50Ms * 1000,
  };
  return {
    response: summary,
    service: { ...summary, p50Ms: 0.5 },
    distribution: [],
    serviceDistribution: [],
  };
}

const STAGE = { count: 900, p50Ms: 0.5, p99Ms: 2 };
const REPORT: LoadReport = {
  format: 1,
  plan: {
    origin: 'http://localhost:8000',
    model: 'langid',
    version: '2',
    loop: {
      kind: 'open',
      ratePerS: 250,
      rampPerS2: 0,
      arrivals: 'poisson',
      connections: 16,
      maxOutstanding: 1024,
    },
    seed: 1,
    durationS: 4,
    requests: null,
    warmup: { seconds: 1 },
    timeoutMs: 10_000,
    samples: 64,
    meanBodyBytes: 1234,
  },
  startedAt: '2026-01-01T00:00:00.000Z',
  aborted: false,
  warmup: { sent: 250, notSent: 0 },
  sendingS: 4,
  sent: 1000,
  notSent: 12,
  ok: 900,
  failed: 100,
  sentPerS: 250,
  okPerS: 225.4,
  receivedBytes: 9000,
  outcomes: [
    { outcome: 'ok', status: 200, code: '', count: 900, sample: null },
    { outcome: 'rejected', status: 503, code: '', count: 99, sample: `queue is full ${'x'.repeat(200)}` },
    { outcome: 'connection', status: 0, code: 'ECONNREFUSED', count: 1, sample: 'connect ECONNREFUSED' },
  ],
  latency: latencyOf(1.25),
  latencyOfAll: latencyOf(1.5),
  ledger: {
    stages: [
      { stage: 'queue', meanMs: 0.25, share: 0.25, ...STAGE },
      { stage: 'compute', meanMs: 0.5, share: 0.5, ...STAGE },
    ],
    total: { stage: 'total', meanMs: 1, share: 1, ...STAGE },
    unattributedShare: 0.25,
    answersWith: 899,
    answersWithout: 1,
    malformedEntries: 3,
  },
  outsideMeanMs: 0.4,
  series: [0, 1, 2, 3].map((atS) => ({
    atS,
    sent: 250,
    notSent: 3,
    ok: atS * 100,
    failed: 25,
    p50Ms: 1,
    p99Ms: 2,
  })),
  generator: judgeGenerator(CALM),
};

function lineOf(text: string, start: string): string | undefined {
  return text
    .split('\n')
    .find((line) => line.trimStart().startsWith(start))
    ?.trim()
    .replace(/ +/g, ' ');
}

test('a report as text', () => {
  const text = formatReport(REPORT);
  expect(lineOf(text, 'langid')).toBe('langid version 2 at http://localhost:8000');
  expect(lineOf(text, 'open loop')).toBe(
    'open loop, 250/s poisson (seed 1) over 16 connections, 4.0 s after 250 of warm-up, 64 samples of 1,234 B',
  );
  expect(lineOf(text, 'sent')).toBe('sent 1,000 250/s');
  expect(lineOf(text, 'not sent')).toBe('not sent 12 more than 1,024 were outstanding');
  expect(lineOf(text, 'rejected')).toMatch(/^rejected 503 99 queue is full x+\.\.\.$/);
  expect(lineOf(text, 'connection')).toBe('connection ECONNREFUSED 1 connect ECONNREFUSED');
  expect(lineOf(text, 'response')).toBe('response 1.25 1.25 2.50 3.75 12.5 125 1,250');
  expect(lineOf(text, 'service')).toMatch(/^service 1\.25 0\.500 /);
  expect(lineOf(text, 'with failures')).toMatch(/^with failures 1\.50 /);
  expect(lineOf(text, 'queue')).toBe('queue 0.250 0.500 2.00 25.0 % ██████');
  expect(lineOf(text, 'compute')).toBe('compute 0.500 0.500 2.00 50.0 % ████████████');
  expect(lineOf(text, 'unattributed')).toBe('unattributed 25.0 %');
  expect(lineOf(text, 'outside')).toBe('outside the service 0.400');
  expect(lineOf(text, '1 answers told no stages')).toMatch(/3 entries could not be read/);
  expect(lineOf(text, 'ok per second')).toBe('ok per second ▁▅█ 0 to 200');
  expect(text).not.toMatch(/itself was the limit/);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
});

test('a run in which nothing failed, nothing was told and nothing was left out says only what is', () => {
  const text = formatReport({
    ...REPORT,
    plan: { ...REPORT.plan, version: '', loop: { kind: 'closed', concurrency: 8 } },
    notSent: 0,
    failed: 0,
    ledger: { ...REPORT.ledger, stages: [], total: null, unattributedShare: null },
    outsideMeanMs: null,
    series: [],
  });
  expect(text).not.toMatch(/outcomes|not sent|where the time went|per second|with failures|intended/);
  expect(lineOf(text, 'closed loop, 8')).toBeDefined();
});

test('a run in which nothing was answered is a report as well', () => {
  const empty = latencyOf(0);
  const none = { ...empty, response: { ...empty.response, count: 0 } };
  const text = formatReport({ ...REPORT, ok: 0, latency: none, latencyOfAll: none, aborted: true });
  expect(text).toMatch(/stopped early/);
  expect(text).not.toMatch(/latency in ms|NaN|Infinity/);
});

test.each([
  [{ loopUtilization: 0.97, cpuCores: 0.99 }, /event loop was busy 97 %/],
  [{ loopUtilization: 0.97, cpuCores: 0.3 }, /0\.30 cores: other processes took the processor/],
  [{ cpuCores: 1.2 }, /used 1\.20 cores/],
  [{ loopDelayP99Ms: 45 }, /event loop was 45 ms late/],
  [{ latenessP99Ms: 30 }, /30 ms late to an intended send/],
])('a generator with %j says that it was the limit, and why', (change, reason) => {
  const generator = judgeGenerator({ ...CALM, ...change });
  expect(generator).toMatchObject({ limited: true, reasons: [expect.stringMatching(reason)] });
  const text = formatReport({ ...REPORT, generator });
  expect(text).toMatch(/The generator itself was the limit/);
  expect(text).toMatch(reason);
});

test('the progress line', () => {
  const progress = {
    phase: 'measuring',
    elapsedS: 3.25,
    done: 0.456,
    sent: 1234,
    ok: 1200,
    errors: 2,
    notSent: 0,
    inFlight: 16,
    waiting: 0,
    ratePerS: 411.6,
    p50Ms: 1.234,
    p99Ms: 45.6,
  } as const;
  expect(formatProgress(progress)).toBe(
    '   3.3 s       45 %  1,234 sent  16 in flight  412/s  p50 1.23  p99 45.6 ms  2 errors',
  );
  expect(formatProgress({ ...progress, phase: 'draining', waiting: 5, notSent: 7 })).toMatch(
    /draining {2}1,234 sent {2}16 in flight \+ 5 waiting .* 7 not sent$/,
  );
});
