/**
 * What evidence is made from: ledgers of queries as their traces tell them, and conditions as metrics tell them.
 * The console fills it from its own stores, the enricher from Prometheus and Jaeger.
 */
import type { Circumstance, Evidence } from '../contract/evidence.ts';
import type { Outcome } from '../contract/outcomes.ts';
import type { Stage } from '../contract/stages.ts';

export type LedgerStage = Stage | 'unattributed';

/** One query: where it went and where its time went. */
export interface QueryLedger {
  readonly traceId: string;
  /** Unix milliseconds. */
  readonly startMs: number;
  /** Total less receive and respond, as objectives count it. */
  readonly serviceMs: number;
  readonly stagesMs: ReadonlyMap<LedgerStage, number>;
  readonly model: string;
  readonly version: string;
  /** Of the deciding attempt; empty when none was made. */
  readonly worker: string;
  readonly priority?: string;
  readonly tenant?: string;
  readonly outcome: Outcome;
  /** Code of the error; empty when there was none. */
  readonly errorCode: string;
}

/** One process as its scrapes and the gateways tell of it. */
export interface ProcessSight {
  /** service.name */
  readonly job: string;
  /** service.instance.id: `worker-1`. */
  readonly instance: string;
  /** Unix milliseconds from which on no scrape was answered; undefined when the last one was. */
  readonly silentSinceMs: number | undefined;
  /** Within the window. */
  readonly restarts: number;
  /** Of a worker: Unix milliseconds from which on a gateway did not find it ready; undefined while all do. */
  readonly unreadySinceMs: number | undefined;
  /** Of a worker: attempts of the window that it left without an answer: lost, or past their deadline. */
  readonly unanswered: number;
}

export interface EvidenceInput {
  readonly atMs: number;
  readonly windowS: number;
  readonly baselineS: number;
  readonly subject: Evidence['subject'];
  /** Queries of the window and of the baseline before it, already restricted to what the alert's labels name. */
  readonly now: readonly QueryLedger[];
  readonly baseline: readonly QueryLedger[];
  /** Queries of the window at other workers than the alert's, to tell whether it is that one alone. */
  readonly elsewhere?: readonly QueryLedger[];
  /** Why there are no queries, where that is not for want of them: their store did not answer. */
  readonly missing?: string;
  /** Queries of the window that were picked for being slow, or failed: shown among the slowest, never counted. */
  readonly examples?: readonly QueryLedger[];
  /** The alert's own threshold on serviceMs, where it has one. */
  readonly thresholdMs: number | undefined;
  readonly circumstances: readonly Circumstance[];
  /** Where the subject is `processes`: those of the alert's kind. */
  readonly processes?: readonly ProcessSight[];
  /** Address of a trace for people. */
  readonly traceUrl: (traceId: string) => string;
}
