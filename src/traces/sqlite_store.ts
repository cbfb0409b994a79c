/** The trace store on node:sqlite. The layout of the database is told in sqlite_open.ts. */
import type { DatabaseSync } from 'node:sqlite';
import { VitrineError } from '../contract/errors.ts';
import type { DecodedBatch } from './otlp_batch.ts';
import { SeriesRegistry } from './series.ts';
import type { Trace } from './span.ts';
import { SpanIndex } from './span_index.ts';
import { QueryLedgers } from './sqlite_ledgers.ts';
import { isDamage, isFull, openDatabase, SPANS_PER_TRACE } from './sqlite_open.ts';
import { SpanReader } from './sqlite_reader.ts';
import { RecentQueries } from './sqlite_recent.ts';
import { Retention } from './sqlite_retention.ts';
import { TraceSearch } from './sqlite_search.ts';
import { SpanWriter } from './sqlite_writer.ts';
import type {
  Dependencies,
  InsertResult,
  LedgerQuery,
  LedgerResult,
  Operation,
  RecentFilters,
  RecentResult,
  SearchResult,
  StoreCondition,
  StoreStats,
  TraceQuery,
  TraceStore,
  TraceStoreOptions,
} from './store.ts';

/** When senders whose batch the database refused are asked to try again. */
const RETRY_AFTER_S = 1;
/** On a full disk, the oldest traces make room for so much, and twice the batch, so many times. */
const MAKE_ROOM_BYTES = 512 * 1024;
const MAKE_ROOM_ATTEMPTS = 4;
/** SQLite's greatest (https://www.sqlite.org/limits.html#max_page_count), which means none of ours. */
const PAGES_LIMIT = 4_294_967_294;
/** Series and origins without spans are forgotten at most this often. */
const SWEEP_INTERVAL_MS = 60_000;

/** Everything that hangs on one open database; replaced as a whole when the file turns out to be damaged. */
interface Session {
  readonly database: DatabaseSync;
  readonly index: SpanIndex;
  readonly registry: SeriesRegistry;
  readonly writer: SpanWriter;
  readonly reader: SpanReader;
  readonly search: TraceSearch;
  readonly recent: RecentQueries;
  readonly ledgers: QueryLedgers;
  readonly retention: Retention;
}

class SqliteTraceStore implements TraceStore {
  private readonly options: TraceStoreOptions;
  private readonly nowMs: () => number;
  /** Undefined while the database cannot be opened; each call tries again. */
  private session: Session | undefined;
  private closed = false;
  private insertedSpans = 0;
  private insertedBatches = 0;
  private failedSpans = 0;
  private failedBatches = 0;
  private rejectedSpans = 0;
  private timesFull = 0;
  private full = false;
  private readonly evicted = { age: { traces: 0, spans: 0 }, size: { traces: 0, spans: 0 } };
  private lastError = '';
  private notice = '';
  private sweptMs = 0;

  constructor(options: TraceStoreOptions, nowMs: () => number) {
    this.options = options;
    this.nowMs = nowMs;
    try {
      this.open();
    } catch (error) {
      this.lastError = messageOf(error);
    }
  }

  insert(batches: readonly DecodedBatch[]): InsertResult[] {
    try {
      const results = this.insertOrMakeRoom(batches);
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
      throw this.refusal(error);
    }
  }

