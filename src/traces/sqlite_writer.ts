/** Inserting batches, within a transaction of the caller. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { chunkedBytes, writeChunked } from './chunk.ts';
import { lookupHash, TRACE_ID_KEY } from './indexed_tags.ts';
import { type BatchSpan, type DecodedBatch, rejectionMessage } from './otlp_batch.ts';
import type { Series, SeriesRegistry, StoredOrigin } from './series.ts';
import type { SpanIndex } from './span_index.ts';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { InsertResult } from './store.ts';

const SCRATCH_BYTES = 512 * 1024;

interface OpenTrace {
  readonly pk: number;
  /** The place of its next span. */
  next: number;
  /** Spans of the batch at hand, with their series. */
  readonly spans: BatchSpan[];
  readonly series: Series[];
  bytes: number;
}

export interface SpanWriterOptions {
  readonly maxSpansPerTrace: number;
  readonly openTraces: number;
}

export class SpanWriter {
  private readonly registry: SeriesRegistry;
  private readonly index: SpanIndex;
  private readonly maxSpansPerTrace: number;
  private readonly openTraces: number;
  private readonly insertChunk: StatementSync;
  /** Chunks are put together here; larger batches get memory of their own. */
  private readonly scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  private nextPk: number;
  private oldestPk = 0;
  private young = new Map<string, OpenTrace>();
  private old = new Map<string, OpenTrace>();

  constructor(
    database: DatabaseSync,
    registry: SeriesRegistry,
    index: SpanIndex,
    options: SpanWriterOptions,
  ) {
    this.registry = registry;
    this.index = index;
    this.maxSpansPerTrace = Math.min(options.maxSpansPerTrace, SPANS_PER_TRACE);
    this.openTraces = options.openTraces;
    this.insertChunk = database.prepare('INSERT INTO chunks VALUES (?, ?, ?, ?)');
    // Pks are never used twice, evicted ones included: entries of the index may still mention them.
    this.nextPk = Math.max(Math.floor(index.lastId / SPANS_PER_TRACE), registry.lastPk) + 1;
  }

  /** Forgets what a rolled-back transaction made untrue. */
  forget(): void {
    this.young.clear();
    this.old.clear();
  }

  /** Traces before this pk are gone: their next spans open them anew. */
  evictedBefore(pk: number): void {
    this.oldestPk = pk;
  }

  /** Throws what node:sqlite throws. */
  insert(batch: DecodedBatch, nowMs: number): InsertResult {
    const origins = batch.origins.map((origin) => this.registry.origin(origin));
    const touched = new Set<OpenTrace>();
    let accepted = 0;
    let withoutOrigin = 0;
    let beyondTrace = 0;
    let bytes = 0;
    let traceId = '';
    let trace: OpenTrace | undefined;
    for (const span of batch.spans) {
      const origin = origins[span.originIndex];
      if (origin === undefined) {
        withoutOrigin += 1;
        continue;
      }
      if (trace === undefined || span.traceId !== traceId) {
        traceId = span.traceId;
        trace = this.open(traceId);
        touched.add(trace);
      }
      if (trace.next + trace.spans.length >= this.maxSpansPerTrace) {
        beyondTrace += 1;
        continue;
      }
      this.gather(span, origin, trace);
      bytes += chunkedBytes(span.end - span.start);
      accepted += 1;
    }
    this.writeChunks(batch.bytes, touched, bytes, nowMs);
    const rejections = new Map(batch.rejections);
    if (withoutOrigin > 0)
      rejections.set('of more distinct resources and scopes than are held', withoutOrigin);
    if (beyondTrace > 0) rejections.set(`beyond ${this.maxSpansPerTrace} spans of one trace`, beyondTrace);
    return {
      acceptedSpans: accepted,
      rejectedSpans: batch.rejectedSpans + withoutOrigin + beyondTrace,
      rejectionMessage: rejectionMessage(rejections),
    };
  }

  private gather(span: BatchSpan, origin: StoredOrigin, trace: OpenTrace): void {
    this.registry.touch(origin, trace.pk);
    const series = this.registry.series(origin, span.seriesKey);
    if (span.startUs > series.newestStartUs) series.newestStartUs = span.startUs;
    const id = trace.pk * SPANS_PER_TRACE + trace.next + trace.spans.length;
    this.index.addSpan(series.id, span.startUs, span.durationUs, id);
    trace.spans.push(span);
    trace.series.push(series);
    trace.bytes += chunkedBytes(span.end - span.start);
    if (span.lookups === undefined) return;
    for (const hash of span.lookups) this.index.addKey(hash, trace.pk);
  }

  private writeChunks(source: Buffer, traces: Iterable<OpenTrace>, bytes: number, nowMs: number): void {
    const bodies = bytes <= this.scratch.length ? this.scratch : Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const trace of traces) {
      const { spans, series } = trace;
      if (spans.length === 0) continue;
      const start = at;
      for (const [index, span] of spans.entries()) {
        at = writeChunked(bodies, at, (series[index] as Series).id, source, span.start, span.end);
      }
      const id = trace.pk * SPANS_PER_TRACE + trace.next;
      this.insertChunk.run(id, nowMs, spans.length, bodies.subarray(start, at));
      trace.next += spans.length;
      trace.bytes = 0;
      spans.length = 0;
      series.length = 0;
    }
  }

  private open(traceId: string): OpenTrace {
    const held = this.young.get(traceId);
    if (held !== undefined && held.pk >= this.oldestPk) return held;
    const older = this.old.get(traceId);
    const trace = older !== undefined && older.pk >= this.oldestPk ? older : this.create(traceId);
    if (this.young.size >= this.openTraces) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(traceId, trace);
    return trace;
  }

  private create(traceId: string): OpenTrace {
    const pk = this.nextPk;
    this.nextPk += 1;
    const id = Buffer.from(traceId, 'latin1');
    this.index.addKey(lookupHash(TRACE_ID_KEY, id, 0, id.length), pk);
    return { pk, next: 0, spans: [], series: [], bytes: 0 };
  }
}
