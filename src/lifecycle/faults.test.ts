import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { createFaults, FAULT_DELAY_LIMIT_MS, FAULT_LEASE_LIMIT_MS } from './faults.ts';

afterEach(() => {
  vi.useRealTimers();
});

test('without a fault nothing is active and nothing waits', async () => {
  const faults = createFaults();
  expect(faults.active).toBe(false);
  expect(faults.delayMs('compute')).toBe(0);
  await faults.pass('compute');
  faults.passSync('compute');
  expect(faults.list()).toEqual([]);
});

test('a fault acts at its own point alone and lapses with its lease', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const faults = createFaults();
  faults.set('queue', { delayMs: 50, leaseMs: 1000 });
  expect(faults.active).toBe(true);
  expect(faults.delayMs('queue')).toBe(50);
  expect(faults.delayMs('compute')).toBe(0);
  expect(faults.list()).toEqual([
    { point: 'queue', delayMs: 50, error: false, crash: false, bytes: 0, jumpMs: 0, leftMs: 1000 },
  ]);
  vi.advanceTimersByTime(1000);
  expect(faults.delayMs('queue')).toBe(0);
  expect(faults.list()).toEqual([]);
});

test('a cleared fault is gone, and a new one replaces all of the old', async () => {
  const faults = createFaults();
  faults.set('admit', { delayMs: 50, error: true, leaseMs: 60_000 });
  faults.set('admit', { delayMs: 1, leaseMs: 60_000 });
  expect(faults.error('admit')).toBe(false);
  await faults.pass('admit');
  faults.clear('admit');
  expect(faults.delayMs('admit')).toBe(0);
});

test('an error fault throws where it stands', async () => {
  const faults = createFaults();
  faults.set('attempt', { error: true, leaseMs: 60_000 });
  await expect(faults.pass('attempt')).rejects.toThrow('fault injected at attempt');
  expect(() => faults.passSync('attempt')).toThrow('fault injected at attempt');
  await faults.pass('admit');
});

test('delays and leases beyond their limits are refused', () => {
  const faults = createFaults();
  expect(() => faults.set('queue', { delayMs: FAULT_DELAY_LIMIT_MS + 1, leaseMs: 1 })).toThrow(RangeError);
  expect(() => faults.set('queue', { delayMs: -1, leaseMs: 1 })).toThrow(RangeError);
  expect(() => faults.set('memory', { bytes: 2 ** 40, leaseMs: 1 })).toThrow('bytes');
  expect(() => faults.set('clock', { jumpMs: -1e12, leaseMs: 1 })).toThrow('jumpMs');
  expect(() => faults.set('queue', { leaseMs: FAULT_LEASE_LIMIT_MS + 1 })).toThrow(RangeError);
  expect(() => faults.set('queue', { leaseMs: Number.NaN })).toThrow(RangeError);
  expect(faults.active).toBe(false);
});

test('an inference thread reads the same table', async () => {
  const faults = createFaults();
  const thread = new Worker(new URL('../../test/fixtures/fault_reader_thread.ts', import.meta.url), {
    workerData: { buffer: faults.buffer, point: 'compute' },
  });
  const ask = async (): Promise<unknown> => {
    thread.postMessage('read');
    return (await once(thread, 'message'))[0];
  };
  try {
    expect(await ask()).toBe(0);
    faults.set('compute', { delayMs: 25, leaseMs: 60_000 });
    expect(await ask()).toBe(25);
    faults.clear('compute');
    expect(await ask()).toBe(0);
  } finally {
    await thread.terminate();
  }
});
