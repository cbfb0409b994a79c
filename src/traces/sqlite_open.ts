/** Opening the database: settings, schema, and what to do with a file that cannot be used. */
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TraceStoreOptions } from './store.ts';

/** Written to user_version; a file of another version is set aside. */
const SCHEMA_VERSION = 2;
/** Larger than SQLite's default: a chunk mostly fits on one page. */
const PAGE_BYTES = 16_384;
/** The write-ahead log is copied into the database beyond this. */
const WAL_LIMIT_BYTES = 16 * 1024 ** 2;

/** A span's id is its trace's pk times this, plus its place in the trace. */
export const SPANS_PER_TRACE = 2 ** 20;

/**
 * chunks  id = pk of the trace * 2^20 + place of the chunk's first span in its trace. A trace is one range of the
 *         table; pks grow with arrival, so the smallest ids are the oldest and eviction cuts off the head.
 *         A trace whose spans come long after each other has several pks. body: see chunk.ts.
 * recent  index entries of spans whose run is not yet written, one row per transaction: see span_index.ts.
 * runs    one per write of the index, with the greatest span id that it mentions and the blocks that it wrote.
 * blocks  index entries of one series in one run, sorted.
 * keys    hashes of trace ids and lookup tags, with pks; id = low byte of the hash * 2^32 + run.
 * series  what many spans have in common and searches ask for; key as otlp_decode.ts writes it.
 * origins resource and scope, as they came.
 */
const SCHEMA = `
CREATE TABLE chunks (id INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, spans INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE recent (id INTEGER PRIMARY KEY, entries BLOB NOT NULL, keys BLOB NOT NULL);
CREATE TABLE runs (
  run INTEGER PRIMARY KEY,
  last_id INTEGER NOT NULL,
  first_block INTEGER NOT NULL,
  last_block INTEGER NOT NULL
);
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,
  newest_us INTEGER NOT NULL,
  oldest_us INTEGER NOT NULL,
  count INTEGER NOT NULL,
  entries BLOB NOT NULL
);
CREATE INDEX blocks_by_series ON blocks (series, newest_us, oldest_us, count);
CREATE TABLE keys (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE series (id INTEGER PRIMARY KEY, origin INTEGER NOT NULL, key BLOB NOT NULL);
CREATE TABLE origins (
  id INTEGER PRIMARY KEY,
  resource BLOB NOT NULL,
  resource_schema_url TEXT NOT NULL,
  scope BLOB NOT NULL,
  scope_schema_url TEXT NOT NULL,
  last_pk INTEGER NOT NULL
);
PRAGMA user_version = ${SCHEMA_VERSION};
`;

const TABLES = ['chunks', 'recent', 'runs', 'blocks', 'keys', 'series', 'origins'];

const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** A blob column's value. */
export function asBuffer(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError('expected a blob');
  return Buffer.from(value.buffer, value.byteOffset, value.length);
}

/** SQLite's primary result code of an error thrown by node:sqlite; undefined for any other error. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** Whether the file itself is damaged or no database, so that no retry can help. */
export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** Whether there was no room, on the disk or by max_page_count. */
export function isFull(error: unknown): boolean {
  return sqliteCode(error) === SQLITE_FULL;
}

/** A file that holds something else than what this release reads. */
export class UnusableFile extends Error {}

function configure(database: DatabaseSync, options: TraceStoreOptions): void {
  const version = database.prepare('PRAGMA user_version').get()?.user_version;
  const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n;
  if (tables !== 0 && version !== SCHEMA_VERSION) {
    throw new UnusableFile(`it has schema version ${String(version)}, this release writes ${SCHEMA_VERSION}`);
  }
  if (tables === 0) database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${Math.floor(options.cacheBytes / 1024)};
    PRAGMA wal_autocheckpoint = ${Math.floor(WAL_LIMIT_BYTES / PAGE_BYTES)};
    PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES};
  `);
  if (tables === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT`);
  // Touches every table, so that a damaged file is found now rather than at the first search.
  for (const table of TABLES) {
    database.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
  }
}

function open(options: TraceStoreOptions): DatabaseSync {
  const database = openSqlite(options.path, options.busyTimeoutMs);
  try {
    configure(database, options);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** For rooms that keep a database of their own. @param busyTimeoutMs how long a statement waits for another's lock */
export function openSqlite(path: string, busyTimeoutMs: number): DatabaseSync {
  return new DatabaseSync(path, { timeout: busyTimeoutMs });
}

/** Moves the database with its log to a free name beside it. */
function setAside(path: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(':', '-');
  let aside = `${path}.unusable-${stamp}`;
  for (let count = 1; existsSync(aside); count += 1) aside = `${path}.unusable-${stamp}-${count}`;
  renameSync(path, aside);
  for (const suffix of ['-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  return aside;
}

export interface OpenedDatabase {
  readonly database: DatabaseSync;
  /** What people should know; empty when all was well. */
  readonly notice: string;
}

/**
 * Opens a database file. One that is damaged, no database or unusable is set aside under another name and a fresh
 * one started. Throws what `open` throws for anything else (a folder that cannot be written, a lock that does
 * not go away).
 * @param what for the notice, such as `the trace database`
 * @param open opens and configures the file; throws UnusableFile when it holds something else
 */
export function openOrSetAside(
  path: string,
  nowMs: number,
  what: string,
  open: () => DatabaseSync,
): OpenedDatabase {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
  try {
    return { database: open(), notice: '' };
  } catch (error) {
    if (!(error instanceof UnusableFile) && !isDamage(error)) throw error;
    const aside = setAside(path, nowMs);
    const reason = error instanceof Error ? error.message : String(error);
    return {
      database: open(),
      notice: `${what} could not be used (${reason}); it was kept as ${aside} and a fresh one started`,
    };
  }
}

/** Opens or creates the trace database. */
export function openDatabase(options: TraceStoreOptions, nowMs: number): OpenedDatabase {
  return openOrSetAside(options.path, nowMs, 'the trace database', () => open(options));
}
