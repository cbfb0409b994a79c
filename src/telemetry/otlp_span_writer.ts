/**
 * Writes OTLP spans from the bytes of a record into a buffer of its own, without an object for any of them: as
 * elements of `ScopeSpans.spans`, in the bytes that otlp_encoder.ts writes of the same spans.
 */
import type { ClockAnchor } from './record_spans.ts';

/** Spans of one record. The caller's limit on records keeps them far below. */
const SCRATCH_BYTES = 64 * 1024;
const TWO_32 = 2 ** 32;

/** Tags (field and wire type) of OTLP's Span; see opentelemetry-proto, trace/v1/trace.proto. */
const TAG = {
  spans: 0x12,
  traceId: 0x0a,
  spanId: 0x12,
  traceState: 0x1a,
  parentSpanId: 0x22,
  name: 0x2a,
  kind: 0x30,
  startTime: 0x39,
  endTime: 0x41,
  attributes: 0x4a,
  links: 0x6a,
  droppedLinks: 0x70,
  linkFlags: 0x35,
  // Of KeyValue and AnyValue.
  key: 0x0a,
  value: 0x12,
  stringValue: 0x0a,
  intValue: 0x18,
  doubleValue: 0x21,
} as const;
/** Tag of Span.flags, two bytes. */
const FLAGS_TAG = [0x85, 0x01] as const;
const FLAGS = 0x101;
const FLAGS_REMOTE_PARENT = 0x301;
const LINK_FLAGS = 0x100;
/** trace_id, span_id and flags. */
const LINK_BYTES = 18 + 10 + 5;

/** An attribute's key as it is written, before a value of any length and before a double. */
export interface Key {
  readonly encoded: Uint8Array;
  readonly beforeDouble: Uint8Array;
}

export function keyOf(name: string): Key {
  const text = Buffer.from(name);
  const encoded = Uint8Array.of(TAG.key, text.length, ...text);
  const beforeDouble = Uint8Array.of(
    TAG.attributes,
    encoded.length + 11,
    ...encoded,
    TAG.value,
    9,
    TAG.doubleValue,
  );
  return { encoded, beforeDouble };
}

/** An attribute that is always the same. */
export function constant(name: string, value: string): Uint8Array {
  const { encoded } = keyOf(name);
  const text = Buffer.from(value);
  return Uint8Array.of(
    TAG.attributes,
    encoded.length + 4 + text.length,
    ...encoded,
    TAG.value,
    2 + text.length,
    TAG.stringValue,
    text.length,
    ...text,
  );
}

/** A text within the record. */
export interface Text {
  at: number;
  length: number;
}

export function emptyText(): Text {
  return { at: 0, length: 0 };
}

/** In place of positions: an id to be made, and no id. */
export const NEW = -1;
export const NONE = -2;

export function isZero(source: Uint8Array, at: number, length: number): boolean {
  for (let index = 0; index < length; index += 1) if (source[at + index] !== 0) return false;
  return true;
}

export class OtlpSpanWriter {
  /** What was written since the last begin of a record, up to `length`. */
  readonly bytes = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  length = 0;
  /** Something was met that this writer has no form for: what was written is void. */
  odd = false;
  readonly #newSpanId: (target: Uint8Array, at: number) => void;
  readonly #out = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  /** The memory that the record lies in. */
  #source: Uint8Array = new Uint8Array(0);
  #anchorMs = 0;
  #anchorHigh = 0;
  #anchorLow = 0;
  #anchorUnixNano = 0n;

  /** @param newSpanId writes the eight bytes of an id */
  constructor(newSpanId: (target: Uint8Array, at: number) => void) {
    this.#newSpanId = newSpanId;
  }

  /** Begins with a record. @param source the memory in which every position given from here on lies */
  beginRecord(source: Uint8Array, anchor: ClockAnchor): void {
    this.#source = source;
    if (anchor.anchorUnixNano !== this.#anchorUnixNano) {
      this.#anchorUnixNano = anchor.anchorUnixNano;
      this.#anchorHigh = Number(anchor.anchorUnixNano >> 32n);
      this.#anchorLow = Number(anchor.anchorUnixNano & 0xffff_ffffn);
    }
    this.#anchorMs = anchor.anchorMs;
    this.length = 0;
    this.odd = false;
  }

  /** Begins a span; two bytes are kept for its length. @returns what end() wants */
  begin(): number {
    this.#byte(TAG.spans);
    this.length += 2;
    return this.length;
  }

  /** Ends a span with its flags. */
  end(at: number, parentIsRemote: boolean): void {
    this.#byte(FLAGS_TAG[0]);
    this.#byte(FLAGS_TAG[1]);
    this.#out.setUint32(this.length, parentIsRemote ? FLAGS_REMOTE_PARENT : FLAGS, true);
    this.length += 4;
    const length = this.length - at;
    if (length < 0x80) {
      this.bytes.copyWithin(at - 1, at, this.length);
      this.bytes[at - 2] = length;
      this.length -= 1;
    } else if (length < 0x4000) {
      this.bytes[at - 2] = (length & 0x7f) | 0x80;
      this.bytes[at - 1] = length >>> 7;
    } else {
      this.odd = true;
    }
  }

