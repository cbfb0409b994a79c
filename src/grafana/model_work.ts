/** The part of a model's dashboard that is about its workers: batches, queue, versions, cost. */
import { alertThreshold } from './alert_threshold.ts';
import { tracesLink } from './links.ts';
import { ANSWERED, MODEL, TRACES, VERSIONED } from './model_selection.ts';
import { BAD, GOOD, MUTED, NEUTRAL, OUTCOME_COLORS, QUANTILE_COLORS, STAGE_COLORS, WARN } from './palette.ts';
import { heatmap, type SizedPanel, series } from './panel.ts';
import {
  bucketGrowth,
  level,
  meanSoFar,
  observedPerSecond,
  perSecond,
  promql,
  quantile,
  summedPerSecond,
} from './promql.ts';
import { badShare } from './query_expressions.ts';

export const BATCHING: readonly SizedPanel[] = [
  series({
    title: 'Rows in a batch',
    shows: 'How many rows the model was given at once.',
    bad: 'it stays at 1 while queries wait: nothing is batched.',
    unit: 'short',
    queries: [
      {
        expr: promql`${summedPerSecond('inference_batch_rows', { where: MODEL })} / (${observedPerSecond('inference_batch_rows', { where: MODEL })} > 0)`,
        legend: 'mean',
      },
      { expr: quantile(0.5, 'inference_batch_rows', { where: MODEL }), legend: 'p50' },
      { expr: quantile(0.95, 'inference_batch_rows', { where: MODEL }), legend: 'p95' },
    ],
    colors: QUANTILE_COLORS,
    width: 8,
  }),
  series({
    title: 'Batches, by why they closed',
    shows:
      'Batches run, a second. full: it had the most rows. delay: the longest wait of its oldest query was over. deadline: a member had no more time. drain: the worker ends.',
    bad: 'deadline: queries arrive with too little time. Only delay, with small batches: the wait buys nothing.',
    unit: 'ops',
    queries: [
      {
        expr: perSecond('inference_batches_total', { by: ['close_reason'], where: MODEL }),
        legend: '{{close_reason}}',
      },
    ],
    colors: { full: GOOD, delay: NEUTRAL, deadline: OUTCOME_COLORS.expired, drain: MUTED },
    stacked: true,
    width: 8,
  }),
  heatmap({
    title: 'Batch sizes',
    shows: 'Batches by rows; the darker, the more.',
    bad: 'two bands, one at 1: traffic comes in bursts, and between them every query goes alone.',
    unit: 'short',
    query: { expr: bucketGrowth('inference_batch_rows', MODEL), legend: '{{le}}' },
    width: 8,
  }),
  series({
    title: 'Waiting queries, by worker',
    shows: 'Queries that wait for an inference thread.',
    bad: 'a line that climbs and does not come down: more arrives than is finished. One worker far above the others: it is slow.',
    alerts: ['VitrineQueueGrowing'],
    unit: 'short',
    queries: [
      {
        expr: level('sum', 'inference_queue_requests', { by: ['instance'], where: MODEL }),
        legend: '{{instance}}',
      },
    ],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Waiting, p99',
    shows:
      'One query in a hundred waited longer. queue: no thread was free. batch_wait: a thread was free and the batch was kept open for more rows. A point is one query.',
    bad: 'queue above the compute of a batch or two: saturated. batch_wait at the longest delay with small batches: the delay costs and brings nothing.',
    unit: 's',
    queries: (['queue', 'batch_wait'] as const).map((stage) => ({
      expr: quantile(0.99, 'inference_stage_duration_seconds', { where: { ...MODEL, stage } }),
      legend: stage,
      exemplars: true,
    })),
    colors: STAGE_COLORS,
    width: 8,
  }),
  series({
    title: 'Left the queue without running',
    shows:
      'Queries a second. expired: the deadline passed while it waited. cancelled: the caller went away. requests, bytes: refused with 503, because the queue had its limit.',
    bad: 'anything but cancelled.',
    unit: 'reqps',
    queries: [
      {
        expr: perSecond('vitrine_queue_departures_total', { by: ['reason'], where: MODEL }),
        legend: '{{reason}}',
      },
      {
        expr: perSecond('vitrine_queue_refusals_total', { by: ['limit'], where: MODEL }),
        legend: '{{limit}}',
      },
    ],
    colors: {
      expired: OUTCOME_COLORS.expired,
      cancelled: OUTCOME_COLORS.cancelled,
      requests: WARN,
      bytes: BAD,
    },
    stacked: true,
    width: 8,
  }),
];

/** Of legends that end with the state. */
const STATE_COLORS = { READY$: GOOD, LOADING$: NEUTRAL, UNAVAILABLE$: BAD };

