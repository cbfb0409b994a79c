/** Processes and the machine: utilization, saturation, errors, memory, and GPUs where there are any. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { alertThreshold } from './alert_threshold.ts';
import { ATTEMPT_COLORS, BAD, GOOD, LOST, WARN } from './palette.ts';
import { type SizedPanel, series, stat, timeline } from './panel.ts';
import { each, level, perSecond, promql, resets, scraped, summedPerSecond } from './promql.ts';
import { dashboard } from './shell.ts';
import { GPU } from './workers_gpu.ts';

const NOTHING = 'nothing scraped';
const BUSY = alertThreshold('VitrineInferenceThreadSaturated');
const STALL_S = alertThreshold('VitrineEventLoopDelayed');
const RESTARTS = alertThreshold('VitrineProcessRestarting');
const BY_PROCESS = ['instance'] as const;

const memoryFullness = promql`${each('process_memory_usage_bytes')} / ${each('process_memory_limit_bytes')}`;
const threads = perSecond('inference_executor_busy_seconds_total', { by: ['instance', 'thread'] });

const AT_A_GLANCE: readonly SizedPanel[] = [
  stat({
    title: 'Processes',
    shows: 'Processes that answer scrapes, and that do not.',
    bad: 'any that does not answer: it hangs, or cannot be reached.',
    alerts: ['VitrineGatewayDown', 'VitrineTargetDown'],
    unit: 'none',
    queries: [
      { expr: promql`sum(${scraped('up')})`, legend: 'up' },
      { expr: promql`count(${scraped('up')}) - sum(${scraped('up')})`, legend: 'down' },
    ],
    steps: [BAD, [1, GOOD]],
    stepsOf: { down: [GOOD, [1, BAD]] },
    none: NOTHING,
    width: 4,
  }),
  stat({
    title: 'Workers',
    shows: 'Workers that the gateway knows, by whether they serve.',
    bad: 'none ready: every query is refused. Some that do not serve: less room.',
    alerts: ['VitrineNoWorkerReady', 'VitrineWorkerDown'],
    unit: 'none',
    queries: [
      { expr: level('max', 'vitrine_gateway_workers', { where: { state: 'ready' } }), legend: 'ready' },
      {
        expr: level('max', 'vitrine_gateway_workers', { where: { state: 'not_ready' } }),
        legend: 'not ready',
      },
    ],
    steps: [BAD, [alertThreshold('VitrineNoWorkerReady'), GOOD]],
    stepsOf: { 'not ready': [GOOD, [1, WARN]] },
    none: 'no gateway',
    width: 4,
  }),
  stat({
    title: 'Restarts within an hour',
    shows: 'How often processes that are scraped began anew within the last hour.',
    bad: 'any restart is worth a look; a process that keeps restarting loses what it holds each time.',
    alerts: ['VitrineProcessRestarting'],
    unit: 'none',
    queries: [{ expr: resets('process_uptime_seconds', '1h', []), legend: '' }],
    steps: [GOOD, [1, WARN], [RESTARTS, BAD]],
    none: NOTHING,
    width: 4,
  }),
  stat({
    title: 'Busiest inference thread',
    shows: 'Share of the time that it ran batches.',
    bad: 'red where an alert is due: queries wait for it.',
    alerts: ['VitrineInferenceThreadSaturated'],
    unit: 'percentunit',
    queries: [{ expr: promql`max(${threads})`, legend: '' }],
    steps: [GOOD, [0.7, WARN], [BUSY, BAD]],
    none: NOTHING,
    decimals: 0,
    width: 4,
  }),
  stat({
    title: 'Longest stall',
    shows: 'For how long the event loop of a process stood still, at most, within the last 15 seconds.',
    bad: 'every query that the process holds waits as long. Red where an alert is due if it stays.',
    alerts: ['VitrineEventLoopDelayed'],
    unit: 's',
    queries: [{ expr: level('max', 'nodejs_eventloop_delay_max_seconds'), legend: '' }],
    steps: [GOOD, [STALL_S / 2, WARN], [STALL_S, BAD]],
    none: NOTHING,
    width: 4,
  }),
  stat({
    title: 'Fullest memory',
    shows: 'Resident memory of the process that is nearest to its limit, as a share of it.',
    bad: 'near 100%: at the limit it is killed, with the queries that it holds.',
    alerts: ['VitrineProcessMemoryFilling'],
    unit: 'percentunit',
    queries: [{ expr: promql`max(${memoryFullness})`, legend: '' }],
    steps: [GOOD, [0.7, WARN], [0.9, BAD]],
    none: NOTHING,
    decimals: 0,
    width: 4,
  }),
];

const UTILIZATION: readonly SizedPanel[] = [
  series({
    title: 'Inference threads',
    shows: 'Share of the time that each inference thread ran batches.',
    bad: 'above the line an alert is due. One thread at 100% beside idle ones: a model has too few instances.',
    alerts: ['VitrineInferenceThreadSaturated'],
    unit: 'percentunit',
    queries: [{ expr: threads, legend: '{{instance}} thread {{thread}}' }],
    limits: [BUSY],
    reach: 1,
    width: 8,
  }),
  series({
    title: 'Processor',
    shows: 'Cores that each process uses.',
    bad: 'all processes together near the cores of the machine: they take from each other.',
    unit: 'short',
    queries: [
      { expr: perSecond('process_cpu_time_seconds_total', { by: BY_PROCESS }), legend: '{{instance}}' },
    ],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Event loops',
    shows: 'Share of the time in which the event loop of each process was not idle.',
    bad: 'near 100%: the process itself is the bottleneck, not its models.',
    unit: 'percentunit',
    queries: [{ expr: each('nodejs_eventloop_utilization_ratio'), legend: '{{instance}}' }],
    reach: 1,
    width: 8,
  }),
];

const SATURATION: readonly SizedPanel[] = [
  series({
    title: 'Waiting queries, by worker',
    shows: 'Queries of all models that wait for an inference thread.',
    bad: 'a line that climbs and does not come down. One worker far above the others: it is slow.',
    alerts: ['VitrineQueueGrowing'],
    unit: 'short',
    queries: [{ expr: level('sum', 'inference_queue_requests', { by: BY_PROCESS }), legend: '{{instance}}' }],
    stacked: true,
    width: 6,
  }),
  series({
    title: 'Event-loop stalls',
    shows: 'For how long the event loop stood still, at most, within 15 seconds.',
    bad: 'above the line for minutes an alert is due; every query that the process holds waits as long.',
    alerts: ['VitrineEventLoopDelayed'],
    unit: 's',
    queries: [{ expr: each('nodejs_eventloop_delay_max_seconds'), legend: '{{instance}}' }],
    limits: [STALL_S],
    width: 6,
  }),
  series({
    title: 'Slots of gateways',
    shows: 'Queries that hold a slot; dashed, how many slots there are.',
    bad: 'at the dashed line new queries are refused with 503.',
    unit: 'short',
    queries: [
      { expr: each('vitrine_gateway_admitted_requests'), legend: '{{instance}}' },
      { expr: each('vitrine_gateway_admitted_limit_requests'), legend: 'limit of {{instance}}' },
    ],
    colorsByPattern: { '^limit of ': BAD },
    dashedPattern: '^limit of ',
    width: 6,
  }),
  series({
    title: 'Waiting for a worker',
    shows: 'Queries that wait at the gateway for a ready worker, or for a free connection to one.',
    bad: 'above 0 for long: workers are down, or hold all their connections.',
    unit: 'short',
    queries: [{ expr: each('vitrine_gateway_route_waiters_requests'), legend: '{{instance}}' }],
    stacked: true,
    width: 6,
  }),
  series({
    title: 'Bodies held by gateways',
    shows: 'Bytes of bodies and answers that gateways hold; dashed, the limit.',
    bad: 'at the dashed line new bodies are refused with 503.',
    unit: 'bytes',
    queries: [
      { expr: each('vitrine_gateway_bodies_usage_bytes'), legend: '{{instance}}' },
      { expr: each('vitrine_gateway_bodies_limit_bytes'), legend: 'limit of {{instance}}' },
    ],
    colorsByPattern: { '^limit of ': BAD },
    dashedPattern: '^limit of ',
    width: 12,
    height: 7,
  }),
  series({
    title: 'Garbage collection',
    shows: 'Share of the time in which each process collected garbage, and did nothing else.',
    bad: 'above a tenth: the heap is too small for what the process holds.',
    unit: 'percentunit',
    queries: [
      { expr: summedPerSecond('v8js_gc_duration_seconds', { by: BY_PROCESS }), legend: '{{instance}}' },
    ],
    reach: 0.1,
    width: 12,
    height: 7,
  }),
];

const ERRORS: readonly SizedPanel[] = [
  timeline({
    title: 'Processes that answer',
    shows: 'Whether each process answered the scrape. Nothing: it was not listed.',
    bad: 'red: listed, and silent. A line that ends: it was taken away.',
    alerts: ['VitrineTargetDown', 'VitrineTargetVanished', 'VitrineGatewayDown'],
    unit: 'none',
    queries: [{ expr: scraped('up'), legend: '{{instance}}' }],
    states: { 1: { text: 'up', color: GOOD }, 0: { text: 'down', color: BAD } },
    width: 8,
  }),
  timeline({
    title: 'Workers that serve',
    shows: 'Whether a gateway finds each worker serving.',
    bad: 'red: queries go to the others. Red for a worker that answers scrapes: it loads models, drains, or the network between is broken.',
    alerts: ['VitrineWorkerDown', 'VitrineNoWorkerReady'],
    unit: 'none',
    queries: [
      { expr: level('min', 'vitrine_gateway_worker_ready', { by: ['worker'] }), legend: '{{worker}}' },
    ],
    states: { 1: { text: 'ready', color: GOOD }, 0: { text: 'not ready', color: BAD } },
    width: 8,
  }),
  series({
    title: 'Restarts',
    shows: 'Processes that began anew, as their uptime fell between two scrapes.',
    bad: 'bars that come back: a process that keeps restarting.',
    alerts: ['VitrineProcessRestarting'],
    unit: 'short',
    queries: [
      { expr: resets('process_uptime_seconds', '$__rate_interval', BY_PROCESS), legend: '{{instance}}' },
    ],
    bars: true,
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Attempts, by outcome',
    shows:
      'Attempts of gateways at workers: ok, error (an answer that is one), lost (no answer), cancelled, deadline.',
    bad: 'lost: a worker died or the network broke; deadline: a worker hangs or is too slow.',
    unit: 'ops',
    queries: [{ expr: perSecond('inference_attempts_total', { by: ['outcome'] }), legend: '{{outcome}}' }],
    colors: ATTEMPT_COLORS,
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Attempts, by worker',
    shows: 'How the load is spread.',
    bad: 'a worker that takes none while it is ready, or far less than its peers.',
    unit: 'ops',
    queries: [{ expr: perSecond('inference_attempts_total', { by: ['worker'] }), legend: '{{worker}}' }],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Suspect bodies',
    shows: 'Bodies that were with a worker when it crashed: suspect, or refused for having crashed two.',
    bad: 'any: some query may be able to crash workers. Forgotten early: more of them than the gateway can know.',
    unit: 'short',
    queries: [
      { expr: level('sum', 'vitrine_gateway_known_bodies'), legend: 'known' },
      {
        expr: perSecond('vitrine_gateway_known_bodies_forgotten_total'),
        legend: 'forgotten early, a second',
      },
    ],
    colors: { known: WARN, 'forgotten early, a second': LOST },
    width: 8,
  }),
];

const MEMORY: readonly SizedPanel[] = [
  series({
    title: 'Memory, of its limit',
    shows: 'Resident memory of each process as a share of the limit at which it cannot go on.',
    bad: 'a line that climbs steadily: it reaches 100% when it is extended.',
    alerts: ['VitrineProcessMemoryFilling'],
    unit: 'percentunit',
    queries: [{ expr: memoryFullness, legend: '{{instance}}' }],
    reach: 1,
    width: 8,
  }),
  series({
    title: 'Resident memory',
    shows: 'Resident memory of each process.',
    bad: 'growth that outlives the load.',
    unit: 'bytes',
    queries: [{ expr: each('process_memory_usage_bytes'), legend: '{{instance}}' }],
    width: 8,
  }),
  series({
    title: 'JavaScript heap',
    shows: 'Heap in use; the rest of the resident memory are models, buffers and code.',
    bad: 'a floor that rises from collection to collection.',
    unit: 'bytes',
    queries: [{ expr: each('v8js_memory_heap_used_bytes'), legend: '{{instance}}' }],
    width: 8,
  }),
];

const DNS: readonly SizedPanel[] = [
  series({
    title: 'Questions to DNS',
    shows: 'Questions of gateways for the list of workers, a second.',
    bad: 'failed: the list stays as it was, and workers that come are not found.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_gateway_dns_lookups_total', { by: ['outcome'] }), legend: '{{outcome}}' },
    ],
    colors: { ok: GOOD, failed: BAD },
    stacked: true,
    width: 12,
  }),
  series({
    title: 'Workers, by state',
    shows: 'Workers that each gateway knows, by whether they serve.',
    bad: 'gateways that know different numbers for long.',
    unit: 'short',
    queries: [
      {
        expr: level('max', 'vitrine_gateway_workers', { by: ['instance', 'state'] }),
        legend: '{{instance}} {{state}}',
      },
    ],
    colorsByPattern: { ' ready$': GOOD, ' not_ready$': WARN },
    width: 12,
  }),
];

export function workers(): Dashboard {
  return dashboard({
    uid: 'vitrine-workers',
    title: 'Vitrine / Workers and GPU',
    description: 'Processes and the machine: utilization, saturation, errors, memory, GPUs.',
    from: 'now-1h',
    sections: [
      { panels: AT_A_GLANCE },
      { title: 'Utilization', panels: UTILIZATION },
      { title: 'Saturation', panels: SATURATION },
      { title: 'Errors', panels: ERRORS },
      { title: 'Memory', panels: MEMORY },
      { title: 'Workers by DNS, where they are found so', collapsed: true, panels: DNS },
      { title: 'GPU, where there is one', collapsed: true, panels: GPU },
    ],
  });
}
