/**
 * The store's client: starts the store's thread, hands it bodies and questions, and starts it again when it
 * crashes.
 *
 * State: `starting` (the thread was made, calls queue in its port) → `ready` → `waiting` (it crashed; calls are
 * refused until the backoff has passed) → `starting` …; `closed` from any of them, for good.
 */
import { Worker } from 'node:worker_threads';
import { VitrineError } from '../contract/errors.ts';
import { DEFAULT_OTLP_LIMITS, type OtlpLimits } from './otlp_batch.ts';
import type { Trace } from './span.ts';
import {
  DEFAULT_STORE_OPTIONS,
  type InsertResult,
  type LedgerQuery,
  type LedgerResult,
  type RecentFilters,
  type RecentResult,
  type StoreStats,
  type TraceStoreOptions,
} from './store.ts';
import type {
  FromStore,
  OtlpEncoding,
  QueryRequest,
  QueryResponse,
  StoreCalls,
  StoreCallType,
  StoreThreadData,
} from './store_messages.ts';

export interface StoreClientOptions {
  readonly store: Partial<TraceStoreOptions> & Pick<TraceStoreOptions, 'path'>;
  readonly limits?: Partial<OtlpLimits>;
  /** Bodies handed over and not yet stored; beyond it `ingest` rejects with `overloaded`. */
  readonly maxOutstandingBodies?: number;
  readonly maxOutstandingBytes?: number;
  /** Questions not yet answered; beyond it they reject with `overloaded`. */
  readonly maxOutstandingQuestions?: number;
  readonly evictIntervalMs?: number;
  /** Before the thread is started again; doubled with each crash in a row, up to the limit. */
  readonly restartDelayMs?: number;
  readonly restartDelayLimitMs?: number;
  /** Told when something happened that people should know: a corrupt file set aside, a crash of the thread. */
  readonly onNotice?: (notice: string) => void;
}

export interface StoreClientStats {
  readonly state: 'starting' | 'ready' | 'waiting' | 'closed';
  readonly outstandingBodies: number;
  readonly outstandingBytes: number;
  readonly outstandingQuestions: number;
  /** Bodies refused because the store was behind or restarting. */
  readonly refusedBodies: number;
  readonly restarts: number;
}

/**
 * The store as other rooms see it. Calls made first are answered first, except that waiting bodies are stored
 * together. Every rejection is a VitrineError; when the thread crashes, all open calls reject with the
 * retryable `overloaded`.
 */
export interface TraceStoreClient extends AsyncDisposable {
  /**
   * Stores one OTLP body (already inflated). The body's memory is transferred: the caller must not use it again.
   * Resolves once the spans are committed. Rejects with `invalid_request` or `invalid_json` for bad bytes and
   * with `overloaded` when the store is behind, restarting, or its database refuses.
   */
  ingest(body: Uint8Array<ArrayBuffer>, encoding: OtlpEncoding): Promise<InsertResult>;
  /** Whether `ingest` would refuse a body of so many bytes now. */
  isBehind(bytes: number): boolean;
  /** Answers one request of Jaeger's query API, v1 or v3; the body is JSON text, errors included. */
  query(request: QueryRequest): Promise<QueryResponse>;
  /** @param traceId 32 lower-case hex digits */
  trace(traceId: string): Promise<Trace | undefined>;
  recent(limit: number, filters?: RecentFilters): Promise<RecentResult>;
  ledgers(query: LedgerQuery): Promise<LedgerResult>;
  stats(): Promise<StoreStats>;
  /** As TraceStore's. A thread that crashed and was started again has forgotten it. */
  setFull(full: boolean): Promise<void>;
  clientStats(): StoreClientStats;
}

interface Pending {
  readonly resolve: (output: never) => void;
  readonly reject: (error: VitrineError) => void;
  /** Bytes of the body; undefined for a question. */
  readonly bytes: number | undefined;
}

