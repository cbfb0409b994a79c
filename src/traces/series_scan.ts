/**
 * Reads the spans of many series as one sequence, newest first, from the index alone. Series are opened only
 * when the sequence reaches their newest span, read in growing pages, and durations at the edge of a class
 * are compared inside SQLite, so that a search costs what it finds rather than what is stored.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Series } from './series.ts';

export interface ScanSource {
  readonly series: Series;
  /** Compare each span's duration with the range. */
  readonly compareDurations: boolean;
  /** Spans of this source match only if the caller finds so in the span itself. */
  readonly verify: boolean;
}

export interface ScanRange {
  readonly startMinUs: number;
  readonly startMaxUs: number;
  readonly minDurationUs: number;
  readonly maxDurationUs: number;
}

export interface ScanEntry {
  readonly id: number;
  readonly startUs: number;
  readonly source: ScanSource;
}

export interface ScanBudget {
  /** Index entries that may still be looked at; the scan ends when it is used up. */
  left: number;
}

interface Row {
  readonly id: number;
  readonly start_us: number;
  readonly duration_us: number;
}

const PAGE_FIRST = 16;
const PAGE_LIMIT = 1024;
const CHUNK_FIRST = 256;
const CHUNK_LIMIT = 16_384;

/** One series' place in the sequence. Its rows are sorted as the index is: start, duration, id, all falling. */
class Cursor {
  readonly source: ScanSource;
  rows: readonly Row[] = [];
  next = 0;
  /** The last entry that was looked at; reading goes on behind it. */
  atStartUs: number;
  atDurationUs = Number.MAX_SAFE_INTEGER;
  atId = Number.MAX_SAFE_INTEGER;
  exhausted = false;
  size: number;

  constructor(source: ScanSource, fromUs: number) {
    this.source = source;
    this.atStartUs = fromUs;
    this.size = source.compareDurations ? CHUNK_FIRST : PAGE_FIRST;
  }

  get head(): Row | undefined {
    return this.rows[this.next];
  }

  /** No entry to come is newer than this. */
  get boundUs(): number {
    return this.head?.start_us ?? this.atStartUs;
  }
}

/** Whether `a` comes before `b`. A cursor without rows goes first among equals: it may have any row there. */
function isBefore(a: Cursor, b: Cursor): boolean {
  const difference = a.boundUs - b.boundUs;
  if (difference !== 0) return difference > 0;
  const left = a.head;
  const right = b.head;
  if (left === undefined || right === undefined) return left === undefined && right !== undefined;
  if (left.duration_us !== right.duration_us) return left.duration_us > right.duration_us;
  return left.id > right.id;
}

/** A binary heap with the newest cursor on top. */
class CursorHeap {
  private readonly items: Cursor[] = [];

  get top(): Cursor | undefined {
    return this.items[0];
  }

  push(cursor: Cursor): void {
    const items = this.items;
    let at = items.push(cursor) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = items[up] as Cursor;
      if (!isBefore(cursor, parent)) break;
      items[at] = parent;
      at = up;
    }
    items[at] = cursor;
  }

  /** Puts the top where it belongs after it changed, or removes it. */
  settle(remove: boolean): void {
    const items = this.items;
    const last = remove ? items.pop() : items[0];
    if (last === undefined || items.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      const right = items[child + 1];
      if (right !== undefined && isBefore(right, items[child] as Cursor)) child += 1;
      const candidate = items[child] as Cursor;
      if (!isBefore(candidate, last)) break;
      items[at] = candidate;
      at = child;
    }
    items[at] = last;
  }
}

const BEHIND = '(start_us, duration_us, id) < (?, ?, ?)';
const ORDER = 'ORDER BY start_us DESC, duration_us DESC, id DESC';
const FROM = 'FROM spans INDEXED BY spans_by_series WHERE series = ? AND start_us >= ? AND';

export class SeriesScan {
  private readonly selectPage: StatementSync;
  private readonly selectChunkEnd: StatementSync;
  private readonly countRest: StatementSync;
  private readonly selectChunk: StatementSync;

  constructor(database: DatabaseSync) {
    this.selectPage = database.prepare(`SELECT id, start_us, duration_us ${FROM} ${BEHIND} ${ORDER} LIMIT ?`);
    this.selectChunkEnd = database.prepare(
      `SELECT id, start_us, duration_us ${FROM} ${BEHIND} ${ORDER} LIMIT 1 OFFSET ?`,
    );
    this.countRest = database.prepare(`SELECT count(*) AS n ${FROM} ${BEHIND}`);
    this.selectChunk = database.prepare(
      `SELECT id, start_us, duration_us ${FROM} ${BEHIND} AND (start_us, duration_us, id) >= (?, ?, ?)
       AND duration_us BETWEEN ? AND ? ${ORDER}`,
    );
  }

  /** Entries of all sources in the range, newest first; ends early when the budget is used up. */
  *entries(sources: Iterable<ScanSource>, range: ScanRange, budget: ScanBudget): Generator<ScanEntry> {
    const heap = new CursorHeap();
    for (const source of sources) {
      const fromUs = Math.min(source.series.newestStartUs, range.startMaxUs);
      if (fromUs >= range.startMinUs) heap.push(new Cursor(source, fromUs));
    }
    for (let cursor = heap.top; cursor !== undefined; cursor = heap.top) {
      const row = cursor.head;
      if (row === undefined) {
        if (budget.left <= 0) return;
        if (!cursor.exhausted) this.fill(cursor, range, budget);
        heap.settle(cursor.exhausted && cursor.head === undefined);
        continue;
      }
      cursor.next += 1;
      yield { id: row.id, startUs: row.start_us, source: cursor.source };
      heap.settle(cursor.exhausted && cursor.head === undefined);
    }
  }

  private fill(cursor: Cursor, range: ScanRange, budget: ScanBudget): void {
    const { series, compareDurations } = cursor.source;
    const behind = [series.id, range.startMinUs, cursor.atStartUs, cursor.atDurationUs, cursor.atId];
    cursor.next = 0;
    if (!compareDurations) {
      cursor.rows = this.selectPage.all(...behind, cursor.size) as unknown as Row[];
      cursor.exhausted = cursor.rows.length < cursor.size;
      budget.left -= cursor.rows.length;
      this.moveTo(cursor, cursor.rows.at(-1));
      cursor.size = Math.min(cursor.size * 4, PAGE_LIMIT);
      return;
    }
    const end = this.selectChunkEnd.get(...behind, cursor.size - 1) as unknown as Row | undefined;
    cursor.exhausted = end === undefined;
    budget.left -= end === undefined ? Number(this.countRest.get(...behind)?.n ?? 0) : cursor.size;
    cursor.rows = this.selectChunk.all(
      ...behind,
      end?.start_us ?? range.startMinUs,
      end?.duration_us ?? 0,
      end?.id ?? 0,
      range.minDurationUs,
      range.maxDurationUs,
    ) as unknown as Row[];
    this.moveTo(cursor, end);
    cursor.size = Math.min(cursor.size * 4, CHUNK_LIMIT);
  }

  private moveTo(cursor: Cursor, row: Row | undefined): void {
    if (row === undefined) return;
    cursor.atStartUs = row.start_us;
    cursor.atDurationUs = row.duration_us;
    cursor.atId = row.id;
  }
}
