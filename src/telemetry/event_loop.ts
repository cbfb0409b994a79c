/**
 * Event-loop delay in slots of 10 ms over the last minute, so that a query can be told the largest delay
 * that it met. What no mark can see (a blocked loop, the accept queue behind it) shows here.
 */
const SLOT_MS = 10;
const SLOTS = 6000;

export interface EventLoopDelay extends Disposable {
  /** Largest delay in the slots that [startMs, endMs] touches, in milliseconds; 0 when none was seen. */
  maxBetweenMs(startMs: number, endMs: number): number;
}

/**
 * @param onTick runs every 10 ms, or as soon as the loop is free again
 * @param nowMs performance.now, for tests
 */
export function createEventLoopDelay(
  onTick: () => void = () => {},
  nowMs: () => number = () => performance.now(),
): EventLoopDelay {
  const delaysMs = new Float32Array(SLOTS);
  let lastMs = nowMs();
  let lastSlot = Math.floor(lastMs / SLOT_MS);

  const tick = (): void => {
    const now = nowMs();
    const slot = Math.floor(now / SLOT_MS);
    const delay = Math.max(0, now - lastMs - SLOT_MS);
    // Each slot since the last tick met this delay; a gap longer than the ring fills it once.
    for (let passed = Math.max(lastSlot + 1, slot - SLOTS + 1); passed <= slot; passed += 1) {
      delaysMs[passed % SLOTS] = delay;
    }
    lastMs = now;
    lastSlot = slot;
    onTick();
  };
  const timer = setInterval(tick, SLOT_MS);
  timer.unref();

  return {
    maxBetweenMs(startMs, endMs) {
      const last = Math.floor(endMs / SLOT_MS);
      const first = Math.max(Math.floor(startMs / SLOT_MS), last - SLOTS + 1);
      // A delay that is still going on has no slot yet.
      let max = Math.max(0, Math.min(endMs, nowMs()) - lastMs - SLOT_MS);
      for (let slot = first; slot <= last && slot <= lastSlot; slot += 1) {
        const delay = delaysMs[slot % SLOTS] as number;
        if (delay > max) max = delay;
      }
      return max;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}
