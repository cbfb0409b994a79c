/** The graphs of the overview: rate, errors, duration, and the same by model. */
import { alertThreshold } from './alert_threshold.ts';
import { dashboardLink, tracesLink } from './links.ts';
import { GOOD, NEUTRAL, OUTCOME_COLORS, QUANTILE_COLORS } from './palette.ts';
import { type SizedPanel, series } from './panel.ts';
import { level, observedPerSecond, perSecond, promql, quantile, summedPerSecond } from './promql.ts';
import { badShare, outcomesThatAre } from './query_expressions.ts';
import { seriesLabel } from './variables.ts';

const ANSWERED = { outcome: outcomesThatAre('good') };
const FAILING = alertThreshold('VitrineErrorSurge');

const QUANTILES = [
  ['p50', 0.5],
  ['p95', 0.95],
  ['p99', 0.99],
] as const;

export const RED: readonly SizedPanel[] = [
  series({
    title: 'Rate, by outcome',
    shows: 'Queries that ended, a second, by how they ended.',
    bad: "red, orange and yellow: the service failed them. Blue and grey are the callers' own.",
    unit: 'reqps',
    queries: [{ expr: perSecond('inference_requests_total', { by: ['outcome'] }), legend: '{{outcome}}' }],
    colors: OUTCOME_COLORS,
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Errors, by model',
    shows: 'Share of queries that the service failed to answer, of those that it had to. A gap: no traffic.',
    bad: 'above the line an alert is due.',
    alerts: ['VitrineErrorSurge', 'VitrineRefusals'],
    unit: 'percentunit',
    queries: [{ expr: badShare(['model']), legend: '{{model}}' }],
    limits: [FAILING],
    reach: 2 * FAILING,
    width: 8,
    links: [
      dashboardLink('Model', 'vitrine-model', { model: seriesLabel('model') }),
      tracesLink('Failed traces in Jaeger', { tags: 'error=true' }),
    ],
  }),
  series({
    title: 'Duration',
    shows:
      'What the service took for answered queries, without sending and receiving. A point is one query: open its trace.',
    bad: 'p99 that leaves p50 behind: some queries wait. All three rising: everything is slow.',
    alerts: ['VitrineLatencyP99High'],
    unit: 's',
    queries: QUANTILES.map(([legend, share]) => ({
      expr: quantile(share, 'inference_service_duration_seconds', { where: ANSWERED }),
      legend,
      exemplars: share === 0.99,
    })),
    colors: QUANTILE_COLORS,
    width: 8,
  }),
];

export const BY_MODEL: readonly SizedPanel[] = [
  series({
    title: 'Rate, by model',
    shows: 'Queries that ended, a second.',
    bad: 'a model that falls to nothing, or rises beyond what its workers can take.',
    unit: 'reqps',
    queries: [{ expr: perSecond('inference_requests_total', { by: ['model'] }), legend: '{{model}}' }],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'p99, by model',
    shows: 'One answered query in a hundred took the service longer than this. A gap: no traffic.',
    bad: 'above the line an alert is due.',
    alerts: ['VitrineLatencyP99High'],
    unit: 's',
    queries: [
      {
        expr: quantile(0.99, 'inference_service_duration_seconds', { by: ['model'], where: ANSWERED }),
        legend: '{{model}}',
        exemplars: true,
      },
    ],
    limits: [alertThreshold('VitrineLatencyP99High')],
    width: 8,
    links: [dashboardLink('Model', 'vitrine-model', { model: seriesLabel('model') })],
  }),
  series({
    title: 'In flight, by model',
    shows: 'Queries begun and not ended.',
    bad: 'it grows while the rate does not: queries pile up.',
    unit: 'short',
    queries: [
      {
        expr: level('sum', 'inference_in_flight_requests', { by: ['model'] }),
        legend: '{{model}}',
      },
    ],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Mean duration, by model',
    shows: 'Headers parsed to answer finished, sending and receiving with it.',
    bad: 'it rises while p99 of the service does not: callers or the network to them are slow.',
    unit: 's',
    queries: [
      {
        expr: promql`${summedPerSecond('inference_request_duration_seconds', { by: ['model'] })} / (${observedPerSecond('inference_request_duration_seconds', { by: ['model'] })} > 0)`,
        legend: '{{model}}',
      },
    ],
    width: 8,
  }),
  series({
    title: 'Begun and ended',
    shows: 'Queries that began and that ended, a second; the two lines lie on each other.',
    bad: 'more begin than end: queries pile up.',
    unit: 'reqps',
    queries: [
      { expr: perSecond('inference_requests_begun_total'), legend: 'begun' },
      { expr: perSecond('inference_requests_total'), legend: 'ended' },
    ],
    colors: { begun: NEUTRAL, ended: GOOD },
    dashed: ['begun'],
    width: 8,
  }),
  series({
    title: 'Refused, by reason',
    shows: 'Queries that were answered with an error, a second, by its code.',
    bad: 'any code that the callers did not bring about themselves.',
    unit: 'reqps',
    queries: [{ expr: perSecond('inference_refusals_total', { by: ['reason'] }), legend: '{{reason}}' }],
    stacked: true,
    width: 8,
  }),
];
