/**
 * What crosses between the store's thread and its clients: a closed union, told apart by `type`. Bodies are
 * transferred, answers of the query API cross as JSON text, so that building them costs the store's thread
 * and nobody else.
 */
import type { ErrorCode } from '../contract/errors.ts';
import type { OtlpLimits } from './otlp_batch.ts';
import type { Trace } from './span.ts';
import type {
  InsertResult,
  LedgerQuery,
  LedgerResult,
  RecentFilters,
  RecentResult,
  StoreStats,
  TraceStoreOptions,
} from './store.ts';

/** `workerData` of the thread. */
export interface StoreThreadData {
  readonly store: TraceStoreOptions;
  readonly limits: OtlpLimits;
  readonly evictIntervalMs: number;
}

/** How an OTLP body is written. */
export type OtlpEncoding = 'protobuf' | 'json';

/** One request to the query API, as it came over HTTP. */
export interface QueryRequest {
  readonly method: string;
  /** Without the query string; still percent-encoded. */
  readonly path: string;
  /** Without the question mark. */
  readonly search: string;
}

export interface QueryResponse {
  readonly status: number;
  /** JSON text. */
  readonly body: string;
}

/** Questions and their answers, by type. */
export interface StoreCalls {
  ingest: { input: { body: ArrayBuffer; encoding: OtlpEncoding }; output: InsertResult };
  query: { input: QueryRequest; output: QueryResponse };
  trace: { input: { traceId: string }; output: Trace | undefined };
  recent: { input: { limit: number; filters: RecentFilters }; output: RecentResult };
  ledgers: { input: LedgerQuery; output: LedgerResult };
  stats: { input: Record<string, never>; output: StoreStats };
  setFull: { input: { full: boolean }; output: undefined };
}

export type StoreCallType = keyof StoreCalls;

export type ToStore =
  | {
      [T in StoreCallType]: { readonly type: T; readonly id: number; readonly input: StoreCalls[T]['input'] };
    }[StoreCallType]
  | { readonly type: 'close' };

export type FromStore =
  | { readonly type: 'ready' }
  /** Something for the log: trouble with the database, its end, an unexpected error. */
  | { readonly type: 'notice'; readonly notice: string }
  | { readonly type: 'done'; readonly id: number; readonly output: StoreCalls[StoreCallType]['output'] }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly field: string | undefined;
      readonly retryAfterS: number | undefined;
    };
