import { expect, test } from 'vitest';
import type { Evidence } from '../contract/evidence.ts';
import { judgeEvidence } from './judge_evidence.ts';

const FOUND: Evidence = {
  atMs: 0,
  windowS: 10,
  baselineS: 20,
  subject: 'latency',
  stage: { stage: 'compute', baselineMs: 1, nowMs: 551, growthMs: 550, shareOfGrowth: 0.9 },
  stages: [],
  places: [
    { dimension: 'model', values: ['langid'], all: true },
    { dimension: 'worker', values: ['worker-2', 'worker-1'], all: true },
  ],
  sinceMs: undefined,
  circumstances: [],
  traces: [],
  confidence: 1,
  cannotSay: undefined,
  text: '',
};
const EXPECTED = { subject: 'latency', stage: 'compute', at: 'workers' } as const;
const PLACE = { model: 'langid', workers: ['worker-1', 'worker-2'], all: true };

test('right when it names subject, stage, workers and model', () => {
  expect(judgeEvidence(FOUND, EXPECTED, PLACE)).toEqual([]);
});

test('each thing that it names wrongly is told', () => {
  const { stage } = FOUND;
  const queue: Evidence = { ...FOUND, stage: stage && { ...stage, stage: 'queue' } };
  expect(judgeEvidence(queue, EXPECTED, PLACE)).toEqual(['the evidence names the stage queue, not compute']);
  expect(judgeEvidence({ ...FOUND, stage: undefined }, EXPECTED, PLACE)).toHaveLength(1);
  expect(judgeEvidence({ ...FOUND, subject: 'errors' }, EXPECTED, PLACE)).toHaveLength(1);
  expect(judgeEvidence(FOUND, EXPECTED, { ...PLACE, workers: ['worker-1'], all: false })).toEqual([
    'the evidence places it at worker-1, worker-2, not worker-1',
  ]);
  expect(judgeEvidence(FOUND, EXPECTED, { ...PLACE, model: 'digits' })).toHaveLength(1);
  expect(judgeEvidence({ ...FOUND, places: [] }, EXPECTED, PLACE)).toEqual([
    'the evidence places it at no worker, not worker-1, worker-2',
  ]);
});

test('one worker of several is not all of them, and what strikes before any names none', () => {
  const one: Evidence = { ...FOUND, places: [{ dimension: 'worker', values: ['worker-1'], all: false }] };
  const place = { model: 'langid', workers: ['worker-1'], all: false };
  expect(judgeEvidence(one, EXPECTED, place)).toEqual([]);
  expect(judgeEvidence(one, EXPECTED, { ...place, all: true })).toHaveLength(1);
  expect(judgeEvidence({ ...FOUND, places: [] }, EXPECTED, { ...place, workers: [] })).toEqual([]);
  expect(judgeEvidence(one, EXPECTED, { ...place, workers: [] })).toEqual([
    'the evidence places it at worker-1, not before any worker',
  ]);
});

test('a condition has to be told of the worker that has it', () => {
  const text = 'the event loop of worker-1 stands still for 400 ms, 2 ms before';
  const place = { model: 'langid', workers: ['worker-1'], all: true };
  const expected = { subject: 'other', circumstance: 'event_loop', at: 'first_worker' } as const;
  const told: Evidence = {
    ...FOUND,
    subject: 'other',
    circumstances: [{ kind: 'event_loop', text }],
    places: [{ dimension: 'worker', values: ['worker-1'], all: true }],
  };
  expect(judgeEvidence(told, expected, place)).toEqual([]);
  expect(judgeEvidence({ ...told, circumstances: [{ kind: 'queue', text }] }, expected, place)).toEqual([
    'the evidence tells no event_loop of worker-1',
  ]);
});

test('evidence that cannot say proves nothing', () => {
  expect(judgeEvidence({ ...FOUND, cannotSay: 'only 3 kept traces' }, EXPECTED, PLACE)).toEqual([
    'the evidence cannot say why: only 3 kept traces',
  ]);
});