  /** Kind and both times. */
  head(kind: number, startMs: number, endMs: number): void {
    this.#byte(TAG.kind);
    this.#byte(kind);
    this.#time(TAG.startTime, startMs);
    this.#time(TAG.endTime, endMs);
  }

  /** Wall time in nanoseconds, in two halves: 64 bits are more than a number holds, and a bigint is an object. */
  #time(tag: number, ms: number): void {
    const nano = Math.round((ms - this.#anchorMs) * 1e6);
    if (!Number.isSafeInteger(nano)) this.odd = true;
    const high = Math.floor(nano / TWO_32);
    const low = this.#anchorLow + (nano - high * TWO_32);
    this.#byte(tag);
    this.#out.setUint32(this.length, low, true);
    this.#out.setUint32(this.length + 4, this.#anchorHigh + high + (low >= TWO_32 ? 1 : 0), true);
    this.length += 8;
  }

  /**
   * What begins a span. Ids of zeros and empty texts are left out, as proto3 does.
   * @param spanAt NEW makes an id
   * @param parentAt NONE for a root
   */
  identity(traceAt: number, spanAt: number, traceState: Text | undefined, parentAt: number): void {
    this.#id(TAG.traceId, traceAt, 16);
    if (spanAt === NEW) {
      this.#byte(TAG.spanId);
      this.#byte(8);
      this.#newSpanId(this.bytes, this.length);
      this.length += 8;
    } else {
      this.#id(TAG.spanId, spanAt, 8);
    }
    if (traceState !== undefined && traceState.length > 0) {
      this.#byte(TAG.traceState);
      this.#varint(traceState.length);
      this.#copyFrom(traceState.at, traceState.length);
    }
    if (parentAt !== NONE) this.#id(TAG.parentSpanId, parentAt, 8);
  }

  #id(tag: number, at: number, length: number): void {
    if (isZero(this.#source, at, length)) return;
    this.#byte(tag);
    this.#byte(length);
    this.#copyFrom(at, length);
  }

  /** @param model written behind the name */
  name(name: Uint8Array, model: Text | undefined): void {
    this.#byte(TAG.name);
    this.#varint(name.length + (model?.length ?? 0));
    this.copy(name);
    if (model !== undefined) this.#copyFrom(model.at, model.length);
  }

  textAttribute({ encoded }: Key, { at, length }: Text): void {
    const value = 1 + varintBytes(length) + length;
    this.#byte(TAG.attributes);
    this.#varint(encoded.length + 1 + varintBytes(value) + value);
    this.copy(encoded);
    this.#byte(TAG.value);
    this.#varint(value);
    this.#byte(TAG.stringValue);
    this.#varint(length);
    this.#copyFrom(at, length);
  }

  /** Rounded to a nanosecond, as record_spans.ts does. */
  msAttribute(key: Key, ms: number): void {
    this.numberAttribute(key, Math.round(ms * 1e6) / 1e6);
  }

  numberAttribute({ encoded, beforeDouble }: Key, value: number): void {
    if (!Number.isInteger(value) || Object.is(value, -0)) {
      this.copy(beforeDouble);
      this.#out.setFloat64(this.length, value, true);
      this.length += 8;
      return;
    }
    if (!Number.isSafeInteger(value)) this.odd = true;
    // Below zero an integer is written as its two's complement in 64 bits.
    const bytes = value < 0 ? 10 : varintBytes(value);
    this.#byte(TAG.attributes);
    this.#byte(encoded.length + 2 + 1 + bytes);
    this.copy(encoded);
    this.#byte(TAG.value);
    this.#byte(1 + bytes);
    this.#byte(TAG.intValue);
    if (value < 0) this.#negativeVarint(value);
    else this.#varint(value);
  }

  #negativeVarint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.#byte(Number(rest & 0x7fn) | 0x80);
    this.#byte(Number(rest));
  }

  /** A link to the span whose trace and span id lie at this position. */
  link(at: number, flags: number): void {
    if (isZero(this.#source, at, 16) || isZero(this.#source, at + 16, 8)) this.odd = true;
    this.#byte(TAG.links);
    this.#byte(LINK_BYTES);
    this.#byte(TAG.traceId);
    this.#byte(16);
    this.#copyFrom(at, 16);
    this.#byte(TAG.spanId);
    this.#byte(8);
    this.#copyFrom(at + 16, 8);
    this.#byte(TAG.linkFlags);
    this.#out.setUint32(this.length, flags | LINK_FLAGS, true);
    this.length += 4;
  }

  #byte(value: number): void {
    this.bytes[this.length] = value;
    this.length += 1;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#byte((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.#byte(rest);
  }

  // Byte by byte: texts and keys are short, and a call into the runtime costs more than they do.

  /** Bytes that are encoded already, such as a constant(). */
  copy(from: Uint8Array): void {
    const { bytes } = this;
    let to = this.length;
    for (let index = 0; index < from.length; index += 1) {
      bytes[to] = from[index] as number;
      to += 1;
    }
    this.length = to;
  }

  #copyFrom(at: number, length: number): void {
    const { bytes } = this;
    const source = this.#source;
    let to = this.length;
    for (let index = at; index < at + length; index += 1) {
      bytes[to] = source[index] as number;
      to += 1;
    }
    this.length = to;
  }

  droppedLinks(count: number): void {
    if (count === 0) return;
    this.#byte(TAG.droppedLinks);
    this.#varint(count);
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}
