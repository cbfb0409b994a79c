/**
 * The record of one query at a worker: its stages from headers parsed to headers written. The same numbers
 * go into the report that the gateway reads and into the worker's spans.
 */
import { type Context, context as contextApi } from '@opentelemetry/api';
import type { VitrineError } from '../contract/errors.ts';
import { type Outcome, outcomeOf } from '../contract/outcomes.ts';
import { WORKER_STAGES, type WorkerStage } from '../contract/stages.ts';
import { formatWorkerReport } from '../contract/worker_report.ts';
import type { BatchRecord } from './batch_record.ts';
import {
  CHILD_LIMIT,
  type ChildHolder,
  type RecordCore,
  USER_ATTRIBUTE_LIMIT,
  writeAttributes,
  writeLedger,
} from './core.ts';
import type { HeldRecords } from './held_records.ts';
import { newSpanId } from './ids.ts';
import { Ledger, STAGE_INDEX } from './ledger.ts';
import { type AttributeValue, RECORD_KIND } from './record_codec.ts';
import type { Closed } from './settling.ts';

export interface WorkerCore extends RecordCore {
  readonly instanceId: string;
  readonly held: HeldRecords;
}

export interface WorkerQueryStart {
  readonly traceId: string;
  /** The gateway's attempt; empty when the worker is called directly. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly startMs: number;
  readonly kept: boolean;
  /** The gateway decides at its end and may ask for this record later. */
  readonly undecided: boolean;
}

export interface WorkerQueryEnd {
  readonly status: number;
  readonly error?: VitrineError | undefined;
  readonly clientGone: boolean;
}

export interface RunShare {
  readonly executorMs: number;
  readonly energyJoules: number | undefined;
}

const FIRST_WORKER_STAGE = STAGE_INDEX[WORKER_STAGES[0]];
const WORKER_RESPOND = STAGE_INDEX.worker_respond;

export class WorkerQuery implements ChildHolder, Closed {
  readonly traceId: string;
  readonly spanId = newSpanId();
  readonly ledger: Ledger;
  readonly undecided: boolean;
  readonly kept: boolean;
  /** How it ended; undefined while it is open. */
  #end: WorkerQueryEnd | undefined;
  #model = 'unknown';
  #version = '';
  #rows = 0;
  #shareMs = 0;
  /** Below 0: not known. */
  #energyJoules = -1;
  #batch: BatchRecord | undefined;
  #totalMs = -1;
  #loopDelayMs = 0;
  #attributes: Map<string, AttributeValue> | undefined;
  #children: Buffer[] | undefined;
  readonly #start: WorkerQueryStart;
  readonly #core: WorkerCore;
  #context: Context | undefined;
  #makeContext: ((query: WorkerQuery) => Context) | undefined;

  constructor(core: WorkerCore, start: WorkerQueryStart, makeContext: (query: WorkerQuery) => Context) {
    this.#core = core;
    this.#start = start;
    this.traceId = start.traceId;
    this.kept = start.kept;
    this.undecided = start.undecided;
    this.ledger = new Ledger(start.startMs);
    this.#makeContext = makeContext;
  }

  get open(): boolean {
    return this.#end === undefined;
  }

  get verdict(): boolean | undefined {
    return this.undecided && this.#end === undefined ? undefined : this.kept;
  }

  /**
   * Runs code in the query's context, which is made for the first that asks: most queries never do. A batch runs
   * in the root context instead: it belongs to all its members.
   */
  run<T>(work: () => T): T {
    this.#context ??= this.#makeContext?.(this);
    return this.#context === undefined ? work() : contextApi.with(this.#context, work);
  }

  model(name: string, version: string): void {
    this.#model = name;
    this.#version = version;
  }

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

  /** Closes a stage at nowMs, which may be a time that the inference thread read: threads share one clock. */
  mark(stage: WorkerStage, nowMs: number = performance.now()): void {
    this.ledger.mark(STAGE_INDEX[stage], nowMs);
  }

