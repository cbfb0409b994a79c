/**
 * The export thread: takes finished records from the ring, makes spans of them, and sends them. One request
 * is in flight at a time; while it waits, records wait in the ring, whose size bounds everything. Records are
 * freed when their fate is decided, so a crash of this thread loses none.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { type ExportThreadData, SHARED } from './export_protocol.ts';
import { newSpanId } from './ids.ts';
import { OtlpEncoder } from './otlp_encoder.ts';
import { createOtlpSender } from './otlp_http.ts';
import { type ClockAnchor, readClockAnchor, recordSpans } from './record_spans.ts';
import { RingReader, ringInts } from './ring.ts';
import type { SpanSink } from './sdk_exporters.ts';
import { applyLimits, type SpanData } from './span_data.ts';

/** Spans in one request; the SDK's own default. */
const BATCH_SPANS = 512;
/** Bytes of records in one request. */
const BATCH_RECORD_BYTES = 512 * 1024;
const ANCHOR_AGE_LIMIT_MS = 30_000;

const data = workerData as ExportThreadData;
const ints = ringInts(data.ring);
const reader = new RingReader(data.ring);
let anchor: ClockAnchor = readClockAnchor(0);

function count(index: number, amount: number): void {
  Atomics.add(ints, index, amount);
}

function flushRequested(): number {
  return Atomics.load(ints, SHARED.flushRequested);
}

function stopping(): boolean {
  return flushRequested() !== Atomics.load(ints, SHARED.flushDone);
}

/** Spans of the next records, up to a batch; empty when the ring is. */
function take(): SpanData[] {
  if (performance.now() - anchor.anchorMs > ANCHOR_AGE_LIMIT_MS) anchor = readClockAnchor(anchor.offsetMs);
  const spans: SpanData[] = [];
  let bytes = 0;
  while (spans.length < BATCH_SPANS && bytes < BATCH_RECORD_BYTES) {
    const record = reader.next();
    if (record === undefined) break;
    bytes += record.length;
    try {
      for (const span of recordSpans(record, anchor, newSpanId)) spans.push(applyLimits(span, data.limits));
    } catch {
      count(SHARED.recordsMalformed, 1);
    }
  }
  return spans;
}

function createOtlpSink(): SpanSink {
  const encoder = new OtlpEncoder({
    resource: data.resource,
    scopeName: data.scopeName,
    scopeVersion: data.scopeVersion,
  });
  const sender = createOtlpSender(data.target, 'application/x-protobuf', stopping);
  return async (spans) => {
    const result = await sender.send(encoder.encode(spans), () => count(SHARED.exportFailures, 1));
    if (result.kind === 'accepted') {
      const rejected = Math.min(result.rejectedSpans, spans.length);
      count(SHARED.spansExported, spans.length - rejected);
      count(SHARED.spansRejected, rejected);
    } else if (result.kind === 'refused') {
      count(SHARED.spansRejected, spans.length);
    } else {
      count(SHARED.spansDropped, spans.length);
    }
  };
}

async function createSinks(): Promise<SpanSink[]> {
  const sinks: SpanSink[] = [];
  for (const exporter of data.exporters) {
    if (exporter === 'otlp' && data.target.protocol === 'http/protobuf') {
      sinks.push(createOtlpSink());
    } else {
      const { createSdkSink } = await import('./sdk_exporters.ts');
      sinks.push(await createSdkSink(exporter, data, (index, amount) => count(index, amount)));
    }
  }
  return sinks;
}

async function run(): Promise<never> {
  // A waiting Atomics.waitAsync does not keep a thread alive; a timer does.
  setInterval(() => {}, 2 ** 30);
  const sinks = await createSinks();
  for (;;) {
    const requested = flushRequested();
    const spans = take();
    if (spans.length > 0) {
      await Promise.all(sinks.map((sink) => sink(spans)));
      reader.commit();
      continue;
    }
    reader.commit();
    if (requested !== Atomics.load(ints, SHARED.flushDone)) {
      Atomics.store(ints, SHARED.flushDone, requested);
      Atomics.notify(ints, SHARED.flushDone);
    }
    // Wakes at once for a flush, else after the interval.
    const wake = Atomics.waitAsync(ints, SHARED.flushRequested, requested, data.flushIntervalMs);
    if (wake.async) await wake.value;
    else await sleep(0);
  }
}

await run();
