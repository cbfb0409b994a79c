/**
 * Evidence: why an alert fires, as far as telemetry can tell. Made by one function (slo/evidence.ts), carried by
 * the console's notifier and by the enricher, shown on the page.
 */
import type { Stage } from './stages.ts';

/** How one stage changed between the baseline and now; means over the queries of each window. */
export interface StageChange {
  readonly stage: Stage | 'unattributed';
  readonly baselineMs: number;
  readonly nowMs: number;
  /** nowMs - baselineMs. */
  readonly growthMs: number;
  /** Of the growth of the total, 0 to 1; stages that shrank have 0. */
  readonly shareOfGrowth: number;
}

export type PlaceDimension = 'model' | 'version' | 'worker' | 'priority' | 'tenant';

/** Where the growth sits along one dimension. */
export interface PlaceFinding {
  readonly dimension: PlaceDimension;
  /** The values that grew. */
  readonly values: readonly string[];
  /** True when every value that had traffic grew: the place does not narrow the cause. */
  readonly all: boolean;
}

/** A condition in the window that people would ask about next. */
export interface Circumstance {
  readonly kind: 'queue' | 'batch' | 'event_loop' | 'gpu' | 'restart' | 'deployment' | 'traffic' | 'errors';
  /** A sentence: `queue of langid grew from 2 to 64 queries`. */
  readonly text: string;
}

export interface SlowTrace {
  readonly traceId: string;
  readonly totalMs: number;
  /** Its largest stage. */
  readonly stage: Stage | 'unattributed';
  readonly stageMs: number;
  readonly worker: string;
  readonly url: string;
}

export interface Evidence {
  /** Unix time at which it was made. */
  readonly atMs: number;
  readonly windowS: number;
  readonly baselineS: number;
  /**
   * What the finding is about: latency stages, outcomes for alerts about errors, or which processes fail and how
   * queries took it.
   */
  readonly subject: 'latency' | 'errors' | 'processes' | 'other';
  /** Undefined: cannot say; `cannotSay` tells why. */
  readonly stage: StageChange | undefined;
  readonly stages: readonly StageChange[];
  readonly places: readonly PlaceFinding[];
  /** Unix time at which the growth began, as far as the samples show; undefined when they do not. */
  readonly sinceMs: number | undefined;
  readonly circumstances: readonly Circumstance[];
  /** Slowest kept traces of the window, slowest first; at most five. */
  readonly traces: readonly SlowTrace[];
  /** 0 to 1. Below the stated minimum nothing is claimed. */
  readonly confidence: number;
  readonly cannotSay: string | undefined;
  /** What a person reads in ten seconds: at most six lines. */
  readonly text: string;
}

/** Whether there is evidence, and it can say. */
export function explains(evidence: Evidence | undefined): evidence is Evidence {
  return evidence !== undefined && evidence.cannotSay === undefined;
}
