import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ATTR } from '../contract/attributes.ts';
import { VitrineError } from '../contract/errors.ts';
import { decodeTraces } from './otlp_decode.ts';
import type { StoredSpan } from './span.ts';
import {
  type DescribedSpan,
  describeSpan,
  expectedStored,
  insertAll,
  NOON_NS,
  randomHex,
  randomSpans,
  SdkSpans,
  seededRandom,
} from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore, type TraceStoreOptions } from './store.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-traces-'));
  path = join(folder, 'traces.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

function open(options: Partial<TraceStoreOptions> = {}, nowMs: () => number = Date.now): TraceStore {
  return createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path, busyTimeoutMs: 0, ...options }, nowMs);
}

function sorted(spans: readonly StoredSpan[]): StoredSpan[] {
  return [...spans].sort((a, b) => (a.spanId < b.spanId ? -1 : 1));
}

function batchOf(spans: readonly DescribedSpan[]) {
  return decodeTraces(new SdkSpans().protobuf(spans));
}

/** Traces of one span with a message of some size, each with its place in its id. */
function plainTraces(count: number, from = 0): DescribedSpan[] {
  return Array.from({ length: count }, (_, index) =>
    describeSpan({
      traceId: `aa${String(from + index).padStart(30, '0')}`,
      spanId: `bb${String(from + index).padStart(14, '0')}`,
      startNs: NOON_NS + BigInt(from + index) * 1_000_000n,
      endNs: NOON_NS + BigInt(from + index) * 1_000_000n + 5_000n,
      attributes: { filler: 'y'.repeat(400), [ATTR.requestId]: `request-${from + index}` },
    }),
  );
}

function heldTraces(store: TraceStore): string[] {
  return store.search({ limit: 1_000_000 }).traces.map(({ traceId }) => traceId);
}

describe('a trace by id', () => {
  const described = randomSpans(seededRandom(3), 120);

  test.each([
    ['in memory', {}],
    ['in runs', { runEntries: 40 }],
    ['in several places', { runEntries: 40, openTraces: 2 }],
  ])('has every field of every span, %s, and after the store was opened again', (_, options) => {
    // Batches cut traces apart, as several processes do.
    const random = seededRandom(4);
    const shuffled = described.map((span) => ({ span, at: random() })).sort((a, b) => a.at - b.at);
    {
      using store = open(options);
      insertAll(
        store,
        shuffled.map(({ span }) => span),
        7,
      );
      check(store);
    }
    using again = open(options);
    check(again);
    expect(again.stats().notice).toBe('');

    function check(store: TraceStore): void {
      for (const traceId of new Set(described.map((span) => span.traceId))) {
        const expected = described.filter((span) => span.traceId === traceId).map(expectedStored);
        expect(sorted(store.trace(traceId)?.spans ?? [])).toEqual(sorted(expected));
      }
      expect(store.trace('f'.repeat(32))).toBeUndefined();
    }
  });

  test('holds a span once that was sent twice, and both of two that share an id', () => {
    using store = open();
    const span = describeSpan({});
    const other = describeSpan({ name: 'the other side', kind: 3 });
    insertAll(store, [span, other]);
    insertAll(store, [span]);
    expect(store.trace(span.traceId)?.spans).toEqual([span, other].map(expectedStored));
  });

  test('goes on after the store was opened again', () => {
    const [first, second] = [describeSpan({}), describeSpan({ spanId: '00f067aa0ba902b7' })];
    {
      using store = open();
      insertAll(store, [first]);
    }
    using store = open();
    insertAll(store, [second]);
    expect(store.trace(first.traceId)?.spans).toEqual([first, second].map(expectedStored));
    expect(heldTraces(store)).toEqual([first.traceId]);
  });
});

