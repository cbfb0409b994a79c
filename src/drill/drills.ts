/**
 * The drills: a fault at its real place, the alerts that have to fire, and what their evidence has to say.
 * Which alert belongs to which drill stands in the alerts' own catalogue too; a test holds both together.
 */
import type { DrillName } from '../contract/drill_names.ts';
import type { FaultPoint } from '../contract/fault_points.ts';
import type { Stage } from '../contract/stages.ts';
import type { FaultBody } from './fault_doors.ts';

/**
 * `hold`: every worker has the fault from inject to lift. `crash`: one worker is killed until its alert
 * fires, at most so many times: less than the restarts that a process has within a minute.
 */
export type DrillFault =
  | { readonly kind: 'hold'; readonly point: FaultPoint; readonly body: FaultBody }
  | { readonly kind: 'crash'; readonly point: FaultPoint; readonly limit: number };

/** Which of the alerts of a name is meant: that of the drilled model, of its objective, or of the crashed worker. */
export type AlertOf = 'model' | 'latency_objective' | 'availability_objective' | 'worker';

export interface ExpectedAlert {
  readonly name: string;
  readonly of: AlertOf;
  /** Seconds at a time scale of 1 that its windows and holds take to fire at most, */
  readonly firesS: number;
  /** and to clear. */
  readonly clearsS: number;
}

export type ExpectedEvidence =
  | { readonly subject: 'latency'; readonly stage: Stage }
  | { readonly subject: 'errors' };

export interface Drill {
  readonly name: DrillName;
  /** One line for people. */
  readonly summary: string;
  readonly fault: DrillFault;
  /** All have to fire and clear; the first one's evidence is judged. */
  readonly alerts: readonly ExpectedAlert[];
  /** Undefined: the labels of the alert say it all. */
  readonly evidence: ExpectedEvidence | undefined;
}

const MINUTE_S = 60;
const HOUR_S = 3600;
/** Beyond the catalogue's 500 ms, and so short that an inference thread keeps up by larger batches. */
const SLOW_MS = 550;

/** Clears when the 30-minute window of the second pair holds too few bad queries. */
const BURNS_FAST = { name: 'VitrineBudgetBurnsFast', firesS: HOUR_S, clearsS: 35 * MINUTE_S } as const;
const SLOW_ALERTS: readonly ExpectedAlert[] = [
  { ...BURNS_FAST, of: 'latency_objective' },
  { name: 'VitrineLatencyP99High', of: 'model', firesS: 10 * MINUTE_S, clearsS: 6 * MINUTE_S },
];

export const DRILLS: readonly Drill[] = [
  {
    name: 'slow-compute',
    summary: `every batch computes ${SLOW_MS} ms longer`,
    fault: { kind: 'hold', point: 'compute', body: { delayMs: SLOW_MS } },
    alerts: SLOW_ALERTS,
    evidence: { subject: 'latency', stage: 'compute' },
  },
  {
    name: 'slow-preprocess',
    summary: `every query is prepared ${SLOW_MS} ms longer`,
    fault: { kind: 'hold', point: 'preprocess', body: { delayMs: SLOW_MS } },
    alerts: SLOW_ALERTS,
    evidence: { subject: 'latency', stage: 'preprocess' },
  },
  {
    name: 'errors',
    summary: 'every batch fails in the model',
    fault: { kind: 'hold', point: 'compute', body: { error: true } },
    alerts: [
      { name: 'VitrineErrorSurge', of: 'model', firesS: 6 * MINUTE_S, clearsS: 6 * MINUTE_S },
      { ...BURNS_FAST, of: 'availability_objective' },
    ],
    evidence: { subject: 'errors' },
  },
  {
    name: 'worker-crash',
    summary: 'one worker is killed again and again, each time by a query',
    fault: { kind: 'crash', point: 'compute', limit: 4 },
    alerts: [
      { name: 'VitrineProcessRestarting', of: 'worker', firesS: 15 * MINUTE_S, clearsS: 21 * MINUTE_S },
    ],
    evidence: undefined,
  },
];
