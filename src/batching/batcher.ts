/**
 * The scheduler with a clock: owns the one timer, and says when batches close and queries expire.
 *
 * A batch that is full closes in the call that filled it. Otherwise it is decided after the event loop has
 * read the sockets that were ready (setImmediate), so that queries which arrived together run together even
 * without a delay. Timers come in whole milliseconds and late rather than early, so a timed batch may close
 * up to a millisecond before its delay has passed, and not a timer's lateness after it.
 */
import { AsyncResource } from 'node:async_hooks';
import type { BatchQueue, Entry, Offer, Refusal } from './queue.ts';
import { type Assignment, Scheduler } from './scheduler.ts';

const TIMER_GRAIN_MS = 1;
/** setTimeout takes no more; a deadline beyond it is looked at then. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

export interface BatcherEvents<T> {
  /** The executor is busy with this batch until release(executor). */
  readonly onBatch: (assignment: Assignment<T>) => void;
  readonly onExpired: (entry: Entry<T>, nowMs: number) => void;
}

export interface Batcher<T> extends Disposable {
  add(queue: BatchQueue<T>, executors: readonly number[]): void;
  submit(queue: BatchQueue<T>, offer: Offer<T>, nowMs: number): Entry<T> | Refusal;
  /** @returns false when the entry had left the queue already */
  cancel(queue: BatchQueue<T>, entry: Entry<T>): boolean;
  /** The executor has finished its batch; its next one, if there is one, closes in this call. */
  release(executor: number): void;
  /** Closes what waits as executors get free, without waiting for company. Resolves when all is done. */
  drain(): Promise<void>;
}

export function createBatcher<T>(executors: number, events: BatcherEvents<T>): Batcher<T> {
  const scheduler = new Scheduler<T>(executors, performance.now());
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;
  let immediate: NodeJS.Immediate | undefined;
  let drained: PromiseWithResolvers<void> | undefined;

  // A batch belongs to all its members: it must not run in the async context of the one that closed it.
  const step = AsyncResource.bind((aheadMs: number): void => {
    if (immediate !== undefined) clearImmediate(immediate);
    immediate = undefined;
    const nowMs = performance.now();
    const { expired, assignments, wakeAtMs } = scheduler.step(nowMs, nowMs + aheadMs);
    for (const assignment of assignments) events.onBatch(assignment);
    for (const entry of expired) events.onExpired(entry, nowMs);
    arm(wakeAtMs, nowMs);
    if (scheduler.idle) drained?.resolve();
  });
  const soon = (): void => {
    immediate ??= setImmediate(step, 0);
  };
  /** An earlier timer is left alone: it looks again and arms the next. */
  const arm = (wakeAtMs: number, nowMs: number): void => {
    if (wakeAtMs >= timerAtMs) return;
    clearTimeout(timer);
    timerAtMs = wakeAtMs;
    const waitMs = Math.min(TIMER_LIMIT_MS, Math.max(TIMER_GRAIN_MS, Math.floor(wakeAtMs - nowMs)));
    timer = setTimeout(() => {
      timerAtMs = Number.POSITIVE_INFINITY;
      step(TIMER_GRAIN_MS);
    }, waitMs);
  };

  return {
    add: (queue, able) => scheduler.add(queue, able),
    submit(queue, offer, nowMs) {
      const result = queue.offer(offer, nowMs);
      if (!('state' in result)) return result;
      if (!scheduler.hasFree(queue)) arm(queue.earliestDeadlineMs, nowMs);
      else if (queue.rows >= queue.limits.maxBatchRows) step(0);
      else soon();
      return result;
    },
    cancel(queue, entry) {
      const left = queue.cancel(entry);
      if (left && scheduler.idle) drained?.resolve();
      return left;
    },
    release(executor) {
      scheduler.release(executor, performance.now());
      step(0);
    },
    drain() {
      drained ??= Promise.withResolvers();
      scheduler.drain();
      step(0);
      return drained.promise;
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      if (immediate !== undefined) clearImmediate(immediate);
    },
  };
}
