/**
 * A small SQLite file for the state of one part, besides the traces. A file that is damaged or of another schema is
 * set aside with a notice. What cannot be written (a full disk) is told once; whoever writes keeps it in memory and
 * tries again.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openOrSetAside, UnusableFile } from './sqlite_open.ts';

/** How long a statement waits for a lock that another process holds: it holds up the caller. */
const BUSY_TIMEOUT_MS = 100;

export interface StateDatabase extends Disposable {
  readonly database: DatabaseSync;
  /** Runs work in a transaction. @returns whether it was committed; a refusal is told once */
  write(work: () => void): boolean;
}

export interface StateDatabaseOptions {
  /** The file, or `:memory:`. */
  readonly path: string;
  /** For notices: `the notifier's database`. */
  readonly name: string;
  /** Tables, without the version. */
  readonly schema: string;
  readonly schemaVersion: number;
  readonly onNotice: (notice: string) => void;
}

function open(path: string, { schema, schemaVersion }: StateDatabaseOptions): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const version = database.prepare('PRAGMA user_version').get()?.user_version;
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    if (tables.length > 0 && version !== schemaVersion) {
      throw new UnusableFile(`it has schema version ${version}, this release writes ${schemaVersion}`);
    }
    // FULL: what was accepted has to survive a loss of power too.
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;',
    );
    if (tables.length === 0)
      database.exec(`BEGIN; ${schema}; PRAGMA user_version = ${schemaVersion}; COMMIT`);
    // Touches every table, so that a damaged file is found now.
    for (const { name } of tables) database.prepare(`SELECT * FROM "${name}" LIMIT 1`).get();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** A file that cannot be opened at all is replaced by memory, with a notice. */
export function openStateDatabase(options: StateDatabaseOptions, nowMs: number): StateDatabase {
  const { path, name, onNotice } = options;
  let database: DatabaseSync;
  try {
    if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
    const opened = openOrSetAside(path, nowMs, name, () => open(path, options));
    database = opened.database;
    if (opened.notice !== '') onNotice(opened.notice);
  } catch (error) {
    onNotice(`${name} ${path} could not be opened (${String(error)}); what it would hold will not survive`);
    database = open(':memory:', options);
  }
  let failing = false;
  return {
    database,
    write(work) {
      try {
        database.exec('BEGIN IMMEDIATE');
        work();
        database.exec('COMMIT');
        if (failing) onNotice(`${name} can write again`);
        failing = false;
        return true;
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK');
        if (!failing)
          onNotice(`${name} refuses to write (${String(error)}); changes are kept in memory until it does`);
        failing = true;
        return false;
      }
    },
    [Symbol.dispose]: () => database.close(),
  };
}
