/** The embedded console, for who runs it beside Prometheus; collapsed, because most do not. */
import { BAD, GOOD, LOST, MUTED, NEUTRAL, WARN } from './palette.ts';
import { type SizedPanel, series } from './panel.ts';
import { each, perSecond } from './promql.ts';

export const CONSOLE: readonly SizedPanel[] = [
  series({
    title: 'Spans that reached the store',
    shows:
      'Spans a second: stored; rejected, over a limit; failed, because the database refused and senders try again.',
    bad: 'anything but stored.',
    alerts: ['VitrineConsoleStoreFailing'],
    unit: 'ops',
    queries: [{ expr: perSecond('vitrine_console_spans_total', { by: ['outcome'] }), legend: '{{outcome}}' }],
    colors: { stored: GOOD, rejected: WARN, failed: BAD },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'OTLP requests, by status',
    shows: 'Requests of processes that send spans, by what they were answered.',
    bad: '429 and 503: the store cannot keep up. 4xx: a sender is set up wrongly.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_console_otlp_requests_total', { by: ['status'] }), legend: '{{status}}' },
    ],
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Size of the store',
    shows: 'Bytes that hold data; dashed, the size beyond which the oldest traces are evicted.',
    bad: 'at the dashed line traces live shorter than was asked for.',
    unit: 'bytes',
    queries: [
      { expr: each('vitrine_console_store_usage_bytes'), legend: 'store of {{instance}}' },
      { expr: each('vitrine_console_store_limit_bytes'), legend: 'limit of {{instance}}' },
      { expr: each('vitrine_console_store_queue_bytes'), legend: 'waiting at {{instance}}' },
    ],
    colorsByPattern: { '^limit of ': BAD },
    dashedPattern: '^limit of ',
    width: 8,
  }),
  series({
    title: 'Evicted traces, and trouble of the store',
    shows:
      'Traces that were evicted because of their age or the size of the store; times that it had no room; crashes of its thread.',
    bad: 'evicted for size: the store is too small for the traffic. Any crash, and no room: the disk is full.',
    alerts: ['VitrineConsoleStoreFull'],
    unit: 'ops',
    queries: [
      {
        expr: perSecond('vitrine_console_store_evicted_traces_total', { by: ['reason'] }),
        legend: 'evicted for {{reason}}',
      },
      { expr: perSecond('vitrine_console_store_full_total'), legend: 'no room' },
      { expr: perSecond('vitrine_console_store_restarts_total'), legend: 'crashes' },
    ],
    colors: { crashes: BAD, 'no room': WARN },
    width: 8,
  }),
  series({
    title: 'Evaluation of alerts',
    shows: 'How long the evaluator took for all rules.',
    bad: 'near the interval of evaluations: alerts come late.',
    unit: 's',
    queries: [{ expr: each('vitrine_evaluator_duration_seconds'), legend: '{{instance}}' }],
    width: 8,
  }),
  series({
    title: 'Evaluator: series, and alerts',
    shows: 'Series that the evaluator holds samples of, and alerts that are pending or firing.',
    bad: 'series at their limit: samples are left out.',
    unit: 'short',
    queries: [
      { expr: each('vitrine_evaluator_series'), legend: 'series' },
      { expr: each('vitrine_evaluator_alerts'), legend: '{{state}}' },
    ],
    colors: { pending: WARN, firing: BAD, series: NEUTRAL },
    logarithmic: true,
    width: 8,
  }),
  series({
    title: 'Evaluator: what goes wrong',
    shows:
      'Rules that failed, samples or alerts left out at a limit, writes that the database refused, jumps of the clock, scrapes that failed or were skipped.',
    bad: 'anything: alerts of the console cannot be relied on.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_evaluator_rule_failures_total'), legend: 'rules' },
      { expr: perSecond('vitrine_evaluator_dropped_total', { by: ['what'] }), legend: 'left out: {{what}}' },
      { expr: perSecond('vitrine_evaluator_write_failures_total'), legend: 'writes' },
      { expr: perSecond('vitrine_evaluator_clock_jumps_total'), legend: 'clock' },
      {
        expr: perSecond('vitrine_evaluator_scrapes_total', {
          by: ['outcome'],
          where: { outcome: { not: ['ok'] } },
        }),
        legend: 'scrapes {{outcome}}',
      },
    ],
    stacked: true,
    width: 12,
  }),
  series({
    title: 'Messages about alerts',
    shows:
      "Messages that receivers took or did not, notices that nobody took, pings of the dead man's switch.",
    bad: 'failed or lost: nobody is told.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_console_alert_messages_total', { by: ['outcome'] }), legend: '{{outcome}}' },
      {
        expr: perSecond('vitrine_console_alert_notices_lost_total', { by: ['reason'] }),
        legend: 'lost for {{reason}}',
      },
      {
        expr: perSecond('vitrine_console_dead_man_pings_total', { by: ['outcome'] }),
        legend: 'ping {{outcome}}',
      },
      { expr: each('vitrine_console_alert_notices_waiting'), legend: 'waiting' },
    ],
    colors: {
      delivered: GOOD,
      failed: BAD,
      waiting: WARN,
      'ping delivered': MUTED,
      'ping failed': LOST,
    },
    width: 12,
  }),
];