export const VERSIONS: readonly SizedPanel[] = [
  series({
    title: 'Rate, by version',
    shows: 'Queries that ended, a second. Those refused before a version was chosen have none.',
    bad: 'a version that should take traffic and takes none, or the other way round.',
    unit: 'reqps',
    queries: [
      {
        expr: perSecond('inference_requests_total', { by: ['version'], where: VERSIONED }),
        legend: 'version {{version}}',
      },
    ],
    stacked: true,
    width: 6,
  }),
  series({
    title: 'p50 and p99, by version',
    shows: 'What the service took for answered queries.',
    bad: 'a newer version above the older one.',
    unit: 's',
    queries: (
      [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const
    ).map(([name, share]) => ({
      expr: quantile(share, 'inference_service_duration_seconds', { by: ['version'], where: ANSWERED }),
      legend: `${name}, version {{version}}`,
      exemplars: share === 0.99,
    })),
    width: 6,
  }),
  series({
    title: 'Not answered, by version',
    shows: 'Share of queries that the service failed to answer, of those that it had to. A gap: no traffic.',
    bad: 'a newer version above the older one, or the line.',
    unit: 'percentunit',
    queries: [{ expr: badShare(['version'], VERSIONED), legend: 'version {{version}}' }],
    limits: [alertThreshold('VitrineErrorSurge')],
    reach: 2 * alertThreshold('VitrineErrorSurge'),
    width: 6,
    links: [tracesLink('Failed traces in Jaeger', { ...TRACES, tags: 'error=true' })],
  }),
  series({
    title: 'Versions, by state',
    shows: 'Workers that have a version READY, LOADING or UNAVAILABLE.',
    bad: 'UNAVAILABLE: those workers answer it with an error.',
    alerts: ['VitrineModelNotLoaded'],
    unit: 'short',
    queries: [
      {
        expr: level('sum', 'inference_repository_models', { by: ['version', 'state'], where: VERSIONED }),
        legend: '{{version}} {{state}}',
      },
    ],
    colorsByPattern: STATE_COLORS,
    width: 6,
  }),
];

export const COST: readonly SizedPanel[] = [
  series({
    title: 'Compute per answered query',
    shows:
      'Time of inference threads per answered query, by its share of the batch. An estimate: a batch is divided by elements.',
    bad: 'it rises with the same inputs: batches shrink, or the machine is busy with something else.',
    unit: 's',
    queries: [
      {
        expr: promql`${perSecond('inference_attributed_seconds_total', { where: MODEL })} / on () (${perSecond('inference_requests_total', { where: { model: '$model', outcome: 'ok' } })} > 0)`,
        legend: 'compute',
      },
    ],
    colors: { compute: STAGE_COLORS.compute },
    width: 8,
  }),
  series({
    title: 'Energy per answered query',
    shows:
      'Energy of GPUs per answered query, by its share of the batch. An estimate; nothing where models run without a GPU that counts its energy.',
    bad: 'it rises with the same inputs: batches shrink.',
    unit: 'joule',
    queries: [
      {
        expr: promql`${perSecond('inference_attributed_energy_joules_total', { where: MODEL })} / on () (${perSecond('inference_requests_total', { where: { model: '$model', outcome: 'ok' } })} > 0)`,
        legend: 'energy',
      },
    ],
    colors: { energy: NEUTRAL },
    width: 8,
  }),
  series({
    title: 'Padding',
    shows: 'Share of the elements that the model was given which only made rows equally long.',
    bad: 'above a third: queries of very different lengths share batches.',
    unit: 'percentunit',
    queries: [
      {
        expr: promql`${perSecond('inference_batch_elements_total', { where: { ...MODEL, kind: 'padding' } })} / (${perSecond('inference_batch_elements_total', { where: MODEL })} > 0)`,
        legend: 'padding',
      },
    ],
    colors: { padding: MUTED },
    most: 1,
    width: 8,
  }),
  series({
    title: 'Memory of waiting queries',
    shows: 'Prepared inputs of queries that wait for an inference thread, by worker.',
    bad: 'near the limit of the queue: then queries are refused.',
    unit: 'bytes',
    queries: [
      {
        expr: level('sum', 'inference_queue_bytes', { by: ['instance'], where: MODEL }),
        legend: '{{instance}}',
      },
    ],
    stacked: true,
    width: 12,
  }),
  series({
    title: 'Loading',
    shows: 'How long workers took to load and warm up a version, as far as they are still running.',
    bad: 'minutes: restarts leave room unused for as long.',
    unit: 's',
    queries: [
      {
        expr: meanSoFar('inference_repository_load_duration_seconds', {
          by: ['version', 'outcome'],
          where: MODEL,
        }),
        legend: 'version {{version}}: {{outcome}}',
      },
    ],
    width: 12,
  }),
];
