/**
 * The record of one batch: a span in a trace of its own, linked both ways with its members. A batch belongs
 * to no query's trace, or the first member's trace would hold everybody's time.
 */
import type { CloseReason } from '../contract/attributes.ts';
import type { RecordCore } from './core.ts';
import { newSpanId, newTraceId } from './ids.ts';
import { RECORD_KIND } from './record_codec.ts';
import type { Closed } from './settling.ts';
import type { WorkerQuery } from './worker_query.ts';

/** Members linked from a batch, kept ones first; the others are counted as dropped links. */
const LINK_LIMIT = 128;

export interface BatchEnd {
  readonly rows: number;
  readonly queries: number;
  readonly reason: CloseReason;
  readonly realElements: number;
  readonly paddingElements: number;
  /** How long its oldest member had waited when it closed. */
  readonly headWaitMs: number;
  /** All times: performance.now(), shared by the threads of a process. Opened = the executor was free for it. */
  readonly openedMs: number;
  readonly closedMs: number;
  readonly dispatchedMs: number;
  readonly computeStartMs: number;
  readonly computeEndMs: number;
  readonly endedMs: number;
  readonly error?: string | undefined;
}

export class BatchRecord implements Closed {
  readonly traceId = newTraceId();
  readonly spanId = newSpanId();
  /** Known at once: members name it in their report. */
  readonly rows: number;
  readonly #core: RecordCore;
  readonly #model: string;
  readonly #version: string;
  readonly #thread: number;
  readonly #members: readonly WorkerQuery[];
  #end: BatchEnd | undefined;
  #held: Buffer | undefined;

  constructor(
    core: RecordCore,
    batch: { model: string; version: string; thread: number; rows: number; members: readonly WorkerQuery[] },
  ) {
    this.#core = core;
    this.#model = batch.model;
    this.#version = batch.version;
    this.#thread = batch.thread;
    this.rows = batch.rows;
    this.#members = batch.members;
  }

  /** Closes the batch. It is kept when one of its members is; held when one of them may be. */
  end(end: BatchEnd): void {
    this.#end = end;
    this.#core.settling.add(this);
  }

  settle(): void {
    if (this.#end === undefined) return;
    const kept = this.#members.some((member) => member.kept);
    const held = !kept && this.#members.some((member) => member.undecided);
    if (!kept && !held) return;
    this.#encode(this.#end);
    if (kept) {
      this.#core.sink.accept();
      return;
    }
    const { writer } = this.#core.sink;
    this.#held = Buffer.from(writer.buffer.subarray(0, writer.length));
  }

  /** A member was kept after all: the batch goes out once. */
  keep(): void {
    if (this.#held === undefined) return;
    this.#core.sink.acceptBytes(this.#held);
    this.#held = undefined;
  }

  #encode(end: BatchEnd): void {
    const { writer } = this.#core.sink;
    writer.begin(RECORD_KIND.batch);
    writer.id(this.traceId, 16);
    writer.id(this.spanId, 8);
    writer.text(this.#model);
    writer.text(this.#version);
    writer.u16(this.#thread);
    writer.u32(end.rows);
    writer.u32(end.queries);
    writer.text(end.reason);
    writer.f64(end.realElements);
    writer.f64(end.paddingElements);
    writer.f64(end.headWaitMs);
    writer.f64(end.openedMs);
    writer.f64(end.closedMs);
    writer.f64(end.dispatchedMs);
    writer.f64(end.computeStartMs);
    writer.f64(end.computeEndMs);
    writer.f64(end.endedMs);
    writer.text(end.error ?? '');
    const linked = [
      ...this.#members.filter((member) => member.kept),
      ...this.#members.filter((member) => !member.kept),
    ].slice(0, LINK_LIMIT);
    writer.u16(linked.length);
    writer.u16(Math.min(0xffff, this.#members.length - linked.length));
    for (const member of linked) {
      writer.id(member.traceId, 16);
      writer.id(member.spanId, 8);
      writer.u8(member.kept ? 1 : 0);
    }
  }
}
