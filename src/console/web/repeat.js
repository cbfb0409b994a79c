/** Does something again and again, as long as somebody looks. */

const BACKOFF_LIMIT_MS = 15_000;

/**
 * Calls `run` now and then again, `intervalMs` after it ended; after failures less often. A hidden page waits.
 * @param {() => Promise<void>} run it handles its errors, and rejects to be called less often
 * @param {number} intervalMs
 * @param {AbortSignal} signal ends it
 * @returns {() => void} calls `run` now, or again at once when it is under way
 */
export function repeat(run, intervalMs, signal) {
  let waitMs = intervalMs;
  let isRunning = false;
  let isAsked = false;
  /** @type {number | undefined} */
  let timer;

  const turn = async () => {
    isAsked = true;
    if (isRunning) return;
    window.clearTimeout(timer);
    isRunning = true;
    while (isAsked && !signal.aborted) {
      isAsked = false;
      try {
        await run();
        waitMs = intervalMs;
      } catch {
        waitMs = Math.min(waitMs * 2, BACKOFF_LIMIT_MS);
      }
    }
    isRunning = false;
    if (!signal.aborted && !document.hidden) timer = window.setTimeout(turn, waitMs);
  };
  document.addEventListener(
    'visibilitychange',
    () => {
      window.clearTimeout(timer);
      if (!document.hidden) void turn();
    },
    { signal },
  );
  signal.addEventListener('abort', () => window.clearTimeout(timer));
  // After the caller has what this returns.
  queueMicrotask(turn);
  return () => void turn();
}
