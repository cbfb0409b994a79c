import { expect, test } from 'vitest';
import { MEMORY_FAULT_LIMIT_BYTES } from '../contract/fault_points.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { createFaults } from './faults.ts';
import { growOnFault } from './memory_growth.ts';

const MIB = 1024 * 1024;

test('memory is resident while the fault is in force, and free when it is lifted, with the limit as it was', async () => {
  const faults = createFaults();
  const metrics = new Metrics();
  using _growth = growOnFault(faults, metrics);
  const usage = () => process.memoryUsage.rss();
  const limit = () => metrics.gauge('process_memory_limit_bytes').series({}).value;
  const limitBefore = limit();
  expect(limitBefore).toBeGreaterThan(usage());
  // Tests beside this one in the same process would move less than this.
  const grown = usage() + 150 * MIB;
  faults.set('memory', { bytes: 200 * MIB, leaseMs: 60_000 });
  while (usage() < grown) await new Promise(setImmediate);
  expect(limit()).toBeLessThan(grown + MEMORY_FAULT_LIMIT_BYTES);
  faults.clear('memory');
  while (usage() > grown - 100 * MIB) await new Promise(setImmediate);
  expect(limit()).toBe(limitBefore);
});

test('what a killed driver left is free when the lease is over', async () => {
  const faults = createFaults();
  const metrics = new Metrics();
  using _growth = growOnFault(faults, metrics);
  const limit = () => metrics.gauge('process_memory_limit_bytes').series({}).value;
  const limitBefore = limit();
  faults.set('memory', { bytes: 4 * MIB, leaseMs: 300 });
  while (limit() === limitBefore) await new Promise(setImmediate);
  while (limit() !== limitBefore) await new Promise(setImmediate);
  expect(faults.list()).toEqual([]);
});