describe('limits of the store', () => {
  test('reject spans beyond the number of one trace', () => {
    using store = open({ maxSpansPerTrace: 10 });
    const random = seededRandom(1);
    const spans = Array.from({ length: 14 }, () => describeSpan({ spanId: randomHex(random, 16) }));
    const [result] = store.insert([batchOf(spans)]);
    expect(result).toMatchObject({ acceptedSpans: 10, rejectedSpans: 4 });
    expect(result?.rejectionMessage).toContain('beyond 10 spans of one trace');
    expect(store.trace(spans[0]?.traceId ?? '')?.spans).toHaveLength(10);
    expect(store.stats()).toMatchObject({ insertedSpans: 10, rejectedSpans: 4 });
  });

  test('reject spans of more resources than are held', () => {
    using store = open({ maxOrigins: 3 });
    const random = seededRandom(1);
    const spans = Array.from({ length: 5 }, (_, index) =>
      describeSpan({ service: `s${index}`, spanId: randomHex(random, 16) }),
    );
    const [result] = store.insert([batchOf(spans)]);
    expect(result).toMatchObject({ acceptedSpans: 3, rejectedSpans: 2 });
    expect(result?.rejectionMessage).toContain('distinct resources');
    expect(store.services()).toEqual(['s0', 's1', 's2']);
  });
});

describe('retention', () => {
  test('evicts the oldest traces beyond the size, and says what is left', () => {
    let nowMs = 1_000_000;
    const maxBytes = 2 * 1024 ** 2;
    using store = open({ maxBytes, runEntries: 500 }, () => nowMs);
    for (let batch = 0; batch < 80; batch += 1) {
      nowMs += 1_000;
      store.insert([batchOf(plainTraces(100, batch * 100))]);
      while (store.evict(nowMs));
    }
    const { evictedBySize, evictedByAge, usedBytes, fileBytes, oldestReceivedMs } = store.stats();
    expect(usedBytes).toBeLessThanOrEqual(maxBytes);
    expect(fileBytes).toBeLessThan(maxBytes * 1.5);
    const held = heldTraces(store);
    expect(held.length).toBeGreaterThan(1_000);
    expect(evictedBySize).toEqual({ traces: 8_000 - held.length, spans: 8_000 - held.length });
    expect(evictedByAge).toEqual({ traces: 0, spans: 0 });
    // The newest are held, without a gap, newest first; everything older is gone by every way in.
    const expected = plainTraces(8_000).reverse().slice(0, held.length);
    expect(held).toEqual(expected.map(({ traceId }) => traceId));
    const firstHeld = 8_000 - held.length;
    expect(oldestReceivedMs).toBe(1_000_000 + (Math.floor(firstHeld / 100) + 1) * 1_000);
    const [gone] = plainTraces(1, firstHeld - 1);
    expect(store.trace(gone?.traceId ?? '')).toBeUndefined();
    const byRequest = (place: number) =>
      store.search({ tags: new Map([[ATTR.requestId, `request-${place}`]]), limit: 5 }).traces.length;
    expect(byRequest(firstHeld - 1)).toBe(0);
    expect(byRequest(firstHeld)).toBe(1);
  });

  test.each([50, 1_000])(
    'evicts by age from the arrival, and forgets services without spans (runs of %i)',
    (runEntries) => {
      let nowMs = 0;
      using store = open({ maxAgeMs: 10_000, runEntries }, () => nowMs);
      const old = plainTraces(60).map((span) => ({ ...span, service: 'gone' }));
      insertAll(store, old);
      nowMs = 8_000;
      insertAll(store, plainTraces(60, 100));
      nowMs = 10_000;
      expect(store.evict(nowMs)).toBe(false);
      expect(heldTraces(store)).toHaveLength(120);
      expect(store.services()).toEqual(['gone', 'vitrine-gateway']);
      nowMs = 10_001;
      while (store.evict(nowMs));
      expect(heldTraces(store)).toEqual(
        plainTraces(60, 100)
          .reverse()
          .map(({ traceId }) => traceId),
      );
      expect(store.stats().evictedByAge).toEqual({ traces: 60, spans: 60 });
      nowMs = 90_000;
      while (store.evict(nowMs));
      expect(heldTraces(store)).toEqual([]);
      expect(store.services()).toEqual([]);
      expect(store.stats().series).toBe(0);
      const reader = new DatabaseSync(path, { readOnly: true });
      for (const table of ['chunks', 'blocks', 'keys', 'runs', 'series']) {
        expect(reader.prepare(`SELECT count(*) AS n FROM ${table}`).get(), table).toEqual({ n: 0 });
      }
      reader.close();
      expect(store.stats()).toMatchObject({
        evictedByAge: { traces: 120, spans: 120 },
        oldestReceivedMs: undefined,
      });
      // A store that was emptied takes new traces as a new one does, also when it is opened again.
      insertAll(store, plainTraces(3, 500));
      expect(heldTraces(store)).toHaveLength(3);
      store[Symbol.dispose]();
      using again = open({ maxAgeMs: 10_000, runEntries }, () => nowMs);
      insertAll(again, plainTraces(3, 600));
      expect(heldTraces(again)).toHaveLength(6);
      expect(again.trace(old[0]?.traceId ?? '')).toBeUndefined();
    },
  );

  test('evicts a trace larger than a slice from its head on', () => {
    const random = seededRandom(9);
    const startNs = NOON_NS;
    const spans = Array.from({ length: 6_000 }, (_, index) =>
      describeSpan({ spanId: randomHex(random, 16), startNs: startNs + BigInt(index) }),
    );
    let nowMs = 0;
    using store = open({ maxAgeMs: 1_000 }, () => nowMs);
    insertAll(store, spans);
    insertAll(store, plainTraces(1));
    nowMs = 5_000;
    expect(store.evict(nowMs)).toBe(true);
    expect(store.trace(spans[0]?.traceId ?? '')?.spans.length).toBeLessThan(2_000);
    while (store.evict(nowMs));
    expect(store.stats().evictedByAge.spans).toBe(6_001);
    expect(heldTraces(store)).toEqual([]);
  });

  test('takes further spans of an evicted trace as a new one', () => {
    let nowMs = 0;
    using store = open({ maxAgeMs: 1_000 }, () => nowMs);
    insertAll(store, [describeSpan({}), ...plainTraces(3)]);
    nowMs = 5_000;
    while (store.evict(nowMs));
    const late = describeSpan({ spanId: '00f067aa0ba902b7' });
    insertAll(store, [late]);
    expect(store.trace(late.traceId)?.spans).toEqual([expectedStored(late)]);
    expect(heldTraces(store)).toEqual([late.traceId]);
  });
});

