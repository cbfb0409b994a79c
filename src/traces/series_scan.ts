/**
 * Reads the spans of many series as one sequence, newest first, from the index alone. Series and their blocks
 * are opened only when the sequence reaches them, so that a search costs what it finds rather than what is
 * stored.
 */
import type { Series } from './series.ts';
import { type BlockHeader, ENTRY_FIELDS, type SpanIndex } from './span_index.ts';

export interface ScanSource {
  readonly series: Series;
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

/** Opening a block costs about as much as looking at this many entries. */
const BLOCK_COST = 64;
/** Headers of blocks that are read at a time. */
const HEADER_PAGE = 16;

/**
 * A place in the sequence: a series whose blocks are not all known, a block that is not open, or entries that
 * are walked from the newest back. The first two stand where their newest entry could be.
 */
class Cursor {
  readonly source: ScanSource;
  boundUs: number;
  /** What to open when the sequence arrives here; undefined once it is open. */
  open: (() => void) | undefined;
  private entries: ArrayLike<number> = [];
  private at = -1;

  constructor(source: ScanSource, boundUs: number, open: () => void) {
    this.source = source;
    this.boundUs = boundUs;
    this.open = open;
  }

  get id(): number {
    return this.entries[this.at + 2] as number;
  }

  get durationUs(): number {
    return this.entries[this.at + 1] as number;
  }

  walk(entries: ArrayLike<number>, range: ScanRange, oldestId: number): boolean {
    this.open = undefined;
    this.entries = entries;
    this.at = entries.length;
    return this.next(range, oldestId);
  }

  /** Moves to the next older entry in the range; false when there is none. */
  next(range: ScanRange, oldestId: number): boolean {
    const { entries } = this;
    for (let at = this.at - ENTRY_FIELDS; at >= 0; at -= ENTRY_FIELDS) {
      const startUs = entries[at] as number;
      if (startUs > range.startMaxUs) continue;
      if (startUs < range.startMinUs) return false;
      const durationUs = entries[at + 1] as number;
      if (durationUs < range.minDurationUs || durationUs > range.maxDurationUs) continue;
      if ((entries[at + 2] as number) < oldestId) continue;
      this.at = at;
      this.boundUs = startUs;
      return true;
    }
    return false;
  }
}

/** Whether `a` comes before `b`. What is not open goes first among equals: any entry may be in it. */
function isBefore(a: Cursor, b: Cursor): boolean {
  if (a.boundUs !== b.boundUs) return a.boundUs > b.boundUs;
  if (a.open !== undefined || b.open !== undefined) return b.open === undefined;
  if (a.durationUs !== b.durationUs) return a.durationUs > b.durationUs;
  return a.id > b.id;
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

  removeTop(): void {
    const last = this.items.pop();
    if (last === undefined || this.items.length === 0) return;
    this.items[0] = last;
    this.settleTop();
  }

  /** Puts the top where it belongs after it moved to an older entry. */
  settleTop(): void {
    const items = this.items;
    const moved = items[0];
    if (moved === undefined) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      const right = items[child + 1];
      if (right !== undefined && isBefore(right, items[child] as Cursor)) child += 1;
      const candidate = items[child] as Cursor;
      if (!isBefore(candidate, moved)) break;
      items[at] = candidate;
      at = child;
    }
    items[at] = moved;
  }
}

/**
 * Entries of all sources in the range by start, duration and id, all falling; ends early when the budget is
 * used up.
 */
export function* scanSeries(
  index: SpanIndex,
  sources: Iterable<ScanSource>,
  range: ScanRange,
  budget: ScanBudget,
): Generator<ScanEntry> {
  const heap = new CursorHeap();
  const pushEntries = (
    source: ScanSource,
    boundUs: number,
    count: number,
    read: () => ArrayLike<number>,
  ): void => {
    const cursor = new Cursor(source, Math.min(boundUs, range.startMaxUs), () => {
      budget.left -= count;
      heap.removeTop();
      if (cursor.walk(read(), range, index.oldestId)) heap.push(cursor);
    });
    heap.push(cursor);
  };
  const pushBlocks = (source: ScanSource, boundUs: number, behind: BlockHeader | undefined): void => {
    const { id } = source.series;
    const cursor = new Cursor(source, Math.min(boundUs, range.startMaxUs), () => {
      const headers = index.blocks(id, range.startMinUs, range.startMaxUs, behind, HEADER_PAGE);
      heap.removeTop();
      for (const header of headers) {
        pushEntries(source, header.newest_us, BLOCK_COST + header.count, () => index.blockEntries(header.id));
      }
      const last = headers[HEADER_PAGE - 1];
      if (last !== undefined) pushBlocks(source, last.newest_us, last);
    });
    heap.push(cursor);
  };
  for (const source of sources) {
    const { series } = source;
    if (series.newestStartUs < range.startMinUs) continue;
    pushBlocks(source, series.newestStartUs, undefined);
    const recent = index.recentEntries(series.id);
    if (recent.length === 0) continue;
    pushEntries(
      source,
      recent[recent.length - ENTRY_FIELDS] as number,
      recent.length / ENTRY_FIELDS,
      () => recent,
    );
  }
  for (let cursor = heap.top; cursor !== undefined; cursor = heap.top) {
    if (cursor.open !== undefined) {
      if (budget.left <= 0) return;
      cursor.open();
      continue;
    }
    yield { id: cursor.id, startUs: cursor.boundUs, source: cursor.source };
    if (cursor.next(range, index.oldestId)) heap.settleTop();
    else heap.removeTop();
  }
}
