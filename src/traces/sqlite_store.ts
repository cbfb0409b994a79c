/** The trace store on node:sqlite. The layout of the database is told in sqlite_open.ts. */
import type { DatabaseSync } from 'node:sqlite';
import { VitrineError } from '../contract/errors.ts';
import type { DecodedBatch } from './otlp_decode.ts';
import { SeriesRegistry } from './series.ts';
import type { Trace } from './span.ts';
import { isDamage, openDatabase } from './sqlite_open.ts';
import { SpanReader } from './sqlite_reader.ts';
import { SpanWriter } from './sqlite_writer.ts';
import type { InsertResult, Operation, TraceStoreOptions } from './store.ts';

/** Everything that hangs on one open database; replaced as a whole when the file turns out to be damaged. */
interface Session {
  readonly database: DatabaseSync;
  readonly notice: string;
  readonly registry: SeriesRegistry;
  readonly writer: SpanWriter;
  readonly reader: SpanReader;
}

function openSession(options: TraceStoreOptions): Session {
  const { database, notice } = openDatabase(options, Date.now());
  try {
    const registry = new SeriesRegistry(database, options);
    const writer = new SpanWriter(database, registry, options);
    const reader = new SpanReader(database, registry);
    return { database, notice, registry, writer, reader };
  } catch (error) {
    database.close();
    throw error;
  }
}

const RETRY_AFTER_S = 1;

class SqliteTraceStore {
  private readonly options: TraceStoreOptions;
  private session: Session;
  private insertedSpans = 0;
  private insertedBatches = 0;
  private failedSpans = 0;
  private failedBatches = 0;
  private rejectedSpans = 0;
  private lastError = '';

  constructor(options: TraceStoreOptions) {
    this.options = options;
    this.session = openSession(options);
  }

  insert(batches: readonly DecodedBatch[]): InsertResult[] {
    try {
      const results = this.transaction(() => {
        const nowMs = Date.now();
        return batches.map((batch) => this.session.writer.insert(batch, nowMs));
      });
      this.insertedBatches += batches.length;
      for (const result of results) {
        this.insertedSpans += result.acceptedSpans;
        this.rejectedSpans += result.rejectedSpans;
      }
      this.lastError = '';
      return results;
    } catch (error) {
      this.failedBatches += batches.length;
      for (const batch of batches) this.failedSpans += batch.spans.length;
      this.lastError = error instanceof Error ? error.message : String(error);
      if (isDamage(error)) this.reopen();
      throw new VitrineError('overloaded', `the trace store cannot write: ${this.lastError}`, {
        cause: error,
        retryAfterS: RETRY_AFTER_S,
      });
    }
  }

  services(): string[] {
    const names = new Set<string>();
    for (const series of this.session.registry.all()) names.add(series.origin.decoded.service);
    return [...names].sort();
  }

  operations(service: string, kind?: number): Operation[] {
    const operations = new Map<string, Operation>();
    for (const series of this.session.registry.all()) {
      if (!series.known || series.origin.decoded.service !== service) continue;
      if (kind !== undefined && series.kind !== kind) continue;
      operations.set(`${series.kind} ${series.name}`, { name: series.name, kind: series.kind });
    }
    return [...operations.values()].sort(
      (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) || a.kind - b.kind,
    );
  }

  trace(traceId: string): Trace | undefined {
    const { reader } = this.session;
    const pk = reader.pkOf(traceId);
    return pk === undefined ? undefined : reader.trace(pk);
  }

  private transaction<T>(work: () => T): T {
    const { database, registry, writer } = this.session;
    database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      database.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite rolls back by itself on some errors (full disk, I/O): then there is nothing left to roll back.
      if (database.isTransaction) database.exec('ROLLBACK');
      writer.forget();
      registry.reload();
      throw error;
    }
  }

  /** The file turned out to be damaged: it is set aside and a fresh one started, as at the start. */
  private reopen(): void {
    try {
      this.session.database.close();
    } catch {
      // A connection to a damaged file may refuse to close; the new one does not need it.
    }
    this.session = openSession(this.options);
  }

  [Symbol.dispose](): void {
    this.session.database.close();
  }
}

export function createSqliteStore(options: TraceStoreOptions) {
  return new SqliteTraceStore(options);
}
