/**
 * Where the time went, as the service itself says in each answer's `Server-Timing`: one histogram per stage.
 * The stages of a query sum to its `total`, so their shares add up to one, less what no stage claimed.
 */
import { TOTAL_ENTRY, visitServerTiming } from '../client/server_timing.ts';
import { STAGES, UNATTRIBUTED } from '../contract/stages.ts';
import { createLatencyHistogram, type LatencyHistogram } from './latency_histogram.ts';

/** Distinct names kept; those of a proxy that makes up new ones are counted as malformed beyond it. */
const STAGE_LIMIT = 48;

/** One stage over all answers that reported it. */
export interface StageReport {
  readonly stage: string;
  readonly count: number;
  /** Mean over the answers in which the stage happened. */
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The stage's time over all answers, as a part (0 to 1) of the total's; of all stages' where no total came. */
  readonly share: number;
}

export interface LedgerReport {
  /** In the order in which a query meets them; names that are not Vitrine's come last. */
  readonly stages: readonly StageReport[];
  /** The service's own total, null when no answer had one. */
  readonly total: StageReport | null;
  /** Part of the total (0 to 1) that no stage claimed; below 0 when stages claim more. Null without a total. */
  readonly unattributedShare: number | null;
  /** Answers with at least one readable entry, and without. */
  readonly answersWith: number;
  readonly answersWithout: number;
  /** Entries that could not be read. */
  readonly malformedEntries: number;
}

export interface StageLedger {
  /** Takes one answer's header into the account. Never throws. */
  record(header: string | readonly string[] | undefined): void;
  report(): LedgerReport;
}

export function createStageLedger(): StageLedger {
  const histograms = new Map<string, LatencyHistogram>();
  let answersWith = 0;
  let answersWithout = 0;
  let malformedEntries = 0;
  let visited = 0;

  const visit = (name: string, durationMs: number): void => {
    let histogram = histograms.get(name);
    if (histogram === undefined) {
      if (histograms.size >= STAGE_LIMIT) {
        malformedEntries += 1;
        return;
      }
      histogram = createLatencyHistogram();
      histograms.set(name, histogram);
    }
    visited += 1;
    histogram.recordMs(durationMs);
  };

  return {
    record(header) {
      visited = 0;
      const malformed = visitServerTiming(header, visit);
      malformedEntries += malformed;
      if (visited > 0) answersWith += 1;
      else answersWithout += 1;
    },
    report() {
      const total = histograms.get(TOTAL_ENTRY);
      const names = [...histograms.keys()].filter(isStage).sort(byStageOrder);
      let stagesMs = 0;
      for (const name of names) stagesMs += histograms.get(name)?.sumMs ?? 0;
      const wholeMs = total?.sumMs ?? stagesMs;
      const line = (stage: string, histogram: LatencyHistogram): StageReport => ({
        stage,
        count: histogram.count,
        meanMs: histogram.count === 0 ? 0 : histogram.sumMs / histogram.count,
        p50Ms: histogram.quantileMs(50),
        p99Ms: histogram.quantileMs(99),
        share: wholeMs === 0 ? 0 : histogram.sumMs / wholeMs,
      });
      const stages: StageReport[] = [];
      for (const name of names) {
        const histogram = histograms.get(name);
        if (histogram !== undefined) stages.push(line(name, histogram));
      }
      return {
        stages,
        total: total === undefined ? null : line(TOTAL_ENTRY, total),
        unattributedShare: total === undefined || wholeMs === 0 ? null : 1 - stagesMs / wholeMs,
        answersWith,
        answersWithout,
        malformedEntries,
      };
    },
  };
}

/** The service may tell its own remainder beside the stages; here it is computed, so that it also shows what it left out. */
function isStage(name: string): boolean {
  return name !== TOTAL_ENTRY && name !== UNATTRIBUTED;
}

const STAGE_ORDER: ReadonlyMap<string, number> = new Map(STAGES.map((stage, index) => [stage, index]));

function byStageOrder(left: string, right: string): number {
  const last = STAGES.length;
  const order = (STAGE_ORDER.get(left) ?? last) - (STAGE_ORDER.get(right) ?? last);
  return order !== 0 ? order : left < right ? -1 : 1;
}