const HEAP_LIMIT_MB = 192;
/** Smaller than V8's own, which would hold tens of MB of garbage from decoding before it looks. */
const YOUNG_GENERATION_MB = 8;
/** A thread that has run this long is well again: the backoff starts from its beginning. */
const HEALTHY_AFTER_MS = 60_000;

export type StartStoreThread = (data: StoreThreadData) => Worker;

const startStoreThread: StartStoreThread = (data) =>
  new Worker(new URL('./store_thread.ts', import.meta.url), {
    name: 'trace-store',
    workerData: data,
    // No flags are inherited: a preload of telemetry, or of a test runner, has no business on this thread.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });

class ThreadedStoreClient implements TraceStoreClient {
  private readonly startThread: StartStoreThread;
  private readonly threadData: StoreThreadData;
  private readonly maxBodies: number;
  private readonly maxBytes: number;
  private readonly maxQuestions: number;
  private readonly restartDelayMs: number;
  private readonly restartDelayLimitMs: number;
  private readonly onNotice: (notice: string) => void;

  private state: StoreClientStats['state'] = 'starting';
  private worker: Worker;
  private startedMs = 0;
  private nextDelayMs: number;
  private timer: NodeJS.Timeout | undefined;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private bodies = 0;
  private bytes = 0;
  private refusedBodies = 0;
  private restarts = 0;

  constructor(options: StoreClientOptions, startThread: StartStoreThread) {
    this.startThread = startThread;
    this.threadData = {
      store: { ...DEFAULT_STORE_OPTIONS, ...options.store },
      limits: { ...DEFAULT_OTLP_LIMITS, ...options.limits },
      evictIntervalMs: options.evictIntervalMs ?? 10_000,
    };
    this.maxBodies = options.maxOutstandingBodies ?? 64;
    this.maxBytes = options.maxOutstandingBytes ?? 32 * 1024 ** 2;
    this.maxQuestions = options.maxOutstandingQuestions ?? 64;
    this.restartDelayMs = options.restartDelayMs ?? 250;
    this.restartDelayLimitMs = options.restartDelayLimitMs ?? 30_000;
    this.onNotice = options.onNotice ?? (() => undefined);
    this.nextDelayMs = this.restartDelayMs;
    this.worker = this.start();
  }

  async ingest(body: Uint8Array<ArrayBuffer>, encoding: OtlpEncoding): Promise<InsertResult> {
    if (this.isBehind(body.byteLength)) {
      this.refusedBodies += 1;
      throw overloaded('the trace store is behind; send this batch again later');
    }
    const { buffer, byteOffset, byteLength } = body;
    const whole = byteOffset === 0 && byteLength === buffer.byteLength;
    const own = whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
    return this.call('ingest', { body: own, encoding }, byteLength, [own]);
  }

  isBehind(bytes: number): boolean {
    if (this.state !== 'ready' && this.state !== 'starting') return true;
    return this.bodies >= this.maxBodies || (this.bodies > 0 && this.bytes + bytes > this.maxBytes);
  }

  query(request: QueryRequest): Promise<QueryResponse> {
    return this.ask('query', request);
  }

  trace(traceId: string): Promise<Trace | undefined> {
    return this.ask('trace', { traceId });
  }

  recent(limit: number, filters: RecentFilters = {}): Promise<RecentResult> {
    return this.ask('recent', { limit, filters });
  }

  ledgers(query: LedgerQuery): Promise<LedgerResult> {
    return this.ask('ledgers', query);
  }

  stats(): Promise<StoreStats> {
    return this.ask('stats', {});
  }

  setFull(full: boolean): Promise<void> {
    return this.ask('setFull', { full });
  }

  clientStats(): StoreClientStats {
    return {
      state: this.state,
      outstandingBodies: this.bodies,
      outstandingBytes: this.bytes,
      outstandingQuestions: this.pending.size - this.bodies,
      refusedBodies: this.refusedBodies,
      restarts: this.restarts,
    };
  }

  private async ask<T extends StoreCallType>(
    type: T,
    input: StoreCalls[T]['input'],
  ): Promise<StoreCalls[T]['output']> {
    if (this.pending.size - this.bodies >= this.maxQuestions) {
      throw overloaded('too many questions to the trace store are open; ask again later');
    }
    return this.call(type, input, undefined, []);
  }

  private call<T extends StoreCallType>(
    type: T,
    input: StoreCalls[T]['input'],
    bytes: number | undefined,
    transfer: readonly ArrayBuffer[],
  ): Promise<StoreCalls[T]['output']> {
    if (this.state === 'closed')
      return Promise.reject(new VitrineError('draining', 'the trace store is closed'));
    if (this.state === 'waiting') return Promise.reject(overloaded('the trace store is restarting'));
    const id = this.nextId;
    this.nextId += 1;
    return new Promise((resolve, reject) => {
      this.worker.postMessage({ type, id, input }, transfer);
      this.pending.set(id, { resolve, reject, bytes });
      if (bytes === undefined) return;
      this.bodies += 1;
      this.bytes += bytes;
    });
  }

  private start(): Worker {
    const worker = this.startThread(this.threadData);
    this.startedMs = performance.now();
    let crash = 'it exited';
    worker.on('message', (message: FromStore) => this.receive(message));
    worker.on('error', (error) => {
      crash = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => this.ended(crash));
    return worker;
  }

  private receive(message: FromStore): void {
    if (message.type === 'ready') {
      if (this.state === 'starting') this.state = 'ready';
      return;
    }
    if (message.type === 'notice') {
      this.onNotice(message.notice);
      return;
    }
    const pending = this.pending.get(message.id);
    if (pending === undefined) return;
    this.pending.delete(message.id);
    if (pending.bytes !== undefined) {
      this.bodies -= 1;
      this.bytes -= pending.bytes;
    }
    if (message.type === 'done') {
      pending.resolve(message.output as never);
      return;
    }
    const { code, message: text, field, retryAfterS } = message;
    pending.reject(
      new VitrineError(code, text, {
        ...(field !== undefined && { field }),
        ...(retryAfterS !== undefined && { retryAfterS }),
      }),
    );
  }

  /** The thread is gone: nobody will answer what is open. */
  private ended(reason: string): void {
    const open = [...this.pending.values()];
    this.pending.clear();
    this.bodies = 0;
    this.bytes = 0;
    for (const { reject } of open) reject(overloaded('the trace store ended before it answered'));
    if (this.state === 'closed') return;
    if (performance.now() - this.startedMs > HEALTHY_AFTER_MS) this.nextDelayMs = this.restartDelayMs;
    const delayMs = this.nextDelayMs;
    this.nextDelayMs = Math.min(delayMs * 2, this.restartDelayLimitMs);
    this.state = 'waiting';
    this.onNotice(`the trace store's thread ended (${reason}); it starts again in ${delayMs} ms`);
    this.timer = setTimeout(() => {
      this.state = 'starting';
      this.restarts += 1;
      this.worker = this.start();
    }, delayMs);
  }

  /** Stores what was handed over, then ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state === 'closed') return;
    const running = this.state !== 'waiting';
    this.state = 'closed';
    clearTimeout(this.timer);
    if (!running) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.worker.once('exit', () => resolve());
    this.worker.postMessage({ type: 'close' });
    await promise;
  }
}

function overloaded(message: string): VitrineError {
  return new VitrineError('overloaded', message, { retryAfterS: 1 });
}

/**
 * Starts the store's thread. Calls may be made at once; they wait until the database is open.
 * @param startThread starts a thread that runs store_thread.ts; also called after each crash
 */
export function createTraceStoreClient(
  options: StoreClientOptions,
  startThread: StartStoreThread = startStoreThread,
): TraceStoreClient {
  return new ThreadedStoreClient(options, startThread);
}
