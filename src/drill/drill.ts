/** What a drill is: a fault at its real place, the alerts that have to fire, and what their evidence has to say. */
import type { DrillName } from '../contract/drill_names.ts';
import type { Stage } from '../contract/stages.ts';
import type { LoadSample } from '../loadgen/plan.ts';
import type { ConsoleWatch } from './console_watch.ts';
import type { FaultDoors } from './fault_doors.ts';

/**
 * Which of the alerts of a name is meant: that of the drilled model, of its objective, of the first worker, of the
 * first gateway, or of the console.
 */
export type AlertOf =
  | 'model'
  | 'latency_objective'
  | 'availability_objective'
  | 'worker'
  | 'gateway'
  | 'console';

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

export interface DrillTarget {
  /** Of the gateway. */
  readonly url: string;
  readonly model: string;
  readonly samples: readonly LoadSample[];
  /** Those that take faults. */
  readonly workers: readonly string[];
}

/** What a drill's own steps have at hand. */
export interface DrillContext {
  readonly target: DrillTarget;
  readonly doors: FaultDoors;
  readonly console: ConsoleWatch;
  readonly timeScale: number;
  /** Whether all alerts of the drill have fired by now. */
  haveFired(): Promise<boolean>;
  /** Polls until `done` says so. @returns false when the limit or the signal came first */
  until(what: string, limitMs: number, done: () => Promise<boolean>): Promise<boolean>;
  /** Aborted when the drill is stopped. */
  readonly signal: AbortSignal;
}

/** A fault in force. Disposing lifts it; when its holder is killed it lapses by itself. */
export interface Injected extends AsyncDisposable {
  /** Why it was not in force as it should have been, the last time; undefined while all is well. */
  readonly problem: string | undefined;
}

export interface Drill {
  readonly name: DrillName;
  /** One line for people. */
  readonly summary: string;
  /** Where the fault strikes: `compute of worker-1`. */
  readonly place: (target: DrillTarget) => string;
  /** Resolves when the fault is in force. @throws Error when it could not be injected; then nothing is */
  readonly inject: (context: DrillContext) => Promise<Injected>;
  /** One line for people: what is over when the fault is lifted. */
  readonly lifted: string;
  /**
   * Milliseconds from which a query shows the fault; Infinity: only one that fails does. Undefined: no query may
   * show it, each has to be answered as before.
   */
  readonly feltFromMs: number | undefined;
  /** All have to fire and clear; the first one's evidence is judged. */
  readonly alerts: readonly ExpectedAlert[];
  /** Undefined: the labels of the alert say it all. */
  readonly evidence: ExpectedEvidence | undefined;
}

export const MINUTE_S = 60;
export const HOUR_S = 3600;

/** Clears when the 30-minute window of the second pair holds too few bad queries. */
export const BURNS_FAST = { name: 'VitrineBudgetBurnsFast', firesS: HOUR_S, clearsS: 35 * MINUTE_S } as const;
