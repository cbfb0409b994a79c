/** Inserting: one transaction for all batches that wait. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type BatchSpan, type DecodedBatch, rejectionMessage } from './otlp_decode.ts';
import type { SeriesRegistry, StoredOrigin } from './series.ts';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { InsertResult } from './store.ts';

/** Traces whose place in the database is remembered, per generation of two: their next spans need no look-up. */
const REMEMBERED_TRACES = 16_384;

interface TraceSlot {
  readonly pk: number;
  /** The place of the next span in its trace. */
  next: number;
}

export interface SpanWriterOptions {
  readonly maxSpansPerTrace: number;
}

export class SpanWriter {
  private readonly registry: SeriesRegistry;
  private readonly maxSpansPerTrace: number;
  private readonly insertTrace: StatementSync;
  private readonly insertSpan: StatementSync;
  private readonly insertLookup: StatementSync;
  private readonly selectTrace: StatementSync;
  private readonly selectLastId: StatementSync;
  private nextPk: number;
  private oldestPk = 0;
  private young = new Map<string, TraceSlot>();
  private old = new Map<string, TraceSlot>();

  constructor(database: DatabaseSync, registry: SeriesRegistry, options: SpanWriterOptions) {
    this.registry = registry;
    this.maxSpansPerTrace = Math.min(options.maxSpansPerTrace, SPANS_PER_TRACE);
    this.insertTrace = database.prepare('INSERT INTO traces VALUES (?, ?, ?)');
    this.insertSpan = database.prepare('INSERT INTO spans VALUES (?, ?, ?, ?, ?)');
    this.insertLookup = database.prepare('INSERT OR IGNORE INTO lookups VALUES (?, ?)');
    this.selectTrace = database.prepare('SELECT pk FROM traces WHERE trace_id = ?');
    this.selectLastId = database.prepare('SELECT max(id) AS last FROM spans WHERE id >= ? AND id < ?');
    const lastPk = Number(database.prepare('SELECT max(pk) AS last FROM traces').get()?.last ?? 0);
    this.nextPk = Math.max(lastPk, registry.lastPk) + 1;
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

  /** Within a transaction. Throws what node:sqlite throws. */
  insert(batch: DecodedBatch, nowMs: number): InsertResult {
    const { bytes, spans } = batch;
    const origins = batch.origins.map((origin) => this.registry.origin(origin));
    let accepted = 0;
    let withoutOrigin = 0;
    let beyondTrace = 0;
    let traceId = '';
    let slot: TraceSlot | undefined;
    for (const span of spans) {
      const origin = origins[span.originIndex];
      if (origin === undefined) {
        withoutOrigin += 1;
        continue;
      }
      if (slot === undefined || span.traceId !== traceId) {
        traceId = span.traceId;
        slot = this.slot(traceId, nowMs);
      }
      if (slot.next >= this.maxSpansPerTrace) {
        beyondTrace += 1;
        continue;
      }
      this.insertOne(bytes, span, origin, slot);
      accepted += 1;
    }
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

  private insertOne(bytes: Buffer, span: BatchSpan, origin: StoredOrigin, slot: TraceSlot): void {
    this.registry.touch(origin, slot.pk);
    const series = this.registry.series(origin, span.seriesKey);
    if (span.startUs > series.newestStartUs) series.newestStartUs = span.startUs;
    this.insertSpan.run(
      slot.pk * SPANS_PER_TRACE + slot.next,
      series.id,
      span.startUs,
      span.durationUs,
      bytes.subarray(span.start, span.end),
    );
    slot.next += 1;
    if (span.lookups === undefined) return;
    for (const hash of span.lookups) this.insertLookup.run(slot.pk, hash);
  }

  private slot(traceId: string, nowMs: number): TraceSlot {
    const held = this.young.get(traceId);
    if (held !== undefined && held.pk >= this.oldestPk) return held;
    const older = this.old.get(traceId);
    const slot = older !== undefined && older.pk >= this.oldestPk ? older : this.findOrCreate(traceId, nowMs);
    if (this.young.size >= REMEMBERED_TRACES) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(traceId, slot);
    return slot;
  }

  private findOrCreate(traceId: string, nowMs: number): TraceSlot {
    const id = Buffer.from(traceId, 'latin1');
    const row = this.selectTrace.get(id);
    if (row === undefined) {
      const pk = this.nextPk;
      this.nextPk += 1;
      this.insertTrace.run(pk, id, nowMs);
      return { pk, next: 0 };
    }
    const pk = Number(row.pk);
    const last = this.selectLastId.get(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)?.last;
    return { pk, next: last === null || last === undefined ? 0 : (Number(last) % SPANS_PER_TRACE) + 1 };
  }
}
