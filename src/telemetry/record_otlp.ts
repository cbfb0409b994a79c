/**
 * OTLP spans straight from the bytes of a record, for the records that nearly all are: queries that were answered
 * at the first attempt, and batches that ran. No span, attribute or text becomes an object, which is a third of the
 * cost of the general way (record_spans.ts, then otlp_encoder.ts). A test holds both to the same bytes; whatever is
 * out of the ordinary is left to the general way.
 */
import { ATTR, SPAN, stageAttribute } from '../contract/attributes.ts';
import { STAGES, WORKER_STAGES } from '../contract/stages.ts';
import { ATTEMPT_OUTCOMES } from './attempt_outcomes.ts';
import { STAGE_INDEX } from './ledger.ts';
import {
  constant,
  emptyText,
  isZero,
  type Key,
  keyOf,
  NEW,
  NONE,
  OtlpSpanWriter,
  type Text,
} from './otlp_span_writer.ts';
import { RECORD_KIND } from './record_codec.ts';
import { type ClockAnchor, WORKER_SPANS } from './record_spans.ts';
import { SPAN_KIND, type SpanLimits } from './span_data.ts';

/** Larger records go the general way: what they become must fit the writer's buffer, and two bytes of length. */
const RECORD_LIMIT_BYTES = 4096;
const FIRST_ERROR_STATUS = 400;

/** A link in a batch's record: trace id, span id, flags. */
const LINK_RECORD_BYTES = 16 + 8 + 1;

const KEYS = Object.fromEntries(
  Object.entries(ATTR).map(([name, attribute]) => [name, keyOf(attribute)]),
) as Readonly<Record<keyof typeof ATTR, Key>>;
const STAGE_KEYS = STAGES.map((stage) => keyOf(stageAttribute(stage)));
const METHOD = constant(ATTR.httpRequestMethod, 'POST');
const ATTEMPT_OK = constant(ATTR.attemptOutcome, 'ok');
const OK = ATTEMPT_OUTCOMES.indexOf('ok');
const NAMES = {
  query: Buffer.from(`${SPAN.query} `),
  work: Buffer.from(`${SPAN.work} `),
  batch: Buffer.from(`${SPAN.batch} `),
  attempt: Buffer.from(SPAN.attempt),
} as const;
const STAGE_SPANS = WORKER_STAGES.map((stage) => ({
  index: STAGE_INDEX[stage],
  name: Buffer.from(stage),
  isSpan: WORKER_SPANS.has(stage),
  isCompute: stage === 'compute',
}));

/** Whether no span of an ordinary record could be cut by these limits. */
export function limitsAllowDirect({ attributes, attributeValueChars, links }: SpanLimits): boolean {
  return attributes >= 64 && attributeValueChars >= RECORD_LIMIT_BYTES && links >= 128;
}

/** Encodes records one at a time into a buffer of its own, as elements of `ScopeSpans.spans`. */
export class RecordOtlp {
  readonly #out: OtlpSpanWriter;
  /** The memory that the record lies in. */
  #source: Uint8Array = new Uint8Array(0);
  #in: DataView = new DataView(this.#source.buffer);
  #at = 0;
  #end = 0;
  /** The record is not what it says: what was written is void. */
  #odd = false;
  readonly #traceState = emptyText();
  readonly #outcome = emptyText();
  readonly #code = emptyText();
  readonly #kept = emptyText();
  readonly #model = emptyText();
  readonly #version = emptyText();
  readonly #requestId = emptyText();
  readonly #externalTraceId = emptyText();
  readonly #worker = emptyText();

  /** @param newSpanId writes the eight bytes of an id */
  constructor(newSpanId: (target: Uint8Array, at: number) => void) {
    this.#out = new OtlpSpanWriter(newSpanId);
  }

  /** What the last encode() wrote, up to `length`. */
  get bytes(): Buffer {
    return this.#out.bytes;
  }

  get length(): number {
    return this.#out.length;
  }

  /**
   * @returns how many spans were written; 0 leaves the record to the general way
   * @throws RangeError for a record that ends where its memory does, and too early
   */
  encode(record: Buffer, anchor: ClockAnchor): number {
    if (record.length > RECORD_LIMIT_BYTES || record.length === 0) return 0;
    if (this.#source.buffer !== record.buffer) {
      this.#source = new Uint8Array(record.buffer);
      this.#in = new DataView(record.buffer);
    }
    this.#at = record.byteOffset;
    this.#end = record.byteOffset + record.length;
    this.#odd = false;
    this.#out.beginRecord(this.#source, anchor);
    const spans = this.#spans(this.#u8());
    return this.#odd || this.#out.odd || this.#at !== this.#end ? 0 : spans;
  }

