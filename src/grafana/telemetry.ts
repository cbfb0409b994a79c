/** The telemetry itself: whether what the other dashboards show can be believed. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { UNATTRIBUTED } from '../contract/stages.ts';
import { alertThreshold } from './alert_threshold.ts';
import { BAD, GOOD, LOST, MUTED, NEUTRAL, STAGE_COLORS, WARN } from './palette.ts';
import { type SizedPanel, series, stat, timeline } from './panel.ts';
import {
  alerts,
  each,
  grownBy,
  observedPerSecond,
  perSecond,
  promql,
  quantile,
  scraped,
  summedPerSecond,
} from './promql.ts';
import { dashboard } from './shell.ts';
import { CONSOLE } from './telemetry_console.ts';
import { ENRICHER } from './telemetry_enricher.ts';

const NOTHING = 'nothing scraped';
const NO_TRAFFIC = 'no traffic';
const VIOLATED = alertThreshold('VitrineLedgerViolated');
const SHED = alertThreshold('VitrineTracesShed');
/** What docs/telemetry.md promises: at p99 the residue stays under the larger of 50 us and 1 %. */
const RESIDUE_S = 0.00005;
const RESIDUE_SHARE = 0.01;

const LOST_SPANS = ['rejected', 'dropped', 'malformed'];
const RESIDUE = { stage: UNATTRIBUTED } as const;

const violatedShare = promql`${grownBy('vitrine_ledger_violations_total', '15m')} / (${grownBy('inference_requests_total', '15m')} > 0)`;
const ringFullness = promql`${each('vitrine_telemetry_ring_usage_bytes')} / ${each('vitrine_telemetry_ring_limit_bytes')}`;

const AT_A_GLANCE: readonly SizedPanel[] = [
  stat({
    title: 'Processes that answer scrapes',
    shows: 'Processes whose metrics arrive, and those whose do not.',
    bad: 'any that does not answer: its panels stand still or are empty.',
    alerts: ['VitrineTargetDown', 'VitrineTargetAbsent'],
    unit: 'none',
    queries: [
      { expr: promql`sum(${scraped('up')})`, legend: 'up' },
      { expr: promql`count(${scraped('up')}) - sum(${scraped('up')})`, legend: 'down' },
    ],
    steps: [BAD, [1, GOOD]],
    stepsOf: { down: [GOOD, [1, BAD]] },
    none: NOTHING,
    width: 3,
  }),
  stat({
    title: 'Rules evaluated',
    shows: 'The watchdog: an alert that always fires, because alerts are evaluated.',
    bad: '"rules not loaded": no alert can fire, whatever happens.',
    alerts: ['VitrineWatchdog'],
    unit: 'none',
    queries: [
      {
        expr: promql`max(${alerts({ alertname: 'VitrineWatchdog', alertstate: 'firing' })})`,
        legend: '',
      },
    ],
    steps: [GOOD],
    words: { 1: 'yes' },
    none: 'rules not loaded',
    width: 3,
  }),
  stat({
    title: 'Ledger violated',
    shows:
      'Share of queries of the last 15 minutes whose stages did not sum to the total, or whose network took less than no time.',
    bad: 'red where an alert is due: where time goes cannot be told.',
    alerts: ['VitrineLedgerViolated'],
    unit: 'percentunit',
    queries: [{ expr: violatedShare, legend: '' }],
    steps: [GOOD, [VIOLATED / 10, WARN], [VIOLATED, BAD]],
    none: NO_TRAFFIC,
    decimals: 2,
    width: 3,
  }),
  stat({
    title: 'Time that no stage claims',
    shows: 'Share of the time of all queries that is in no stage of the ledger.',
    bad: `above ${RESIDUE_SHARE * 100}%.`,
    unit: 'percentunit',
    queries: [
      {
        expr: promql`${summedPerSecond('inference_stage_duration_seconds', { where: RESIDUE })} / (${summedPerSecond('inference_request_duration_seconds')} > 0)`,
        legend: '',
      },
    ],
    steps: [GOOD, [RESIDUE_SHARE, BAD]],
    none: NO_TRAFFIC,
    decimals: 3,
    width: 4,
  }),
  stat({
    title: 'Traces not kept under pressure',
    shows:
      'Share of the records of the last 5 minutes that were shed or dropped. Metrics count them all the same.',
    bad: 'red where an alert is due: traces are a sample, and not the one that was asked for.',
    alerts: ['VitrineTracesShed'],
    unit: 'percentunit',
    queries: [
      {
        expr: promql`${grownBy('vitrine_telemetry_records_total', '5m', { where: { outcome: ['shed', 'dropped'] } })} / (${grownBy('vitrine_telemetry_records_total', '5m')} > 0)`,
        legend: '',
      },
    ],
    steps: [GOOD, [SHED / 10, WARN], [SHED, BAD]],
    none: NO_TRAFFIC,
    decimals: 2,
    width: 4,
  }),
  stat({
    title: 'Spans lost within 5m',
    shows: 'Spans that the receiver refused, or that were dropped after the last retry.',
    bad: 'any: traces of that time have holes.',
    alerts: ['VitrineSpansDropped'],
    unit: 'short',
    queries: [
      {
        expr: grownBy('vitrine_telemetry_spans_total', '5m', { where: { outcome: LOST_SPANS } }),
        legend: '',
      },
    ],
    steps: [GOOD, [1, BAD]],
    none: NOTHING,
    decimals: 0,
    width: 4,
  }),
  stat({
    title: 'Export failures within 5m',
    shows: 'Export requests that failed, retried or not.',
    bad: 'red where an alert is due: traces wait, and are then dropped.',
    alerts: ['VitrineExporterFailing'],
    unit: 'short',
    queries: [{ expr: grownBy('vitrine_telemetry_export_failures_total', '5m'), legend: '' }],
    steps: [GOOD, [1, WARN], [alertThreshold('VitrineExporterFailing'), BAD]],
    none: NOTHING,
    decimals: 0,
    width: 3,
  }),
];

