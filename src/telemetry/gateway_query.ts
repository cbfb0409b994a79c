/**
 * The record of one query at the gateway. Opened when its headers are parsed, closed once by finish(),
 * whichever way the query ends; the trace, the metrics, the response headers and the log all come from it,
 * so they cannot disagree.
 */
import { type Context, context as contextApi } from '@opentelemetry/api';
import type { ErrorCode, VitrineError } from '../contract/errors.ts';
import { HeaderText } from '../contract/header_text.ts';
import { type Outcome, outcomeOf } from '../contract/outcomes.ts';
import { STAGES, WORKER_STAGES } from '../contract/stages.ts';
import { ATTEMPT_OUTCOMES } from './attempt_outcomes.ts';
import {
  CHILD_LIMIT,
  type ChildHolder,
  type RecordCore,
  USER_ATTRIBUTE_LIMIT,
  writeAttributes,
  writeLedger,
} from './core.ts';
import { GatewayAttempt } from './gateway_attempt.ts';
import type { GatewayMetrics } from './gateway_metrics.ts';
import { newSpanId } from './ids.ts';
import type { Keeping, KeptBecause } from './keeping.ts';
import { Ledger, STAGE_INDEX, violatesNetwork, violatesRemainder } from './ledger.ts';
import { type AttributeValue, RECORD_KIND } from './record_codec.ts';
import type { Closed } from './settling.ts';

export interface GatewayCore extends RecordCore {
  readonly metrics: GatewayMetrics;
  readonly keeping: Keeping;
  readonly logQueries: boolean;
  /** Is told of attempts whose workers must keep what they hold. */
  readonly lateVerdict: (worker: string, attemptSpanId: string) => void;
}

export interface GatewayQueryStart {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly parentIsRemote: boolean;
  readonly traceState: string;
  readonly startMs: number;
  readonly kept: KeptBecause | undefined;
  /** Retroactive mode: kept or not is decided at the end. */
  readonly undecided: boolean;
  /** Not kept because the ring was filling up; counted already. */
  readonly shed: boolean;
  /** As the caller gave it; empty without one. */
  readonly requestId: string;
  readonly externalTraceId: string;
}

export interface QueryEnd {
  /** The status that was decided, also when the client left before it was sent. */
  readonly status: number;
  readonly error?: VitrineError | undefined;
  readonly clientGone: boolean;
  /** When the answer was handed to the system or the connection closed: ends `respond`. */
  readonly finishedMs: number;
}

interface Ended {
  readonly end: QueryEnd;
  readonly outcome: Outcome;
  /** performance.now() of the total's end. */
  readonly endMs: number;
  /** Unix time of its end. */
  readonly timestampS: number;
}

const NETWORK = STAGE_INDEX.network;
const UNREPORTED = STAGE_INDEX.unreported;
const RETRY = STAGE_INDEX.retry;
const ROUTE = STAGE_INDEX.route;
const RESPOND = STAGE_INDEX.respond;
const FIRST_WORKER_STAGE = STAGE_INDEX[WORKER_STAGES[0]];
/** What stands before a stage's milliseconds in `Server-Timing`. */
const TIMING_PREFIX = STAGES.map((stage) => `${stage};dur=`);
/** Of the query that is being answered. */
const timing = new HeaderText();
/** Attempts written into one record; the gateway makes two. */
const ATTEMPT_LIMIT = 8;

type MarkedStage = 'receive' | 'admit' | 'cache' | 'coalesce' | 'route';

export class GatewayQuery implements ChildHolder, Closed {
  readonly traceId: string;
  readonly spanId: string;
  readonly ledger: Ledger;
  readonly undecided: boolean;
  readonly requestId: string;
  readonly traceState: string;
  #kept: KeptBecause | undefined;
  /** How it ended; undefined while it is open. */
  #ended: Ended | undefined;
  #model = '';
  #version = '';
  #attributes: Map<string, AttributeValue> | undefined;
  #children: Buffer[] | undefined;
  /** When the first attempt of a run of failed ones was written, and when the last of them failed. */
  #failedSinceMs = -1;
  #failedMs = -1;
  readonly #attempts: GatewayAttempt[] = [];
  readonly #start: GatewayQueryStart;
  readonly #core: GatewayCore;
  #context: Context | undefined;
  #makeContext: ((query: GatewayQuery) => Context) | undefined;

  constructor(core: GatewayCore, start: GatewayQueryStart, makeContext: (query: GatewayQuery) => Context) {
    this.#core = core;
    this.#start = start;
    this.traceId = start.traceId;
    this.spanId = newSpanId();
    this.requestId = start.requestId;
    this.traceState = start.traceState;
    this.ledger = new Ledger(start.startMs);
    this.#kept = start.kept;
    this.undecided = start.undecided;
    this.#makeContext = makeContext;
  }

