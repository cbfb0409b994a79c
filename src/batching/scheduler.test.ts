/**
 * Random schedules against the rules that hold for every one of them. Time is a number that only grows; the
 * seed is in the name of the test, so that a failure can be run again.
 */
import { describe, expect, it } from 'vitest';
import { ByteBudget } from './byte_budget.ts';
import { BatchQueue, type Entry, type QueueLimits } from './queue.ts';
import { type Assignment, Scheduler } from './scheduler.ts';
import { ServiceTime } from './service_time.ts';

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Query {
  readonly id: number;
  readonly queue: number;
  readonly groupKey: string;
  readonly priority: number;
}

const EXECUTORS = 3;
const BYTES_LIMIT = 4000;
/** Executor 0 carries every model, 1 the first, 2 the last. */
const CARRIERS: readonly (readonly number[])[] = [[0, 1], [0], [0, 2]];

class Schedule {
  readonly #random: () => number;
  readonly limits: readonly QueueLimits[];
  readonly budget = new ByteBudget(BYTES_LIMIT);
  readonly queues: readonly BatchQueue<Query>[];
  readonly scheduler = new Scheduler<Query>(EXECUTORS, 0);
  readonly waiting = new Map<number, Entry<Query>>();
  readonly ends = new Map<number, string>();
  readonly running = new Map<number, number>();
  nowMs = 0;
  offered = 0;
  refused = 0;
  draining = false;
  wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.limits = CARRIERS.map(() => ({
      maxBatchRows: 1 + this.#below(16),
      maxQueueDelayMs: this.#below(4),
      maxEntries: 5 + this.#below(40),
    }));
    this.queues = this.limits.map(
      (limits, index) =>
        new BatchQueue<Query>(limits, {
          budget: this.budget,
          serviceTime: new ServiceTime(),
          executors: CARRIERS[index]?.length ?? 0,
        }),
    );
    this.queues.forEach((queue, index) => {
      this.scheduler.add(queue, CARRIERS[index] ?? []);
    });
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #end(id: number, how: string): void {
    expect(this.ends.has(id), `query ${id} ends once`).toBe(false);
    this.ends.set(id, how);
    this.waiting.delete(id);
  }

  offer(): void {
    const at = this.#below(this.queues.length);
    const queue = this.queues[at] as BatchQueue<Query>;
    const limits = this.limits[at] as QueueLimits;
    const groupKey = String(this.#below(3));
    const priority = this.#below(4);
    this.offered += 1;
    const payload: Query = { id: this.offered, queue: at, groupKey, priority };
    const entry = queue.offer(
      {
        rows: 1 + this.#below(limits.maxBatchRows),
        bytes: this.#below(200),
        groupKey,
        priority,
        deadlineMs: this.#random() < 0.3 ? this.nowMs + this.#random() * 20 : Number.POSITIVE_INFINITY,
        payload,
      },
      this.nowMs,
    );
    if ('state' in entry) this.waiting.set(payload.id, entry);
    else {
      this.refused += 1;
      const room = this.budget.usedBytes < BYTES_LIMIT - 200 && queue.entries < limits.maxEntries;
      expect(room, 'refused only at a limit').toBe(false);
    }
    expect(queue.entries).toBeLessThanOrEqual(limits.maxEntries);
    expect(this.budget.usedBytes).toBeLessThanOrEqual(BYTES_LIMIT);
  }

  cancel(): void {
    const ids = [...this.waiting.keys()];
    const id = ids[this.#below(ids.length)];
    const entry = id === undefined ? undefined : this.waiting.get(id);
    if (id === undefined || entry === undefined) return;
    expect(this.queues[entry.payload.queue]?.cancel(entry)).toBe(true);
    this.#end(id, 'cancelled');
  }

  release(): void {
    const busy = [...this.running.keys()];
    const executor = busy[this.#below(busy.length)];
    if (executor === undefined) return;
    this.running.delete(executor);
    this.scheduler.release(executor, this.nowMs);
  }

  /** Every member is one of those that waited; nobody of the same group and priority who came first is left. */
  #checkBatch({ queue, batch, executor, freeSinceMs }: Assignment<Query>): void {
    const at = this.queues.indexOf(queue);
    const limits = this.limits[at] as QueueLimits;
    expect(CARRIERS[at]).toContain(executor);
    expect(this.running.has(executor), 'an executor runs one batch').toBe(false);
    expect(freeSinceMs).toBeLessThanOrEqual(this.nowMs);
    this.running.set(executor, this.nowMs);
    expect(batch.entries.length).toBeGreaterThan(0);
    let rows = 0;
    const key = batch.entries[0]?.payload.groupKey;
    const lastOf = new Map<number, number>();
    for (const entry of batch.entries) {
      const { id, groupKey, priority } = entry.payload;
      expect(this.waiting.get(id), 'a member waited').toBe(entry);
      expect(entry.payload.queue).toBe(at);
      expect(groupKey, 'groups are not mixed').toBe(key);
      expect(entry.deadlineMs, 'nobody runs after the deadline').toBeGreaterThan(this.nowMs);
      const cls = priority === 1 ? 0 : priority === 0 || priority === 2 ? 1 : 2;
      expect(id, 'first in, first out').toBeGreaterThan(lastOf.get(cls) ?? 0);
      lastOf.set(cls, id);
      rows += entry.rows;
      this.#end(id, 'batched');
    }
    expect(batch.rows).toBe(rows);
    expect(rows, 'no batch is larger than its limit').toBeLessThanOrEqual(limits.maxBatchRows);
    for (const left of this.waiting.values()) {
      const { queue: from, groupKey, priority, id } = left.payload;
      if (from !== at || groupKey !== key) continue;
      const cls = priority === 1 ? 0 : priority === 0 || priority === 2 ? 1 : 2;
      const last = lastOf.get(cls);
      if (last !== undefined) expect(id, 'nobody is overtaken by an equal').toBeGreaterThan(last);
    }
    const groupLeft = [...this.waiting.values()].some(
      ({ payload, rows: more }) =>
        payload.queue === at && payload.groupKey === key && rows + more <= limits.maxBatchRows,
    );
    if (batch.reason === 'delay' || batch.reason === 'deadline' || batch.reason === 'drain') {
      expect(groupLeft, 'whoever fits is taken').toBe(false);
    }
    if (batch.reason === 'drain') expect(this.draining).toBe(true);
    if (batch.reason === 'delay') {
      const offeredMs = Math.max(batch.openedMs, freeSinceMs);
      // It may have been offered an executor before this one, so it never waits longer, but may wait less.
      expect(this.nowMs - offeredMs).toBeLessThanOrEqual(limits.maxQueueDelayMs + this.#lateMs);
    }
  }

  /** How late the last step was for what it had been told to wake for. */
  #lateMs = 0;

  step(): void {
    this.#lateMs = Math.max(0, this.nowMs - this.wakeAtMs);
    const { expired, assignments, wakeAtMs } = this.scheduler.step(this.nowMs, this.nowMs);
    for (const entry of expired) {
      expect(entry.deadlineMs).toBeLessThanOrEqual(this.nowMs);
      this.#end(entry.payload.id, 'expired');
    }
    for (const assignment of assignments) this.#checkBatch(assignment);
    this.wakeAtMs = wakeAtMs;
    for (const entry of this.waiting.values()) {
      expect(wakeAtMs, 'no deadline is slept through').toBeLessThanOrEqual(entry.deadlineMs);
    }
  }

  turn(): void {
    const pick = this.#random();
    this.nowMs += this.#random() < 0.5 ? 0 : this.#random() * 2;
    // As the shell does: wake when told to.
    if (this.wakeAtMs < this.nowMs) this.nowMs = this.wakeAtMs;
    if (pick < 0.55) this.offer();
    else if (pick < 0.65) this.cancel();
    else if (pick < 0.9) this.release();
    this.step();
  }

  finish(): void {
    this.draining = true;
    this.scheduler.drain();
    this.step();
    for (let turn = 0; !this.scheduler.idle; turn += 1) {
      expect(turn, 'draining ends').toBeLessThan(10_000);
      this.release();
      this.step();
    }
  }
}

describe('random schedules', () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    it(`keeps every rule with seed ${seed}`, () => {
      const schedule = new Schedule(seed);
      for (let turn = 0; turn < 1500; turn += 1) schedule.turn();
      schedule.finish();
      expect(schedule.waiting.size, 'nothing is lost').toBe(0);
      expect(schedule.ends.size + schedule.refused).toBe(schedule.offered);
      expect(schedule.budget.usedBytes).toBe(0);
      for (const queue of schedule.queues)
        expect([queue.entries, queue.rows, queue.bytes]).toEqual([0, 0, 0]);
      // The schedule must have met what it is about.
      expect(new Set(schedule.ends.values())).toEqual(new Set(['batched', 'cancelled', 'expired']));
    });
  }

  it('gives each ripe batch its own executor, the one that was free the longest', () => {
    const scheduler = new Scheduler<Query>(2, 0);
    const deps = { budget: new ByteBudget(1000), serviceTime: new ServiceTime(), executors: 2 };
    const queue = new BatchQueue<Query>({ maxBatchRows: 1, maxQueueDelayMs: 0, maxEntries: 9 }, deps);
    scheduler.add(queue, [0, 1]);
    const offer = (id: number, nowMs: number) =>
      queue.offer(
        {
          rows: 1,
          bytes: 1,
          groupKey: '',
          priority: 0,
          deadlineMs: Number.POSITIVE_INFINITY,
          payload: { id, queue: 0, groupKey: '', priority: 0 },
        },
        nowMs,
      );
    offer(1, 10);
    offer(2, 10);
    offer(3, 10);
    expect(scheduler.step(10, 10).assignments.map(({ executor }) => executor)).toEqual([0, 1]);
    scheduler.release(1, 20);
    expect(scheduler.step(20, 20).assignments.map(({ executor }) => executor)).toEqual([1]);
    scheduler.release(1, 30);
    scheduler.release(0, 31);
    offer(4, 32);
    expect(scheduler.step(32, 32).assignments).toMatchObject([{ executor: 1, freeSinceMs: 30 }]);
    expect(() => scheduler.release(0, 33)).toThrow(/not busy/);
  });
});
