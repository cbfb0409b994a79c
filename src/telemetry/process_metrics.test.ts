import { afterEach, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { observeProcess } from './process_metrics.ts';

let observed: Disposable | undefined;
afterEach(() => observed?.[Symbol.dispose]());

const STALL_MS = 120;

function largestDelayS(metrics: Metrics): number {
  return metrics.gauge('nodejs_eventloop_delay_max_seconds').series({}).value;
}

function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
}

test('a stall shows, and is forgotten sooner when time is scaled', async () => {
  const metrics = new Metrics();
  // 250 ms in place of 15 s.
  observed = observeProcess(metrics, 60);
  while (largestDelayS(metrics) < STALL_MS / 1000) {
    standStill();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // Unscaled, it would show for at least 15 s, and the test would end before that.
  while (largestDelayS(metrics) >= STALL_MS / 1000) await new Promise(setImmediate);
}, 12_000);
