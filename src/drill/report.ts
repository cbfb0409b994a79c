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

/** Rows of one drill: what belongs to the whole of it stands in the first. */
function tableRows({ drill, steps, faultAtMs, alerts }: DrillReport): string[] {
  const time = (ms: number | null): string => (ms === null ? '' : `${(ms / 1000).toFixed(1)} s`);
  const first = (kind: DrillStepKind): string => {
    const step = steps.find((each) => each.kind === kind);
    return time(step === undefined || faultAtMs === null ? null : step.atMs - faultAtMs);
  };
  return alerts.map(({ name, pendingAfterMs, firingAfterMs, clearedAfterMs }, index) => {
    const own = (text: string): string => (index === 0 ? text : '');
    const cells = [
      own(`[${drill}](#${drill})`),
      own(first('first_slow')),
      name,
      time(pendingAfterMs),
      time(firingAfterMs),
      own(first('evidence')),
      own(first('lifted')),
      time(clearedAfterMs),
    ];
    return `| ${cells.join(' | ')} |`.replace(/ +\|/g, ' |');
  });
}

function section({ drill, steps, evidence }: DrillReport, summary: string): string[] {
  const detailsOf = (kind: DrillStepKind): string[] =>
    steps.filter((step) => step.kind === kind).map(({ detail }) => detail);
  return [
    `## ${drill}`,
    '',
    `Here ${summary}.`,
    '',
    ...(evidence === null
      ? ['The labels of the alert say it all; no evidence is asked for.', '']
      : ['The evidence, as it arrived:', '', '```text', evidence, '```', '']),
    ...detailsOf('checked').flatMap((detail) => [`- ${detail}`, '']),
  ];
}

/** docs/drills.md: the table of times, and what each drill found. @param workers of the service that was drilled */
export function drillsPage(
  reports: readonly DrillReport[],
  { workers, summaryOf }: { readonly workers: number; readonly summaryOf: (drill: DrillName) => string },
): string {
  const [{ timeScale, model } = { timeScale: 1, model: '' }] = reports;
  return `${[
    '# Drills',
    '',
    `Each fault was injected into a running service with ${workers === 1 ? 'one worker' : `${workers} workers`}, under load on \`${model}\`; its alerts`,
    `fired, told why, and cleared. Written by \`vitrine drill --all --write\` at a time scale of ${timeScale}: windows and`,
    `holds of alerts were ${timeScale} times shorter than in service, and so are these times. Seconds count from the fault,`,
    'those of clearing from its lifting. How to run one: `npx vitrine drill --help`.',
    '',
    '| drill | first slow query | alert | pending | firing | evidence | lifted | cleared |',
    '|---|---|---|---|---|---|---|---|',
    ...reports.flatMap(tableRows),
    '',
    ...reports.flatMap((report) => section(report, summaryOf(report.drill))),
  ]
    .join('\n')
    .trimEnd()}\n`;
}
