/**
 * The index of spans by series and start, and of traces by hashed keys, written the way it is cheap to write.
 *
 * Entries of new spans gather in memory, and as one row per transaction in the database, so that nothing is
 * lost when the process ends. Every so many of them become a run: one block of sorted entries per series
 * and one bucket of keys per low byte of the hash. A B-tree entry per span instead would touch a page per
 * series and trace in each transaction, and cost more than everything else together.
 *
 * Eviction leaves entries of evicted traces in place and readers skip them; a run goes when all of it is gone.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { asBuffer, SPANS_PER_TRACE } from './sqlite_open.ts';

/** Entries of one block: what a search reads at a time. */
const BLOCK_ENTRIES = 1_024;
const BUCKETS = 256;
/** Buckets of one low byte lie together, by run, so that a look-up reads one range. */
const BUCKET_STRIDE = 2 ** 32;
/** Series id, start, duration, span id. */
const RECENT_FIELDS = 4;
/** Start, duration, span id. */
export const ENTRY_FIELDS = 3;
/** Hash, pk. */
const KEY_FIELDS = 2;

/** Entries of one series that are not in a run yet: start, duration and span id of each, sorted when asked for. */
interface RecentSeries {
  readonly fields: number[];
  sorted: boolean;
}

export interface BlockHeader {
  readonly id: number;
  readonly newest_us: number;
  readonly oldest_us: number;
  readonly count: number;
}

function toBlob(numbers: readonly number[] | Float64Array): Uint8Array {
  const array = Float64Array.from(numbers);
  return new Uint8Array(array.buffer);
}

function toNumbers(blob: unknown): Float64Array {
  const bytes = asBuffer(blob);
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : Buffer.from(new Uint8Array(bytes));
  return new Float64Array(aligned.buffer, aligned.byteOffset, aligned.length >> 3);
}

/** Sorts entries by start, duration and id, all rising. */
function sortEntries(fields: number[]): void {
  const order = Array.from({ length: fields.length / ENTRY_FIELDS }, (_, index) => index * ENTRY_FIELDS);
  const field = (at: number): number => fields[at] as number;
  order.sort((a, b) => field(a) - field(b) || field(a + 1) - field(b + 1) || field(a + 2) - field(b + 2));
  const sorted = order.flatMap((at) => [field(at), field(at + 1), field(at + 2)]);
  for (const [at, value] of sorted.entries()) fields[at] = value;
}

function lastIdOf(fields: readonly number[]): number {
  let last = 0;
  for (let at = 2; at < fields.length; at += ENTRY_FIELDS) last = Math.max(last, fields[at] as number);
  return last;
}

export class SpanIndex {
  private readonly insertRecent: StatementSync;
  private readonly selectRecent: StatementSync;
  private readonly deleteRecent: StatementSync;
  private readonly insertRun: StatementSync;
  private readonly selectRuns: StatementSync;
  private readonly deleteRun: StatementSync;
  private readonly insertBlock: StatementSync;
  private readonly selectBlocks: StatementSync;
  private readonly selectBlock: StatementSync;
  private readonly deleteBlocks: StatementSync;
  private readonly insertKeys: StatementSync;
  private readonly selectKeys: StatementSync;
  private readonly deleteKeys: StatementSync;
  private readonly selectNewest: StatementSync;
  private readonly selectOldest: StatementSync;

  private readonly runEntries: number;
  private readonly recent = new Map<number, RecentSeries>();
  private recentCount = 0;
  private recentKeys: number[] = [];
  /** What the transaction at hand adds. */
  private newEntries: number[] = [];
  private newKeys: number[] = [];
  /** Runs in the database, oldest first, by number, with the greatest span id that each mentions. */
  private runs = new Map<number, number>();
  private nextRun = 1;
  private nextBlock = 1;
  /** Smaller span ids are evicted. */
  oldestId = 0;

