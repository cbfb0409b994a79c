import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, it } from 'vitest';
import { createBatcher } from './batcher.ts';
import { ByteBudget } from './byte_budget.ts';
import { BatchQueue, type Entry, type Offer } from './queue.ts';
import type { Assignment } from './scheduler.ts';
import { ServiceTime } from './service_time.ts';

interface Shell extends Disposable {
  readonly submit: (payload: string, given?: Partial<Offer<string>>) => Entry<string>;
  readonly batcher: ReturnType<typeof createBatcher<string>>;
  readonly queue: BatchQueue<string>;
  /** The next batch, or the next expired entry. */
  readonly batch: () => Promise<Assignment<string>>;
  readonly expired: () => Promise<string>;
  readonly batches: string[][];
}

function open(maxBatchRows: number, maxQueueDelayMs: number, onBatchStart = () => {}): Shell {
  const batches: string[][] = [];
  let onBatch: ((assignment: Assignment<string>) => void) | undefined;
  let onExpired: ((payload: string) => void) | undefined;
  const batcher = createBatcher<string>(1, {
    onBatch: (assignment) => {
      onBatchStart();
      batches.push(assignment.batch.entries.map(({ payload }) => payload));
      onBatch?.(assignment);
    },
    onExpired: (entry) => onExpired?.(entry.payload),
  });
  const queue = new BatchQueue<string>(
    { maxBatchRows, maxQueueDelayMs, maxEntries: 100 },
    { budget: new ByteBudget(1000), serviceTime: new ServiceTime(), executors: 1 },
  );
  batcher.add(queue, [0]);
  return {
    batcher,
    queue,
    batches,
    submit: (payload, given = {}) => {
      const defaults = { rows: 1, bytes: 1, groupKey: '', priority: 0, deadlineMs: Number.POSITIVE_INFINITY };
      const entry = batcher.submit(queue, { ...defaults, ...given, payload }, performance.now());
      if (!('state' in entry)) throw new Error('refused');
      return entry;
    },
    batch: () => new Promise((resolve) => (onBatch = resolve)),
    expired: () => new Promise((resolve) => (onExpired = resolve)),
    [Symbol.dispose]: () => batcher[Symbol.dispose](),
  };
}

it('puts what arrives in one turn of the event loop into one batch, without any delay', async () => {
  using shell = open(8, 0);
  const first = shell.batch();
  shell.submit('a');
  shell.submit('b');
  shell.submit('c');
  expect(shell.batches).toEqual([]);
  await first;
  expect(shell.batches).toEqual([['a', 'b', 'c']]);
});

it('closes a full batch in the call that filled it, and the next one in the call that released the executor', () => {
  using shell = open(2, 1000);
  shell.submit('a');
  shell.submit('b');
  expect(shell.batches).toEqual([['a', 'b']]);
  shell.submit('c');
  shell.submit('d');
  expect(shell.batches).toHaveLength(1);
  shell.batcher.release(0);
  expect(shell.batches[1]).toEqual(['c', 'd']);
});

it('closes when the delay is over, no more than a timer late', async () => {
  using shell = open(8, 5);
  const first = shell.batch();
  const entry = shell.submit('a');
  const { batch } = await first;
  expect(batch.reason).toBe('delay');
  // It may be early by the timer's grain, and was certainly not closed in the same turn.
  expect(batch.closedMs - entry.enqueuedMs).toBeGreaterThanOrEqual(4);
});

it('tells of what expires while every executor is busy', async () => {
  using shell = open(1, 0);
  shell.submit('runs');
  const expired = shell.expired();
  const entry = shell.submit('waits', { deadlineMs: performance.now() + 5 });
  expect(await expired).toBe('waits');
  expect(entry.state).toBe('expired');
  shell.batcher.release(0);
  expect(shell.batches).toEqual([['runs']]);
});

it('drains: closes without waiting for company, and resolves when nothing waits or runs', async () => {
  using shell = open(2, 10_000);
  shell.submit('a');
  const order: string[] = [];
  const drained = shell.batcher.drain().then(() => order.push('drained'));
  expect(shell.batches).toEqual([['a']]);
  const last = shell.submit('b');
  await Promise.resolve();
  expect(shell.batcher.cancel(shell.queue, last)).toBe(true);
  order.push('cancelled');
  shell.batcher.release(0);
  await drained;
  expect(order).toEqual(['cancelled', 'drained']);
});

it('runs batches outside the async context of the query that closed them', () => {
  const store = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  using shell = open(1, 0, () => seen.push(store.getStore()));
  store.run('a query', () => shell.submit('a'));
  expect(shell.batches).toEqual([['a']]);
  expect(seen).toEqual([undefined]);
});
