import { expect, test } from 'vitest';
import type { ObjectiveStatus } from './alerts.ts';
import { parseObjectivesAnswer } from './objectives_answer.ts';

const STATUS: ObjectiveStatus = {
  name: 'langid-latency',
  service: 'langid',
  model: 'langid',
  kind: 'latency',
  target: 0.99,
  thresholdMs: 50,
  windowS: 2_592_000,
  good: 0.995,
  budgetLeft: 0.5,
  burn: [{ windowS: 300, rate: 0.5 }],
  history: [],
};

test('an answer is read as it was written', () => {
  expect(parseObjectivesAnswer(JSON.parse(JSON.stringify({ objectives: [STATUS] })))).toEqual({
    objectives: [STATUS],
  });
});

test('without traffic there are no figures', () => {
  const { good: _good, budgetLeft: _left, ...quiet } = STATUS;
  expect(parseObjectivesAnswer({ objectives: [quiet] })?.objectives).toEqual([quiet]);
});

test('what is no objective is left out, and what is no answer is none', () => {
  expect(parseObjectivesAnswer({ objectives: [STATUS, null, 1, { ...STATUS, kind: 'other' }] })).toEqual({
    objectives: [STATUS],
  });
  for (const value of [null, 1, 'text', [], {}, { objectives: {} }]) {
    expect(parseObjectivesAnswer(value)).toBeUndefined();
  }
});