  /** @param options runEntries: entries in memory before they become a run */
  constructor(database: DatabaseSync, options: { readonly runEntries: number }) {
    this.runEntries = options.runEntries;
    this.insertRecent = database.prepare('INSERT INTO recent (entries, keys) VALUES (?, ?)');
    this.selectRecent = database.prepare('SELECT entries, keys FROM recent ORDER BY id');
    this.deleteRecent = database.prepare('DELETE FROM recent');
    this.insertRun = database.prepare('INSERT INTO runs VALUES (?, ?, ?, ?)');
    this.selectRuns = database.prepare('SELECT run, last_id, last_block FROM runs ORDER BY run');
    this.deleteRun = database.prepare('DELETE FROM runs WHERE run = ? RETURNING first_block, last_block');
    this.insertBlock = database.prepare('INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)');
    this.selectBlocks = database.prepare(
      `SELECT id, newest_us, oldest_us, count FROM blocks
       WHERE series = ? AND newest_us >= ? AND (newest_us, id) < (?, ?) AND oldest_us <= ?
       ORDER BY newest_us DESC, id DESC LIMIT ?`,
    );
    this.selectBlock = database.prepare('SELECT entries FROM blocks WHERE id = ?');
    this.deleteBlocks = database.prepare('DELETE FROM blocks WHERE id BETWEEN ? AND ?');
    this.insertKeys = database.prepare('INSERT INTO keys VALUES (?, ?)');
    this.selectKeys = database.prepare('SELECT entries FROM keys WHERE id >= ? AND id < ?');
    this.deleteKeys = database.prepare('DELETE FROM keys WHERE id = ?');
    this.selectOldest = database.prepare('SELECT min(id) AS id FROM chunks HAVING id IS NOT NULL');
    this.selectNewest = database.prepare('SELECT max(newest_us) AS newest FROM blocks WHERE series = ?');
    this.reload();
  }

  /** Reads the recent entries from the database again: at start, and after a transaction was rolled back. */
  reload(): void {
    this.clearRecent();
    this.newEntries = [];
    this.newKeys = [];
    for (const row of this.selectRecent.iterate()) {
      const entries = toNumbers(row.entries);
      for (let at = 0; at < entries.length; at += RECENT_FIELDS) {
        const [seriesId = 0, startUs = 0, durationUs = 0, id = 0] = entries.subarray(at, at + RECENT_FIELDS);
        this.remember(seriesId, startUs, durationUs, id);
      }
      for (const value of toNumbers(row.keys)) this.recentKeys.push(value);
    }
    this.runs = new Map();
    for (const row of this.selectRuns.iterate()) {
      this.runs.set(Number(row.run), Number(row.last_id));
      this.nextRun = Math.max(this.nextRun, Number(row.run) + 1);
      this.nextBlock = Math.max(this.nextBlock, Number(row.last_block) + 1);
    }
    this.oldestId = Number(this.selectOldest.get()?.id ?? this.lastId + 1);
  }

  /** The greatest span id that any entry mentions, 0 when there is none. */
  get lastId(): number {
    let last = 0;
    for (const lastId of this.runs.values()) last = Math.max(last, lastId);
    for (const { fields } of this.recent.values()) last = Math.max(last, lastIdOf(fields));
    return last;
  }

  private clearRecent(): void {
    this.recent.clear();
    this.recentCount = 0;
    this.recentKeys = [];
  }

  private remember(seriesId: number, startUs: number, durationUs: number, id: number): void {
    let held = this.recent.get(seriesId);
    if (held === undefined) {
      held = { fields: [], sorted: true };
      this.recent.set(seriesId, held);
    }
    const { fields } = held;
    if (fields.length > 0 && startUs <= (fields[fields.length - ENTRY_FIELDS] as number)) held.sorted = false;
    fields.push(startUs, durationUs, id);
    this.recentCount += 1;
  }

  /** Adds a span to the transaction at hand. */
  addSpan(seriesId: number, startUs: number, durationUs: number, id: number): void {
    this.newEntries.push(seriesId, startUs, durationUs, id);
    this.remember(seriesId, startUs, durationUs, id);
  }

  /** Adds a hashed key of a trace to the transaction at hand. */
  addKey(hash: number, pk: number): void {
    this.newKeys.push(hash, pk);
  }

  /** Writes what the transaction at hand added; makes a run when there is enough for one. Last in a transaction. */
  write(): void {
    if (this.newEntries.length > 0) this.insertRecent.run(toBlob(this.newEntries), toBlob(this.newKeys));
    for (const value of this.newKeys) this.recentKeys.push(value);
    this.newEntries = [];
    this.newKeys = [];
    if (this.recentCount >= this.runEntries) this.writeRun();
  }

