/** Samples across a restart, and what a database can do wrong. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from 'vitest';
import { type EvaluatorDatabase, openEvaluatorDatabase } from './evaluator_database.ts';
import { createSampleArchive } from './sample_archive.ts';
import { SampleStore } from './sample_store.ts';
import { T0_MS } from './series_for_tests.ts';

const folder = mkdtempSync(join(tmpdir(), 'vitrine-evaluator-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function newPath(): string {
  files += 1;
  return join(folder, `${files}.db`);
}

const TARGET = { job: 'gateway', instance: 'gateway-0' };
const NEEDS = [
  { metric: 'inference_requests_total', where: [], reachS: 30 * 86_400, stepS: 300 },
  { metric: 'inference_queue_requests', where: [], reachS: 300, stepS: 15 },
] as const;

function newStore(): SampleStore {
  return new SampleStore({ needs: NEEDS, timeScale: 1, seriesLimit: 1000 });
}

function opened(path: string, notices: string[] = [], maxPageCount?: number): EvaluatorDatabase {
  const database = openEvaluatorDatabase(
    {
      path,
      onNotice: (notice) => notices.push(notice),
      ...(maxPageCount === undefined ? {} : { maxPageCount }),
    },
    T0_MS,
  );
  if (database === undefined) throw new Error('no database');
  return database;
}

function archiveOf(database: EvaluatorDatabase, timeScale = 1, limitBytes = 1024 ** 3) {
  return createSampleArchive(database, { timeScale, limitBytes });
}

/** A scrape each 15 s; the counter grows by 1 a second. */
function scrapeFor(store: SampleStore, fromS: number, toS: number, each: () => void = () => {}): void {
  for (let atS = fromS; atS < toS; atS += 15) {
    store.record(
      TARGET,
      [
        { name: 'inference_requests_total', labels: { model: 'a "b"\n' }, value: atS },
        ...(atS < toS - 60
          ? [{ name: 'inference_queue_requests', labels: { model: 'a' }, value: atS % 7 }]
          : []),
      ],
      T0_MS + atS * 1000,
    );
    each();
  }
}

/** Everything that evaluation could read. */
function seen(store: SampleStore) {
  return [...store.all()]
    .map(({ name, series }) => ({
      name,
      labels: series.labels,
      tiers: [0, 1, 2].map((tier) => series.tierSamples(tier, 0, Number.POSITIVE_INFINITY)),
      now: series.at(store.nowMs, 300_000, store.nowMs),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

describe('samples', () => {
  test('are the same after a restart, and go on', () => {
    const path = newPath();
    const before = newStore();
    {
      using database = opened(path);
      const archive = archiveOf(database);
      archive.restore(before, T0_MS);
      scrapeFor(before, 0, 3 * 3600, () => archive.save(before));
      before.expire();
    }
    using database = opened(path);
    const archive = archiveOf(database);
    const after = newStore();
    archive.restore(after, before.nowMs + 5000);
    expect(seen(after)).toEqual(seen(before));
    expect(seen(after).find(({ name }) => name === 'inference_queue_requests')?.now).toBeUndefined();
    for (const store of [before, after]) scrapeFor(store, 3 * 3600, 4 * 3600, () => archive.save(after));
    expect(seen(after)).toEqual(seen(before));
  });

  test('of another time scale are forgotten', () => {
    using database = opened(newPath());
    const store = newStore();
    const archive = archiveOf(database);
    archive.restore(store, T0_MS);
    scrapeFor(store, 0, 600, () => archive.save(store));
    const other = newStore();
    archiveOf(database, 60).restore(other, T0_MS + 600_000);
    expect(seen(other)).toEqual([]);
  });

  test('from after now are left out: the clock was set back meanwhile', () => {
    using database = opened(newPath());
    const store = newStore();
    const archive = archiveOf(database);
    archive.restore(store, T0_MS);
    scrapeFor(store, 0, 600, () => archive.save(store));
    const after = newStore();
    archiveOf(database).restore(after, T0_MS + 300_000);
    expect(after.nowMs).toBe(T0_MS + 300_000);
  });

  test('take a bounded place', () => {
    using database = opened(newPath());
    const limitBytes = 256 * 1024;
    const store = newStore();
    const archive = archiveOf(database, 1, limitBytes);
    archive.restore(store, T0_MS);
    let most = 0;
    for (let round = 0; round < 2000; round += 1) {
      const many = Array.from({ length: 40 }, (_, index) => ({
        name: 'inference_queue_requests',
        labels: { model: `${index}` },
        value: round,
      }));
      store.record(TARGET, many, T0_MS + round * 1000);
      archive.save(store);
      most = Math.max(most, database.usedBytes());
    }
    expect(most).toBeGreaterThan(limitBytes / 2);
    expect(most).toBeLessThan(limitBytes * 1.5);
  });
});

describe('a database', () => {
  test('that is damaged is set aside with a notice', () => {
    const path = newPath();
    writeFileSync(path, 'this is no database, but it is long enough to be looked at as one'.repeat(100));
    const notices: string[] = [];
    using database = opened(path, notices);
    expect(notices).toEqual([expect.stringContaining('it was kept as')]);
    expect(readdirSync(folder).filter((name) => name.includes('unusable'))).toHaveLength(1);
    expect(database.write(() => {})).toBe(true);
  });

  test('of another schema is set aside, too', () => {
    const path = newPath();
    new DatabaseSync(path).exec('CREATE TABLE x (y); PRAGMA user_version = 99');
    const notices: string[] = [];
    using _database = opened(path, notices);
    expect(notices[0]).toContain('schema version 99');
  });

  test('that is full is told once and counted, and what came meanwhile is written later', () => {
    const path = newPath();
    const notices: string[] = [];
    using database = opened(path, notices, 24);
    const archive = archiveOf(database);
    const store = newStore();
    archive.restore(store, T0_MS);
    scrapeFor(store, 0, 6 * 3600, () => archive.save(store));
    expect(database.failedWrites).toBeGreaterThan(1);
    expect(notices).toEqual([expect.stringContaining('refuses to write')]);
    expect(store.select('inference_requests_total', [])[0]?.lastMs).toBe(T0_MS + (6 * 3600 - 15) * 1000);
    database.database.exec('PRAGMA max_page_count = 100000');
    archive.save(store);
    const after = newStore();
    archiveOf(database).restore(after, store.nowMs);
    expect(after.nowMs).toBe(store.nowMs);
  });

  test('that someone else locks is left alone for the moment', () => {
    const path = newPath();
    const notices: string[] = [];
    using database = opened(path, notices);
    const other = new DatabaseSync(path);
    other.exec('BEGIN EXCLUSIVE');
    expect(database.write(() => {})).toBe(false);
    other.exec('COMMIT');
    other.close();
    expect(database.write(() => {})).toBe(true);
    expect([database.failedWrites, notices.length]).toEqual([1, 1]);
  });

  test('in a place that cannot be is done without', () => {
    const notices: string[] = [];
    const file = newPath();
    writeFileSync(file, '');
    const options = { path: join(file, 'x.db'), onNotice: (notice: string) => void notices.push(notice) };
    expect(openEvaluatorDatabase(options, T0_MS)).toBeUndefined();
    expect(notices).toEqual([expect.stringContaining('in memory alone')]);
  });
});
