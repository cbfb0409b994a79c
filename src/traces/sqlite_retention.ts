/** Eviction of the oldest traces, by age and by size, in slices short enough to stand between two inserts. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { Evicted } from './store.ts';

/** Spans of one slice, about: some milliseconds. */
const SLICE_SPANS = 5_000;
/** What a chunk takes beside its body: its row, its entries in the index and its keys, roughly. */
const CHUNK_OVERHEAD_BYTES = 40;
const SPAN_OVERHEAD_BYTES = 32;

export interface RetentionLimits {
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

export interface Slice {
  readonly evicted: Evicted;
  /** Every span that is left has an id of at least this. */
  readonly oldestId: number;
}

interface ChunkRow {
  readonly id: number;
  readonly received_ms: number;
  readonly spans: number;
  readonly bytes: number;
}

export class Retention {
  private readonly limits: RetentionLimits;
  private readonly selectOldest: StatementSync;
  private readonly selectHead: StatementSync;
  private readonly deleteHead: StatementSync;
  private readonly pageCount: StatementSync;
  private readonly freeCount: StatementSync;
  private readonly pageBytes: number;

  constructor(database: DatabaseSync, limits: RetentionLimits) {
    this.limits = limits;
    this.selectOldest = database.prepare('SELECT received_ms FROM chunks ORDER BY id LIMIT 1');
    this.selectHead = database.prepare(
      'SELECT id, received_ms, spans, length(body) AS bytes FROM chunks ORDER BY id LIMIT ?',
    );
    this.deleteHead = database.prepare('DELETE FROM chunks WHERE id < ?');
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

  /**
   * Evicts one slice from the head, within a transaction: as much as is due, at least one trace, about
   * SLICE_SPANS at most. A trace goes whole, unless it is longer than a slice: then its head goes first.
   * @param roomBytes to be made even if the store is below its limit of size
   */
  evict(reason: 'age' | 'size', nowMs: number, roomBytes = 0): Slice {
    const rows = this.selectHead.all(SLICE_SPANS) as unknown as ChunkRow[];
    const excessBytes = Math.max(this.usedBytes - this.limits.maxBytes, roomBytes);
    let spans = 0;
    let traces = 0;
    let bytes = 0;
    let oldestId = 0;
    let pk = -1;
    for (const row of rows) {
      const rowPk = Math.floor(row.id / SPANS_PER_TRACE);
      const beyondSlice = spans + row.spans > SLICE_SPANS && spans > 0;
      if (rowPk === pk) {
        if (beyondSlice && traces === 1) break;
      } else {
        // What was counted is whole traces up to here.
        const stays =
          reason === 'age' ? row.received_ms >= nowMs - this.limits.maxAgeMs : bytes >= excessBytes;
        if (pk >= 0 && (stays || beyondSlice)) break;
        pk = rowPk;
        traces += 1;
      }
      spans += row.spans;
      bytes += row.bytes + CHUNK_OVERHEAD_BYTES + row.spans * SPAN_OVERHEAD_BYTES;
      oldestId = row.id + row.spans;
    }
    this.deleteHead.run(oldestId);
    return { evicted: { traces, spans }, oldestId };
  }
}
