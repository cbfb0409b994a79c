/** What a run found, as plain JSON: the shape of LoadReport, and of the lines on the way to it. */
import type { GeneratorReport } from './generator_watch.ts';
import type { DistributionCell, LatencySummary } from './latency_histogram.ts';
import type { LoadPlan } from './plan.ts';
import type { SeriesPoint } from './series.ts';
import type { LedgerReport } from './stage_ledger.ts';
import type { OutcomeCount } from './tally.ts';

/** Raised when a field changes its meaning or goes. */
export const REPORT_FORMAT = 1;

/**
 * A latency in two readings. `service` runs from the moment a request was written. `response` runs from the
 * moment it was meant to go, so the time in which it waited because the service (or the generator) was
 * behind counts too: that is what a user would have felt. In a closed loop nothing is meant to go at any
 * moment, the two are the same, and a stall hides behind the requests that were never sent
 * ("coordinated omission", Gil Tene).
 */
export interface LatencyReport {
  readonly response: LatencySummary;
  readonly service: LatencySummary;
  /** Of the response times. */
  readonly distribution: readonly DistributionCell[];
  /** Of the service times. */
  readonly serviceDistribution: readonly DistributionCell[];
}

/** The plan as the report repeats it: without bodies and header values. */
export interface PlanReport {
  readonly origin: string;
  readonly model: string;
  readonly version: string;
  readonly loop: LoadPlan['loop'];
  readonly seed: number;
  readonly durationS: number;
  /** Null when the duration alone ends the run. */
  readonly requests: number | null;
  readonly warmup: LoadPlan['warmup'];
  readonly timeoutMs: number;
  /** Distinct requests, sent in turn. */
  readonly samples: number;
  /** Mean bytes of a request's body. */
  readonly meanBodyBytes: number;
}

/**
 * All figures are of the measured part. Each request in `sent` has ended and is in exactly one cell of
 * `outcomes`; arrivals of an open loop = `sent` + `notSent`.
 */
export interface LoadReport {
  readonly format: typeof REPORT_FORMAT;
  readonly plan: PlanReport;
  /** ISO 8601, of the whole run. */
  readonly startedAt: string;
  /** Stopped by its signal before the plan was done. */
  readonly aborted: boolean;
  /** Left out of everything else. */
  readonly warmup: { readonly sent: number; readonly notSent: number };
  /** From the first measured moment to the last at which sending was still due. */
  readonly sendingS: number;
  readonly sent: number;
  /** Open loop: arrivals that were not sent because maxOutstanding were on their way, or the run was stopped. */
  readonly notSent: number;
  readonly ok: number;
  readonly failed: number;
  readonly sentPerS: number;
  /** Ok answers per second from the start of the measured part to the last of them, or to the end of sending. */
  readonly okPerS: number;
  readonly receivedBytes: number;
  readonly outcomes: readonly OutcomeCount[];
  /** Ok answers alone: a refusal that comes at once is no fast answer. */
  readonly latency: LatencyReport;
  /** All requests but aborted ones, with the time until their failure. */
  readonly latencyOfAll: LatencyReport;
  /** Of ok answers. */
  readonly ledger: LedgerReport;
  /** Mean service time less the service's own total, over answers that had one; null without. */
  readonly outsideMeanMs: number | null;
  readonly series: readonly SeriesPoint[];
  readonly generator: GeneratorReport;
}

/** What a progress line shows. Figures from `sent` on are of the measured part so far. */
export interface LoadProgress {
  readonly phase: 'warming' | 'measuring' | 'draining' | 'done';
  /** Since the run began. */
  readonly elapsedS: number;
  /** Part of the measured part that is over, 0 to 1. */
  readonly done: number;
  readonly sent: number;
  readonly ok: number;
  readonly errors: number;
  readonly notSent: number;
  /** Written and unanswered now. */
  readonly inFlight: number;
  /** Waiting for a connection now. */
  readonly waiting: number;
  /** Requests that ended since the line before, per second, warm-up included. */
  readonly ratePerS: number;
  /** Response time of ok answers; 0 before the first. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function planReport(plan: LoadPlan): PlanReport {
  let bytes = 0;
  for (const sample of plan.samples) bytes += sample.body.byteLength;
  return {
    origin: plan.origin,
    model: plan.model,
    version: plan.version,
    loop: plan.loop,
    seed: plan.seed,
    durationS: plan.durationS,
    requests: plan.requests ?? null,
    warmup: plan.warmup,
    timeoutMs: plan.timeoutMs,
    samples: plan.samples.length,
    meanBodyBytes: Math.round(bytes / plan.samples.length),
  };
}
