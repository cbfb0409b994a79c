/**
 * Ingest: walks the bytes of an OTLP ExportTraceServiceRequest, holds it to the limits, and finds per span what
 * the store indexes. Nothing is decoded into objects: the store keeps each span as the bytes that it came as,
 * which loses nothing and costs a fraction of decoding and writing it again.
 */
import { indexedKeyOf, lookupHashOfMessage } from './indexed_tags.ts';
import {
  type BatchOrigin,
  type BatchSpan,
  DEFAULT_OTLP_LIMITS,
  type DecodedBatch,
  type OtlpLimits,
  originKey,
  VALUE_DEPTH_LIMIT,
} from './otlp_batch.ts';
import { SeriesKeyBuilder } from './series_key.ts';
import { malformed, WireReader } from './wire_reader.ts';

const TWO_32 = 0x1_0000_0000;

/** Walks one request. State of the span at hand lives in fields, so that the walk allocates next to nothing. */
class BatchWalker {
  private readonly reader: WireReader;
  private readonly bytes: Buffer;
  private readonly limits: OtlpLimits;
  private readonly key = new SeriesKeyBuilder();
  private lookups: number[] | undefined;
  /** Why the span at hand cannot be kept; the walk goes on, since the rest must be well-formed too. */
  private rejection = '';

  readonly origins: BatchOrigin[] = [];
  readonly spans: BatchSpan[] = [];
  readonly rejections = new Map<string, number>();
  rejectedSpans = 0;
  private traceIdAt = -1;
  private traceId = '';

  constructor(bytes: Buffer, limits: OtlpLimits) {
    this.bytes = bytes;
    this.reader = new WireReader(bytes);
    this.limits = limits;
  }

