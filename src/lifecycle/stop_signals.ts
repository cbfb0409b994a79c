/** SIGINT, SIGTERM and SIGHUP as two wishes of whoever started us: end in order, and end now. */

/**
 * One wish often arrives twice: a terminal signals the whole process group, and npm, npx and `timeout` forward
 * what they get. Signals within so many milliseconds are one wish.
 */
const ONE_WISH_MS = 500;

export interface StopWishes {
  /** End in order. Once. */
  readonly first: (signal: NodeJS.Signals) => void;
  /** End now. */
  readonly again: (signal: NodeJS.Signals) => void;
}

/** What to call for each signal. @param nowMs a monotonic clock */
export function readWishes(wishes: StopWishes, nowMs: () => number): (signal: NodeJS.Signals) => void {
  let firstAtMs: number | undefined;
  return (signal) => {
    if (firstAtMs === undefined) {
      firstAtMs = nowMs();
      wishes.first(signal);
    } else if (nowMs() - firstAtMs > ONE_WISH_MS) {
      wishes.again(signal);
    }
  };
}

/** Takes the signals over for the rest of the process's life. */
export function takeStopSignals(wishes: StopWishes): void {
  const take = readWishes(wishes, () => performance.now());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, take);
}
