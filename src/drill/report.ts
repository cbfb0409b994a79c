/** What a drill found, as plain JSON, and as text and table for people. */
import type { DrillName } from '../contract/drill_names.ts';

export type DrillStepKind =
  | 'load'
  | 'fault'
  | 'first_slow'
  | 'pending'
  | 'firing'
  | 'evidence'
  | 'checked'
  | 'lifted'
  | 'cleared'
  | 'missing';

/** One line of the timeline. */
export interface DrillStep {
  readonly kind: DrillStepKind;
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly detail: string;
}

export interface DrillAlertTimes {
  readonly name: string;
  readonly fingerprint: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds from the fault on; null when it did not happen. */
  readonly pendingAfterMs: number | null;
  readonly firingAfterMs: number | null;
  /** Milliseconds from lifting on. */
  readonly clearedAfterMs: number | null;
}

export interface DrillReport {
  readonly drill: DrillName;
  readonly model: string;
  readonly timeScale: number;
  readonly passed: boolean;
  /** What did not happen, in sentences; empty when the drill passed. */
  readonly missing: readonly string[];
  /** In the order in which they were seen; the first is the start of the load. */
  readonly steps: readonly DrillStep[];
  readonly faultAtMs: number | null;
  readonly alerts: readonly DrillAlertTimes[];
  /** What the alert's evidence says; null when there was none, or none was asked for. */
  readonly evidence: string | null;
}

const STEP_TEXT: Readonly<Record<DrillStepKind, string>> = {
  load: 'load',
  fault: 'fault',
  first_slow: 'first slow query',
  pending: 'pending',
  firing: 'firing',
  evidence: 'evidence',
  checked: 'checked',
  lifted: 'lifted',
  cleared: 'cleared',
  missing: 'MISSING',
};
const STEP_WIDTH = Math.max(...Object.values(STEP_TEXT).map((text) => text.length));

function seconds(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${Math.abs(ms / 1000).toFixed(1)} s`;
}

/** `  +4.2 s  firing            VitrineErrorSurge ...`; further lines of the detail stand below it. */
export function formatStep(step: DrillStep, zeroMs: number): string {
  const head = `${seconds(step.atMs - zeroMs).padStart(9)}  ${STEP_TEXT[step.kind].padEnd(STEP_WIDTH)}  `;
  return head + step.detail.replaceAll('\n', `\n${' '.repeat(head.length)}`);
}

/** The last line. */
export function formatVerdict({ drill, passed, missing }: DrillReport): string {
  return passed
    ? `${drill}: passed`
    : [`${drill}: FAILED`, ...missing.map((sentence) => `  ${sentence}`)].join('\n');
}

/** docs/drills.md: one row per alert of each drill, with its times. */
export function drillsPage(reports: readonly DrillReport[], summaryOf: (drill: DrillName) => string): string {
  const time = (ms: number | null): string => (ms === null ? 'never' : `${(ms / 1000).toFixed(1)} s`);
  const rows = reports.flatMap((report) =>
    report.alerts.map(
      ({ name, pendingAfterMs, firingAfterMs, clearedAfterMs }) =>
        `| \`${report.drill}\` | ${name} | ${[pendingAfterMs, firingAfterMs, clearedAfterMs].map(time).join(' | ')} | ${report.passed ? 'passed' : 'failed'} |`,
    ),
  );
  const evidence = reports.flatMap(({ drill, evidence: text }) => [
    `## ${drill}`,
    '',
    `Here ${summaryOf(drill)}.`,
    '',
    ...(text === null
      ? ['The labels of the alert say it all; no evidence is asked for.', '']
      : ['The evidence, as it arrived:', '', '```text', text, '```', '']),
  ]);
  return `${[
    '# Drills',
    '',
    'Each fault was injected into a running service; its alerts fired, told why, and cleared.',
    `Written by \`vitrine drill --all --write\` at a time scale of ${reports[0]?.timeScale ?? 1}: in real time, windows`,
    'and holds are as many times longer. Pending and firing are counted from the fault, cleared from its lifting.',
    '',
    '| drill | alert | pending | firing | cleared | |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    ...evidence,
  ]
    .join('\n')
    .trimEnd()}\n`;
}
