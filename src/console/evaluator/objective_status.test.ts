import { expect, test } from 'vitest';
import type { EvaluatorPlan } from '../../slo/evaluator_plan.ts';
import type { Objective } from '../../slo/objective.ts';
import { having } from '../../slo/shapes.ts';
import { objectiveStatus } from './objective_status.ts';
import { fill, storeOf, T0_MS } from './series_for_tests.ts';

const DAY_S = 86_400;

const OBJECTIVE: Objective = {
  name: 'answered',
  displayName: 'Answered',
  description: '',
  service: 'inference',
  kind: 'availability',
  model: 'm',
  version: undefined,
  tenant: undefined,
  target: 0.99,
  budget: 0.01,
  periodS: 30 * DAY_S,
  thresholdS: undefined,
  bad: { kind: 'counter', metric: 'inference_requests_total', where: having({ outcome: ['error'] }) },
  total: { kind: 'counter', metric: 'inference_requests_total', where: having({ outcome: ['ok', 'error'] }) },
  line: 1,
};

const PLAN = {
  lookbackS: 300,
  objectives: [{ objective: OBJECTIVE, windowsS: [3600], periodS: 30 * DAY_S, periodStepS: 300 }],
} as unknown as EvaluatorPlan;

test('every query weighs alike: a busy hour counts more than a quiet one', () => {
  const store = storeOf(['inference_requests_total'], 30 * DAY_S);
  // A quiet hour in which every tenth fails, then a busy one without a failure; a restart in between.
  const minutes = Array.from({ length: 121 }, (_, minute) => minute);
  const ok = minutes.map((minute) => (minute < 60 ? minute * 9 : (minute - 60) * 1000));
  const error = minutes.map((minute) => (minute < 60 ? minute : 0));
  fill(store, 'inference_requests_total', { outcome: 'ok' }, ok);
  fill(store, 'inference_requests_total', { outcome: 'error' }, error);
  const [status] = objectiveStatus({ plan: PLAN, samples: store }, T0_MS + 7200_000);
  const [bad, all] = [59, 59 * 10 + 60_000];
  expect(status?.good).toBeCloseTo(1 - bad / all, 4);
  expect(status?.budgetLeft).toBeCloseTo(1 - bad / all / 0.01, 3);
  expect(status?.burn).toEqual([{ windowS: 3600, rate: 0 }]);
  const history = status?.history ?? [];
  expect(history.length).toBeGreaterThan(90);
  expect(history.at(-1)?.budgetLeft).toBe(status?.budgetLeft);
  // It only goes down, and all of it in the first half.
  const left = history.map(({ budgetLeft }) => budgetLeft);
  expect(left).toEqual(left.toSorted((a, b) => b - a));
  expect(left[Math.floor(left.length / 2)]).toBe(left.at(-1));
});

test('without traffic nothing is claimed', () => {
  const [status] = objectiveStatus({ plan: PLAN, samples: storeOf(['inference_requests_total']) }, T0_MS);
  expect(status).toMatchObject({ good: undefined, budgetLeft: undefined, history: [] });
  expect(status?.burn).toEqual([{ windowS: 3600, rate: undefined }]);
});
