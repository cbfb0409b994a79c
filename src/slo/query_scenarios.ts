/** What proves the alerts about queries and models. */
import { type Raised, raisedScenarios, type Scenario } from './scenario.ts';
import { counting, GATEWAY, OTHER_WORKER, requests, STEP_S, standing, WORKER } from './scenario_parts.ts';

function buckets(le: string, perS: readonly [number, number, number]): Raised {
  return counting(
    'inference_service_duration_seconds_bucket',
    { ...GATEWAY, model: 'langid', version: '1', outcome: 'ok', le },
    perS,
  );
}

function answered(perS: readonly [number, number, number]): Raised {
  return counting(
    'inference_service_duration_seconds_count',
    { ...GATEWAY, model: 'langid', version: '1', outcome: 'ok' },
    perS,
  );
}

function repositoryModel(
  worker: Readonly<Record<string, string>>,
  state: string,
  values: readonly [number, number, number],
): Raised {
  return standing('inference_repository_models', { ...worker, model: 'langid', version: '2', state }, values);
}

export const QUERY_SCENARIOS: readonly Scenario[] = [
  ...raisedScenarios({
    rule: 'VitrineErrorSurge',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 600,
    pendingS: 315,
    clearS: 600,
    firing: [{ labels: { model: 'langid' }, value: 0.052 }],
    series: [
      requests('ok', [10, 9.48, 9.52]),
      requests('error', [0, 0.3, 0.25]),
      requests('expired', [0, 0.22, 0.23]),
      requests('rejected', [0, 0, 0]),
      // The caller's own faults weigh nothing.
      requests('client_error', [0, 50, 50]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineRefusals',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 600,
    pendingS: 315,
    clearS: 600,
    firing: [{ labels: { model: 'langid' }, value: 0.052 }],
    series: [requests('ok', [10, 9.48, 9.52]), requests('rejected', [0, 0.52, 0.48])],
  }),
  ...raisedScenarios({
    rule: 'VitrineLatencyP99High',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 900,
    pendingS: 450,
    clearS: 600,
    // 98.98 of 100 within 0.5 s: rank 99 lies 0.02 of 1.02 into the bucket from 0.5 to 1.5.
    firing: [{ labels: { model: 'langid' }, value: 0.5 + 0.02 / 1.02 }],
    series: [
      buckets('0.5', [100, 98.98, 99.02]),
      buckets('1.5', [100, 100, 100]),
      buckets('+Inf', [100, 100, 100]),
      answered([100, 100, 100]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineLatencyRising',
    stepS: 300,
    calmS: 25 * 3600,
    raisedS: 2 * 3600,
    pendingS: 3600,
    clearS: 2 * 3600,
    // The day before 9 in 10 within 0.9 of the first bucket, 9 ms. Now rank 90 lies 11.5 of 21.5 into the next.
    firing: [{ labels: { model: 'langid' }, value: (0.01 + (0.015 * 11.5) / 21.5) / 0.009 }],
    series: [
      buckets('0.01', [100, 78.5, 79.2]),
      buckets('0.025', [100, 100, 100]),
      buckets('+Inf', [100, 100, 100]),
      answered([100, 100, 100]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineQueueGrowing',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 420,
    pendingS: 210,
    clearS: 1200,
    // From 20 by 0.2 a second to 104; it heads to 164, and 75.5 waited on average.
    firing: [{ labels: { model: 'langid' }, value: 164 / 75.5 }],
    series: [
      {
        name: 'inference_queue_requests',
        labels: { ...WORKER, model: 'langid' },
        calm: { from: 20 },
        above: { perS: 0.2 },
        below: { perS: 0.06 },
      },
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineModelNotLoaded',
    stepS: STEP_S,
    calmS: 300,
    raisedS: 300,
    pendingS: 60,
    clearS: 300,
    firing: [{ labels: { model: 'langid', version: '2' }, value: 1 }],
    // One worker of two cannot; the next to the edge, both are still loading.
    series: [
      ...[WORKER, OTHER_WORKER].map((worker) => repositoryModel(worker, 'LOADING', [0, 0, 1])),
      repositoryModel(WORKER, 'READY', [1, 0, 0]),
      repositoryModel(WORKER, 'UNAVAILABLE', [0, 1, 0]),
      repositoryModel(OTHER_WORKER, 'READY', [1, 1, 0]),
      repositoryModel(OTHER_WORKER, 'UNAVAILABLE', [0, 0, 0]),
    ],
  }),
];
