/**
 * OTLP ExportTraceServiceRequest as protobuf, written straight from spans
 * (https://github.com/open-telemetry/opentelemetry-proto, trace/v1/trace.proto). About a third of the cost of
 * going through ReadableSpan and the SDK's serializer; a test holds both to the same decoded message.
 */
import { writeHex } from './record_codec.ts';
import type { SpanAttributeValue, SpanData, SpanEvent, SpanLink } from './span_data.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Text up to this is copied character by character: cheaper than a call into the runtime. */
const SHORT_CHARS = 48;
/** Encoded keys kept; keys come from code, so in practice all of them fit. */
const KEY_CACHE_LIMIT = 1024;

/**
 * Protobuf writer with lengths patched in afterwards: one byte is reserved, and the body moves if it needs
 * more. What is written for each attribute of each span avoids calls into the runtime: they cost more than
 * the bytes.
 */
class ProtoWriter {
  #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.byteLength);
  #length = 0;
  /** Field 1 of KeyValue (the key), encoded. */
  readonly #keys = new Map<string, Uint8Array>();

  reset(): void {
    this.#length = 0;
  }

  /** A copy, so that the writer can be reused. */
  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength);
  }

  #byte(value: number): void {
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#byte((rest & 0x7f) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.#byte(rest);
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(16);
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
  }

  fixed32(field: number, value: number): void {
    this.#reserve(8);
    this.#varint((field << 3) | FIXED32);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(12);
    this.#varint((field << 3) | FIXED64);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
  }

  hex(field: number, id: string): void {
    if (id === '') return;
    this.#reserve(24);
    this.#byte((field << 3) | BYTES);
    this.#byte(id.length / 2);
    this.#length = writeHex(this.#buffer, this.#length, id);
  }

  text(field: number, text: string, evenIfEmpty = false): void {
    if (text === '' && !evenIfEmpty) return;
    this.#reserve(text.length * 3 + 16);
    this.#varint((field << 3) | BYTES);
    const at = this.#open();
    if (text.length > SHORT_CHARS || !this.#ascii(text)) {
      this.#length = at;
      this.#length += this.#buffer.write(text, at, 'utf8');
    }
    this.#close(at);
  }

  /** @returns false at the first character beyond ASCII: what was written is void */
  #ascii(text: string): boolean {
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      buffer[at] = code;
      at += 1;
    }
    this.#length = at;
    return true;
  }

  begin(field: number): number {
    this.#reserve(16);
    this.#varint((field << 3) | BYTES);
    return this.#open();
  }

  end(at: number): void {
    this.#close(at);
  }

  #open(): number {
    this.#length += 1;
    return this.#length;
  }

  #close(at: number): void {
    const length = this.#length - at;
    if (length < 0x80) {
      this.#buffer[at - 1] = length;
      return;
    }
    const extra = length < 0x4000 ? 1 : length < 0x200000 ? 2 : length < 0x10000000 ? 3 : 4;
    this.#reserve(extra);
    this.#buffer.copyWithin(at + extra, at, this.#length);
    const end = this.#length + extra;
    this.#length = at - 1;
    this.#varint(length);
    this.#length = end;
  }

  anyValue(field: number, value: SpanAttributeValue): void {
    const at = this.begin(field);
    if (typeof value === 'string') {
      this.text(1, value, true);
    } else if (typeof value === 'boolean') {
      this.#reserve(4);
      this.#byte((2 << 3) | VARINT);
      this.#byte(value ? 1 : 0);
    } else if (typeof value === 'number') {
      this.#number(value);
    } else {
      const array = this.begin(5);
      for (const item of value) this.anyValue(1, item);
      this.end(array);
    }
    this.end(at);
  }

  #number(value: number): void {
    this.#reserve(16);
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.#byte((3 << 3) | VARINT);
      if (value >= 0) {
        this.#varint(value);
      } else {
        let rest = BigInt.asUintN(64, BigInt(value));
        while (rest > 0x7fn) {
          this.#byte(Number(rest & 0x7fn) | 0x80);
          rest >>= 7n;
        }
        this.#byte(Number(rest));
      }
    } else {
      this.#byte((4 << 3) | FIXED64);
      this.#view.setFloat64(this.#length, value, true);
      this.#length += 8;
    }
  }

  keyValue(field: number, key: string, value: SpanAttributeValue): void {
    const at = this.begin(field);
    let encoded = this.#keys.get(key);
    if (encoded === undefined) {
      const from = this.#length;
      this.text(1, key);
      encoded = Uint8Array.from(this.#buffer.subarray(from, this.#length));
      if (this.#keys.size < KEY_CACHE_LIMIT) this.#keys.set(key, encoded);
    } else {
      this.#reserve(encoded.length);
      const buffer = this.#buffer;
      let to = this.#length;
      for (let index = 0; index < encoded.length; index += 1) {
        buffer[to] = encoded[index] as number;
        to += 1;
      }
      this.#length = to;
    }
    this.anyValue(2, value);
    this.end(at);
  }
}

const FLAG_SAMPLED = 1;
const FLAG_HAS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

function writeLink(writer: ProtoWriter, link: SpanLink): void {
  const at = writer.begin(13);
  writer.hex(1, link.traceId);
  writer.hex(2, link.spanId);
  for (const [key, value] of link.attributes) writer.keyValue(4, key, value);
  writer.fixed32(6, link.flags | FLAG_HAS_REMOTE);
  writer.end(at);
}

function writeEvent(writer: ProtoWriter, event: SpanEvent): void {
  const at = writer.begin(11);
  writer.fixed64(1, event.timeUnixNano);
  writer.text(2, event.name);
  for (const [key, value] of event.attributes) writer.keyValue(3, key, value);
  writer.uint(4, event.droppedAttributes);
  writer.end(at);
}

function writeSpan(writer: ProtoWriter, span: SpanData): void {
  const at = writer.begin(2);
  writer.hex(1, span.traceId);
  writer.hex(2, span.spanId);
  writer.text(3, span.traceState);
  writer.hex(4, span.parentSpanId);
  writer.text(5, span.name);
  writer.uint(6, span.kind);
  writer.fixed64(7, span.startUnixNano);
  writer.fixed64(8, span.endUnixNano);
  for (const [key, value] of span.attributes) writer.keyValue(9, key, value);
  writer.uint(10, span.droppedAttributes);
  for (const event of span.events) writeEvent(writer, event);
  writer.uint(12, span.droppedEvents);
  for (const link of span.links) writeLink(writer, link);
  writer.uint(14, span.droppedLinks);
  if (span.statusCode !== 0 || span.statusMessage !== '') {
    const status = writer.begin(15);
    writer.text(2, span.statusMessage);
    writer.uint(3, span.statusCode);
    writer.end(status);
  }
  writer.fixed32(16, FLAG_SAMPLED | FLAG_HAS_REMOTE | (span.parentIsRemote ? FLAG_IS_REMOTE : 0));
  writer.end(at);
}

/** In place of a position. */
const NOT_OPEN = -1;

export interface OtlpIdentity {
  readonly resource: readonly (readonly [string, SpanAttributeValue])[];
  readonly scopeName: string;
  readonly scopeVersion: string;
}

/**
 * Encodes batches of spans of one resource; reuses its buffer between batches. A batch is begun, given its spans one
 * by one, and finished, so that no span has to outlive its encoding: a batch of them costs the collector more than
 * the encoding.
 */
export class OtlpEncoder {
  readonly #writer = new ProtoWriter();
  readonly #identity: OtlpIdentity;
  /** Spans of other scopes than our own, which come last; few. */
  #foreign: SpanData[] = [];
  #resourceSpansAt = 0;
  #ownScopeAt = NOT_OPEN;

  constructor(identity: OtlpIdentity) {
    this.#identity = identity;
  }

  /** Begins a batch; what was added to one that was not finished is lost. */
  begin(): void {
    const writer = this.#writer;
    writer.reset();
    this.#foreign = [];
    this.#ownScopeAt = NOT_OPEN;
    this.#resourceSpansAt = writer.begin(1);
    const resource = writer.begin(1);
    for (const [key, value] of this.#identity.resource) writer.keyValue(1, key, value);
    writer.end(resource);
  }

  add(span: SpanData): void {
    if (span.scope !== undefined) {
      this.#foreign.push(span);
      return;
    }
    if (this.#ownScopeAt === NOT_OPEN) {
      this.#ownScopeAt = this.#beginScope(this.#identity.scopeName, this.#identity.scopeVersion);
    }
    writeSpan(this.#writer, span);
  }

  /** The batch, in memory of its own. */
  finish(): Buffer {
    const writer = this.#writer;
    if (this.#ownScopeAt !== NOT_OPEN) writer.end(this.#ownScopeAt);
    const groups = Map.groupBy(this.#foreign, (span) => `${span.scope?.name}\u0000${span.scope?.version}`);
    for (const group of groups.values()) {
      const scope = group[0]?.scope;
      const at = this.#beginScope(scope?.name ?? '', scope?.version ?? '');
      for (const span of group) writeSpan(writer, span);
      writer.end(at);
    }
    this.#foreign = [];
    writer.end(this.#resourceSpansAt);
    return writer.bytes();
  }

  encode(spans: readonly SpanData[]): Buffer {
    this.begin();
    for (const span of spans) this.add(span);
    return this.finish();
  }

  #beginScope(name: string, version: string): number {
    const writer = this.#writer;
    const scopeSpans = writer.begin(2);
    const scope = writer.begin(1);
    writer.text(1, name);
    writer.text(2, version);
    writer.end(scope);
    return scopeSpans;
  }
}
