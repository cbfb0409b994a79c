import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openFaultSocket } from './fault_socket.ts';
import { createFaults } from './faults.ts';
import { stallOnFault } from './stall.ts';

const STALL_MS = 150;

test('the event loop stands still for as long as the fault says, again and again, while it is in force', async () => {
  const faults = createFaults();
  using _ = stallOnFault(faults);
  using delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  faults.set('event_loop', { delayMs: STALL_MS, leaseMs: 60_000 });
  while (delay.max < STALL_MS * 1e6) await new Promise(setImmediate);
  delay.reset();
  while (delay.max < STALL_MS * 1e6) await new Promise(setImmediate);
  faults.clear('event_loop');
  expect(faults.list()).toEqual([]);
});

test('a stall ends with its lease, whatever is left of it', () => {
  const faults = createFaults();
  faults.set('event_loop', { delayMs: 60_000, leaseMs: 50 });
  faults.passSync('event_loop');
  expect(faults.list()).toEqual([]);
});

test('a fault that holds the main thread up is lifted through the socket', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'vitrine-stall-'));
  const faults = createFaults();
  await using socket = await openFaultSocket(faults, { directory, name: 'worker', index: 1 });
  faults.set('event_loop', { delayMs: 60_000, leaseMs: 60_000 });
  // From another thread, since this one stands still until then.
  const driver = new Worker(
    `const { request } = require('node:http');
     const { workerData: socketPath } = require('node:worker_threads');
     request({ socketPath, method: 'DELETE', path: '/faults/event_loop' }, (response) => response.resume()).end();`,
    { eval: true, workerData: socket.path },
  );
  faults.passSync('event_loop');
  expect(faults.list()).toEqual([]);
  await driver.terminate();
  await rm(directory, { recursive: true, force: true });
});