  get kept(): boolean {
    return this.#kept !== undefined;
  }

  get open(): boolean {
    return this.#ended === undefined;
  }

  get verdict(): boolean | undefined {
    return this.undecided && this.#ended === undefined ? undefined : this.kept;
  }

  /**
   * Runs code in the query's context: its logs, SDK spans and outgoing calls nest under the query. The context is
   * made for the first that asks.
   */
  run<T>(work: () => T): T {
    this.#context ??= this.#makeContext?.(this);
    return this.#context === undefined ? work() : contextApi.with(this.#context, work);
  }

  /** Names the model. The first call counts the query as begun. Only names from the repository may come here. */
  model(name: string, version: string): void {
    if (this.#model === '') this.#core.metrics.begun(name);
    else if (this.#model !== name) return;
    this.#model = name;
    this.#version = version;
  }

  /** Adds an attribute to the query's span; the record's stand-in for `span.setAttribute`. Beyond 64 they are dropped. */
  attribute(key: string, value: AttributeValue): void {
    this.#attributes ??= new Map();
    if (this.#attributes.size < USER_ATTRIBUTE_LIMIT || this.#attributes.has(key))
      this.#attributes.set(key, value);
  }

  hold(record: Buffer): boolean {
    this.#children ??= [];
    if (this.#children.length >= CHILD_LIMIT) return false;
    this.#children.push(record);
    return true;
  }

  /** Closes a stage that the gateway marks itself. */
  mark(stage: MarkedStage, nowMs: number = performance.now()): void {
    this.#settleFailure();
    this.ledger.mark(STAGE_INDEX[stage], nowMs);
  }

  startAttempt(worker: string, nowMs: number = performance.now()): GatewayAttempt {
    const attempt = new GatewayAttempt(this, worker, nowMs);
    if (this.#attempts.length < ATTEMPT_LIMIT) this.#attempts.push(attempt);
    return attempt;
  }

  attemptSent(nowMs: number): void {
    if (this.#failedSinceMs >= 0) {
      // The cursor still stands where the first attempt was written: all since then was the retry's price.
      this.ledger.mark(RETRY, nowMs);
      this.#failedSinceMs = -1;
      return;
    }
    this.ledger.mark(ROUTE, nowMs);
  }

  attemptEnded(attempt: GatewayAttempt): void {
    const { ledger } = this;
    this.#core.metrics.attempt(attempt.worker, attempt.outcome);
    if (attempt.sentMs < 0) return; // never left: its time stays with `route` (or `retry`)
    const report = attempt.report;
    if (report === undefined) {
      if (attempt.outcome === 'ok' || attempt.outcome === 'error') {
        ledger.mark(UNREPORTED, attempt.endMs);
        return;
      }
      // It may yet be retried; until then its time is not claimed.
      if (this.#failedSinceMs < 0) this.#failedSinceMs = attempt.sentMs;
      this.#failedMs = attempt.endMs;
      return;
    }
    const networkMs = attempt.endMs - attempt.sentMs - report.totalMs;
    ledger.add(NETWORK, networkMs);
    for (let index = 0; index < WORKER_STAGES.length; index += 1) {
      const stageMs = report.stagesMs[index] as number;
      if (stageMs >= 0) ledger.add(FIRST_WORKER_STAGE + index, stageMs);
    }
    ledger.cursorMs = attempt.endMs;
    if (report.version !== '') this.#version = report.version;
  }

  /** An attempt failed and none followed: its time was `unreported`. */
  #settleFailure(): void {
    if (this.#failedSinceMs < 0) return;
    this.ledger.mark(UNREPORTED, this.#failedMs);
    this.#failedSinceMs = -1;
  }

  /**
   * The value of `Server-Timing`: stages so far in milliseconds, and a total that is their sum. It ends where
   * `respond` begins, which no header can tell.
   */
  serverTiming(): string {
    const { ledger } = this;
    this.#settleFailure();
    timing.begin();
    let sum = 0;
    for (let index = 0; index < STAGES.length; index += 1) {
      if (!ledger.has(index) || index === RESPOND) continue;
      const us = Math.round((ledger.stagesMs[index] as number) * 1000);
      sum += us;
      timing.text(TIMING_PREFIX[index] as string);
      timing.thousandths(us);
      timing.text(', ');
    }
    const rest = Math.round((ledger.cursorMs - ledger.startMs) * 1000) - sum;
    if (rest > 0) {
      sum += rest;
      timing.text('unattributed;dur=');
      timing.thousandths(rest);
      timing.text(', ');
    }
    timing.text('total;dur=');
    timing.thousandths(sum);
    return timing.toString();
  }

  /** The one finalizer. Further calls do nothing. What it found is written and counted by settle(), a moment later. */
  finish(end: QueryEnd, nowMs: number = performance.now()): void {
    if (this.#ended !== undefined) return;
    if (this.#model === '') this.model('unknown', '');
    const { ledger } = this;
    const core = this.#core;
    for (const attempt of this.#attempts) {
      if (attempt.endMs < 0) attempt.end({ outcome: end.clientGone ? 'cancelled' : 'lost' }, end.finishedMs);
    }
    this.#settleFailure();
    ledger.mark(RESPOND, end.finishedMs);
    const totalMs = nowMs - ledger.startMs;
    const outcome = outcomeOf(end.status, end.clientGone);
    if (this.undecided) {
      this.#kept = core.keeping.verdict({ totalMs, outcome, attempts: this.#attempts.length });
      if (this.#kept !== undefined) {
        for (const attempt of this.#attempts) core.lateVerdict(attempt.worker, attempt.spanId);
      }
    }
    this.#ended = { end, outcome, endMs: nowMs, timestampS: Date.now() / 1000 };
    this.#context = undefined;
    this.#makeContext = undefined;
    if (outcome !== 'ok' || core.logQueries) this.#log(end, outcome, totalMs);
    core.settling.add(this);
  }

  settle(): void {
    if (this.#ended === undefined) return;
    const { end, outcome, endMs, timestampS } = this.#ended;
    const { ledger } = this;
    const core = this.#core;
    const totalMs = endMs - ledger.startMs;
    const unattributedMs = totalMs - ledger.sumMs();
    if (ledger.has(NETWORK) && violatesNetwork(ledger.stagesMs[NETWORK] as number))
      core.metrics.violation('network');
    if (violatesRemainder(totalMs, unattributedMs)) core.metrics.violation('unattributed');
    let accepted = false;
    if (this.#kept !== undefined) {
      const eventLoopDelayMs = core.eventLoop.maxBetweenMs(ledger.startMs, endMs);
      this.#encode(end, outcome, totalMs, unattributedMs, eventLoopDelayMs);
      accepted = core.sink.accept();
      if (accepted) for (const child of this.#children ?? []) core.sink.acceptBytes(child);
    }
    if (!this.#start.shed) core.count(accepted ? 'kept' : this.#kept !== undefined ? 'dropped' : 'not_kept');
    core.metrics.finished({
      model: this.#model,
      version: this.#version,
      outcome,
      reason: end.status >= 400 ? (end.error?.code ?? 'upstream') : undefined,
      ledger,
      totalMs,
      unattributedMs,
      exemplar: accepted ? { traceId: this.traceId, spanId: this.spanId, timestampS } : undefined,
    });
    this.#children = undefined;
  }

  #log(end: QueryEnd, outcome: Outcome, totalMs: number): void {
    const fields: Record<string, unknown> = {
      trace_id: this.traceId,
      span_id: this.spanId,
      model: this.#model,
      version: this.#version,
      outcome,
      status: end.status,
      duration_ms: Math.round(totalMs * 1000) / 1000,
    };
    const code: ErrorCode | undefined = end.error?.code;
    if (code !== undefined) fields.code = code;
    this.#core.log.query(
      outcome === 'error' ? 'error' : outcome === 'ok' ? 'info' : 'warn',
      `query ${outcome}`,
      fields,
    );
  }

  #encode(
    end: QueryEnd,
    outcome: Outcome,
    totalMs: number,
    unattributedMs: number,
    eventLoopDelayMs: number,
  ): void {
    const { writer } = this.#core.sink;
    const start = this.#start;
    writer.begin(RECORD_KIND.gatewayQuery);
    writer.id(this.traceId, 16);
    writer.id(this.spanId, 8);
    writer.id(start.parentSpanId, 8);
    writer.u8(start.parentIsRemote ? 1 : 0);
    writer.text(start.traceState);
    writer.f64(this.ledger.startMs);
    writer.f64(totalMs);
    writer.f64(unattributedMs);
    writer.f64(eventLoopDelayMs);
    writeLedger(writer, this.ledger);
    writer.u16(end.status);
    writer.text(outcome);
    writer.text(end.error?.code ?? '');
    writer.text(this.#kept ?? '');
    writer.text(this.#model);
    writer.text(this.#version);
    writer.text(start.requestId);
    writer.text(start.externalTraceId);
    writer.u8(this.#attempts.length);
    for (const attempt of this.#attempts) {
      writer.id(attempt.spanId, 8);
      writer.text(attempt.worker);
      writer.f64(attempt.startMs);
      writer.f64(attempt.sentMs);
      writer.f64(attempt.endMs);
      writer.u8(ATTEMPT_OUTCOMES.indexOf(attempt.outcome));
      writer.u16(attempt.status);
      writer.u8(attempt.report === undefined ? 0 : 1);
    }
    writeAttributes(writer, this.#attributes);
  }
}
