/** Alerts about telemetry itself: whether the other alerts and the traces can be believed. */
import type { AlertRule, DashboardLink } from './alert.ts';
import { MINUTE_S, SYSTEM_LABEL } from './alert_labels.ts';
import { counter, guard, having, increase, share } from './shapes.ts';

const BY_INSTANCE = ['job', 'instance'] as const;
const TELEMETRY_DASHBOARD: DashboardLink = { uid: 'vitrine-telemetry', variables: { instance: 'instance' } };

const RECORDS = counter('vitrine_telemetry_records_total');
const QUERIES = counter('inference_requests_total');

export const TELEMETRY_ALERTS: readonly AlertRule[] = [
  {
    name: 'VitrineExporterFailing',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: increase(counter('vitrine_telemetry_export_failures_total'), 5 * MINUTE_S, BY_INSTANCE),
      op: '>=',
      threshold: 3,
      guards: [],
    },
    forS: MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{instance} cannot export its traces',
    description:
      'Export requests of {instance} ({job}) that failed within 5 minutes: {value}. Queries go on unharmed; traces wait for retries and are then dropped.',
    valueUnit: 'number',
    runbook: 'exporter-failing',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'all',
    drill: { drill: 'collector-down' },
    inhibits: [{ silences: ['VitrineSpansDropped', 'VitrineTracesShed'], equal: ['job', 'instance'] }],
  },
  {
    name: 'VitrineSpansDropped',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: increase(
        counter('vitrine_telemetry_spans_total', having({ outcome: ['rejected', 'dropped', 'malformed'] })),
        5 * MINUTE_S,
        BY_INSTANCE,
      ),
      op: '>',
      threshold: 0,
      guards: [],
    },
    forS: 0,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: 'spans lost on {instance}: {value}',
    description:
      'Spans of {instance} ({job}) that were lost within 5 minutes: {value}. The receiver refused them, or they were dropped after the last retry. Traces of that time have holes.',
    valueUnit: 'number',
    runbook: 'spans-dropped',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'all',
    drill: { drill: 'collector-down' },
    inhibits: [],
  },
  {
    name: 'VitrineTracesShed',
    severity: 'info',
    expression: {
      kind: 'threshold',
      measure: share(
        counter('vitrine_telemetry_records_total', having({ outcome: ['shed', 'dropped'] })),
        RECORDS,
        5 * MINUTE_S,
        BY_INSTANCE,
      ),
      op: '>',
      threshold: 0.01,
      guards: [guard(increase(RECORDS, 5 * MINUTE_S, BY_INSTANCE), '>=', 100)],
    },
    forS: MINUTE_S,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{instance} sheds {value} of its traces',
    description:
      '{instance} ({job}) finishes more queries than it can export, and kept no trace for {value} of them over the last 5 minutes. Metrics stay exact. More than 1% fires.',
    valueUnit: 'ratio',
    runbook: 'traces-shed',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'all',
    drill: {
      noDrill:
        'it takes more queries a second than a drill sends: the ring has to fill up within the retries of a batch',
    },
    inhibits: [],
  },
  {
    name: 'VitrineConsoleStoreFailing',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: increase(
        counter('vitrine_console_spans_total', having({ outcome: ['failed'] })),
        5 * MINUTE_S,
        BY_INSTANCE,
      ),
      op: '>',
      threshold: 0,
      guards: [],
    },
    forS: 0,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: 'the trace store refuses spans',
    description:
      'Spans that the database of {instance} ({job}) refused within 5 minutes: {value}. Senders try again, then drop them.',
    valueUnit: 'number',
    runbook: 'console-store-failing',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'console',
    drill: {
      noDrill:
        'a store that is full makes room and goes on: it takes a database that fails, or that another holds',
    },
    inhibits: [],
  },
  {
    name: 'VitrineConsoleStoreFull',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: increase(counter('vitrine_console_store_full_total'), 15 * MINUTE_S, BY_INSTANCE),
      op: '>',
      threshold: 0,
      guards: [],
    },
    forS: 0,
    keepFiringForS: 5 * MINUTE_S,
    labels: SYSTEM_LABEL,
    summary: 'the trace store has no room left',
    description:
      'Times that the database of {instance} ({job}) had no room within 15 minutes: {value}. The oldest traces make room: new ones are stored, and kept for less time than configured.',
    valueUnit: 'number',
    runbook: 'console-store-full',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'console',
    drill: { drill: 'console-disk-full' },
    inhibits: [{ silences: ['VitrineConsoleStoreFailing'], equal: ['job', 'instance'] }],
  },
  {
    name: 'VitrineLedgerViolated',
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: share(counter('vitrine_ledger_violations_total'), QUERIES, 15 * MINUTE_S, BY_INSTANCE),
      op: '>',
      threshold: 0.01,
      guards: [guard(increase(QUERIES, 15 * MINUTE_S, BY_INSTANCE), '>=', 100)],
    },
    forS: 0,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: '{instance}: the stages of {value} of queries do not add up',
    description:
      'For {value} of the queries of {instance} over the last 15 minutes the stages did not sum to the total, or the network took less than no time. Where time went cannot be told exactly. More than 1% fires.',
    valueUnit: 'ratio',
    runbook: 'ledger-violated',
    dashboard: TELEMETRY_DASHBOARD,
    place: 'gateway',
    drill: { noDrill: 'a violation is a defect of the accounting itself, which no injected delay causes' },
    inhibits: [],
  },
  {
    name: 'VitrineWatchdog',
    severity: 'info',
    expression: { kind: 'always' },
    forS: 0,
    keepFiringForS: 0,
    labels: SYSTEM_LABEL,
    summary: 'alerts reach you',
    description:
      "Always fires, as a dead man's switch: when its receiver hears nothing for longer than the repeat interval, the alerting itself is broken.",
    valueUnit: 'number',
    runbook: 'watchdog',
    dashboard: { uid: 'vitrine-telemetry', variables: {} },
    place: 'scraper',
    drill: { noDrill: 'it always fires; the alert is its silence' },
    inhibits: [],
  },
];