  #spans(kind: number): number {
    if (kind === RECORD_KIND.gatewayQuery) return this.#gateway();
    if (kind === RECORD_KIND.workerQuery) return this.#work();
    return kind === RECORD_KIND.batch ? this.#batch() : 0;
  }

  #gateway(): number {
    const out = this.#out;
    const ids = this.#at;
    this.#at += 16 + 8 + 8;
    const isRemote = this.#u8() === 1;
    this.#text(this.#traceState);
    const startMs = this.#f64();
    const totalMs = this.#f64();
    const unattributedMs = this.#f64();
    const eventLoopDelayMs = this.#f64();
    const ledger = this.#at;
    this.#skipLedger();
    const status = this.#u16();
    this.#text(this.#outcome);
    this.#text(this.#code);
    this.#text(this.#kept);
    this.#text(this.#model);
    this.#text(this.#version);
    this.#text(this.#requestId);
    this.#text(this.#externalTraceId);
    const attempts = this.#u8();
    if (status >= FIRST_ERROR_STATUS || this.#code.length > 0 || attempts > 1) return 0;
    const attempt = this.#at;
    if (attempts === 1) {
      this.#at += 8;
      this.#text(this.#worker);
      this.#at += 3 * 8;
      const isOk = this.#u8() === OK;
      const attemptStatus = this.#u16();
      const isReported = this.#u8() === 1;
      if (!isOk || !isReported || attemptStatus === 0 || attemptStatus >= FIRST_ERROR_STATUS) return 0;
    }
    if (this.#u16() > 0 || this.#u16() > 0) return 0;
    const end = this.#at;

    const span = out.begin();
    out.identity(ids, ids + 16, this.#traceState, ids + 24);
    out.name(NAMES.query, this.#model);
    out.head(SPAN_KIND.server, startMs, startMs + totalMs);
    out.textAttribute(KEYS.model, this.#model);
    out.textAttribute(KEYS.version, this.#version);
    out.textAttribute(KEYS.outcome, this.#outcome);
    out.copy(METHOD);
    out.numberAttribute(KEYS.httpResponseStatusCode, status);
    out.textAttribute(KEYS.keptBecause, this.#kept);
    out.msAttribute(KEYS.totalMs, totalMs);
    out.msAttribute(KEYS.unattributedMs, unattributedMs);
    out.msAttribute(KEYS.eventLoopDelayMs, eventLoopDelayMs);
    if (this.#requestId.length > 0) out.textAttribute(KEYS.requestId, this.#requestId);
    if (this.#externalTraceId.length > 0) out.textAttribute(KEYS.externalTraceId, this.#externalTraceId);
    this.#stages(ledger);
    out.end(span, isRemote);

    if (attempts === 1) this.#attempt(ids, attempt);
    this.#at = end;
    return 1 + attempts;
  }

  #attempt(ids: number, attempt: number): void {
    const out = this.#out;
    this.#at = attempt + 8;
    this.#text(this.#worker);
    const startMs = this.#f64();
    this.#at += 8;
    const endMs = Math.max(this.#f64(), startMs);
    this.#at += 1;
    const status = this.#u16();
    const span = out.begin();
    out.identity(ids, attempt, this.#traceState, ids + 16);
    out.name(NAMES.attempt, undefined);
    out.head(SPAN_KIND.client, startMs, endMs);
    out.textAttribute(KEYS.model, this.#model);
    out.textAttribute(KEYS.worker, this.#worker);
    out.copy(ATTEMPT_OK);
    out.copy(METHOD);
    out.numberAttribute(KEYS.httpResponseStatusCode, status);
    out.end(span, false);
  }

  #work(): number {
    const out = this.#out;
    const ids = this.#at;
    this.#at += 16 + 8 + 8;
    this.#text(this.#traceState);
    const startMs = this.#f64();
    const totalMs = this.#f64();
    const eventLoopDelayMs = this.#f64();
    const ledger = this.#at;
    this.#skipLedger();
    const status = this.#u16();
    this.#text(this.#outcome);
    this.#text(this.#code);
    this.#text(this.#model);
    this.#text(this.#version);
    const rows = this.#u32();
    const shareMs = this.#f64();
    const energyJoules = this.#f64();
    const batch = this.#at;
    this.#at += 16 + 8;
    const batchRows = this.#u32();
    if (status >= FIRST_ERROR_STATUS || this.#code.length > 0) return 0;
    if (this.#u16() > 0 || this.#u16() > 0) return 0;
    const end = this.#at;
    const isLinked = !isZero(this.#source, batch, 16);
    if (isLinked && isZero(this.#source, batch + 16, 8)) return 0;

    const span = out.begin();
    out.identity(ids, ids + 16, this.#traceState, ids + 24);
    out.name(NAMES.work, this.#model);
    out.head(SPAN_KIND.server, startMs, startMs + totalMs);
    out.textAttribute(KEYS.model, this.#model);
    out.textAttribute(KEYS.version, this.#version);
    out.textAttribute(KEYS.outcome, this.#outcome);
    out.copy(METHOD);
    out.numberAttribute(KEYS.httpResponseStatusCode, status);
    out.msAttribute(KEYS.totalMs, totalMs);
    out.msAttribute(KEYS.eventLoopDelayMs, eventLoopDelayMs);
    if (isLinked) {
      out.numberAttribute(KEYS.rows, rows);
      out.numberAttribute(KEYS.batchSize, batchRows);
      out.msAttribute(KEYS.computeShareMs, shareMs);
      if (energyJoules >= 0) out.numberAttribute(KEYS.energyShareJoules, energyJoules);
    }
    this.#stages(ledger);
    if (isLinked) out.link(batch, 1);
    out.end(span, !isZero(this.#source, ids + 24, 8));

    const spans = 1 + this.#stageSpans({ ids, ledger, startMs, batch: isLinked ? batch : 0 });
    this.#at = end;
    return spans;
  }

  /** Spans of the worker's stages, one after the other. @returns how many */
  #stageSpans(of: { ids: number; ledger: number; startMs: number; batch: number }): number {
    const out = this.#out;
    const present = this.#in.getUint32(of.ledger, true);
    let stageAt = of.ledger + 4;
    let cursorMs = of.startMs;
    let spans = 0;
    let index = 0;
    for (const stage of STAGE_SPANS) {
      // The ledger holds what is present, in the order of all stages.
      for (; index < stage.index; index += 1) if (present & (1 << index)) stageAt += 8;
      index += 1;
      if (!(present & (1 << stage.index))) continue;
      const stageMs = this.#in.getFloat64(stageAt, true);
      stageAt += 8;
      if (stage.isSpan) {
        spans += 1;
        const span = out.begin();
        out.identity(of.ids, NEW, this.#traceState, of.ids + 16);
        out.name(stage.name, undefined);
        out.head(SPAN_KIND.internal, cursorMs, cursorMs + stageMs);
        out.textAttribute(KEYS.model, this.#model);
        if (stage.isCompute && of.batch > 0) out.link(of.batch, 1);
        out.end(span, false);
      }
      cursorMs += stageMs;
    }
    return spans;
  }

  #batch(): number {
    const out = this.#out;
    const ids = this.#at;
    this.#at += 16 + 8;
    this.#text(this.#model);
    this.#text(this.#version);
    const thread = this.#u16();
    const rows = this.#u32();
    const queries = this.#u32();
    this.#text(this.#outcome);
    const realElements = this.#f64();
    const paddingElements = this.#f64();
    const headWaitMs = this.#f64();
    const openedMs = this.#f64();
    const closedMs = this.#f64();
    const dispatchedMs = this.#f64();
    const computeStartMs = this.#f64();
    const computeEndMs = this.#f64();
    const endedMs = this.#f64();
    this.#text(this.#code);
    const links = this.#u16();
    const droppedLinks = this.#u16();
    if (this.#code.length > 0 || this.#at + links * LINK_RECORD_BYTES !== this.#end) return 0;
    const elements = realElements + paddingElements;

    const span = out.begin();
    out.identity(ids, ids + 16, undefined, NONE);
    out.name(NAMES.batch, this.#model);
    out.head(SPAN_KIND.internal, openedMs, endedMs);
    out.textAttribute(KEYS.model, this.#model);
    out.textAttribute(KEYS.version, this.#version);
    out.numberAttribute(KEYS.thread, thread);
    out.numberAttribute(KEYS.batchSize, rows);
    out.numberAttribute(KEYS.batchQueries, queries);
    out.textAttribute(KEYS.batchCloseReason, this.#outcome);
    out.msAttribute(KEYS.batchPaddingRatio, elements === 0 ? 0 : paddingElements / elements);
    out.msAttribute(KEYS.batchHeadWaitMs, headWaitMs);
    this.#stageAttribute('batch_wait', closedMs - openedMs);
    this.#stageAttribute('dispatch', dispatchedMs - closedMs);
    this.#stageAttribute('compute', computeEndMs - computeStartMs);
    this.#stageAttribute('postprocess', endedMs - computeEndMs);
    for (let index = 0; index < links; index += 1) {
      const at = this.#at;
      this.#at += 16 + 8;
      out.link(at, this.#u8());
    }
    out.droppedLinks(droppedLinks);
    out.end(span, false);
    return 1;
  }

  // What is read of the record.

  #u8(): number {
    const value = this.#in.getUint8(this.#at);
    this.#at += 1;
    return value;
  }

  #u16(): number {
    const value = this.#in.getUint16(this.#at, true);
    this.#at += 2;
    return value;
  }

  #u32(): number {
    const value = this.#in.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  #f64(): number {
    const value = this.#in.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  #text(into: Text): void {
    into.length = this.#u16();
    into.at = this.#at;
    this.#at += into.length;
    if (this.#at > this.#end) {
      this.#odd = true;
      into.length = 0;
    }
  }

  #skipLedger(): void {
    let present = this.#u32();
    for (; present !== 0; present &= present - 1) this.#at += 8;
  }

  #stages(ledger: number): void {
    const out = this.#out;
    const present = this.#in.getUint32(ledger, true);
    let at = ledger + 4;
    for (let index = 0; index < STAGES.length; index += 1) {
      if (!(present & (1 << index))) continue;
      out.msAttribute(STAGE_KEYS[index] as Key, this.#in.getFloat64(at, true));
      at += 8;
    }
  }

  #stageAttribute(stage: keyof typeof STAGE_INDEX, ms: number): void {
    this.#out.msAttribute(STAGE_KEYS[STAGE_INDEX[stage]] as Key, ms);
  }
}
