/** Alerts about queries and models: what callers notice. */
import type { AlertRule, DashboardLink } from './alert.ts';
import { DAY_S, HOUR_S, MINUTE_S, SYSTEM_LABEL } from './alert_labels.ts';
import type { PredictionMeasure, QuantileMeasure } from './expression.ts';
import {
  averageLevel,
  counter,
  guard,
  having,
  increase,
  level,
  observations,
  quotient,
  share,
} from './shapes.ts';

const BY_MODEL = ['model'] as const;
const MODEL_DASHBOARD: DashboardLink = { uid: 'vitrine-model', variables: { model: 'model' } };

/** Queries that the service had to answer: what the caller broke, was throttled for or gave up is left out. */
const TO_ANSWER = counter(
  'inference_requests_total',
  having({ outcome: ['ok', 'rejected', 'expired', 'error'] }),
);
const ANSWERED = having({ outcome: ['ok'] });

function latency(quantile: number, windowS: number): QuantileMeasure {
  return {
    kind: 'quantile',
    metric: 'inference_service_duration_seconds',
    where: ANSWERED,
    quantile,
    windowS,
    by: BY_MODEL,
  };
}

function answered(windowS: number) {
  return increase(observations('inference_service_duration_seconds', ANSWERED), windowS, BY_MODEL);
}

const WAITING = averageLevel('inference_queue_requests', [], 5 * MINUTE_S, 'sum', BY_MODEL);
const SOON_WAITING: PredictionMeasure = {
  kind: 'prediction',
  metric: 'inference_queue_requests',
  where: [],
  windowS: 5 * MINUTE_S,
  horizonS: 5 * MINUTE_S,
  aggregate: 'sum',
  by: BY_MODEL,
};

export const QUERY_ALERTS: readonly AlertRule[] = [
  {
    name: 'VitrineErrorSurge',
    severity: 'page',
    expression: {
      kind: 'threshold',
      measure: share(
        counter('inference_requests_total', having({ outcome: ['error', 'expired'] })),
        TO_ANSWER,
        5 * MINUTE_S,
        BY_MODEL,
      ),
      op: '>',
      threshold: 0.05,
      guards: [guard(increase(TO_ANSWER, 5 * MINUTE_S, BY_MODEL), '>=', 20)],
    },
    forS: MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{model}: {value} of queries fail',
    description:
      'Over the last 5 minutes {value} of the queries of {model} ended in an error of the service or missed their deadline. More than 5% fires.',
    valueUnit: 'ratio',
    runbook: 'error-surge',
    dashboard: MODEL_DASHBOARD,
    place: 'gateway',
    drill: { drill: 'errors' },
    inhibits: [],
  },
  {
    name: 'VitrineRefusals',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: share(
        counter('inference_requests_total', having({ outcome: ['rejected'] })),
        TO_ANSWER,
        5 * MINUTE_S,
        BY_MODEL,
      ),
      op: '>',
      threshold: 0.05,
      guards: [guard(increase(TO_ANSWER, 5 * MINUTE_S, BY_MODEL), '>=', 20)],
    },
    forS: MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{model}: {value} of queries are refused',
    description:
      'Over the last 5 minutes {value} of the queries of {model} were answered 503: there was no room or no ready worker for them. More than 5% fires.',
    valueUnit: 'ratio',
    runbook: 'refusals',
    dashboard: MODEL_DASHBOARD,
    place: 'gateway',
    drill: { drill: 'overload' },
    inhibits: [],
  },
  {
    name: 'VitrineLatencyP99High',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: latency(0.99, 5 * MINUTE_S),
      op: '>',
      threshold: 0.5,
      guards: [guard(answered(5 * MINUTE_S), '>=', 100)],
    },
    forS: 5 * MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{model}: one query in a hundred takes {value} or longer',
    description:
      'The 99th percentile of the time that the service takes for answered queries of {model} has been above 500ms for 5 minutes; it is {value}.',
    valueUnit: 'seconds',
    runbook: 'latency-p99-high',
    dashboard: MODEL_DASHBOARD,
    place: 'gateway',
    drill: { drill: 'slow-compute' },
    inhibits: [],
  },
  {
    name: 'VitrineLatencyRising',
    severity: 'ticket',
    expression: {
      kind: 'against_past',
      measure: latency(0.9, HOUR_S),
      offsetS: DAY_S,
      op: '>',
      factor: 2,
      guards: [guard(latency(0.9, HOUR_S), '>', 0.01), guard(answered(HOUR_S), '>=', 500)],
      pastGuards: [guard(answered(HOUR_S), '>=', 500)],
    },
    forS: 15 * MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{model}: {value} as slow as at this hour yesterday',
    description:
      'Nine in ten answered queries of {model} took up to {value} as long over the last hour as over the same hour of the day before. More than 2x fires, above 10ms.',
    valueUnit: 'factor',
    runbook: 'latency-rising',
    dashboard: MODEL_DASHBOARD,
    place: 'gateway',
    drill: { noDrill: 'it compares with the day before, of which a drill has no samples' },
    inhibits: [],
  },
  {
    name: 'VitrineQueueGrowing',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: quotient(SOON_WAITING, WAITING),
      op: '>',
      threshold: 2,
      guards: [guard(WAITING, '>=', 10)],
    },
    forS: 2 * MINUTE_S,
    keepFiringForS: 5 * MINUTE_S,
    labels: SYSTEM_LABEL,
    summary: '{model}: the queue grows, to {value} its length within 5 minutes',
    description:
      'More queries of {model} arrive than its inference threads finish: as it grows, {value} as many will wait in 5 minutes as did over the last 5. More than 2x fires, from 10 waiting queries on.',
    valueUnit: 'factor',
    runbook: 'queue-growing',
    dashboard: MODEL_DASHBOARD,
    place: 'worker',
    drill: { drill: 'overload' },
    inhibits: [],
  },
  {
    name: 'VitrineModelNotLoaded',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: level('inference_repository_models', having({ state: ['UNAVAILABLE'] }), 'sum', [
        'model',
        'version',
      ]),
      op: '>',
      threshold: 0,
      guards: [],
    },
    forS: MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{model} version {version} cannot be loaded',
    description:
      'Workers that could not load version {version} of {model}: {value}. They answer queries for it with an error.',
    valueUnit: 'number',
    runbook: 'model-not-loaded',
    dashboard: MODEL_DASHBOARD,
    place: 'worker',
    drill: { noDrill: 'it takes a broken model in the repository, into which no drill writes' },
    inhibits: [],
  },
];
