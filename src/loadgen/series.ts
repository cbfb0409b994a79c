/** Throughput and latency over the run, one point per second of its measured part. */
import { createLatencyHistogram } from './latency_histogram.ts';

/** Seconds kept: the longest run, its drain, and room. Later events count into the last point. */
const POINT_LIMIT = 3700;

/** One second of a run. */
export interface SeriesPoint {
  /** Whole seconds from the start of the measured part. */
  readonly atS: number;
  readonly sent: number;
  readonly notSent: number;
  readonly ok: number;
  readonly failed: number;
  /** Response time of the ok answers that came in this second; 0 when none came. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Moments are given in order and in milliseconds from the start of the measured part. */
export interface Series {
  sent(atMs: number): void;
  notSent(atMs: number): void;
  ok(atMs: number, responseMs: number): void;
  failed(atMs: number): void;
  /** Seconds without any event are points of zeros, so that a stall is seen as one. */
  points(): SeriesPoint[];
}

type Counter = 'sent' | 'notSent' | 'ok' | 'failed';

export function createSeries(): Series {
  const closed: SeriesPoint[] = [];
  const latencies = createLatencyHistogram();
  let open: Record<Counter, number> = { sent: 0, notSent: 0, ok: 0, failed: 0 };
  let touched = false;

  const point = (): SeriesPoint => ({
    atS: closed.length,
    ...open,
    p50Ms: latencies.quantileMs(50),
    p99Ms: latencies.quantileMs(99),
  });
  const advanceTo = (atMs: number): void => {
    const second = Math.min(Math.floor(atMs / 1000), POINT_LIMIT - 1);
    while (closed.length < second) {
      closed.push(point());
      open = { sent: 0, notSent: 0, ok: 0, failed: 0 };
      if (latencies.count > 0) latencies.reset();
    }
    touched = true;
  };
  const count = (counter: Counter, atMs: number): void => {
    advanceTo(atMs);
    open[counter] += 1;
  };

  return {
    sent: (atMs) => count('sent', atMs),
    notSent: (atMs) => count('notSent', atMs),
    ok(atMs, responseMs) {
      count('ok', atMs);
      latencies.recordMs(responseMs);
    },
    failed: (atMs) => count('failed', atMs),
    points: () => (touched ? [...closed, point()] : []),
  };
}