  private writeRun(): void {
    const run = this.nextRun;
    const firstBlock = this.nextBlock;
    let lastId = 0;
    for (const [seriesId, held] of this.recent) {
      const fields = this.sortedFields(held);
      lastId = Math.max(lastId, lastIdOf(fields));
      for (let at = 0; at < fields.length; at += BLOCK_ENTRIES * ENTRY_FIELDS) {
        const block = fields.slice(at, at + BLOCK_ENTRIES * ENTRY_FIELDS);
        const newestUs = block[block.length - ENTRY_FIELDS] as number;
        const count = block.length / ENTRY_FIELDS;
        this.insertBlock.run(this.nextBlock, seriesId, newestUs, block[0] as number, count, toBlob(block));
        this.nextBlock += 1;
      }
    }
    const buckets: number[][] = Array.from({ length: BUCKETS }, () => []);
    for (let at = 0; at < this.recentKeys.length; at += KEY_FIELDS) {
      const hash = this.recentKeys[at] as number;
      buckets[hash % BUCKETS]?.push(hash, this.recentKeys[at + 1] as number);
    }
    for (const [bucket, keys] of buckets.entries()) {
      if (keys.length > 0) this.insertKeys.run(bucket * BUCKET_STRIDE + run, toBlob(keys));
    }
    this.insertRun.run(run, lastId, firstBlock, this.nextBlock - 1);
    this.deleteRecent.run();
    this.nextRun += 1;
    this.runs.set(run, lastId);
    this.clearRecent();
  }

  private sortedFields(held: RecentSeries): readonly number[] {
    if (!held.sorted) {
      sortEntries(held.fields);
      held.sorted = true;
    }
    return held.fields;
  }

  /** Entries of a series that are in no block, three fields each, rising; empty when there are none. */
  recentEntries(seriesId: number): readonly number[] {
    const held = this.recent.get(seriesId);
    return held === undefined ? [] : this.sortedFields(held);
  }

  /** Blocks of a series that overlap a range of starts, newest first, from behind the block given on. */
  blocks(
    seriesId: number,
    startMinUs: number,
    startMaxUs: number,
    behind: Pick<BlockHeader, 'newest_us' | 'id'> | undefined,
    limit: number,
  ): BlockHeader[] {
    const newestUs = behind?.newest_us ?? Number.MAX_SAFE_INTEGER;
    const id = behind?.id ?? Number.MAX_SAFE_INTEGER;
    return this.selectBlocks.all(
      seriesId,
      startMinUs,
      newestUs,
      id,
      startMaxUs,
      limit,
    ) as unknown as BlockHeader[];
  }

  /** Entries of a block, three fields each, rising. */
  blockEntries(id: number): Float64Array {
    return toNumbers(this.selectBlock.get(id)?.entries ?? new Uint8Array(0));
  }

  /** Pks that a hash may belong to, newest first, each once; the caller looks whether they do. */
  pksOf(hash: number): number[] {
    const pks = new Set<number>();
    const collect = (keys: ArrayLike<number>): void => {
      for (let at = keys.length - KEY_FIELDS; at >= 0; at -= KEY_FIELDS) {
        if (keys[at] !== hash) continue;
        const pk = keys[at + 1] as number;
        if (pk * SPANS_PER_TRACE + SPANS_PER_TRACE > this.oldestId) pks.add(pk);
      }
    };
    collect(this.recentKeys);
    const bucket = (hash % BUCKETS) * BUCKET_STRIDE;
    for (const row of this.selectKeys.all(bucket, bucket + BUCKET_STRIDE)) collect(toNumbers(row.entries));
    return [...pks].sort((a, b) => b - a);
  }

  /** Start of the newest span of a series, 0 when it has none. */
  newestStartUs(seriesId: number): number {
    const recent = this.recentEntries(seriesId);
    const newest = Number(this.selectNewest.get(seriesId)?.newest ?? 0);
    return Math.max(newest, recent[recent.length - ENTRY_FIELDS] ?? 0);
  }

  /** Whether a run, or a span that is not in one, mentions a series. */
  hasSeries(seriesId: number): boolean {
    const held = this.recent.get(seriesId);
    if (held !== undefined && lastIdOf(held.fields) >= this.oldestId) return true;
    return this.selectNewest.get(seriesId)?.newest !== null;
  }

  /** Span ids below this are gone: forgets runs, and recent entries, that mention no others. Within a transaction. */
  evictedBefore(oldestId: number): void {
    this.oldestId = oldestId;
    // Otherwise they would take the room of spans on a full disk, until there are enough for a run.
    if (this.recentCount > 0 && this.lastId < oldestId) {
      this.deleteRecent.run();
      this.clearRecent();
    }
    for (const [run, lastId] of this.runs) {
      if (lastId >= oldestId) continue;
      const row = this.deleteRun.get(run);
      if (row !== undefined) this.deleteBlocks.run(Number(row.first_block), Number(row.last_block));
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.deleteKeys.run(bucket * BUCKET_STRIDE + run);
      this.runs.delete(run);
    }
  }
}
