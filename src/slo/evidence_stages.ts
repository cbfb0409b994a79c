/**
 * Which stage made queries slow. The slow queries of the window are compared with all queries of the baseline:
 * the excess of each stage's mean. Waiting is then told from working: where queries wait because the work in
 * front of them takes longer, the work is named.
 */
import type { StageChange } from '../contract/evidence.ts';
import { STAGES } from '../contract/stages.ts';
import type { LedgerStage, QueryLedger } from './evidence_input.ts';

const ALL_STAGES: readonly LedgerStage[] = [...STAGES, 'unattributed'];

/** Stages in which a query waits for others, and the stages whose growth makes that wait longer. */
const WAITS_FOR: Partial<Record<LedgerStage, readonly LedgerStage[]>> = {
  queue: ['dispatch', 'compute', 'postprocess', 'batch_wait'],
  route: [
    'network',
    'unreported',
    'worker_receive',
    'preprocess',
    'dispatch',
    'compute',
    'postprocess',
    'worker_respond',
  ],
  admit: ['network', 'unreported', 'compute'],
};

export interface Moments {
  readonly count: number;
  readonly mean: number;
  readonly variance: number;
}

export function moments(values: readonly number[]): Moments {
  let mean = 0;
  let squares = 0;
  let count = 0;
  // Welford 1962: one pass, no cancellation.
  for (const value of values) {
    count += 1;
    const delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
  }
  return { count, mean, variance: count > 1 ? squares / (count - 1) : 0 };
}

export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

function stageValues(queries: readonly QueryLedger[], stage: LedgerStage): number[] {
  return queries.map((query) => query.stagesMs.get(stage) ?? 0);
}

/** Above this many standard errors a difference of means is not chance. */
const SIGNIFICANT_Z = 4;
/** Work that grew by less than this share of itself does not explain a wait. */
const WORK_GROWTH_SHARE = 0.25;
/** Nor does work that grew by less than this. */
const WORK_GROWTH_MS = 0.2;

function grewByItself(now: Moments, baseline: Moments): boolean {
  const growth = now.mean - baseline.mean;
  const error = Math.sqrt(
    now.variance / Math.max(1, now.count) + baseline.variance / Math.max(1, baseline.count),
  );
  return (
    growth > WORK_GROWTH_MS && growth > WORK_GROWTH_SHARE * baseline.mean && growth > SIGNIFICANT_Z * error
  );
}

/** Changes of all stages that either side had, largest growth first. */
export function stageChanges(slow: readonly QueryLedger[], baseline: readonly QueryLedger[]): StageChange[] {
  const changes = ALL_STAGES.flatMap((stage) => {
    const nowMs = moments(stageValues(slow, stage)).mean;
    const baselineMs = moments(stageValues(baseline, stage)).mean;
    if (nowMs === 0 && baselineMs === 0) return [];
    return [{ stage, baselineMs, nowMs, growthMs: nowMs - baselineMs }];
  });
  const grown = changes.reduce((sum, { growthMs }) => sum + Math.max(0, growthMs), 0);
  return changes
    .map((change) => ({ ...change, shareOfGrowth: grown === 0 ? 0 : Math.max(0, change.growthMs) / grown }))
    .sort((a, b) => b.growthMs - a.growthMs);
}

export interface CauseFinding {
  readonly cause: StageChange;
  /** The wait that the cause explains, when the wait itself grew more. */
  readonly symptom: StageChange | undefined;
}

/**
 * The stage to name. @returns undefined when no stage holds enough of the growth
 * @param changes of stageChanges, largest growth first
 */
export function findCause(
  changes: readonly StageChange[],
  now: readonly QueryLedger[],
  baseline: readonly QueryLedger[],
): CauseFinding | undefined {
  const [largest] = changes;
  if (largest === undefined || largest.shareOfGrowth < MIN_SHARE) return undefined;
  const works = WAITS_FOR[largest.stage] ?? [];
  const explained = works
    .flatMap((stage) => {
      const change = changes.find((candidate) => candidate.stage === stage);
      if (change === undefined) return [];
      return grewByItself(moments(stageValues(now, stage)), moments(stageValues(baseline, stage)))
        ? [change]
        : [];
    })
    .sort((a, b) => b.growthMs - a.growthMs)[0];
  return explained === undefined
    ? { cause: largest, symptom: undefined }
    : { cause: explained, symptom: largest };
}

/** A stage with less of the growth than this is not named: the growth is spread. */
const MIN_SHARE = 0.3;
