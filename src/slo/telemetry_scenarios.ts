/** What proves the alerts about telemetry. */
import { type Raised, raisedScenarios, type Scenario } from './scenario.ts';
import { CONSOLE, counting, GATEWAY, requests, STEP_S, WORKER } from './scenario_parts.ts';

function records(outcome: string, perS: readonly [number, number, number]): Raised {
  return counting('vitrine_telemetry_records_total', { ...GATEWAY, outcome }, perS);
}

export const TELEMETRY_SCENARIOS: readonly Scenario[] = [
  ...raisedScenarios({
    rule: 'VitrineExporterFailing',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 600,
    pendingS: 330,
    clearS: 600,
    firing: [{ labels: GATEWAY, value: 3.06 }],
    series: [counting('vitrine_telemetry_export_failures_total', GATEWAY, [0, 0.0102, 0.0098])],
  }),
  ...raisedScenarios({
    rule: 'VitrineSpansDropped',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 240,
    clearS: 600,
    firing: [{ labels: WORKER, value: 1 }],
    series: [
      counting('vitrine_telemetry_spans_total', { ...WORKER, outcome: 'exported' }, [100, 100, 100]),
      // Spans that were lost before the window are history.
      {
        name: 'vitrine_telemetry_spans_total',
        labels: { ...WORKER, outcome: 'rejected' },
        calm: { from: 7 },
        above: {},
        below: {},
      },
      {
        name: 'vitrine_telemetry_spans_total',
        labels: { ...WORKER, outcome: 'dropped' },
        calm: {},
        above: { from: 1 },
        below: {},
      },
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineTracesShed',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 600,
    pendingS: 315,
    clearS: 600,
    firing: [{ labels: GATEWAY, value: 0.011 }],
    series: [
      records('kept', [100, 98.9, 99.05]),
      records('shed', [0, 0.6, 0.55]),
      records('dropped', [0, 0.5, 0.4]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineConsoleStoreFailing',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 240,
    clearS: 600,
    firing: [{ labels: CONSOLE, value: 1 }],
    series: [
      counting('vitrine_console_spans_total', { ...CONSOLE, outcome: 'stored' }, [100, 100, 100]),
      counting('vitrine_console_spans_total', { ...CONSOLE, outcome: 'rejected' }, [0, 0, 50]),
      {
        name: 'vitrine_console_spans_total',
        labels: { ...CONSOLE, outcome: 'failed' },
        calm: {},
        above: { from: 1 },
        below: {},
      },
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineConsoleStoreFull',
    stepS: STEP_S,
    calmS: 1200,
    raisedS: 240,
    clearS: 1800,
    firing: [{ labels: CONSOLE, value: 1 }],
    series: [
      // What was full long ago is history.
      { name: 'vitrine_console_store_full_total', labels: CONSOLE, calm: {}, above: { from: 1 }, below: {} },
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineLedgerViolated',
    stepS: STEP_S,
    calmS: 1200,
    raisedS: 1200,
    clearS: 1200,
    firing: [{ labels: GATEWAY, value: 0.011 }],
    series: [
      requests('ok', [100, 100, 100]),
      counting('vitrine_ledger_violations_total', { ...GATEWAY, kind: 'network' }, [0, 0.5, 0.4]),
      counting('vitrine_ledger_violations_total', { ...GATEWAY, kind: 'unattributed' }, [0, 0.6, 0.55]),
    ],
  }),
  {
    rule: 'VitrineWatchdog',
    title: 'always fires',
    stepS: STEP_S,
    series: [{ name: 'up', labels: GATEWAY, phases: [{ lastsS: 60, from: 0 }] }],
    checks: [
      { atS: 0, firing: [{ labels: {}, value: 1 }] },
      { atS: 45, firing: [{ labels: {}, value: 1 }] },
    ],
  },
];
