/**
 * Latencies in a High Dynamic Range histogram: 1 us to 60 s at three digits, so that a quantile is exact to
 * one part in a thousand at any height and memory is fixed (about 70 KiB) however many are recorded.
 */
import { build, type Histogram } from 'hdr-histogram-js';

const LOWEST_US = 1;
const HIGHEST_US = 60_000_000;
const SIGNIFICANT_DIGITS = 3;
/** Upper edges of the distribution in a report: 1, 2 and 5 in each decade, in milliseconds. */
const DISTRIBUTION_EDGES_MS: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000,
];

/** What a report says of one histogram, in milliseconds. All values are 0 when `count` is 0. */
export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly minMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** How many latencies lay at or under `upToMs` and over the edge before it; null for what is above 60 s. */
export interface DistributionCell {
  readonly upToMs: number | null;
  readonly count: number;
}

export interface LatencyHistogram {
  readonly count: number;
  /** Exact sum of what was recorded, in milliseconds: no bucket rounds it. */
  readonly sumMs: number;
  /** Records one latency; what is above 60 s counts as 60 s in quantiles, in full in `sumMs` and the maximum. */
  recordMs(latencyMs: number): void;
  /** @param percentile 0 to 100 */
  quantileMs(percentile: number): number;
  summary(): LatencySummary;
  /** Counts between fixed edges, exact; empty cells are left out. */
  distribution(): DistributionCell[];
  reset(): void;
}

export function createLatencyHistogram(): LatencyHistogram {
  // 32-bit cells: 2^31 latencies in one cell are more than any run may send.
  const histogram: Histogram = build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: LOWEST_US,
    highestTrackableValue: HIGHEST_US,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
  });
  const cells = new Float64Array(DISTRIBUTION_EDGES_MS.length + 1);
  let sumMs = 0;
  let minMs = Number.POSITIVE_INFINITY;
  let maxMs = 0;

  const quantileMs = (percentile: number): number =>
    histogram.totalCount === 0 ? 0 : Math.min(histogram.getValueAtPercentile(percentile) / 1e3, maxMs);

  return {
    get count() {
      return histogram.totalCount;
    },
    get sumMs() {
      return sumMs;
    },
    recordMs(measuredMs) {
      // A clock read twice in one tick may come out a hair below zero.
      const latencyMs = Math.max(measuredMs, 0);
      histogram.recordValue(Math.min(Math.round(latencyMs * 1e3), HIGHEST_US));
      let cell = 0;
      while (cell < DISTRIBUTION_EDGES_MS.length && latencyMs > (DISTRIBUTION_EDGES_MS[cell] ?? 0)) cell += 1;
      cells[cell] = (cells[cell] ?? 0) + 1;
      sumMs += latencyMs;
      if (latencyMs < minMs) minMs = latencyMs;
      if (latencyMs > maxMs) maxMs = latencyMs;
    },
    quantileMs,
    summary() {
      const count = histogram.totalCount;
      return {
        count,
        meanMs: count === 0 ? 0 : sumMs / count,
        minMs: count === 0 ? 0 : minMs,
        p50Ms: quantileMs(50),
        p90Ms: quantileMs(90),
        p95Ms: quantileMs(95),
        p99Ms: quantileMs(99),
        p999Ms: quantileMs(99.9),
        maxMs,
      };
    },
    distribution() {
      const filled: DistributionCell[] = [];
      for (const [index, count] of cells.entries()) {
        if (count > 0) filled.push({ upToMs: DISTRIBUTION_EDGES_MS[index] ?? null, count });
      }
      return filled;
    },
    reset() {
      histogram.reset();
      cells.fill(0);
      sumMs = 0;
      minMs = Number.POSITIVE_INFINITY;
      maxMs = 0;
    },
  };
}
