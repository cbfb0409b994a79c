import { describe, expect, it } from 'vitest';
import { ByteBudget } from './byte_budget.ts';
import { BatchQueue, type Entry, type Offer, type QueueLimits } from './queue.ts';
import { ServiceTime } from './service_time.ts';

const LIMITS: QueueLimits = { maxBatchRows: 4, maxQueueDelayMs: 2, maxEntries: 8 };

interface Setup {
  readonly queue: BatchQueue<string>;
  readonly budget: ByteBudget;
  readonly serviceTime: ServiceTime;
}

function setUp(limits: Partial<QueueLimits> = {}, limitBytes = 1000): Setup {
  const budget = new ByteBudget(limitBytes);
  const serviceTime = new ServiceTime();
  const queue = new BatchQueue<string>({ ...LIMITS, ...limits }, { budget, serviceTime, executors: 1 });
  return { queue, budget, serviceTime };
}

function offer(
  queue: BatchQueue<string>,
  payload: string,
  nowMs: number,
  given: Partial<Offer<string>> = {},
) {
  const defaults = { rows: 1, bytes: 10, groupKey: '', priority: 0, deadlineMs: Number.POSITIVE_INFINITY };
  return queue.offer({ ...defaults, ...given, payload }, nowMs);
}

function accepted(result: ReturnType<typeof offer>): Entry<string> {
  if (!('state' in result)) throw new Error(`refused: ${result.limit}`);
  return result;
}

/** What closes at nowMs with an executor free since freeMs; undefined while the batch waits. */
function closeAt(queue: BatchQueue<string>, nowMs: number, freeMs = 0) {
  if (queue.next(nowMs, freeMs).orderMs === Number.POSITIVE_INFINITY) return undefined;
  const batch = queue.close(nowMs);
  return { ...batch, payloads: batch.entries.map((entry) => entry.payload) };
}