describe('a database in trouble', () => {
  const refusal = expect.objectContaining({ code: 'overloaded', retryable: true, retryAfterS: 1 }) as Error;

  test('locked by another process: spans are refused and counted, and the next batch is stored', () => {
    using store = open();
    insertAll(store, plainTraces(2));
    const other = new DatabaseSync(path);
    other.exec('BEGIN EXCLUSIVE');
    expect(() => store.insert([batchOf(plainTraces(3, 10))])).toThrowError(refusal);
    expect(store.stats()).toMatchObject({ failedSpans: 3, failedBatches: 1, insertedSpans: 2 });
    expect(store.stats().lastError).toMatch(/locked/);
    // Reading goes on meanwhile.
    expect(heldTraces(store)).toHaveLength(2);
    other.exec('ROLLBACK');
    other.close();
    insertAll(store, plainTraces(4, 20));
    expect(heldTraces(store)).toHaveLength(6);
    expect(store.stats()).toMatchObject({ insertedSpans: 6, lastError: '' });
  });

  test('locked when it is opened: every call refuses until it is free', () => {
    open()[Symbol.dispose]();
    const other = new DatabaseSync(path);
    other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    using store = open();
    expect(() => store.services()).toThrowError(refusal);
    expect(() => store.insert([batchOf(plainTraces(1))])).toThrowError(refusal);
    expect(store.stats().lastError).toMatch(/locked/);
    other.exec('ROLLBACK');
    other.close();
    insertAll(store, plainTraces(1));
    expect(heldTraces(store)).toHaveLength(1);
  });

  test('no database at all: it is set aside under another name and a fresh one started', () => {
    writeFileSync(
      path,
      'this is a text, not a database, and long enough to be read as a header of one'.repeat(50),
    );
    using store = open();
    const { notice } = store.stats();
    const aside = readdirSync(folder).filter((name) => name.startsWith('traces.db.unusable-'));
    expect(aside).toHaveLength(1);
    expect(notice).toContain(aside[0]);
    insertAll(store, plainTraces(1));
    expect(heldTraces(store)).toHaveLength(1);
  });

  test('of another schema version: it is set aside', () => {
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE t (a); PRAGMA user_version = 999');
    other.close();
    using store = open();
    expect(store.stats().notice).toContain('schema version 999');
    expect(store.services()).toEqual([]);
  });

  test('damaged while it is open: the next call starts a fresh one', () => {
    using store = open({ cacheBytes: 64 * 1024 });
    insertAll(store, plainTraces(4_000));
    // Everything into the database file, then rubbish over it, behind SQLite's back.
    const other = new DatabaseSync(path);
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    other.close();
    const size = Number(store.stats().fileBytes);
    writeFileSync(path, Buffer.alloc(size, 0x5a));
    const attempts: unknown[] = [];
    for (let attempt = 0; attempt < 5; attempt += 1) {
      try {
        store.insert([batchOf(plainTraces(300, 10_000 + attempt * 300))]);
        store.search({ limit: 10_000 });
      } catch (error) {
        attempts.push(error);
      }
    }
    expect(attempts.length).toBeGreaterThan(0);
    for (const error of attempts) expect(error).toBeInstanceOf(VitrineError);
    expect(store.stats().notice).toContain('fresh one started');
    insertAll(store, plainTraces(1, 99_000));
    expect(heldTraces(store)[0]).toBe(plainTraces(1, 99_000)[0]?.traceId);
  });

  test('a full disk: the oldest traces make room, and what does not fit is refused', () => {
    // 16 KiB a page: 3 MiB in all, with a limit of size that never comes into play.
    using store = open({ maxPageCount: 192, runEntries: 500 });
    for (let batch = 0; batch < 100; batch += 1) {
      try {
        store.insert([batchOf(plainTraces(100, batch * 100))]);
      } catch (error) {
        expect(error).toEqual(refusal);
      }
    }
    const { insertedSpans, failedSpans, evictedBySize } = store.stats();
    expect(insertedSpans + failedSpans).toBe(10_000);
    expect(evictedBySize.spans).toBeGreaterThan(1_000);
    expect(insertedSpans).toBeGreaterThan(9_000);
    const held = heldTraces(store);
    expect(held).toHaveLength(insertedSpans - evictedBySize.spans);
    expect(held[0]).toBe(plainTraces(1, 9_999)[0]?.traceId);
  });

  test('a database that may grow no more keeps the newest traces, until it may again', () => {
    using store = open();
    const insert = (from: number, to: number): void => {
      for (let batch = from; batch < to; batch += 1) store.insert([batchOf(plainTraces(100, batch * 100))]);
    };
    insert(0, 2);
    store.setFull(true);
    const { fileBytes } = store.stats();
    // All that was held, many times over.
    insert(2, 60);
    const full = store.stats();
    expect(full).toMatchObject({ fileBytes, failedSpans: 0, insertedSpans: 6_000 });
    expect(full.timesFull).toBeGreaterThan(2);
    expect(heldTraces(store)).toHaveLength(6_000 - full.evictedBySize.spans);
    expect(heldTraces(store)[0]).toBe(plainTraces(1, 5_999)[0]?.traceId);
    store.setFull(false);
    insert(60, 80);
    expect(store.stats()).toMatchObject({ timesFull: full.timesFull, evictedBySize: full.evictedBySize });
    expect(store.stats().fileBytes).toBeGreaterThan(fileBytes);
  });

  test('a batch that does not fit leaves nothing behind, in memory or on disk', () => {
    {
      using store = open({ maxPageCount: 24 });
      const large = plainTraces(1_500).map((span) => ({ ...span, service: 'new' }));
      expect(() => store.insert([batchOf(large)])).toThrowError(refusal);
      expect(store.stats()).toMatchObject({ failedSpans: 1_500, series: 0, origins: 0, insertedSpans: 0 });
      expect(store.services()).toEqual([]);
      expect(store.search({ limit: 5 })).toMatchObject({ traces: [], scanned: 0 });
      // The same service and series once more, now for good.
      insertAll(store, large.slice(0, 1));
      expect(store.search({ limit: 5 })).toMatchObject({ scanned: 1 });
      const reader = new DatabaseSync(path, { readOnly: true });
      // One index entry of four numbers.
      expect(reader.prepare('SELECT length(entries) AS bytes FROM recent').all()).toEqual([{ bytes: 32 }]);
      reader.close();
    }
    using store = open();
    expect(store.services()).toEqual(['new']);
    expect(heldTraces(store)).toEqual(plainTraces(1).map(({ traceId }) => traceId));
  });

  test('a folder that cannot be: calls refuse, nothing is thrown at the start', () => {
    writeFileSync(path, 'a file where a folder should be');
    using store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: join(path, 'below', 'traces.db') });
    expect(() => store.services()).toThrowError(refusal);
    expect(store.stats().lastError).not.toBe('');
    expect(existsSync(join(path, 'below'))).toBe(false);
  });
});