  /**
   * Links the query with its batch. One that failed with others and is run again alone pays for both runs.
   * @param share of what the run took, that this query's rows account for; the energy where it is known
   */
  batch(record: BatchRecord | undefined, rows: number, share: RunShare): void {
    this.#batch = record;
    this.#rows = rows;
    this.#shareMs += share.executorMs;
    const { energyJoules } = share;
    if (energyJoules !== undefined) this.#energyJoules = Math.max(0, this.#energyJoules) + energyJoules;
  }

  /** Closes `worker_respond` and gives the value of `x-vitrine-report`. Call when the headers are written. */
  report(nowMs: number = performance.now()): string {
    if (this.#totalMs < 0) {
      this.ledger.mark(WORKER_RESPOND, nowMs);
      this.#totalMs = nowMs - this.ledger.startMs;
      this.#loopDelayMs = this.#core.eventLoop.maxBetweenMs(this.ledger.startMs, nowMs);
    }
    const { ledger } = this;
    const stagesMs = new Array<number>(WORKER_STAGES.length);
    for (let index = 0; index < stagesMs.length; index += 1) {
      stagesMs[index] = ledger.has(FIRST_WORKER_STAGE + index)
        ? (ledger.stagesMs[FIRST_WORKER_STAGE + index] as number)
        : -1;
    }
    return formatWorkerReport({
      totalMs: this.#totalMs,
      stagesMs,
      version: this.#version,
      worker: this.#core.instanceId,
      eventLoopDelayMs: this.#loopDelayMs,
      batchRows: this.#batch?.rows ?? 0,
    });
  }

  /** The one finalizer. Further calls do nothing. What it found is written by settle(), a moment later. */
  finish(end: WorkerQueryEnd): void {
    if (this.#end !== undefined) return;
    if (this.#totalMs < 0) this.report();
    this.#end = end;
    this.#context = undefined;
    this.#makeContext = undefined;
    this.#core.settling.add(this);
  }

  settle(): void {
    const end = this.#end;
    if (end === undefined) return;
    const core = this.#core;
    const outcome = outcomeOf(end.status, end.clientGone);
    if (this.kept) {
      this.#encode(end.status, end.error?.code ?? '', outcome);
      const accepted = core.sink.accept();
      if (accepted) for (const child of this.#children ?? []) core.sink.acceptBytes(child);
      core.count(accepted ? 'kept' : 'dropped');
    } else if (this.undecided && this.#start.parentSpanId !== '') {
      this.#encode(end.status, end.error?.code ?? '', outcome);
      const { writer } = core.sink;
      const record = Buffer.from(writer.buffer.subarray(0, writer.length));
      core.held.hold(this.#start.parentSpanId, [record, ...(this.#children ?? [])], this.#batch);
    } else {
      core.count('not_kept');
    }
    this.#children = undefined;
  }

  #encode(status: number, code: string, outcome: Outcome): void {
    const { writer } = this.#core.sink;
    writer.begin(RECORD_KIND.workerQuery);
    writer.id(this.traceId, 16);
    writer.id(this.spanId, 8);
    writer.id(this.#start.parentSpanId, 8);
    writer.text(this.#start.traceState);
    writer.f64(this.ledger.startMs);
    writer.f64(this.#totalMs);
    writer.f64(this.#loopDelayMs);
    writeLedger(writer, this.ledger);
    writer.u16(status);
    writer.text(outcome);
    writer.text(code);
    writer.text(this.#model);
    writer.text(this.#version);
    writer.u32(this.#rows);
    writer.f64(this.#shareMs);
    writer.f64(this.#energyJoules);
    writer.id(this.#batch?.traceId ?? '', 16);
    writer.id(this.#batch?.spanId ?? '', 8);
    writer.u32(this.#batch?.rows ?? 0);
    writeAttributes(writer, this.#attributes);
  }
}