  private insertOrMakeRoom(batches: readonly DecodedBatch[]): InsertResult[] {
    const session = this.open();
    const work = (): InsertResult[] => {
      const nowMs = this.nowMs();
      const results = batches.map((batch) => session.writer.insert(batch, nowMs));
      session.index.write();
      return results;
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return this.transaction(session, work);
      } catch (error) {
        if (!isFull(error)) throw error;
        this.timesFull += 1;
        if (attempt > MAKE_ROOM_ATTEMPTS) throw error;
        if (session.retention.oldestReceivedMs === undefined) throw error;
        const bytes = batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
        this.evictSlice(session, 'size', MAKE_ROOM_BYTES + 2 * bytes);
      }
    }
  }

  services(): string[] {
    return this.read(({ registry }) => {
      const names = new Set<string>();
      for (const series of registry.all()) names.add(series.origin.decoded.service);
      return [...names].sort();
    });
  }

  operations(service: string, kind?: number): Operation[] {
    return this.read(({ registry }) => {
      const operations = new Map<string, Operation>();
      for (const series of registry.all()) {
        if (!series.known || series.origin.decoded.service !== service) continue;
        if (kind !== undefined && series.kind !== kind) continue;
        operations.set(`${series.kind} ${series.name}`, { name: series.name, kind: series.kind });
      }
      return [...operations.values()].sort(
        (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0) || a.kind - b.kind,
      );
    });
  }

  trace(traceId: string): Trace | undefined {
    return this.read(({ reader }) => reader.trace(reader.pksOf(traceId)));
  }

  search(query: TraceQuery): SearchResult {
    return this.read(({ search }) => search.search(query));
  }

  ledgers(query: LedgerQuery): LedgerResult {
    return this.read(({ ledgers }) => ledgers.ledgers(query));
  }

  recent(limit: number, filters: RecentFilters): RecentResult {
    return this.read(({ recent }) => recent.recent(limit, filters));
  }

  dependencies(startMinUs: number, startMaxUs: number): Dependencies {
    return this.read(({ recent }) => recent.dependencies(startMinUs, startMaxUs));
  }

  evict(nowMs: number): boolean {
    try {
      const session = this.open();
      const reason = session.retention.due(nowMs);
      if (reason === undefined) return false;
      this.evictSlice(session, reason);
      return session.retention.due(nowMs) !== undefined;
    } catch (error) {
      this.refusal(error);
      return false;
    }
  }

  stats(): StoreStats {
    const { session } = this;
    return {
      insertedSpans: this.insertedSpans,
      insertedBatches: this.insertedBatches,
      failedSpans: this.failedSpans,
      failedBatches: this.failedBatches,
      rejectedSpans: this.rejectedSpans,
      timesFull: this.timesFull,
      evictedByAge: { ...this.evicted.age },
      evictedBySize: { ...this.evicted.size },
      unreadableSpans: session?.reader.unreadableSpans ?? 0,
      series: session?.registry.seriesCount ?? 0,
      origins: session?.registry.originCount ?? 0,
      ...this.sizes(),
      limitBytes: this.options.maxBytes,
      limitAgeMs: this.options.maxAgeMs,
      ...this.condition(),
    };
  }

  setFull(full: boolean): void {
    this.full = full;
    this.read(({ database }) => this.limitPages(database));
  }

  private limitPages(database: DatabaseSync): void {
    // SQLite takes no limit below the size that the file has: the lowest stops it where it is.
    const pages = this.full ? 1 : (this.options.maxPageCount ?? PAGES_LIMIT);
    database.exec(`PRAGMA max_page_count = ${pages}`);
  }

  condition(): StoreCondition {
    return { lastError: this.lastError, notice: this.notice };
  }

  private sizes(): Pick<StoreStats, 'usedBytes' | 'fileBytes' | 'oldestReceivedMs'> {
    try {
      const { usedBytes, fileBytes, oldestReceivedMs } = this.open().retention;
      return { usedBytes, fileBytes, oldestReceivedMs };
    } catch (error) {
      this.refusal(error);
      return { usedBytes: 0, fileBytes: 0, oldestReceivedMs: undefined };
    }
  }

  [Symbol.dispose](): void {
    this.closed = true;
    this.session?.database.close();
    this.session = undefined;
  }

  private open(): Session {
    if (this.session !== undefined) return this.session;
    if (this.closed) throw new VitrineError('draining', 'the trace store is closed');
    const { database, notice } = openDatabase(this.options, this.nowMs());
    if (notice !== '') this.notice = notice;
    try {
      this.limitPages(database);
      const index = new SpanIndex(database, this.options);
      const registry = new SeriesRegistry(database, index, this.options);
      const reader = new SpanReader(database, registry, index);
      this.session = {
        database,
        index,
        registry,
        writer: new SpanWriter(database, registry, index, this.options),
        reader,
        search: new TraceSearch(registry, index, reader, this.options),
        recent: new RecentQueries(database, registry, reader, index, this.options),
        ledgers: new QueryLedgers(registry, index, reader, this.options),
        retention: new Retention(database, this.options),
      };
      return this.session;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  private read<T>(work: (session: Session) => T): T {
    try {
      return work(this.open());
    } catch (error) {
      throw this.refusal(error);
    }
  }

  private transaction<T>(session: Session, work: () => T): T {
    const { database, index, registry, writer } = session;
    database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      database.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite rolls back by itself on some errors (full disk, I/O): then there is nothing left to roll back.
      if (database.isTransaction) database.exec('ROLLBACK');
      writer.forget();
      index.reload();
      registry.reload();
      throw error;
    }
  }

  private evictSlice(session: Session, reason: 'age' | 'size', roomBytes = 0): void {
    const nowMs = this.nowMs();
    const slice = this.transaction(session, () => {
      const taken = session.retention.evict(reason, nowMs, roomBytes);
      session.index.evictedBefore(taken.oldestId);
      return taken;
    });
    this.evicted[reason].traces += slice.evicted.traces;
    this.evicted[reason].spans += slice.evicted.spans;
    const oldestPk = Math.ceil(slice.oldestId / SPANS_PER_TRACE);
    session.writer.evictedBefore(oldestPk);
    if (nowMs - this.sweptMs < SWEEP_INTERVAL_MS) return;
    this.sweptMs = nowMs;
    this.transaction(session, () => session.registry.sweep(oldestPk));
  }

  /** What callers are told of an error of the database; a damaged file is left, to be set aside at the next call. */
  private refusal(error: unknown): VitrineError {
    if (error instanceof VitrineError) return error;
    this.lastError = messageOf(error);
    if (isDamage(error)) {
      try {
        this.session?.database.close();
      } catch {
        // A connection to a damaged file may refuse to close; the next one does not need it.
      }
      this.session = undefined;
    }
    return new VitrineError('overloaded', `the trace store cannot use its database: ${this.lastError}`, {
      cause: error,
      retryAfterS: RETRY_AFTER_S,
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Opens the store. Never throws: while the database cannot be opened (locked, no permission), every call
 * throws a retryable VitrineError and tries again, and `stats().lastError` says why.
 * @param nowMs the clock that arrival and age are read from, Unix milliseconds
 */
export function createSqliteStore(options: TraceStoreOptions, nowMs: () => number = Date.now): TraceStore {
  return new SqliteTraceStore(options, nowMs);
}
