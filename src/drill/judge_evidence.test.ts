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
const EXPECTED = { subject: 'latency', stage: 'compute' } as const;
const PLACE = { model: 'langid', workers: ['worker-1', 'worker-2'] };

test('right when it names subject, stage, workers and model', () => {
  expect(judgeEvidence(FOUND, EXPECTED, PLACE)).toEqual([]);
});

test('each thing that it names wrongly is told', () => {
  const { stage } = FOUND;
  const queue: Evidence = { ...FOUND, stage: stage && { ...stage, stage: 'queue' } };
  expect(judgeEvidence(queue, EXPECTED, PLACE)).toEqual(['the evidence names the stage queue, not compute']);
  expect(judgeEvidence({ ...FOUND, stage: undefined }, EXPECTED, PLACE)).toHaveLength(1);
  expect(judgeEvidence({ ...FOUND, subject: 'errors' }, EXPECTED, PLACE)).toHaveLength(1);
  expect(judgeEvidence(FOUND, EXPECTED, { ...PLACE, workers: ['worker-1'] })).toEqual([
    'the evidence places it at worker-1, worker-2, not worker-1',
  ]);
  expect(judgeEvidence(FOUND, EXPECTED, { ...PLACE, model: 'digits' })).toHaveLength(1);
  expect(judgeEvidence({ ...FOUND, places: [] }, EXPECTED, PLACE)).toEqual([
    'the evidence places it at no worker, not worker-1, worker-2',
  ]);
});

test('evidence that cannot say proves nothing', () => {
  expect(judgeEvidence({ ...FOUND, cannotSay: 'only 3 kept traces' }, EXPECTED, PLACE)).toEqual([
    'the evidence cannot say why: only 3 kept traces',
  ]);
});
