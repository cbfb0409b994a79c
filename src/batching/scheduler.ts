/**
 * Several queues before several executors: which batch closes for which executor. Pure, as the queues are.
 *
 * An executor runs one batch at a time and is free since release(). Each queue names the executors that can
 * run its model. While an executor is free, the ripe group that comes first in the queues' common order
 * (priority, then age) gets the executor that has been free the longest, so that "an executor is free for it"
 * means the same for a query as for whoever reads its stages.
 */
import type { BatchQueue, ClosedBatch, Entry } from './queue.ts';

export interface Assignment<T> {
  readonly queue: BatchQueue<T>;
  readonly batch: ClosedBatch<T>;
  readonly executor: number;
  /** Since when the executor had been free. */
  readonly freeSinceMs: number;
}

export interface Step<T> {
  /** What missed its deadline while it waited. */
  readonly expired: readonly Entry<T>[];
  readonly assignments: readonly Assignment<T>[];
  /** When to step again if nothing else happens; Infinity when there is nothing to wait for. */
  readonly wakeAtMs: number;
}

const BUSY = Number.POSITIVE_INFINITY;

interface Place<T> {
  readonly queue: BatchQueue<T>;
  readonly executors: readonly number[];
}

export class Scheduler<T> {
  readonly #places: Place<T>[] = [];
  /** By executor: since when it is free; Infinity while it runs. */
  readonly #freeSinceMs: number[];

  constructor(executors: number, nowMs: number) {
    this.#freeSinceMs = new Array<number>(executors).fill(nowMs);
  }

  /** @param executors at least one, each below the number given to the constructor */
  add(queue: BatchQueue<T>, executors: readonly number[]): void {
    this.#places.push({ queue, executors });
  }

  /** The executor has finished its batch. */
  release(executor: number, nowMs: number): void {
    if (this.#freeSinceMs[executor] !== BUSY) throw new Error(`executor ${executor} was not busy`);
    this.#freeSinceMs[executor] = nowMs;
  }

  /** Whether an executor is free that can run this queue's model. */
  hasFree(queue: BatchQueue<T>): boolean {
    const place = this.#places.find((candidate) => candidate.queue === queue);
    return place !== undefined && this.#longestFree(place) >= 0;
  }

  /** Whether nothing waits and nothing runs. */
  get idle(): boolean {
    return (
      this.#places.every((place) => place.queue.entries === 0) &&
      this.#freeSinceMs.every((freeMs) => freeMs !== BUSY)
    );
  }

  drain(): void {
    for (const { queue } of this.#places) queue.drain();
  }

  /**
   * Takes out what has expired and closes every batch that may close.
   * @param dueMs as in BatchQueue.next(): nowMs, or a little later
   */
  step(nowMs: number, dueMs: number): Step<T> {
    const expired: Entry<T>[] = [];
    for (const { queue } of this.#places) expired.push(...queue.expire(nowMs));
    const assignments: Assignment<T>[] = [];
    for (;;) {
      let wakeAtMs = Number.POSITIVE_INFINITY;
      let first: Place<T> | undefined;
      let firstOrderMs = Number.POSITIVE_INFINITY;
      for (const place of this.#places) {
        if (place.queue.entries === 0) continue;
        wakeAtMs = Math.min(wakeAtMs, place.queue.earliestDeadlineMs);
        const executor = this.#longestFree(place);
        if (executor < 0) continue;
        const ripeness = place.queue.next(dueMs, this.#freeSinceMs[executor] ?? nowMs);
        wakeAtMs = Math.min(wakeAtMs, ripeness.wakeAtMs);
        if (ripeness.orderMs < firstOrderMs) {
          firstOrderMs = ripeness.orderMs;
          first = place;
        }
      }
      if (first === undefined) return { expired, assignments, wakeAtMs };
      const executor = this.#longestFree(first);
      const freeSinceMs = this.#freeSinceMs[executor] ?? nowMs;
      this.#freeSinceMs[executor] = BUSY;
      assignments.push({ queue: first.queue, batch: first.queue.close(nowMs), executor, freeSinceMs });
    }
  }

  #longestFree(place: Place<T>): number {
    let longest = -1;
    let sinceMs = BUSY;
    for (const executor of place.executors) {
      const freeMs = this.#freeSinceMs[executor] ?? BUSY;
      if (freeMs < sinceMs) {
        sinceMs = freeMs;
        longest = executor;
      }
    }
    return longest;
  }
}
