/** The part of a gateway's record that tells of one try at one worker. */
import { HOLD, TRACEPARENT, TRACESTATE } from '../contract/headers.ts';
import type { WorkerReport } from '../contract/worker_report.ts';
import type { AttemptOutcome } from './attempt_outcomes.ts';
import type { GatewayQuery } from './gateway_query.ts';
import { newSpanId } from './ids.ts';
import { formatTraceparent } from './traceparent.ts';

export class GatewayAttempt {
  readonly spanId = newSpanId();
  readonly worker: string;
  readonly startMs: number;
  sentMs = -1;
  endMs = -1;
  outcome: AttemptOutcome = 'lost';
  status = 0;
  report: WorkerReport | undefined;
  readonly #query: GatewayQuery;

  constructor(query: GatewayQuery, worker: string, startMs: number) {
    this.#query = query;
    this.worker = worker;
    this.startMs = startMs;
  }

  /** The header that makes the worker's span a child of this attempt's. */
  get traceparent(): string {
    return formatTraceparent(this.#query.traceId, this.spanId, this.#query.kept);
  }

  /**
   * Adds what the worker must be told, name and value in turn: whose child its span is, and in retroactive mode to
   * hold its part until the verdict.
   */
  addHeaders(headers: string[]): void {
    headers.push(TRACEPARENT, this.traceparent);
    if (this.#query.traceState !== '') headers.push(TRACESTATE, this.#query.traceState);
    if (this.#query.undecided) headers.push(HOLD, '1');
  }

  /** The request's headers are written to the worker's socket: ends `route`, or `retry` for a second attempt. */
  sent(nowMs: number = performance.now()): void {
    if (this.sentMs >= 0) return;
    this.sentMs = nowMs;
    this.#query.attemptSent(nowMs);
  }

  /** The attempt is over: last byte of the answer, or the failure. */
  end(
    result: { outcome: AttemptOutcome; status?: number | undefined; report?: WorkerReport | undefined },
    nowMs: number = performance.now(),
  ): void {
    if (this.endMs >= 0) return;
    this.endMs = nowMs;
    this.outcome = result.outcome;
    this.status = result.status ?? 0;
    this.report = result.report;
    this.#query.attemptEnded(this);
  }
}
