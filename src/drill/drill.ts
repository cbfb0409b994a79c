/** What a drill is: a fault at its real place, the alerts that have to fire, and what their evidence has to say. */
import type { DrillName } from '../contract/drill_names.ts';
import type { Circumstance } from '../contract/evidence.ts';
import type { Stage } from '../contract/stages.ts';
import type { LoadSample } from '../loadgen/plan.ts';
import type { ConsoleWatch } from './console_watch.ts';
import type { FaultDoors } from './fault_doors.ts';

/**
 * Which of the alerts of a name is meant: that of the drilled model, of its objective, of the first worker, of the
 * first gateway, of the console, or of the service as a whole.
 */
export type AlertOf =
  | 'model'
  | 'latency_objective'
  | 'availability_objective'
  | 'worker'
  | 'gateway'
  | 'console'
  | 'service';

export interface ExpectedAlert {
  readonly name: string;
  readonly of: AlertOf;
  /** Seconds at a time scale of 1 that its windows and holds take to fire at most, */
  readonly firesS: number;
  /** and to clear. */
  readonly clearsS: number;
}

/** What the evidence has to name, besides the place. */
type ExpectedFinding =
  | { readonly subject: 'latency'; readonly stage: Stage }
  | { readonly subject: 'errors' | 'processes' }
  /** Slow queries, whose stage may be another each time: what stood beside them explains it. */
  | { readonly subject: 'other'; readonly circumstance: Circumstance['kind'] };

export type ExpectedEvidence = ExpectedFinding & {
  /** Where the fault is: at every worker, at the first one alone, or before any. */
  readonly at: 'workers' | 'first_worker' | 'no_worker';
};

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
  /** A line of the timeline: what was looked at, and found to be right. */
  checked(what: string): void;
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
  /** It can only be told from the others when there are so many; 1 unless told. */
  readonly workersMin?: number;
  /** So many times the usual load; 1 unless told. */
  readonly loadFactor?: number;
  /** One line for people. */
  readonly summary: string;
  /** Where the fault strikes: `compute of worker-1`. */
  readonly place: (target: DrillTarget) => string;
  /** Waits for what has to be so before the fault; queries are sent meanwhile. @throws Error when it cannot be so */
  readonly prepare?: (context: DrillContext) => Promise<void>;
  /** Resolves when the fault is in force. @throws Error when it could not be injected; then nothing is */
  readonly inject: (context: DrillContext) => Promise<Injected>;
  /** Looks closer while the alerts fire. @throws Error when something is not as it should be */
  readonly whileFiring?: (context: DrillContext) => Promise<void>;
  /** Looks whether all is well again, when the alerts have cleared. @throws Error when it is not */
  readonly afterwards?: (context: DrillContext) => Promise<void>;
  /** One line for people: what is over when the fault is lifted. */
  readonly lifted: string;
  /**
   * Milliseconds from which a query shows the fault, also while it is not answered; Infinity: only one that fails
   * does. Undefined: no query may show it, each has to be answered as before.
   */
  readonly feltFromMs: number | undefined;
  /** With several workers, others answer in its place, and no query has to show it. */
  readonly feltWithoutOthers?: boolean;
  /** All have to fire and clear; the first one's evidence is judged. */
  readonly alerts: readonly ExpectedAlert[];
  /** Undefined: the labels of the alert say it all. */
  readonly evidence: ExpectedEvidence | undefined;
}

export const MINUTE_S = 60;
export const HOUR_S = 3600;

/** Clears when the 30-minute window of the second pair holds too few bad queries. */
export const BURNS_FAST = { name: 'VitrineBudgetBurnsFast', firesS: HOUR_S, clearsS: 35 * MINUTE_S } as const;
