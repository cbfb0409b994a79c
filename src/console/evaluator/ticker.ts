/**
 * Calls at every multiple of an interval on the wall clock, so that processes and restarts agree on the times, and
 * tells when that clock was set: when it moved by another amount than the monotonic one.
 */

/** A clock that moved by more than this beyond the time that passed was set; below, it is being slewed. */
const CLOCK_JUMP_MS = 1000;

export interface Clock {
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  readonly monotonicMs: () => number;
}

export const SYSTEM_CLOCK: Clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };

/** @returns by how much the clock was set since the call before, in milliseconds; 0 when it was not */
export function createJumpDetector({ wallMs, monotonicMs }: Clock): () => number {
  let wall = wallMs();
  let monotonic = monotonicMs();
  return () => {
    const [nowWall, nowMonotonic] = [wallMs(), monotonicMs()];
    const jumpMs = nowWall - wall - (nowMonotonic - monotonic);
    wall = nowWall;
    monotonic = nowMonotonic;
    return Math.abs(jumpMs) > CLOCK_JUMP_MS ? jumpMs : 0;
  };
}

/**
 * @param phaseMs added to the multiples
 * @param tick gets the time that was due; never called again before it has returned
 */
export function startTicker(
  { intervalMs, phaseMs }: { readonly intervalMs: number; readonly phaseMs: number },
  clock: Clock,
  tick: (dueMs: number) => void,
): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const wait = (lastMs: number): void => {
    const nowMs = clock.wallMs();
    let dueMs = (Math.floor((nowMs - phaseMs) / intervalMs) + 1) * intervalMs + phaseMs;
    // A timer may be early by a millisecond: the same multiple is not due twice.
    if (dueMs === lastMs) dueMs += intervalMs;
    timer = setTimeout(() => {
      tick(dueMs);
      wait(dueMs);
    }, dueMs - nowMs);
  };
  wait(Number.NEGATIVE_INFINITY);
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
    },
  };
}
