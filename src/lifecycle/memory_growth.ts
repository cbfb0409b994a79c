/**
 * Memory that a process holds for nothing while a drill asks for it, as a leak would: outside of V8's heap, touched
 * page by page, so that it is resident. What is asked for no more is given back to the machine at once.
 *
 * No leak of a drill reaches the limit of a machine, or may. So while it lasts the process reckons with a limit of
 * its own, in process_memory_limit_bytes: what it had before, and MEMORY_FAULT_LIMIT_BYTES.
 */
import { MEMORY_FAULT_LIMIT_BYTES } from '../contract/fault_points.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { processMemoryLimitBytes } from '../telemetry/process_metrics.ts';
import type { FaultReader } from './faults.ts';

const LOOK_MS = 50;
/** Touched between two looks at most, so that no query waits for longer than a millisecond or two. */
const STEP_BYTES = 2 * 1024 * 1024;

/** Only where drills are allowed. Disposing frees what is held. */
export function growOnFault(faults: FaultReader, metrics: Metrics): Disposable {
  const held = new ArrayBuffer(0, { maxByteLength: MEMORY_FAULT_LIMIT_BYTES });
  let limitBytes: number | undefined;
  const hold = (bytes: number): void => {
    const before = held.byteLength;
    const now = Math.min(bytes, before + STEP_BYTES);
    if (now === before) return;
    held.resize(now);
    if (now > before) new Uint8Array(held, before).fill(1);
  };
  const timer = setInterval(() => {
    const bytes = faults.active ? faults.bytes('memory') : 0;
    if (bytes > 0) limitBytes ??= process.memoryUsage.rss() + MEMORY_FAULT_LIMIT_BYTES;
    else limitBytes = undefined;
    hold(bytes);
  }, LOOK_MS);
  timer.unref();
  metrics
    .gauge('process_memory_limit_bytes')
    .series({})
    .observeWith(() => limitBytes ?? processMemoryLimitBytes());
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      limitBytes = undefined;
      hold(0);
    },
  };
}
