import { expect, test } from 'vitest';
import { explain } from './evidence.ts';
import type { EvidenceInput, ProcessSight, QueryLedger } from './evidence_input.ts';

const AT_MS = 1_790_000_000_000;

function sight(instance: string, more: Partial<ProcessSight> = {}): ProcessSight {
  return {
    job: 'vitrine-worker',
    instance,
    silentSinceMs: undefined,
    restarts: 0,
    unreadySinceMs: undefined,
    unanswered: 0,
    ...more,
  };
}

function query(more: Partial<QueryLedger>): QueryLedger {
  return {
    traceId: 'a1',
    startMs: AT_MS - 2000,
    serviceMs: 1000,
    stagesMs: new Map([['unreported', 1000]]),
    model: 'langid',
    version: '1',
    worker: 'worker-1',
    outcome: 'ok',
    errorCode: '',
    ...more,
  };
}

function input(processes: readonly ProcessSight[], more: Partial<EvidenceInput> = {}): EvidenceInput {
  return {
    atMs: AT_MS,
    windowS: 15,
    baselineS: 30,
    subject: 'processes',
    now: [],
    baseline: [],
    thresholdMs: undefined,
    circumstances: [],
    processes,
    traceUrl: (traceId) => `http://localhost:16686/trace/${traceId}`,
    ...more,
  };
}

test('a worker that answers no scrape is named, with what its queries came to', () => {
  const expired = query({ outcome: 'expired', errorCode: 'deadline_exceeded' });
  const evidence = explain(
    input([sight('worker-1', { silentSinceMs: AT_MS - 4000, unanswered: 3 }), sight('worker-2')], {
      now: [expired, query({ worker: 'worker-2' }), query({ startMs: AT_MS - 9000 })],
    }),
  );
  expect(evidence.places).toEqual([{ dimension: 'worker', values: ['worker-1'], all: false }]);
  expect(evidence.sinceMs).toBe(AT_MS - 4000);
  expect(evidence.traces.map(({ stage }) => stage)).toEqual(['unreported']);
  expect(evidence.text.split('\n')).toEqual([
    expect.stringMatching(
      /^worker-1 has answered no scrape since .* and left 3 queries unanswered: it hangs/,
    ),
    'Where: only worker worker-1.',
    'Of 2 queries that were kept since then 1 failed, most with deadline_exceeded.',
  ]);
});

test('workers that answer scrapes, but are not found ready, are cut off', () => {
  const cut = { unreadySinceMs: AT_MS - 3000 };
  const evidence = explain(input([sight('worker-1', cut), sight('worker-2', cut)]));
  expect(evidence.places).toEqual([{ dimension: 'worker', values: ['worker-1', 'worker-2'], all: true }]);
  expect(evidence.text).toMatch(/^worker-1, worker-2 answer scrapes, but .*ready since .*cut off/);
});

test('where nothing fails, or nothing is known, nothing is claimed', () => {
  const { processes, ...rest } = input([sight('worker-1')]);
  for (const each of [{ ...rest, processes }, rest]) {
    expect(explain(each as EvidenceInput)).toMatchObject({ confidence: 0, places: [] });
    expect(explain(each as EvidenceInput).cannotSay).not.toBeUndefined();
  }
});

test('restarts are counted', () => {
  const evidence = explain(input([sight('worker-1'), sight('worker-2', { restarts: 3, unanswered: 1 })]));
  expect(evidence.text.split('\n')[0]).toBe(
    'worker-2 restarted 3 times within 15 s and left 1 query unanswered.',
  );
  expect(evidence.places[0]?.values).toEqual(['worker-2']);
});

test('a gateway is no place of queries', () => {
  const gateway = sight('gateway-0', {
    job: 'vitrine-gateway',
    silentSinceMs: AT_MS - 1000,
  });
  expect(explain(input([gateway]))).toMatchObject({ places: [], cannotSay: undefined });
});