  request(): void {
    const reader = this.reader;
    const end = reader.end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        const messageEnd = reader.span();
        this.resourceSpans(reader.pos, messageEnd);
        reader.pos = messageEnd;
        reader.end = end;
      } else reader.skip(tag);
    }
  }

  /** Resource and schema URL may stand behind the spans that they belong to, so they are looked for first. */
  private resourceSpans(start: number, end: number): void {
    const reader = this.reader;
    let resource: Buffer = this.bytes.subarray(0, 0);
    let schemaUrl = '';
    reader.end = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        const messageEnd = reader.span();
        resource = this.bytes.subarray(reader.pos, messageEnd);
        this.attributes(messageEnd, 0x0a);
        reader.end = end;
      } else if (tag === 0x1a) schemaUrl = this.text();
      else reader.skip(tag);
    }
    const resourceRejection = this.takeRejection();
    reader.pos = start;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x12) {
        const messageEnd = reader.span();
        this.scopeSpans(reader.pos, messageEnd, resource, schemaUrl, resourceRejection);
        reader.pos = messageEnd;
        reader.end = end;
      } else reader.skip(tag);
    }
  }

  private scopeSpans(
    start: number,
    end: number,
    resource: Buffer,
    resourceSchemaUrl: string,
    resourceRejection: string,
  ): void {
    const reader = this.reader;
    let scope: Buffer = this.bytes.subarray(0, 0);
    let scopeSchemaUrl = '';
    reader.end = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        const messageEnd = reader.span();
        scope = this.bytes.subarray(reader.pos, messageEnd);
        this.attributes(messageEnd, 0x1a);
        reader.end = end;
      } else if (tag === 0x1a) scopeSchemaUrl = this.text();
      else reader.skip(tag);
    }
    const rejection = this.takeRejection() || resourceRejection;
    const raw = { resource, resourceSchemaUrl, scope, scopeSchemaUrl };
    this.origins.push({ key: originKey(raw), ...raw });
    const originIndex = this.origins.length - 1;
    reader.pos = start;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x12) {
        const messageEnd = reader.span();
        if (this.spans.length >= this.limits.spansPerRequest) {
          this.reject(`beyond ${this.limits.spansPerRequest} spans in one request`);
          reader.pos = messageEnd;
        } else {
          this.rejection = rejection;
          this.span(messageEnd, originIndex);
          reader.end = end;
        }
      } else reader.skip(tag);
    }
  }

  private span(end: number, originIndex: number): void {
    const reader = this.reader;
    const start = reader.pos;
    const { bytes, limits } = this;
    let traceIdAt = -1;
    let spanIdAt = -1;
    let hasParent = false;
    let nameStart = 0;
    let nameEnd = 0;
    let kind = 0;
    let status = 0;
    let startLow = 0;
    let startHigh = 0;
    let endLow = 0;
    let endHigh = 0;
    let attributes = 0;
    this.key.reset();
    this.lookups = undefined;
    if (end - start > limits.spanBytes) this.rejection ||= `larger than ${limits.spanBytes} bytes`;
    reader.end = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      switch (tag) {
        case 0x0a:
          traceIdAt = this.id(16);
          break;
        case 0x12:
          spanIdAt = this.id(8);
          break;
        case 0x22:
          hasParent = this.parent();
          break;
        case 0x1a:
          reader.pos = this.value();
          break;
        case 0x2a:
          nameEnd = this.value();
          nameStart = reader.pos;
          reader.pos = nameEnd;
          break;
        case 0x30:
          kind = reader.varint32();
          break;
        case 0x39: {
          const at = reader.advance(8);
          startLow = bytes.readUInt32LE(at);
          startHigh = bytes.readUInt32LE(at + 4);
          break;
        }
        case 0x41: {
          const at = reader.advance(8);
          endLow = bytes.readUInt32LE(at);
          endHigh = bytes.readUInt32LE(at + 4);
          break;
        }
        case 0x4a: {
          const messageEnd = reader.span();
          attributes += 1;
          this.attribute(messageEnd, true);
          reader.end = end;
          break;
        }
        case 0x5a: {
          const messageEnd = reader.span();
          this.attributes(messageEnd, 0x1a);
          reader.end = end;
          break;
        }
        case 0x6a: {
          const messageEnd = reader.span();
          this.attributes(messageEnd, 0x22);
          reader.end = end;
          break;
        }
        case 0x7a: {
          const messageEnd = reader.span();
          reader.end = messageEnd;
          while (reader.pos < messageEnd) {
            const member = reader.tag();
            if (member === 0x18) status = reader.varint32();
            else if (member === 0x12) reader.pos = this.value();
            else reader.skip(member);
          }
          reader.end = end;
          break;
        }
        default:
          reader.skip(tag);
      }
    }
    if (attributes > limits.attributesPerSpan) {
      this.rejection ||= `with more than ${limits.attributesPerSpan} attributes`;
    }
    if (traceIdAt < 0) this.rejection ||= 'without a valid trace id';
    if (spanIdAt < 0) this.rejection ||= 'without a valid span id';
    // Nanoseconds to microseconds in two steps of exact arithmetic: 64 bits exceed a double's 53.
    const startQuotient = Math.floor(startHigh / 1000);
    const startUs =
      startQuotient * TWO_32 + Math.floor(((startHigh - startQuotient * 1000) * TWO_32 + startLow) / 1000);
    if (startUs > Number.MAX_SAFE_INTEGER) this.rejection ||= 'with a start time beyond the year 2255';
    if (this.rejection !== '') {
      this.reject(this.takeRejection());
      return;
    }
    const durationNs = (endHigh - startHigh) * TWO_32 + (endLow - startLow);
    const durationUs = durationNs > 0 ? Math.floor(durationNs / 1000) : 0;
    this.spans.push({
      start,
      end,
      traceId: this.traceIdOf(traceIdAt),
      originIndex,
      seriesKey: this.key.finish(kind, status, hasParent, durationUs, bytes, nameStart, nameEnd),
      startUs,
      durationUs,
      lookups: this.lookups,
    });
  }

  /** One KeyValue. @param indexed whether it is a span's own attribute, where indexed tags are looked for */
  private attribute(end: number, indexed: boolean): void {
    const reader = this.reader;
    reader.end = end;
    let keyStart = 0;
    let keyEnd = 0;
    let valueStart = 0;
    let valueEnd = 0;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a) {
        keyEnd = this.value();
        keyStart = reader.pos;
        reader.pos = keyEnd;
      } else if (tag === 0x12) {
        valueEnd = reader.span();
        valueStart = reader.pos;
        this.anyValue(valueEnd, 0);
        reader.end = end;
      } else reader.skip(tag);
    }
    if (!indexed) return;
    const key = indexedKeyOf(this.bytes, keyStart, keyEnd);
    if (key === undefined) return;
    if (key.lookup) this.addLookup(key.index, valueStart, valueEnd);
    else this.key.addFacet(key.index, this.bytes, valueStart, valueEnd);
  }

  private addLookup(index: number, start: number, end: number): void {
    const hash = lookupHashOfMessage(index, this.bytes, start, end);
    if (hash === undefined) return;
    if (this.lookups === undefined) this.lookups = [hash];
    else this.lookups.push(hash);
  }

  private anyValue(end: number, depth: number): void {
    if (depth > VALUE_DEPTH_LIMIT) throw malformed(`values nested deeper than ${VALUE_DEPTH_LIMIT}`);
    const reader = this.reader;
    reader.end = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a || tag === 0x3a) reader.pos = this.value();
      else if (tag === 0x2a || tag === 0x32) {
        const listEnd = reader.span();
        reader.end = listEnd;
        while (reader.pos < listEnd) {
          const member = reader.tag();
          if (member !== 0x0a) {
            reader.skip(member);
            continue;
          }
          const memberEnd = reader.span();
          if (tag === 0x2a) this.anyValue(memberEnd, depth + 1);
          else this.keyValue(memberEnd, depth + 1);
          reader.end = listEnd;
        }
        reader.end = end;
      } else reader.skip(tag);
    }
  }

  private keyValue(end: number, depth: number): void {
    const reader = this.reader;
    reader.end = end;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === 0x0a) reader.pos = this.value();
      else if (tag === 0x12) {
        this.anyValue(reader.span(), depth);
        reader.end = end;
      } else reader.skip(tag);
    }
  }

  /** A message of which only the attributes matter here: Resource, InstrumentationScope, Event, Link. */
  private attributes(end: number, attributeTag: number): void {
    const reader = this.reader;
    reader.end = end;
    let count = 0;
    while (reader.pos < end) {
      const tag = reader.tag();
      if (tag === attributeTag) {
        count += 1;
        this.attribute(reader.span(), false);
        reader.end = end;
      } else if ((tag & 7) === 2) reader.pos = this.value();
      else reader.skip(tag);
    }
    if (count > this.limits.attributesPerSpan) {
      this.rejection ||= `with more than ${this.limits.attributesPerSpan} attributes`;
    }
  }

  /** Past the end of a bytes or string field, whose length is held to the limit. Leaves `pos` at its first byte. */
  private value(): number {
    const end = this.reader.span();
    if (end - this.reader.pos > this.limits.valueBytes) {
      this.rejection ||= `with a value longer than ${this.limits.valueBytes} bytes`;
    }
    return end;
  }

  private text(): string {
    const end = this.value();
    const value = this.bytes.toString('utf8', this.reader.pos, end);
    this.reader.pos = end;
    return value;
  }

  /** Where an id of so many bytes lies; -1 when it is of another length or all zeros. */
  private id(length: number): number {
    const end = this.reader.span();
    const start = this.reader.pos;
    this.reader.pos = end;
    if (end - start !== length) return -1;
    for (let index = start; index < end; index += 1) if (this.bytes[index] !== 0) return start;
    return -1;
  }

  private parent(): boolean {
    const reader = this.reader;
    const end = reader.span();
    const start = reader.pos;
    reader.pos = end;
    if (end === start) return false;
    if (end - start !== 8) this.rejection ||= 'with a parent id of other than 8 bytes';
    for (let index = start; index < end; index += 1) if (this.bytes[index] !== 0) return true;
    return false;
  }

  /** Spans of one trace mostly follow each other: the string is made once. */
  private traceIdOf(at: number): string {
    const bytes = this.bytes;
    let same = this.traceIdAt >= 0;
    for (let index = 0; same && index < 16; index += 1) {
      same = bytes[at + index] === bytes[this.traceIdAt + index];
    }
    if (!same) {
      this.traceIdAt = at;
      this.traceId = bytes.toString('latin1', at, at + 16);
    }
    return this.traceId;
  }

  private takeRejection(): string {
    const rejection = this.rejection;
    this.rejection = '';
    return rejection;
  }

  private reject(reason: string): void {
    this.rejectedSpans += 1;
    this.rejections.set(reason, (this.rejections.get(reason) ?? 0) + 1);
  }
}

/**
 * Walks one ExportTraceServiceRequest. The batch refers to `bytes`, which the caller must leave unchanged
 * until the batch is inserted.
 *
 * Throws a VitrineError (400) when the bytes are no such message, and nothing else. Spans beyond a limit or
 * without valid ids do not throw: they are left out and counted.
 */
export function decodeTraces(bytes: Buffer, limits: OtlpLimits = DEFAULT_OTLP_LIMITS): DecodedBatch {
  const walker = new BatchWalker(bytes, limits);
  walker.request();
  const { origins, spans, rejectedSpans, rejections } = walker;
  return { bytes, origins, spans, rejectedSpans, rejections };
}
