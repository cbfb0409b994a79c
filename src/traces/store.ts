/**
 * The contract of a trace store. One implementation exists (sqlite_store.ts); it lives on a thread of its own
 * (store_thread.ts) and everyone else holds a client (store_client.ts).
 */
import type { QueryRecord } from '../contract/query_record.ts';
import type { DecodedBatch } from './otlp_batch.ts';
import type { Trace } from './span.ts';

/** What a search asks for. Absent members do not restrict. */
export interface TraceQuery {
  readonly service?: string;
  readonly operation?: string;
  /** OTLP's number. */
  readonly kind?: number;
  /**
   * Attribute keys and the text that their value must have, as `valueText` writes it. A span matches with an
   * attribute of its own or of its resource. `span.kind`, `otel.status_code`, `otel.scope.name` and
   * `otel.scope.version` are asked of the fields in which OTLP keeps them, `error` of the status and of an
   * attribute of that name.
   */
  readonly tags?: ReadonlyMap<string, string>;
  /** Inclusive bounds of a span's duration. */
  readonly minDurationUs?: number;
  readonly maxDurationUs?: number;
  /** Inclusive bounds of a span's start. */
  readonly startMinUs?: number;
  readonly startMaxUs?: number;
  /** At most this many traces. */
  readonly limit: number;
}

export interface SearchResult {
  /** Complete traces that have a span which matches all of the query, by the start of their newest such span, newest first. */
  readonly traces: readonly Trace[];
  /** Index entries and spans that were looked at. */
  readonly scanned: number;
  /**
   * True when the scan limit, or the limit on the spans of one answer, ended the search: older matches may be
   * missing.
   */
  readonly scanLimitReached: boolean;
}

export interface Operation {
  readonly name: string;
  /** OTLP's number. */
  readonly kind: number;
}

/** Calls from one service to another, over the spans that a time range holds. */
export interface DependencyLink {
  readonly parent: string;
  readonly child: string;
  readonly callCount: number;
}

export interface Dependencies {
  /** Sorted by parent and child. */
  readonly links: readonly DependencyLink[];
  /** True when older spans of the range were not counted. */
  readonly scanLimitReached: boolean;
}

/** Which of the newest queries the console's list shows. Absent members do not restrict. */
export interface RecentFilters {
  readonly service?: string;
  readonly operation?: string;
  readonly model?: string;
  readonly outcome?: string;
  /** Only queries whose own span has the status error (true) or has not (false). */
  readonly error?: boolean;
  readonly minDurationUs?: number;
  /** Start of the query, inclusive bounds; `startMaxUs` pages backwards. */
  readonly startMinUs?: number;
  readonly startMaxUs?: number;
}

/** One line of the console's list: a query is the gateway's server span, or a span whose parent the store lacks. */
export interface RecentQuery {
  readonly traceId: string;
  readonly spanId: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly service: string;
  readonly operation: string;
  readonly kind: number;
  /** Empty when the span does not say. */
  readonly outcome: string;
  readonly model: string;
  readonly requestId: string;
  readonly httpStatus: string;
  /** The error's code, of a query that failed or was refused. */
  readonly errorCode: string;
  /** The span's own status is error. */
  readonly error: boolean;
  /** Of the whole trace, with how many of them failed. */
  readonly spanCount: number;
  readonly errorSpanCount: number;
}

export interface RecentResult {
  /** Newest first. */
  readonly queries: readonly RecentQuery[];
  readonly scanned: number;
  readonly scanLimitReached: boolean;
}

/** Which queries' ledgers are asked for. */
export interface LedgerQuery {
  /** Inclusive bounds of a query's start. */
  readonly startMinUs: number;
  readonly startMaxUs: number;
  readonly model?: string;
  /** At most this many, and never more than 1,000; of more an even sample over the range. */
  readonly limit: number;
}

export interface LedgerResult {
  /** Newest first. */
  readonly queries: readonly QueryRecord[];
  /** Queries of the range that were found, of which `queries` is a sample. */
  readonly matched: number;
  /** True when the scan limit ended the search: older queries of the range were not looked at. */
  readonly scanLimitReached: boolean;
}

export interface Evicted {
  traces: number;
  spans: number;
}

/** What people should know of the store now. */
export interface StoreCondition {
  /** Why the last failing call failed; empty when the last insert went well. */
  readonly lastError: string;
  /** What was done when the database was opened, e.g. that a corrupt file was set aside, and where it lies. */
  readonly notice: string;
}

