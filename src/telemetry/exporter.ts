/**
 * The serving thread's end of the export: writes finished records into the ring, starts the export thread and
 * starts it again when it dies, and reads the counters that both share.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { RecordSink } from './core.ts';
import { type ExportThreadData, SHARED } from './export_protocol.ts';
import type { Logger } from './logger.ts';
import { RecordWriter } from './record_codec.ts';
import { RingWriter, ringBuffer, ringInts } from './ring.ts';

export interface ExporterCounts {
  readonly spansExported: number;
  readonly spansRejected: number;
  readonly spansDropped: number;
  readonly recordsMalformed: number;
  readonly exportFailures: number;
  readonly threadRestarts: number;
  readonly ringUsedBytes: number;
  readonly ringLimitBytes: number;
}

export interface Exporter extends RecordSink, AsyncDisposable {
  counts(): ExporterCounts;
  /** Exports what the ring holds. @returns false when the deadline passed first */
  drain(timeoutMs: number): Promise<boolean>;
  /** Ends the export thread at once, as a crash would; for tests. */
  crashThread(): Promise<void>;
}

export type ExporterOptions = Omit<ExportThreadData, 'ring'> & { readonly ringBytes: number };

/** Above this share of the ring new queries are not kept: what has begun still fits. */
const PRESSURE_SHARE = 0.75;
const RESTART_BACKOFF_MS = 100;
const RESTART_BACKOFF_LIMIT_MS = 10_000;

export function createExporter(options: ExporterOptions, log: Logger): Exporter {
  const { ringBytes, ...threadOptions } = options;
  const shared = ringBuffer(ringBytes);
  const ints = ringInts(shared);
  const ring = new RingWriter(shared);
  const writer = new RecordWriter();
  const pressureBytes = ring.capacityBytes * PRESSURE_SHARE;
  let thread: Worker | undefined;
  let closing = false;
  let restarts = 0;
  let backoffMs = RESTART_BACKOFF_MS;
  let restartTimer: NodeJS.Timeout | undefined;

  const start = (): void => {
    const data: ExportThreadData = { ...threadOptions, ring: shared };
    const started = new Worker(new URL('./export_thread.ts', import.meta.url), {
      name: 'export',
      workerData: data,
      // A heap of its own that cannot grow at the service's expense.
      resourceLimits: { maxOldGenerationSizeMb: 128 },
      execArgv: [],
    });
    thread = started;
    started.unref();
    started.on('error', (error) => log.error('export thread failed', { error }));
    started.on('exit', () => {
      if (thread === started) thread = undefined;
      if (closing) return;
      restarts += 1;
      log.warn('export thread ended; it is started again, nothing finished is lost', { restarts, backoffMs });
      restartTimer = setTimeout(start, backoffMs);
      restartTimer.unref();
      backoffMs = Math.min(backoffMs * 2, RESTART_BACKOFF_LIMIT_MS);
    });
  };
  if (options.exporters.length > 0) start();

  /** Counters wrap at 2^32; differences between reads do not. */
  const last = new Map<number, number>();
  const totals = new Map<number, number>();
  const total = (index: number): number => {
    const now = Atomics.load(ints, index);
    const grown = (now - (last.get(index) ?? 0)) >>> 0;
    last.set(index, now);
    const sum = (totals.get(index) ?? 0) + grown;
    totals.set(index, sum);
    return sum;
  };

  return {
    writer,
    accept: () => ring.write(writer.buffer, writer.length),
    acceptBytes: (bytes) => ring.write(bytes, bytes.length),
    underPressure: () => ring.usedBytes() > pressureBytes,
    counts: () => ({
      spansExported: total(SHARED.spansExported),
      spansRejected: total(SHARED.spansRejected),
      spansDropped: total(SHARED.spansDropped),
      recordsMalformed: total(SHARED.recordsMalformed),
      exportFailures: total(SHARED.exportFailures),
      threadRestarts: restarts,
      ringUsedBytes: ring.usedBytes(),
      ringLimitBytes: ring.capacityBytes,
    }),
    async drain(timeoutMs) {
      if (options.exporters.length === 0) return true;
      const deadline = performance.now() + timeoutMs;
      const wanted = (Atomics.add(ints, SHARED.flushRequested, 1) + 1) | 0;
      Atomics.notify(ints, SHARED.flushRequested);
      for (;;) {
        const done = Atomics.load(ints, SHARED.flushDone);
        if (((done - wanted) | 0) >= 0) return true;
        const left = deadline - performance.now();
        if (left <= 0) return false;
        const wake = Atomics.waitAsync(ints, SHARED.flushDone, done, Math.min(left, 100));
        // A waiting Atomics.waitAsync does not keep the process alive; the timer does.
        if (wake.async) await Promise.race([wake.value, sleep(Math.min(left, 100))]);
      }
    },
    async crashThread() {
      await thread?.terminate();
    },
    async [Symbol.asyncDispose]() {
      closing = true;
      clearTimeout(restartTimer);
      await thread?.terminate();
    },
  };
}
