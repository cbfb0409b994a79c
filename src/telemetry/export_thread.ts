/**
 * The export thread: takes finished records from the ring, makes spans of them, and sends them. One request
 * is in flight at a time; while it waits, records wait in the ring, whose size bounds everything. Records are
 * freed when their fate is decided, so a crash of this thread loses none.
 */
import { workerData } from 'node:worker_threads';
import { type ExportThreadData, SHARED } from './export_protocol.ts';
import { newSpanId, writeSpanId } from './ids.ts';
import { OtlpEncoder } from './otlp_encoder.ts';
import { createOtlpSender } from './otlp_http.ts';
import { limitsAllowDirect, RecordOtlp } from './record_otlp.ts';
import { type ClockAnchor, readClockAnchor, recordSpans } from './record_spans.ts';
import { RingReader, ringInts } from './ring.ts';
import type { SpanSink } from './sdk_exporters.ts';
import { applyLimits, type SpanData } from './span_data.ts';

/** Spans in one request: eight times the SDK's default, since a request costs as much as hundreds of spans. */
const BATCH_SPANS = 4096;
/** Bytes of records in one request. */
const BATCH_RECORD_BYTES = 512 * 1024;
const ANCHOR_AGE_LIMIT_MS = 30_000;

const data = workerData as ExportThreadData;
const ints = ringInts(data.ring);
const reader = new RingReader(data.ring);
let anchor: ClockAnchor = readClockAnchor(0);
const recordOtlp = new RecordOtlp(writeSpanId);
/** Whether records may go the short way: every exporter takes OTLP, and no limit would cut a span. */
let direct = false;

function count(index: number, amount: number): void {
  Atomics.add(ints, index, amount);
}

function flushRequested(): number {
  return Atomics.load(ints, SHARED.flushRequested);
}

function stopping(): boolean {
  return flushRequested() !== Atomics.load(ints, SHARED.flushDone);
}

/** So much is sent without waiting for more: half a batch, or a quarter of a small ring. */
const gatheredBytes = Math.min(BATCH_RECORD_BYTES / 2, (data.ring.byteLength - 256) / 4);
/** So little is sent at the next look: there is no traffic to make a batch of. */
const QUIET_BYTES = 16 * 1024;

/** Hands the spans of the next records, up to a batch, to every sink. @returns how many; 0 when the ring is empty */
function take(sinks: readonly BatchSink[]): number {
  if (performance.now() - anchor.anchorMs > ANCHOR_AGE_LIMIT_MS) anchor = readClockAnchor(anchor.offsetMs);
  let spans = 0;
  let bytes = 0;
  while (spans < BATCH_SPANS && bytes < BATCH_RECORD_BYTES) {
    const record = reader.next();
    if (record === undefined) break;
    bytes += record.length;
    try {
      spans += (direct && addDirect(record, sinks)) || addSpans(record, sinks);
    } catch {
      count(SHARED.recordsMalformed, 1);
    }
  }
  return spans;
}

/** @returns how many spans the record had; 0 when it is out of the ordinary, and nothing was added */
function addDirect(record: Buffer, sinks: readonly BatchSink[]): number {
  const spans = recordOtlp.encode(record, anchor);
  if (spans > 0) for (const sink of sinks) sink.addEncoded?.(recordOtlp.bytes, recordOtlp.length, spans);
  return spans;
}

function addSpans(record: Buffer, sinks: readonly BatchSink[]): number {
  const spans = recordSpans(record, anchor, newSpanId);
  for (const span of spans) {
    applyLimits(span, data.limits);
    for (const sink of sinks) sink.add(span);
  }
  return spans.length;
}

/** Takes a batch span by span, so that spans do not have to be kept until it is sent. */
interface BatchSink {
  add(span: SpanData): void;
  /** Takes spans that are encoded as OTLP already; absent where an exporter wants another form. */
  addEncoded?(bytes: Buffer, lengthBytes: number, spans: number): void;
  /** Sends what was added; settles when its fate is decided and counted, and never rejects. Nothing is added meanwhile. */
  send(): Promise<void>;
}

