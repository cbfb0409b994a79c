/** Does something again and again, as long as somebody looks. */

const BACKOFF_LIMIT_MS = 15_000;

/**
 * Calls `run` now and then again, `intervalMs` after it ended; after failures less often. A hidden page waits.
 * @param {() => Promise<void>} run it handles its errors, and rejects to be called less often
 * @param {number} intervalMs
 * @param {AbortSignal} signal ends it
 * @returns {() => void} calls `run` now, unless it is under way
 */
export function repeat(run, intervalMs, signal) {
  let waitMs = intervalMs;
  let running = false;
  /** @type {number | undefined} */
  let timer;

  const turn = async () => {
    if (running || signal.aborted) return;
    window.clearTimeout(timer);
    running = true;
    try {
      await run();
      waitMs = intervalMs;
    } catch {
      waitMs = Math.min(waitMs * 2, BACKOFF_LIMIT_MS);
    }
    running = false;
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
  void turn();
  return () => void turn();
}
