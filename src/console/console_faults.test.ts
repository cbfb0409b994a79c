import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Log } from '../contract/log.ts';
import { createFaults } from '../lifecycle/faults.ts';
import { clockOf, followConsoleFaults } from './console_faults.ts';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const RECEIVER = { closeOtlp: async () => {}, openOtlp: async () => {} };

test('the trace store is full while the fault is in force, also when it could not be told at first', async () => {
  const faults = createFaults();
  const told: boolean[] = [];
  let refusals = 1;
  const setFull = async (full: boolean): Promise<void> => {
    refusals -= 1;
    if (refusals >= 0) throw new Error('the trace store is restarting');
    told.push(full);
  };
  await using _ = followConsoleFaults({ faults, store: { setFull }, log: LOG }, RECEIVER);
  faults.set('trace_store', { error: true, leaseMs: 400 });
  while (told.length < 2) await nextTurn();
  expect(told).toEqual([true, false]);
  expect(faults.list()).toEqual([]);
});

test('a console that ends while its disk is held full lets go of it', async () => {
  const faults = createFaults();
  const told: boolean[] = [];
  const setFull = async (full: boolean): Promise<void> => {
    told.push(full);
  };
  {
    await using _ = followConsoleFaults({ faults, store: { setFull }, log: LOG }, RECEIVER);
    faults.set('trace_store', { error: true, leaseMs: 60_000 });
    while (told.length === 0) await nextTurn();
  }
  expect(told).toEqual([true, false]);
});

test('the wall clock is ahead or behind while the fault is in force, the monotonic one never', () => {
  const faults = createFaults();
  const clock = clockOf(faults);
  const aheadMs = (): number => Math.round((clock.wallMs() - Date.now()) / 1000) * 1000;
  expect(aheadMs()).toBe(0);
  const beforeMs = clock.monotonicMs();
  faults.set('clock', { jumpMs: 3_600_000, leaseMs: 60_000 });
  expect(aheadMs()).toBe(3_600_000);
  faults.set('clock', { jumpMs: -60_000, leaseMs: 60_000 });
  expect(aheadMs()).toBe(-60_000);
  expect(clock.monotonicMs() - beforeMs).toBeLessThan(60_000);
  faults.clear('clock');
  expect(aheadMs()).toBe(0);
});