/** For exporters that take a batch as a whole. */
function collect(sink: SpanSink): BatchSink {
  let spans: SpanData[] = [];
  return {
    add: (span) => spans.push(span),
    send() {
      const batch = spans;
      spans = [];
      return sink(batch);
    },
  };
}

function createOtlpSink(): BatchSink {
  const encoder = new OtlpEncoder({
    resource: data.resource,
    scopeName: data.scopeName,
    scopeVersion: data.scopeVersion,
  });
  const sender = createOtlpSender(data.target, 'application/x-protobuf', stopping);
  let spans = 0;
  encoder.begin();
  return {
    add(span) {
      encoder.add(span);
      spans += 1;
    },
    addEncoded(bytes, lengthBytes, more) {
      encoder.addEncoded(bytes, lengthBytes);
      spans += more;
    },
    async send() {
      const sent = spans;
      const result = await sender.send(encoder.finish(), () => count(SHARED.exportFailures, 1));
      spans = 0;
      encoder.begin();
      if (result.kind === 'accepted') {
        const rejected = Math.min(result.rejectedSpans, sent);
        count(SHARED.spansExported, sent - rejected);
        count(SHARED.spansRejected, rejected);
      } else if (result.kind === 'refused') {
        count(SHARED.spansRejected, sent);
      } else {
        count(SHARED.spansDropped, sent);
      }
    },
  };
}

async function createSinks(): Promise<BatchSink[]> {
  const sinks: BatchSink[] = [];
  for (const exporter of data.exporters) {
    if (exporter === 'otlp' && data.target.protocol === 'http/protobuf') {
      sinks.push(createOtlpSink());
    } else {
      const { createSdkSink } = await import('./sdk_exporters.ts');
      sinks.push(collect(await createSdkSink(exporter, data, (index, amount) => count(index, amount))));
    }
  }
  return sinks;
}

/** Looks at the ring per flush interval while a batch is gathering, so that a burst does not fill it meanwhile. */
const LOOKS_PER_INTERVAL = 4;

/**
 * Waits until there is a batch's worth, the interval is over, or a flush is asked for; the few records of a quiet
 * service go at the next look. A request costs far more than the spans in it: sending what is there as soon as the
 * last one is answered would make a request of every few queries.
 */
async function gather(): Promise<void> {
  const requested = flushRequested();
  for (let look = 0; look < LOOKS_PER_INTERVAL; look += 1) {
    const pendingBytes = reader.pendingBytes();
    if (stopping() || pendingBytes >= gatheredBytes) return;
    if (look > 0 && pendingBytes > 0 && pendingBytes < QUIET_BYTES) return;
    const wake = Atomics.waitAsync(
      ints,
      SHARED.flushRequested,
      requested,
      data.flushIntervalMs / LOOKS_PER_INTERVAL,
    );
    if (!wake.async || (await wake.value) === 'ok') return;
  }
}

async function run(): Promise<never> {
  // A waiting Atomics.waitAsync does not keep a thread alive; a timer does.
  setInterval(() => {}, 2 ** 30);
  const sinks = await createSinks();
  direct = limitsAllowDirect(data.limits) && sinks.every((sink) => sink.addEncoded !== undefined);
  for (;;) {
    await gather();
    const requested = flushRequested();
    let sent = take(sinks);
    while (sent > 0) {
      await Promise.all(sinks.map((sink) => sink.send()));
      reader.commit();
      sent = stopping() || reader.pendingBytes() >= gatheredBytes ? take(sinks) : 0;
    }
    reader.commit();
    if (requested !== Atomics.load(ints, SHARED.flushDone) && reader.pendingBytes() === 0) {
      Atomics.store(ints, SHARED.flushDone, requested);
      Atomics.notify(ints, SHARED.flushDone);
    }
  }
}

await run();
