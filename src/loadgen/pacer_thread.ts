/**
 * The thread behind pacer.ts: it sleeps until the moment that is set, posts one message, and sleeps until
 * another is set. It ends when it is terminated.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { PacerMemory } from './pacer.ts';

const { sequence, dueMs, baseNs }: PacerMemory = workerData;

parentPort?.postMessage('ready');
for (;;) {
  // Read before the moment: if that changes from here on, the wait below returns at once.
  const seen = Atomics.load(sequence, 0);
  const leftMs = (dueMs[0] ?? 0) - Number(process.hrtime.bigint() - baseNs) / 1e6;
  if (leftMs > 0) {
    Atomics.wait(sequence, 0, seen, leftMs);
  } else {
    parentPort?.postMessage('due');
    Atomics.wait(sequence, 0, seen);
  }
}
