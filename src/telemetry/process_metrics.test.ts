import { expect, test } from 'vitest';
import { createEventLoopDelay } from './event_loop.ts';
import { Metrics } from './metrics.ts';
import { observeProcess } from './process_metrics.ts';

const STALL_MS = 120;

function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
}

test('each stall shows, and is forgotten sooner when time is scaled', async () => {
  const metrics = new Metrics();
  let ticked = (): void => {};
  using eventLoop = createEventLoopDelay(() => ticked());
  // 500 ms in place of 15 s.
  using _ = observeProcess(metrics, eventLoop, 60);
  const largestDelayS = (): number => metrics.gauge('nodejs_eventloop_delay_max_seconds').series({}).value;
  for (let stall = 0; stall < 5; stall += 1) {
    standStill();
    await new Promise<void>((resolve) => {
      ticked = resolve;
    });
    // The wait for the next turn counts too, less the ten milliseconds that it would have been.
    expect(largestDelayS()).toBeGreaterThanOrEqual((STALL_MS - 20) / 1000);
  }
  // Unscaled, they would show for 15 s, and the test would end before that.
  while (largestDelayS() >= (STALL_MS - 20) / 1000) await new Promise(setImmediate);
}, 12_000);
