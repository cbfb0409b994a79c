/** Open loop: arrivals that wait for a connection, first come first served, in fixed memory. */

interface WaitingArrival {
  readonly intendedMs: number;
  readonly measured: boolean;
}

export interface Waiting {
  count(): number;
  /** How many of them belong to the measured part. */
  measuredCount(): number;
  /** False when the queue is full; the arrival is then the caller's to count. */
  push(intendedMs: number, measured: boolean): boolean;
  shift(): WaitingArrival | undefined;
}

/** @param capacity 0 or more; nothing can wait at 0 */
export function createWaiting(capacity: number): Waiting {
  // A ring. Warm-up arrivals are told apart by a flag, for they may still wait when the measured part begins.
  const intended = new Float64Array(capacity);
  const measuredFlags = new Uint8Array(capacity);
  let head = 0;
  let count = 0;
  let measuredCount = 0;
  return {
    count: () => count,
    measuredCount: () => measuredCount,
    push(intendedMs, measured) {
      if (count === capacity) return false;
      const slot = (head + count) % capacity;
      intended[slot] = intendedMs;
      measuredFlags[slot] = measured ? 1 : 0;
      count += 1;
      if (measured) measuredCount += 1;
      return true;
    },
    shift() {
      if (count === 0) return undefined;
      const intendedMs = intended[head] ?? 0;
      const measured = measuredFlags[head] === 1;
      head = (head + 1) % capacity;
      count -= 1;
      if (measured) measuredCount -= 1;
      return { intendedMs, measured };
    },
  };
}
