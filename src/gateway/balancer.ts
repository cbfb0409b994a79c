/** Which worker a query goes to: the one with the fewest in flight; among equals, each in turn. */

export interface Candidate {
  readonly inFlight: number;
  /** It is ready, nothing is known against it, and it has room for one more. */
  readonly usable: boolean;
  /** A suspect body is with it: see quarantine.ts. */
  readonly laneTaken: boolean;
}

export interface Wish<W> {
  /** The worker that has just failed this query: taken only when there is no other. */
  readonly avoid: W | undefined;
  /** The body is suspect: only a worker whose probation lane is free will do. */
  readonly needsLane: boolean;
}

/**
 * @param turn counts up with every choice; ties start from it
 * @returns undefined when no worker is usable now
 */
export function fewestInFlight<W extends Candidate>(
  workers: readonly W[],
  turn: number,
  wish: Wish<W>,
): W | undefined {
  const count = workers.length;
  let best: W | undefined;
  let fallback: W | undefined;
  for (let step = 0; step < count; step += 1) {
    const worker = workers[(turn + step) % count] as W;
    if (!worker.usable || (wish.needsLane && worker.laneTaken)) continue;
    if (worker === wish.avoid) fallback = worker;
    else if (best === undefined || worker.inFlight < best.inFlight) best = worker;
  }
  return best ?? fallback;
}