describe('closing', () => {
  it('lets a lone query wait for its delay on an executor that stands free, and no longer', () => {
    const { queue } = setUp();
    offer(queue, 'a', 100);
    expect(queue.next(100, 0).wakeAtMs).toBe(102);
    expect(closeAt(queue, 101.9)).toBeUndefined();
    expect(closeAt(queue, 102)).toMatchObject({
      payloads: ['a'],
      reason: 'delay',
      openedMs: 100,
      closedMs: 102,
    });
  });

  it('counts the delay from when the executor became free, not while it was busy', () => {
    const { queue } = setUp();
    offer(queue, 'a', 100);
    expect(queue.next(150, 150).wakeAtMs).toBe(152);
    expect(closeAt(queue, 152, 150)).toMatchObject({ reason: 'delay' });
  });

  it('keeps the time that a group was offered an executor which went to another', () => {
    const { queue } = setUp();
    offer(queue, 'waits', 100, { groupKey: 'x' });
    for (const payload of ['a', 'b', 'c', 'd']) offer(queue, payload, 101, { groupKey: 'y' });
    expect(closeAt(queue, 101, 99)).toMatchObject({ payloads: ['a', 'b', 'c', 'd'], reason: 'full' });
    expect(closeAt(queue, 130, 130)).toMatchObject({ payloads: ['waits'], reason: 'delay' });
  });

  describe('after waiting in vain', () => {
    /** A queue that has seen eight lone queries, each with an executor free since long before. */
    function lonely(): BatchQueue<string> {
      const { queue } = setUp();
      for (let at = 100; at < 180; at += 10) {
        offer(queue, 'lone', at);
        expect(closeAt(queue, at + 1.9)).toBeUndefined();
        expect(closeAt(queue, at + 2)).toMatchObject({ reason: 'delay' });
      }
      return queue;
    }

    it('lets a query that finds an executor free run at once', () => {
      const queue = lonely();
      offer(queue, 'next', 200);
      expect(closeAt(queue, 200, 190)).toMatchObject({ payloads: ['next'], reason: 'delay' });
    });

    it('still waits with one that had to queue, and with several', () => {
      const queue = lonely();
      offer(queue, 'queued', 200);
      expect(closeAt(queue, 205, 205)).toBeUndefined();
      offer(queue, 'company', 206);
      expect(closeAt(queue, 206, 205)).toBeUndefined();
      expect(closeAt(queue, 207, 205)).toMatchObject({ payloads: ['queued', 'company'] });
    });

    it('waits again once there was company', () => {
      const queue = lonely();
      offer(queue, 'queued', 200);
      offer(queue, 'company', 200);
      closeAt(queue, 207, 205);
      offer(queue, 'lone', 300);
      expect(closeAt(queue, 300, 290)).toBeUndefined();
    });
  });

  it('closes a full batch at once', () => {
    const { queue } = setUp();
    for (const payload of ['a', 'b', 'c', 'd', 'e']) offer(queue, payload, 100);
    expect(closeAt(queue, 100)).toMatchObject({ payloads: ['a', 'b', 'c', 'd'], rows: 4, reason: 'full' });
    expect(queue.entries).toBe(1);
  });

  it('never splits a query: one that does not fit waits, and is not overtaken', () => {
    const { queue } = setUp();
    offer(queue, 'a', 100, { rows: 2 });
    offer(queue, 'large', 100, { rows: 3 });
    offer(queue, 'small', 100, { rows: 1 });
    expect(closeAt(queue, 100)).toMatchObject({ payloads: ['a'], reason: 'full' });
    expect(closeAt(queue, 100)).toMatchObject({ payloads: ['large', 'small'], reason: 'full' });
  });

  it('closes before its time when a member would miss its deadline, by the time that a run takes', () => {
    const { queue, serviceTime } = setUp({ maxQueueDelayMs: 50 });
    for (let run = 0; run < 100; run += 1) serviceTime.observe(1, 10);
    offer(queue, 'a', 100, { deadlineMs: 130 });
    const { wakeAtMs } = queue.next(100, 0);
    expect(wakeAtMs).toBeCloseTo(120, 1);
    expect(closeAt(queue, wakeAtMs)).toMatchObject({ reason: 'deadline' });
  });

  it('closes at once while draining', () => {
    const { queue } = setUp({ maxQueueDelayMs: 1000 });
    offer(queue, 'a', 100);
    expect(closeAt(queue, 100)).toBeUndefined();
    queue.drain();
    expect(closeAt(queue, 100)).toMatchObject({ reason: 'drain' });
  });

  it('keeps groups apart, and takes the one whose head waited longest', () => {
    const { queue } = setUp({ maxQueueDelayMs: 0 });
    offer(queue, 'x1', 100, { groupKey: 'x' });
    offer(queue, 'y1', 101, { groupKey: 'y' });
    offer(queue, 'x2', 102, { groupKey: 'x' });
    expect(closeAt(queue, 103)).toMatchObject({ payloads: ['x1', 'x2'] });
    expect(closeAt(queue, 103)).toMatchObject({ payloads: ['y1'] });
  });

  it('refuses to close what next() did not find ripe', () => {
    const { queue } = setUp();
    const entry = accepted(offer(queue, 'a', 100));
    queue.next(200, 0);
    queue.cancel(entry);
    expect(() => queue.close(200)).toThrow(/next/);
  });
});

