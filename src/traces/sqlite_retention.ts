/** Eviction of the oldest traces, by age and by size, in slices short enough to stand between two inserts. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { Evicted } from './store.ts';

/** Spans of one slice at most: about 35 ms. */
const SLICE_LIMIT_SPANS = 5_000;
const SLICE_LEAST_SPANS = 64;
/** Bytes of a span beside its message, in the table and the indexes, roughly. */
const SPAN_OVERHEAD_BYTES = 60;

export interface RetentionLimits {
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

export interface Slice {
  readonly reason: 'age' | 'size';
  readonly evicted: Evicted;
  /** Every trace that is left has a pk of at least this. */
  readonly oldestPk: number;
}

export class Retention {
  private readonly limits: RetentionLimits;
  private readonly selectOldest: StatementSync;
  private readonly selectBoundary: StatementSync;
  private readonly selectExpired: StatementSync;
  private readonly selectMessageBytes: StatementSync;
  private readonly deleteSpans: StatementSync;
  private readonly deleteTraces: StatementSync;
  private readonly deleteLookups: StatementSync;
  private readonly pageCount: StatementSync;
  private readonly freeCount: StatementSync;
  private readonly pageBytes: number;

  constructor(database: DatabaseSync, limits: RetentionLimits) {
    this.limits = limits;
    this.selectOldest = database.prepare('SELECT pk, received_ms FROM traces ORDER BY pk LIMIT 1');
    this.selectBoundary = database.prepare('SELECT id FROM spans ORDER BY id LIMIT 1 OFFSET ?');
    this.selectExpired = database.prepare(
      'SELECT max(pk) AS pk FROM (SELECT pk, received_ms FROM traces ORDER BY pk LIMIT ?) WHERE received_ms < ?',
    );
    this.selectMessageBytes = database.prepare(
      'SELECT avg(length(message)) AS bytes FROM (SELECT message FROM spans ORDER BY id LIMIT 64)',
    );
    this.deleteSpans = database.prepare('DELETE FROM spans WHERE id < ?');
    this.deleteTraces = database.prepare('DELETE FROM traces WHERE pk < ?');
    this.deleteLookups = database.prepare('DELETE FROM lookups WHERE pk < ?');
    this.pageCount = database.prepare('PRAGMA page_count');
    this.freeCount = database.prepare('PRAGMA freelist_count');
    this.pageBytes = Number(database.prepare('PRAGMA page_size').get()?.page_size);
  }

  get fileBytes(): number {
    return Number(this.pageCount.get()?.page_count) * this.pageBytes;
  }

  /** Pages that eviction freed stay in the file and are used again, so the file does not grow beyond the limit. */
  get usedBytes(): number {
    return this.fileBytes - Number(this.freeCount.get()?.freelist_count) * this.pageBytes;
  }

  /** Unix milliseconds; undefined for an empty store. */
  get oldestReceivedMs(): number | undefined {
    const row = this.selectOldest.get();
    return row === undefined ? undefined : Number(row.received_ms);
  }

  /** Why the oldest trace has to go now; undefined when it may stay. */
  due(nowMs: number): 'age' | 'size' | undefined {
    const receivedMs = this.oldestReceivedMs;
    if (receivedMs === undefined) return undefined;
    if (receivedMs < nowMs - this.limits.maxAgeMs) return 'age';
    return this.usedBytes > this.limits.maxBytes ? 'size' : undefined;
  }

  /** By size, about as many as bring the store below its limit. */
  private sliceSpans(reason: 'age' | 'size'): number {
    if (reason === 'age') return SLICE_LIMIT_SPANS;
    const spanBytes = Number(this.selectMessageBytes.get()?.bytes ?? 0) + SPAN_OVERHEAD_BYTES;
    const excess = Math.ceil((this.usedBytes - this.limits.maxBytes) / spanBytes);
    return Math.max(SLICE_LEAST_SPANS, Math.min(excess, SLICE_LIMIT_SPANS));
  }

  /** Evicts one slice for the reason given, within a transaction. The caller knows that the store is not empty. */
  evict(reason: 'age' | 'size', nowMs: number): Slice {
    const oldestPk = Number(this.selectOldest.get()?.pk ?? 0);
    const boundaryId = this.selectBoundary.get(this.sliceSpans(reason))?.id;
    let endId = boundaryId === undefined ? Number.MAX_SAFE_INTEGER : Number(boundaryId);
    let endPk = boundaryId === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(endId / SPANS_PER_TRACE);
    if (reason === 'age') {
      const expired = this.selectExpired.get(SLICE_LIMIT_SPANS, nowMs - this.limits.maxAgeMs)?.pk;
      endPk = Math.min(endPk, Number(expired ?? oldestPk) + 1);
    }
    // A trace goes whole, unless it alone is larger than a slice: then its head goes first.
    if (endPk > oldestPk) endId = Math.min(endId, endPk * SPANS_PER_TRACE);
    const spans = Number(this.deleteSpans.run(endId).changes);
    const traces = Number(this.deleteTraces.run(endPk).changes);
    this.deleteLookups.run(endPk);
    return { reason, evicted: { traces, spans }, oldestPk: Math.max(oldestPk, endPk) };
  }
}
