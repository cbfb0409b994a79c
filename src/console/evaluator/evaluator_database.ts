/**
 * The evaluator's database: samples and alerts, in one file of its own. A file that is damaged or of another
 * schema is set aside with a notice. What cannot be written (a lock, a full disk) is counted and told once; the
 * evaluator goes on in memory, and the next write is tried as ever.
 */
import { openOrSetAside, openSqlite, UnusableFile } from '../../traces/sqlite_open.ts';

const SCHEMA_VERSION = 1;

/**
 * series   a sample name with its labels, by which rounds name it.
 * rounds   samples of one tier that were taken since its round before: Float64 triples (series, time, value);
 *          a negative series marks the time at which it ended.
 * alerts   state of each alert, active and resolved.
 * events   their timelines.
 */
const SCHEMA = `
CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL);
CREATE TABLE rounds (tier INTEGER NOT NULL, at_ms REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tier, at_ms));
CREATE TABLE alerts (
  fingerprint TEXT NOT NULL,
  pending_since_ms REAL NOT NULL,
  resolved INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (fingerprint, pending_since_ms)
);
CREATE TABLE events (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = ${SCHEMA_VERSION};
`;
const TABLES = ['series', 'rounds', 'alerts', 'events', 'meta'];

export interface EvaluatorDatabase extends Disposable {
  readonly database: Database;
  /** Runs work in a transaction. @returns whether it was committed; a refusal is counted and told once */
  write(work: () => void): boolean;
  readonly failedWrites: number;
  usedBytes(): number;
}

export interface EvaluatorDatabaseOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  readonly onNotice: (notice: string) => void;
  /** SQLite's own limit, in pages; for tests of a full disk. */
  readonly maxPageCount?: number;
}

type Database = ReturnType<typeof openSqlite>;

/** How long a statement waits for a lock that another process holds: it holds up the console. */
const BUSY_TIMEOUT_MS = 100;

/** Without a refusal for so long, the trouble is over. */
const QUIET_MS = 60_000;

function open({ path, maxPageCount }: EvaluatorDatabaseOptions): Database {
  const database = openSqlite(path, BUSY_TIMEOUT_MS);
  try {
    const version = database.prepare('PRAGMA user_version').get()?.user_version;
    const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n;
    if (tables !== 0 && version !== SCHEMA_VERSION) {
      throw new UnusableFile(`it has schema version ${version}, this release writes ${SCHEMA_VERSION}`);
    }
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2048; PRAGMA journal_size_limit = 4194304;',
    );
    if (maxPageCount !== undefined) database.exec(`PRAGMA max_page_count = ${maxPageCount}`);
    if (tables === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT`);
    for (const table of TABLES) database.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function pragma(database: Database, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}

/** @returns undefined, with a notice, when there is nowhere to write */
export function openEvaluatorDatabase(
  options: EvaluatorDatabaseOptions,
  nowMs: number,
): EvaluatorDatabase | undefined {
  let database: Database;
  try {
    const opened = openOrSetAside(options.path, nowMs, "the evaluator's database", () => open(options));
    database = opened.database;
    if (opened.notice !== '') options.onNotice(opened.notice);
  } catch (error) {
    options.onNotice(
      `the evaluator's database ${options.path} could not be opened (${String(error)}); samples and alerts are in memory alone`,
    );
    return undefined;
  }
  let failedWrites = 0;
  let failing = false;
  let failedAtMs = 0;
  return {
    database,
    get failedWrites() {
      return failedWrites;
    },
    write(work) {
      // What comes in late, after the end, has nowhere to go.
      if (!database.isOpen) return false;
      try {
        database.exec('BEGIN IMMEDIATE');
        work();
        database.exec('COMMIT');
        // Small writes may go through while large ones do not: only a quiet time is told.
        if (failing && performance.now() - failedAtMs > QUIET_MS) {
          failing = false;
          options.onNotice("the evaluator's database can write again");
        }
        return true;
      } catch (error) {
        failedWrites += 1;
        if (database.isTransaction) database.exec('ROLLBACK');
        if (!failing) {
          options.onNotice(
            `the evaluator's database refuses to write (${String(error)}); samples and alerts go on in memory`,
          );
        }
        failing = true;
        failedAtMs = performance.now();
        return false;
      }
    },
    usedBytes: () =>
      (pragma(database, 'page_count') - pragma(database, 'freelist_count')) * pragma(database, 'page_size'),
    [Symbol.dispose]() {
      database.close();
    },
  };
}