const LEDGER: readonly SizedPanel[] = [
  series({
    title: 'Residue of the ledger, p99',
    shows: 'Time that no stage claims: one query in a hundred has more.',
    bad: 'above the line for queries that take less than 5 ms, above 1% of the total for slower ones.',
    unit: 's',
    queries: [
      {
        expr: quantile(0.99, 'inference_stage_duration_seconds', { by: ['model'], where: RESIDUE }),
        legend: '{{model}}',
        exemplars: true,
      },
    ],
    limits: [RESIDUE_S],
    width: 8,
  }),
  series({
    title: 'Residue of the ledger, share',
    shows: 'Share of the time of all queries that no stage claims. A gap: no traffic.',
    bad: 'above the line: a stage is missing, or marked at the wrong place.',
    unit: 'percentunit',
    queries: [
      {
        expr: promql`${summedPerSecond('inference_stage_duration_seconds', { by: ['model'], where: RESIDUE })} / (${summedPerSecond('inference_request_duration_seconds', { by: ['model'] })} > 0)`,
        legend: '{{model}}',
      },
    ],
    limits: [RESIDUE_SHARE],
    width: 8,
  }),
  series({
    title: 'Ledger violations',
    shows:
      'Queries a second. unattributed: stages did not sum to the total. network: an attempt took less time than its worker reported.',
    bad: 'steady ones: not a busy machine, but a defect.',
    alerts: ['VitrineLedgerViolated'],
    unit: 'ops',
    queries: [{ expr: perSecond('vitrine_ledger_violations_total', { by: ['kind'] }), legend: '{{kind}}' }],
    colors: { unattributed: STAGE_COLORS.unattributed, network: STAGE_COLORS.network },
    stacked: true,
    width: 8,
  }),
];

