/**
 * Busy seconds of one inference thread. A long batch counts while it runs, and not all at once when it ends, which
 * would make a window look idle that was not.
 */
import type { CounterSeries, Metrics } from '../telemetry/metrics.ts';

/**
 * A batch that was handed over counts when it has been on its way for so much longer: far more than it takes to begin,
 * so that nothing counts that was only waiting.
 */
const BEHIND_MS = 250;

export interface BusyMeter {
  /** A batch was handed to the thread. */
  began(): void;
  /** It has run for so long. */
  ended(busyMs: number): void;
}

/** @param nowMs performance.now, for tests */
export function createBusyMeter(
  metrics: Pick<Metrics, 'beforeRead'>,
  series: CounterSeries,
  nowMs: () => number = () => performance.now(),
): BusyMeter {
  let doneS = series.value;
  let beganMs: number | undefined;
  // What was shown is never taken back: a counter that falls is read as one that began anew.
  const show = (seconds: number): void => {
    series.value = Math.max(series.value, seconds);
  };
  metrics.beforeRead(() => {
    if (beganMs !== undefined) show(doneS + Math.max(0, nowMs() - beganMs - BEHIND_MS) / 1000);
  });
  return {
    began() {
      beganMs = nowMs();
    },
    ended(busyMs) {
      beganMs = undefined;
      doneS += busyMs / 1000;
      show(doneS);
    },
  };
}