export interface StoreStats extends StoreCondition {
  /** Counters since this store was opened. */
  readonly insertedSpans: number;
  readonly insertedBatches: number;
  /** Spans of batches that the database refused (locked, full, failing disk); their senders were told to retry. */
  readonly failedSpans: number;
  readonly failedBatches: number;
  /** How often the database had no room, on its disk or by its page limit; the oldest traces then made some. */
  readonly timesFull: number;
  /** Spans beyond the limits of one trace, of resources or of the request. */
  readonly rejectedSpans: number;
  readonly evictedByAge: Readonly<Evicted>;
  readonly evictedBySize: Readonly<Evicted>;
  /** Spans that could not be read back. */
  readonly unreadableSpans: number;
  readonly series: number;
  readonly origins: number;
  /** Bytes of the database that hold data, and of the file. */
  readonly usedBytes: number;
  readonly fileBytes: number;
  readonly limitBytes: number;
  readonly limitAgeMs: number;
  /** When the oldest trace that is still held arrived, Unix milliseconds; undefined when the store is empty. */
  readonly oldestReceivedMs: number | undefined;
}

export interface InsertResult {
  readonly acceptedSpans: number;
  readonly rejectedSpans: number;
  /** Why, for people; empty when nothing was rejected. */
  readonly rejectionMessage: string;
}

/**
 * Owns its database until disposed; not shared between threads. Every method is synchronous. Reads see every
 * batch whose insert returned. Answers are new objects that the caller may keep.
 */
export interface TraceStore extends Disposable {
  /**
   * Stores batches in one transaction, all or nothing; one result per batch, in order.
   * Throws a VitrineError (`overloaded`, retryable) when the database refuses: nothing was stored, the spans
   * are counted as failed, and the next call tries again.
   */
  insert(batches: readonly DecodedBatch[]): InsertResult[];
  /** Names of services that have spans, sorted; empty for an empty store. */
  services(): string[];
  /** Operations of one service, sorted by name and kind, each once; empty for an unknown service. */
  operations(service: string, kind?: number): Operation[];
  /** The trace with all of its spans in the order of arrival, or undefined. @param traceId 32 lower-case hex digits */
  trace(traceId: string): Trace | undefined;
  search(query: TraceQuery): SearchResult;
  recent(limit: number, filters: RecentFilters): RecentResult;
  ledgers(query: LedgerQuery): LedgerResult;
  /** Calls between services, from spans that started in the range (microseconds, inclusive), newest arrivals first. */
  dependencies(startMinUs: number, startMaxUs: number): Dependencies;
  /**
   * Evicts at most one slice of the oldest traces if age or size ask for it.
   * Returns true when there is more to evict, so that the caller can do other work in between.
   */
  evict(nowMs: number): boolean;
  stats(): StoreStats;
  /** From now on the database file grows no more (SQLite refuses, as on a full disk), or again up to its limits. */
  setFull(full: boolean): void;
  /** A part of the stats that costs nothing. */
  condition(): StoreCondition;
}

export interface TraceStoreOptions {
  /** The database file, or `:memory:`. */
  readonly path: string;
  /** The oldest traces are evicted beyond this many bytes of data. */
  readonly maxBytes: number;
  /** Traces are evicted this long after their first span arrived. */
  readonly maxAgeMs: number;
  /** SQLite's own limit of the file's size, in pages. */
  readonly maxPageCount?: number;
  readonly cacheBytes: number;
  /** How long a statement waits for a lock that another process holds. */
  readonly busyTimeoutMs: number;
  /** Spans beyond it are rejected, so that one trace cannot make an answer of any size. At most 2^20. */
  readonly maxSpansPerTrace: number;
  /** Distinct sets of indexed values; beyond it spans join a catch-all that searches scan. */
  readonly maxSeries: number;
  /** Distinct resources with their scopes; spans of further ones are rejected. */
  readonly maxOrigins: number;
  /** Index entries that one search may look at; looking into a span counts as 64 of them. */
  readonly scanLimit: number;
  /** Spans whose index entries gather in memory before they are written as a run. */
  readonly runEntries: number;
  /** Traces that further spans are expected for, in each of two generations; a later span costs its readers a little more. */
  readonly openTraces: number;
}

export const DEFAULT_STORE_OPTIONS: Omit<TraceStoreOptions, 'path'> = {
  maxBytes: 1024 ** 3,
  maxAgeMs: 7 * 24 * 3_600_000,
  cacheBytes: 16 * 1024 ** 2,
  busyTimeoutMs: 1_000,
  maxSpansPerTrace: 20_000,
  maxSeries: 20_000,
  maxOrigins: 5_000,
  scanLimit: 1_000_000,
  runEntries: 65_536,
  openTraces: 16_384,
};