const EXPORT: readonly SizedPanel[] = [
  series({
    title: 'Records, by what became of them',
    shows:
      'Records a second. kept: accepted for export. not_kept: the mode decided so. shed: not kept under pressure. dropped: the ring was full.',
    bad: 'shed or dropped: more queries than can be exported.',
    alerts: ['VitrineTracesShed'],
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_telemetry_records_total', { by: ['outcome'] }), legend: '{{outcome}}' },
    ],
    colors: { kept: GOOD, not_kept: MUTED, shed: WARN, dropped: LOST },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Spans, by what became of them',
    shows:
      'Spans a second: exported; rejected by the receiver; dropped after the last retry; malformed; dropped_child: more children of one query than are held.',
    bad: 'anything but exported.',
    alerts: ['VitrineSpansDropped'],
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_telemetry_spans_total', { by: ['outcome'] }), legend: '{{outcome}}' },
    ],
    colors: { exported: GOOD, rejected: WARN, dropped: LOST, malformed: BAD, dropped_child: MUTED },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Export requests that failed',
    shows: 'Failed requests of each process to its receiver, retried or not.',
    bad: 'steady ones: the receiver is down, full, or refuses.',
    alerts: ['VitrineExporterFailing'],
    unit: 'ops',
    queries: [
      {
        expr: perSecond('vitrine_telemetry_export_failures_total', { by: ['instance'] }),
        legend: '{{instance}}',
      },
    ],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Ring to the export thread, of its limit',
    shows: 'Finished records that wait for the export thread, as a share of the room for them.',
    bad: 'near 100%: new queries are not kept.',
    unit: 'percentunit',
    queries: [{ expr: ringFullness, legend: '{{instance}}' }],
    reach: 1,
    width: 8,
  }),
  series({
    title: 'Crashes of export threads',
    shows: 'Crashes within what a point stands for.',
    bad: 'any: what the thread held is lost.',
    unit: 'short',
    queries: [
      {
        expr: grownBy('vitrine_telemetry_export_thread_restarts_total', '$__rate_interval', {
          by: ['instance'],
        }),
        legend: '{{instance}}',
      },
    ],
    bars: true,
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Left out at a limit',
    shows:
      'Log lines beyond the limit per second; measurements beyond the series that a metric may have; verdicts of which a worker could not be told (mode retroactive).',
    bad: 'measurements: some label takes too many values. Verdicts: kept traces lack the part of a worker.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_telemetry_log_lines_suppressed_total'), legend: 'log lines' },
      {
        // No series until it happens.
        expr: promql`${perSecond('vitrine_telemetry_series_overflow_total')} or 0 * ${perSecond('vitrine_telemetry_log_lines_suppressed_total')}`,
        legend: 'measurements',
      },
      { expr: perSecond('vitrine_gateway_late_verdicts_dropped_total'), legend: 'verdicts' },
    ],
    colors: { 'log lines': MUTED, measurements: BAD, verdicts: WARN },
    width: 8,
  }),
];

const SCRAPES: readonly SizedPanel[] = [
  timeline({
    title: 'Scrapes that were answered',
    shows: 'Whether each process answered the scrape. Nothing: it was not listed.',
    bad: 'red: its metrics are missing from then on.',
    alerts: ['VitrineTargetDown', 'VitrineTargetVanished'],
    unit: 'none',
    queries: [{ expr: scraped('up'), legend: '{{instance}}' }],
    states: { 1: { text: 'answered', color: GOOD }, 0: { text: 'failed', color: BAD } },
    width: 8,
  }),
  series({
    title: 'Duration of scrapes',
    shows: 'How long each process took to answer.',
    bad: 'near the timeout of the scrape: the process is busy, or has too many series.',
    unit: 's',
    queries: [{ expr: scraped('scrape_duration_seconds'), legend: '{{instance}}' }],
    width: 8,
  }),
  series({
    title: 'Series',
    shows: 'Series that each process exports.',
    bad: 'steady growth: some label takes ever new values.',
    unit: 'short',
    queries: [{ expr: scraped('scrape_samples_post_metric_relabeling'), legend: '{{instance}}' }],
    width: 8,
  }),
  series({
    title: 'Ended and recorded',
    shows:
      'Queries that gateways counted, and records that they closed, a second; the two lines lie on each other.',
    bad: 'they part: metrics and traces tell of different queries.',
    unit: 'reqps',
    queries: [
      { expr: observedPerSecond('inference_request_duration_seconds'), legend: 'counted' },
      {
        expr: perSecond('vitrine_telemetry_records_total', { where: { job: { pattern: '.*gateway' } } }),
        legend: 'recorded',
      },
    ],
    colors: { counted: GOOD, recorded: NEUTRAL },
    dashed: ['recorded'],
    width: 12,
    height: 7,
  }),
  series({
    title: 'Measured and attributed compute',
    shows:
      'Time that inference threads were busy, and the time that was attributed to queries by their share of a batch, a second; the two lines lie on each other.',
    bad: 'they part: the cost of queries is not what was spent.',
    unit: 's',
    queries: [
      { expr: perSecond('inference_executor_busy_seconds_total'), legend: 'measured' },
      { expr: perSecond('inference_attributed_seconds_total'), legend: 'attributed' },
    ],
    colors: { measured: GOOD, attributed: NEUTRAL },
    dashed: ['attributed'],
    width: 12,
    height: 7,
  }),
];

export function telemetry(): Dashboard {
  return dashboard({
    uid: 'vitrine-telemetry',
    title: 'Vitrine / Telemetry',
    description: 'Whether what the other dashboards show can be believed: ledger, records, export, scrapes.',
    from: 'now-1h',
    sections: [
      { panels: AT_A_GLANCE },
      { title: 'The ledger', panels: LEDGER },
      { title: 'From record to receiver', panels: EXPORT },
      { title: 'Scrapes, and what has to agree', panels: SCRAPES },
      { title: 'Enricher, where it runs', collapsed: true, panels: ENRICHER },
      { title: 'Embedded console, where it runs', collapsed: true, panels: CONSOLE },
    ],
  });
}
