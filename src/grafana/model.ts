/** One model: how fast, where the time goes, how it is batched and queued, and its versions side by side. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { STAGES, UNATTRIBUTED } from '../contract/stages.ts';
import { MINUTE_S } from '../slo/alert_labels.ts';
import type { Objective } from '../slo/objective.ts';
import { alertThreshold } from './alert_threshold.ts';
import { dashboardLink, tracesLink } from './links.ts';
import { ANSWERED, MODEL, objectiveLines, TRACES, VERSIONED } from './model_selection.ts';
import { BATCHING, COST, VERSIONS } from './model_work.ts';
import { BUDGET_STEPS, burnSteps } from './objective_steps.ts';
import { BAD, GOOD, NEUTRAL, OUTCOME_COLORS, QUANTILE_COLORS, STAGE_COLORS, WARN } from './palette.ts';
import { heatmap, type SizedPanel, series, stat } from './panel.ts';
import {
  bucketGrowth,
  level,
  observedPerSecond,
  perSecond,
  promql,
  quantile,
  recorded,
  summedPerSecond,
} from './promql.ts';
import { badShare, known } from './query_expressions.ts';
import { dashboard } from './shell.ts';

const NO_TRAFFIC = 'no traffic';
const NO_OBJECTIVE = 'no objective or traffic';
const FAILING = alertThreshold('VitrineErrorSurge');
const SERVICE = 'inference_service_duration_seconds';

function atAGlance(objectives: readonly Objective[]): readonly SizedPanel[] {
  const quantileNow = (title: string, share: number, of: string): SizedPanel =>
    stat({
      title,
      shows: `${of} took the service longer than this, without sending and receiving.`,
      bad: 'above the objective, the dashed line of the graph below.',
      unit: 's',
      queries: [{ expr: known(quantile(share, SERVICE, { where: ANSWERED })), legend: '' }],
      steps: [NEUTRAL],
      none: NO_TRAFFIC,
      width: 3,
    });
  return [
    stat({
      title: 'Queries',
      shows: 'Queries of this model that ended, a second.',
      bad: 'a number far from the usual one for this hour.',
      unit: 'reqps',
      queries: [{ expr: perSecond('inference_requests_total', { where: VERSIONED }), legend: '' }],
      steps: [NEUTRAL],
      none: 'nothing scraped',
      width: 3,
    }),
    stat({
      title: 'Not answered',
      shows: 'Share of queries that the service failed to answer, of those that it had to.',
      bad: 'red where an alert is due.',
      alerts: ['VitrineErrorSurge', 'VitrineRefusals'],
      unit: 'percentunit',
      queries: [{ expr: badShare([], VERSIONED), legend: '' }],
      steps: [GOOD, [FAILING / 10, WARN], [FAILING, BAD]],
      none: NO_TRAFFIC,
      decimals: 2,
      width: 3,
    }),
    quantileNow('p50', 0.5, 'Half of the answered queries'),
    quantileNow('p99', 0.99, 'One answered query in a hundred'),
    stat({
      title: 'Least budget left',
      shows: "Of this model's objectives, the smallest share of the error budget that the period still has.",
      bad: 'below 25%, and worse below 0: an objective is missed.',
      unit: 'percentunit',
      queries: [
        { expr: promql`min(${recorded('slo:period_error_budget_remaining:ratio', MODEL)})`, legend: '' },
      ],
      steps: BUDGET_STEPS,
      none: NO_OBJECTIVE,
      decimals: 1,
      width: 3,
      links: [dashboardLink('Objectives', 'vitrine-objectives')],
    }),
    stat({
      title: 'Fastest burn',
      shows: "Of this model's objectives, how many times too fast the budget burned over the last 5 minutes.",
      bad: 'above 1 the budget ends before the period; where a page is due it is red.',
      alerts: ['VitrineBudgetBurnsFast'],
      unit: 'none',
      queries: [{ expr: promql`max(${recorded('slo:current_burn_rate:ratio', MODEL)} >= 0)`, legend: '' }],
      steps: burnSteps(objectives, 5 * MINUTE_S),
      none: NO_OBJECTIVE,
      decimals: 2,
      width: 3,
      links: [dashboardLink('Objectives', 'vitrine-objectives')],
    }),
    stat({
      title: 'In flight',
      shows: 'Queries begun and not ended.',
      bad: 'it grows while the rate does not: queries pile up.',
      unit: 'short',
      queries: [{ expr: level('sum', 'inference_in_flight_requests', { where: MODEL }), legend: '' }],
      steps: [NEUTRAL],
      none: 'nothing scraped',
      width: 3,
    }),
    stat({
      title: 'Waiting',
      shows: 'Queries that wait for an inference thread, at all workers.',
      bad: 'more than the threads run in a batch or two.',
      alerts: ['VitrineQueueGrowing'],
      unit: 'short',
      queries: [{ expr: level('sum', 'inference_queue_requests', { where: MODEL }), legend: '' }],
      steps: [GOOD, [10, WARN], [100, BAD]],
      none: 'nothing scraped',
      width: 3,
    }),
  ];
}

function latency(objectives: readonly Objective[]): readonly SizedPanel[] {
  const objective = objectiveLines(objectives);
  const legends = (objective?.names ?? []).map((name) => `objective ${name}`);
  return [
    series({
      title: 'Duration',
      shows:
        'What the service took for answered queries, without sending and receiving; dashed, what its objectives allow. A point is one query: open its trace.',
      bad: 'p99 above a dashed line: the budget burns. p99 that leaves p50 behind: some queries wait; the stages below say where.',
      alerts: ['VitrineLatencyP99High', 'VitrineLatencyRising', 'VitrineBudgetBurnsFast'],
      unit: 's',
      queries: [
        ...(
          [
            ['p50', 0.5],
            ['p95', 0.95],
            ['p99', 0.99],
          ] as const
        ).map(([legend, share]) => ({
          expr: quantile(share, SERVICE, { where: ANSWERED }),
          legend,
          exemplars: share === 0.99,
        })),
        ...(objective === undefined ? [] : [{ expr: objective.expr, legend: 'objective {{slo}}' }]),
      ],
      colors: { ...QUANTILE_COLORS, ...Object.fromEntries(legends.map((legend) => [legend, BAD])) },
      dashed: legends,
      calcs: ['lastNotNull', 'max'],
      width: 12,
      height: 9,
      links: [tracesLink('Traces in Jaeger', TRACES)],
    }),
    heatmap({
      title: 'Durations',
      shows:
        'Queries by what the service took for them, whatever their outcome; the darker, the more. A point is one query: open its trace.',
      bad: 'a second band above the first: one kind of query, one worker or one version is slow.',
      unit: 's',
      query: { expr: bucketGrowth(SERVICE, VERSIONED), legend: '{{le}}', exemplars: true },
      width: 12,
      height: 9,
      links: [tracesLink('Traces in Jaeger', TRACES)],
    }),
  ];
}

const LEDGER = [...STAGES, UNATTRIBUTED];

const TIME: readonly SizedPanel[] = [
  series({
    title: 'Where the time goes, mean of a query',
    shows:
      'Every stage of the ledger, stacked in the order in which a query meets them: what a mean query spent in each. They sum to the total, the dashed line. All versions and outcomes.',
    bad: 'the stage that grew is where to look. unattributed that can be seen: the ledger is broken.',
    unit: 's',
    queries: [
      {
        expr: promql`${summedPerSecond('inference_stage_duration_seconds', { by: ['stage'], where: MODEL })} / on () group_left () (${observedPerSecond('inference_request_duration_seconds', { where: MODEL })} > 0)`,
        legend: '{{stage}}',
      },
      {
        expr: promql`${summedPerSecond('inference_request_duration_seconds', { where: MODEL })} / (${observedPerSecond('inference_request_duration_seconds', { where: MODEL })} > 0)`,
        legend: 'total',
      },
    ],
    colors: { ...STAGE_COLORS, total: NEUTRAL },
    stacked: true,
    dashed: ['total'],
    order: [...LEDGER, 'total'],
    width: 12,
    height: 11,
    links: [tracesLink('Traces in Jaeger', TRACES)],
  }),
  series({
    title: 'Slowest stages, p99',
    shows:
      'Of each stage by itself: one query in a hundred spent longer in it. They do not sum to anything. A point is one query: open its trace.',
    bad: 'a stage whose line leaves the others: the slow queries wait there.',
    unit: 's',
    queries: [
      {
        expr: quantile(0.99, 'inference_stage_duration_seconds', { by: ['stage'], where: MODEL }),
        legend: '{{stage}}',
        exemplars: true,
      },
    ],
    colors: STAGE_COLORS,
    width: 12,
    height: 11,
    links: [tracesLink('Traces in Jaeger', TRACES)],
  }),
];

const TRAFFIC: readonly SizedPanel[] = [
  series({
    title: 'Rate, by outcome',
    shows: 'Queries that ended, a second, by how they ended.',
    bad: "red, orange and yellow: the service failed them. Blue and grey are the callers' own.",
    unit: 'reqps',
    queries: [
      {
        expr: perSecond('inference_requests_total', { by: ['outcome'], where: VERSIONED }),
        legend: '{{outcome}}',
      },
    ],
    colors: OUTCOME_COLORS,
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Not answered, by outcome',
    shows: 'Share of queries that the service failed to answer, of those that it had to. A gap: no traffic.',
    bad: 'above the line an alert is due. rejected: no room or no worker; expired: too slow; error: it broke.',
    alerts: ['VitrineErrorSurge', 'VitrineRefusals'],
    unit: 'percentunit',
    queries: (['rejected', 'expired', 'error'] as const).map((outcome) => ({
      expr: promql`${perSecond('inference_requests_total', { where: { ...VERSIONED, outcome } })} / (${perSecond('inference_requests_total', { where: { ...VERSIONED, outcome: ['ok', 'rejected', 'expired', 'error'] } })} > 0)`,
      legend: outcome,
    })),
    colors: OUTCOME_COLORS,
    stacked: true,
    limits: [FAILING],
    reach: 2 * FAILING,
    width: 8,
    links: [tracesLink('Failed traces in Jaeger', { ...TRACES, tags: 'error=true' })],
  }),
  series({
    title: 'Refused, by reason',
    shows: 'Queries that were answered with an error, a second, by its code.',
    bad: 'any code that the callers did not bring about themselves. Empty: none since the gateway began.',
    unit: 'reqps',
    queries: [
      {
        expr: perSecond('inference_refusals_total', { by: ['reason'], where: MODEL }),
        legend: '{{reason}}',
      },
    ],
    stacked: true,
    width: 8,
  }),
];

export function model(objectives: readonly Objective[]): Dashboard {
  return dashboard({
    uid: 'vitrine-model',
    title: 'Vitrine / Model',
    description: 'One model: how fast, where the time goes, batches, queue, versions.',
    from: 'now-1h',
    variables: [
      {
        name: 'model',
        label: 'Model',
        description: 'One at a time; unknown: queries for models that the repository does not have.',
        query: 'label_values(inference_requests_begun_total, model)',
      },
      {
        name: 'version',
        label: 'Version',
        description: 'Versions of the model. What has no version counts for all.',
        query: 'label_values(inference_requests_total{model="$model", version!=""}, version)',
        all: '.*',
      },
    ],
    alertsOf: { model: { pattern: '$model|' } },
    model: '$model',
    traces: TRACES,
    sections: [
      { panels: atAGlance(objectives) },
      { title: 'Latency', panels: latency(objectives) },
      { title: 'Where the time goes', panels: TIME },
      { title: 'Traffic and errors', panels: TRAFFIC },
      { title: 'Batches and queue', panels: BATCHING },
      { title: 'Versions side by side', panels: VERSIONS },
      { title: 'Cost and loading', collapsed: true, panels: COST },
    ],
  });
}