describe('priority', () => {
  it('takes 1 before the default before the rest, first in, first out within each', () => {
    const { queue } = setUp({ maxQueueDelayMs: 0, maxBatchRows: 8 });
    offer(queue, 'low', 100, { priority: 7 });
    offer(queue, 'default 1', 101);
    offer(queue, 'high 1', 102, { priority: 1 });
    offer(queue, 'default 2', 103, { priority: 2 });
    offer(queue, 'high 2', 104, { priority: 1 });
    expect(closeAt(queue, 105)?.payloads).toEqual(['high 1', 'high 2', 'default 1', 'default 2', 'low']);
  });

  it('starves nobody: a second of waiting outweighs a step of priority', () => {
    const { queue } = setUp({ maxQueueDelayMs: 0, maxBatchRows: 1 });
    offer(queue, 'default', 100);
    offer(queue, 'high early', 1099, { priority: 1 });
    offer(queue, 'high late', 1101, { priority: 1 });
    const order = [1, 2, 3].map(() => closeAt(queue, 1200)?.payloads[0]);
    expect(order).toEqual(['high early', 'default', 'high late']);
  });
});

describe('leaving', () => {
  it('lets an entry leave once, whichever way comes first', () => {
    const { queue, budget } = setUp({ maxQueueDelayMs: 0 });
    const cancelled = accepted(offer(queue, 'cancelled', 100));
    const expired = accepted(offer(queue, 'expired', 100, { deadlineMs: 105 }));
    const batched = accepted(offer(queue, 'batched', 100, { deadlineMs: 106 }));
    expect(queue.cancel(cancelled)).toBe(true);
    expect(queue.cancel(cancelled)).toBe(false);
    expect(queue.expire(104)).toEqual([]);
    expect(queue.expire(105)).toEqual([expired]);
    expect(queue.expire(105)).toEqual([]);
    expect(closeAt(queue, 105)?.payloads).toEqual(['batched']);
    expect(queue.expire(200)).toEqual([]);
    expect(queue.cancel(batched)).toBe(false);
    expect([cancelled.state, expired.state, batched.state]).toEqual(['cancelled', 'expired', 'batched']);
    expect([queue.entries, queue.rows, queue.bytes, budget.usedBytes]).toEqual([0, 0, 0, 0]);
  });

  it('knows the next deadline', () => {
    const { queue } = setUp();
    expect(queue.earliestDeadlineMs).toBe(Number.POSITIVE_INFINITY);
    offer(queue, 'a', 100, { deadlineMs: 300 });
    offer(queue, 'b', 100, { deadlineMs: 200 });
    expect(queue.earliestDeadlineMs).toBe(200);
    queue.expire(200);
    expect(queue.earliestDeadlineMs).toBe(300);
  });
});

describe('limits', () => {
  it('refuses beyond the limit of entries, with the time in which what waits will be done', () => {
    const { queue, serviceTime } = setUp({ maxEntries: 4 });
    serviceTime.observe(1, 2500);
    for (const payload of ['a', 'b', 'c', 'd']) accepted(offer(queue, payload, 100));
    expect(queue.refusal(0)).toEqual({ limit: 'requests', retryAfterS: 10 });
    expect(offer(queue, 'e', 100)).toEqual({ limit: 'requests', retryAfterS: 10 });
    expect(queue.entries).toBe(4);
  });

  it('says a second when it has measured nothing, and a minute at most', () => {
    const { queue, serviceTime } = setUp({ maxEntries: 1 });
    offer(queue, 'a', 100);
    expect(queue.refusal(0)?.retryAfterS).toBe(1);
    serviceTime.observe(1, 1e6);
    expect(queue.refusal(0)?.retryAfterS).toBe(60);
  });

  it('shares its bytes with the other queues of the budget', () => {
    const { queue, budget } = setUp({}, 100);
    budget.tryReserve(85);
    accepted(offer(queue, 'a', 100));
    expect(offer(queue, 'b', 100)).toMatchObject({ limit: 'bytes' });
    budget.release(85);
    accepted(offer(queue, 'b', 100));
    expect(budget.usedBytes).toBe(20);
  });

  it('asserts that a query fits a batch at all', () => {
    const { queue } = setUp();
    expect(() => offer(queue, 'a', 100, { rows: 5 })).toThrow(RangeError);
    expect(() => offer(queue, 'a', 100, { rows: 0 })).toThrow(RangeError);
  });
});
