/** SIGINT, SIGTERM and SIGHUP as two wishes of whoever started us: end in order, and end now. */

/**
 * One wish often arrives twice: a terminal signals the whole process group, and npm, npx and `timeout` forward
 * what they get. Signals within so many milliseconds are one wish.
 */
const ONE_WISH_MS = 500;

/** Takes the signals over for the rest of the process's life. */
export function createStopSignals(wishes: {
  readonly first: (signal: NodeJS.Signals) => void;
  readonly again: (signal: NodeJS.Signals) => void;
}): void {
  let firstAtMs: number | undefined;
  const take = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      wishes.first(signal);
    } else if (nowMs - firstAtMs > ONE_WISH_MS) {
      wishes.again(signal);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, take);
}
