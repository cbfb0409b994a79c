/**
 * Samples on disk: one row per scrape and step of time, written in one transaction, so that a restart goes on with
 * the windows that it had. Bounded by retention and by size; when it is too large the oldest rows go first.
 */
import type { EvaluatorDatabase } from './evaluator_database.ts';
import type { SampleSeries, Tier } from './sample_series.ts';
import type { SampleStore } from './sample_store.ts';

export const ARCHIVE_LIMIT_BYTES = 256 * 1024 ** 2;
/** Size is looked at, and rows are dropped, once in so many writes. */
const CARE_INTERVAL = 20;

export interface SampleArchive {
  /** Fills an empty store with what is kept. */
  restore(store: SampleStore, nowMs: number): void;
  /** Writes what the store took since the last write. */
  save(store: SampleStore): void;
  /** The clock was set by so much. */
  shift(deltaMs: number): void;
}

export function createSampleArchive(
  { database, write, usedBytes }: EvaluatorDatabase,
  options: { readonly timeScale: number; readonly limitBytes: number },
): SampleArchive {
  const selectSeries = database.prepare('SELECT id, name, labels FROM series');
  const insertSeries = database.prepare('INSERT INTO series (name, labels) VALUES (?, ?)');
  const deleteSeries = database.prepare('DELETE FROM series WHERE id = ?');
  const selectRounds = database.prepare('SELECT tier, body FROM rounds ORDER BY tier, at_ms');
  const insertRound = database.prepare('INSERT OR REPLACE INTO rounds (tier, at_ms, body) VALUES (?, ?, ?)');
  const deleteOld = database.prepare('DELETE FROM rounds WHERE tier = ? AND at_ms <= ?');
  const deleteFuture = database.prepare('DELETE FROM rounds WHERE at_ms > ?');
  const deleteOldest = database.prepare(
    'DELETE FROM rounds WHERE rowid IN (SELECT rowid FROM rounds WHERE tier = ? ORDER BY at_ms LIMIT ?)',
  );
  const countRounds = database.prepare('SELECT count(*) AS n FROM rounds WHERE tier = ?');
  const ids = new Map<SampleSeries, number>();
  /** Per tier, the time up to which samples are written. */
  const writtenMs: number[] = [];
  let writes = 0;

  const matchScale = (): void => {
    const held = database.prepare("SELECT value FROM meta WHERE name = 'time_scale'").get()?.value;
    if (held === String(options.timeScale)) return;
    write(() => {
      // Steps and retention of another time scale mean nothing here.
      if (held !== undefined) database.exec('DELETE FROM rounds; DELETE FROM series;');
      database
        .prepare("INSERT OR REPLACE INTO meta (name, value) VALUES ('time_scale', ?)")
        .run(String(options.timeScale));
    });
  };

  const idOf = (name: string, series: SampleSeries, added: SampleSeries[]): number => {
    let id = ids.get(series);
    if (id === undefined) {
      id = Number(insertSeries.run(name, JSON.stringify(series.labels)).lastInsertRowid);
      ids.set(series, id);
      added.push(series);
    }
    return id;
  };

  const encode = (store: SampleStore, tier: number, afterMs: number, toMs: number, added: SampleSeries[]) => {
    const triples: number[] = [];
    for (const { name, series } of store.all()) {
      const { times, values } = series.tierSamples(tier, afterMs, toMs);
      for (const [index, timeMs] of times.entries()) {
        triples.push(idOf(name, series, added), timeMs, values[index] as number);
      }
      if (tier > 0) continue;
      for (const staleMs of series.staleAfter(afterMs)) {
        if (staleMs <= toMs) triples.push(-idOf(name, series, added), staleMs, 0);
      }
    }
    return new Uint8Array(new Float64Array(triples).buffer);
  };

  /** Up to when a tier's samples change no more: steps that are over. */
  const settledMs = ({ stepMs }: Tier, nowMs: number): number =>
    stepMs === 0 ? nowMs : Math.floor(nowMs / stepMs) * stepMs - 1e-3;

  const dropOld = (store: SampleStore): void => {
    write(() => {
      for (const [tier, { retentionMs }] of store.tiers.entries())
        deleteOld.run(tier, store.nowMs - retentionMs);
      if (usedBytes() <= options.limitBytes) return;
      for (const tier of store.tiers.keys()) {
        deleteOldest.run(tier, Math.ceil(Number(countRounds.get(tier)?.n ?? 0) / 10));
      }
    });
  };

  return {
    restore(store, nowMs) {
      matchScale();
      write(() => deleteFuture.run(nowMs));
      const series = new Map<number, SampleSeries>();
      for (const { id, name, labels } of selectSeries.all()) {
        const found = store.seriesOf(
          String(name),
          JSON.parse(String(labels)) as Readonly<Record<string, string>>,
        );
        if (found !== undefined) series.set(Number(id), found);
      }
      for (const row of selectRounds.iterate()) {
        const tier = Number(row.tier);
        const body = row.body as Uint8Array;
        const triples = new Float64Array(body.slice().buffer);
        for (let at = 0; at + 2 < triples.length; at += 3) {
          const [id, timeMs, value] = [triples[at], triples[at + 1], triples[at + 2]] as [
            number,
            number,
            number,
          ];
          const found = series.get(Math.abs(id));
          if (timeMs > nowMs) continue;
          if (id < 0) found?.restoreStale(timeMs);
          else found?.restoreSample(tier, timeMs, value);
          store.nowMs = Math.max(store.nowMs, timeMs);
          writtenMs[tier] = Math.max(writtenMs[tier] ?? Number.NEGATIVE_INFINITY, timeMs);
        }
      }
      for (const [id, found] of series) {
        found.finishRestore();
        if (!found.empty) ids.set(found, id);
      }
      const unused = [...series].filter(([, found]) => found.empty).map(([id]) => id);
      write(() => {
        for (const id of unused) deleteSeries.run(id);
      });
      store.expire();
    },
    save(store) {
      const added: SampleSeries[] = [];
      const reached: number[] = [];
      const saved = write(() => {
        for (const [tier, spec] of store.tiers.entries()) {
          const afterMs = writtenMs[tier] ?? Number.NEGATIVE_INFINITY;
          const toMs = settledMs(spec, store.nowMs);
          reached[tier] = Math.max(afterMs, toMs);
          if (toMs <= afterMs) continue;
          const body = encode(store, tier, afterMs, toMs, added);
          if (body.byteLength > 0) insertRound.run(tier, toMs, body);
        }
      });
      if (saved) writtenMs.splice(0, writtenMs.length, ...reached);
      // Rolled back: their rows are not there.
      else for (const series of added) ids.delete(series);
      writes += 1;
      if (writes % CARE_INTERVAL === 1) dropOld(store);
    },
    shift(deltaMs) {
      for (const [tier, timeMs] of writtenMs.entries()) writtenMs[tier] = timeMs + deltaMs;
    },
  };
}
