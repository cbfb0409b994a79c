/**
 * The notifier's database, a small file beside the traces: what is still to be delivered, and silences. A file
 * that is damaged or of another schema is set aside with a notice. What cannot be written (a full disk) is told
 * once and stays in memory; whoever writes tries again at the next turn.
 */
import { DatabaseSync } from 'node:sqlite';
import { openOrSetAside, UnusableFile } from '../../traces/sqlite_open.ts';

const SCHEMA_VERSION = 1;
/** How long a statement waits for a lock that another process holds: it holds up the console. */
const BUSY_TIMEOUT_MS = 100;

/**
 * notices  one per alert, start and status: `key` = fingerprint:startsAtMs:status. delivered_ms is NULL until a
 *          receiver has taken it, and then the last time that it was told.
 * silences see Silence in contract/alerts.ts.
 */
const SCHEMA = `
CREATE TABLE notices (key TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, delivered_ms INTEGER, instance TEXT NOT NULL);
CREATE TABLE silences (id TEXT PRIMARY KEY, body TEXT NOT NULL);
PRAGMA user_version = ${SCHEMA_VERSION};
`;

export interface NotifierDatabase extends Disposable {
  readonly database: DatabaseSync;
  /** Runs work in a transaction. @returns whether it was committed; a refusal is told once */
  write(work: () => void): boolean;
}

export interface NotifierDatabaseOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  readonly onNotice: (notice: string) => void;
}

/** The file that belongs to a trace store: `data/traces.db` → `data/traces.notifier.db`. */
export function notifierPath(tracesPath: string): string {
  return tracesPath === ':memory:' ? tracesPath : `${tracesPath.replace(/\.db$/, '')}.notifier.db`;
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const version = database.prepare('PRAGMA user_version').get()?.user_version;
    const tables = database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n;
    if (tables !== 0 && version !== SCHEMA_VERSION) {
      throw new UnusableFile(`it has schema version ${version}, this release writes ${SCHEMA_VERSION}`);
    }
    // FULL: what was accepted has to survive a loss of power too, and it is little.
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;',
    );
    if (tables === 0) database.exec(`BEGIN; ${SCHEMA} COMMIT`);
    for (const table of ['notices', 'silences']) database.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A file that cannot be opened at all is replaced by memory, with a notice: alerts are delivered all the same. */
export function openNotifierDatabase(
  { path, onNotice }: NotifierDatabaseOptions,
  nowMs: number,
): NotifierDatabase {
  let database: DatabaseSync;
  try {
    const opened = openOrSetAside(path, nowMs, "the notifier's database", () => open(path));
    database = opened.database;
    if (opened.notice !== '') onNotice(opened.notice);
  } catch (error) {
    onNotice(
      `the notifier's database ${path} could not be opened (${String(error)}); undelivered alerts and silences will not survive a restart`,
    );
    database = open(':memory:');
  }
  let failing = false;
  return {
    database,
    write(work) {
      try {
        database.exec('BEGIN IMMEDIATE');
        work();
        database.exec('COMMIT');
        if (failing) onNotice("the notifier's database can write again");
        failing = false;
        return true;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        if (!failing) {
          onNotice(
            `the notifier's database refuses to write (${String(error)}); alerts and silences are kept in memory until it does`,
          );
        }
        failing = true;
        return false;
      }
    },
    [Symbol.dispose]: () => database.close(),
  };
}
