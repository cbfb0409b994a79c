/**
 * Full decoding of the OTLP messages that the store keeps as bytes: Span, Resource, InstrumentationScope.
 * Used where answers are made; ingest walks the same bytes in otlp_decode.ts without building objects.
 *
 * Field numbers are those of opentelemetry/proto/{trace,resource,common}/v1.
 */
import type { AnyValue, KeyValue, Scope, Span, SpanEvent, SpanLink } from './span.ts';
import { WireReader } from './wire_reader.ts';

function text(reader: WireReader): string {
  const end = reader.span();
  const value = reader.bytes.toString('utf8', reader.pos, end);
  reader.pos = end;
  return value;
}

function hex(reader: WireReader): string {
  const end = reader.span();
  const value = reader.bytes.toString('hex', reader.pos, end);
  reader.pos = end;
  return value;
}

function nested<T>(reader: WireReader, decode: (reader: WireReader) => T): T {
  const outerEnd = reader.end;
  const end = reader.span();
  reader.end = end;
  const value = decode(reader);
  reader.pos = end;
  reader.end = outerEnd;
  return value;
}

/** Recursion ends: ingest refuses values that nest deeper than VALUE_DEPTH_LIMIT. */
function decodeAnyValue(reader: WireReader): AnyValue {
  let value: AnyValue = {};
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a:
        value = { stringValue: text(reader) };
        break;
      case 0x10:
        value = { boolValue: reader.int64() !== 0n };
        break;
      case 0x18:
        value = { intValue: reader.int64().toString() };
        break;
      case 0x21: {
        const double = reader.double();
        value = { doubleValue: Number.isFinite(double) ? double : String(double) };
        break;
      }
      case 0x2a: {
        const values: AnyValue[] = [];
        nested(reader, (list) => {
          while (list.pos < list.end) {
            const member = list.tag();
            if (member === 0x0a) values.push(nested(list, decodeAnyValue));
            else list.skip(member);
          }
        });
        value = { arrayValue: { values } };
        break;
      }
      case 0x32: {
        const values: KeyValue[] = [];
        nested(reader, (list) => {
          while (list.pos < list.end) {
            const member = list.tag();
            if (member === 0x0a) values.push(nested(list, decodeKeyValue));
            else list.skip(member);
          }
        });
        value = { kvlistValue: { values } };
        break;
      }
      case 0x3a: {
        const end = reader.span();
        value = { bytesValue: reader.bytes.toString('base64', reader.pos, end) };
        reader.pos = end;
        break;
      }
      default:
        reader.skip(tag);
    }
  }
  return value;
}

function decodeKeyValue(reader: WireReader): KeyValue {
  let key = '';
  let value: AnyValue = {};
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x0a) key = text(reader);
    else if (tag === 0x12) value = nested(reader, decodeAnyValue);
    else reader.skip(tag);
  }
  return { key, value };
}

function attribute(reader: WireReader): KeyValue {
  return nested(reader, decodeKeyValue);
}

function decodeEvent(reader: WireReader): SpanEvent {
  let timeUnixNano = '0';
  let name = '';
  const attributes: KeyValue[] = [];
  let droppedAttributesCount = 0;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x09) timeUnixNano = reader.fixed64().toString();
    else if (tag === 0x12) name = text(reader);
    else if (tag === 0x1a) attributes.push(attribute(reader));
    else if (tag === 0x20) droppedAttributesCount = reader.varint32();
    else reader.skip(tag);
  }
  return { timeUnixNano, name, attributes, droppedAttributesCount };
}

function decodeLink(reader: WireReader): SpanLink {
  let traceId = '';
  let spanId = '';
  let traceState = '';
  const attributes: KeyValue[] = [];
  let droppedAttributesCount = 0;
  let flags = 0;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x0a) traceId = hex(reader);
    else if (tag === 0x12) spanId = hex(reader);
    else if (tag === 0x1a) traceState = text(reader);
    else if (tag === 0x22) attributes.push(attribute(reader));
    else if (tag === 0x28) droppedAttributesCount = reader.varint32();
    else if (tag === 0x35) flags = reader.fixed32();
    else reader.skip(tag);
  }
  return { traceId, spanId, traceState, attributes, droppedAttributesCount, flags };
}

function isZero(id: string): boolean {
  return /^0*$/.test(id);
}

/** Decodes the bytes of one Span message. Throws a VitrineError (400) where they are none. */
export function decodeSpan(bytes: Buffer): Span {
  const reader = new WireReader(bytes);
  let traceId = '';
  let spanId = '';
  let parentSpanId = '';
  let traceState = '';
  let flags = 0;
  let name = '';
  let kind = 0;
  let startTimeUnixNano = '0';
  let endTimeUnixNano = '0';
  const attributes: KeyValue[] = [];
  let droppedAttributesCount = 0;
  const events: SpanEvent[] = [];
  let droppedEventsCount = 0;
  const links: SpanLink[] = [];
  let droppedLinksCount = 0;
  let statusCode = 0;
  let statusMessage = '';
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    switch (tag) {
      case 0x0a:
        traceId = hex(reader);
        break;
      case 0x12:
        spanId = hex(reader);
        break;
      case 0x1a:
        traceState = text(reader);
        break;
      case 0x22:
        parentSpanId = hex(reader);
        break;
      case 0x2a:
        name = text(reader);
        break;
      case 0x30:
        kind = reader.varint32();
        break;
      case 0x39:
        startTimeUnixNano = reader.fixed64().toString();
        break;
      case 0x41:
        endTimeUnixNano = reader.fixed64().toString();
        break;
      case 0x4a:
        attributes.push(attribute(reader));
        break;
      case 0x50:
        droppedAttributesCount = reader.varint32();
        break;
      case 0x5a:
        events.push(nested(reader, decodeEvent));
        break;
      case 0x60:
        droppedEventsCount = reader.varint32();
        break;
      case 0x6a:
        links.push(nested(reader, decodeLink));
        break;
      case 0x70:
        droppedLinksCount = reader.varint32();
        break;
      case 0x7a:
        nested(reader, (status) => {
          while (status.pos < status.end) {
            const member = status.tag();
            if (member === 0x12) statusMessage = text(status);
            else if (member === 0x18) statusCode = status.varint32();
            else status.skip(member);
          }
        });
        break;
      case 0x85:
        flags = reader.fixed32();
        break;
      default:
        reader.skip(tag);
    }
  }
  return {
    traceId,
    spanId,
    parentSpanId: isZero(parentSpanId) ? '' : parentSpanId,
    traceState,
    flags,
    name,
    kind,
    startTimeUnixNano,
    endTimeUnixNano,
    attributes,
    droppedAttributesCount,
    events,
    droppedEventsCount,
    links,
    droppedLinksCount,
    statusCode,
    statusMessage,
  };
}

/** Ids and start of a Span message; the parent is empty when there is none. Throws a VitrineError (400). */
export function skimSpan(bytes: Buffer): {
  traceId: Buffer;
  spanId: Buffer;
  parentSpanId: Buffer;
  startUs: number;
} {
  const reader = new WireReader(bytes);
  const none = bytes.subarray(0, 0);
  const found = { traceId: none, spanId: none, parentSpanId: none, startUs: 0 };
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x0a) found.traceId = slice(reader);
    else if (tag === 0x12) found.spanId = slice(reader);
    else if (tag === 0x22) {
      const id = slice(reader);
      found.parentSpanId = id.every((byte) => byte === 0) ? none : id;
    } else if (tag === 0x39) found.startUs = Number(reader.fixed64() / 1000n);
    else reader.skip(tag);
  }
  return found;
}

function slice(reader: WireReader): Buffer {
  const end = reader.span();
  const bytes = reader.bytes.subarray(reader.pos, end);
  reader.pos = end;
  return bytes;
}

/** Start and duration in whole microseconds, rounded down; a span that ends before it starts lasts 0. */
export function microsecondsOf(
  startUnixNano: string,
  endUnixNano: string,
): { startUs: number; durationUs: number } {
  const start = BigInt(startUnixNano);
  const duration = BigInt(endUnixNano) - start;
  return { startUs: Number(start / 1000n), durationUs: duration > 0n ? Number(duration / 1000n) : 0 };
}

/** Decodes the bytes of one AnyValue message. Throws a VitrineError (400). */
export function decodeValue(bytes: Buffer): AnyValue {
  return decodeAnyValue(new WireReader(bytes));
}

/** Decodes a Resource message. Throws a VitrineError (400). */
export function decodeResource(bytes: Buffer): { attributes: KeyValue[]; droppedAttributesCount: number } {
  const reader = new WireReader(bytes);
  const attributes: KeyValue[] = [];
  let droppedAttributesCount = 0;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x0a) attributes.push(attribute(reader));
    else if (tag === 0x10) droppedAttributesCount = reader.varint32();
    else reader.skip(tag);
  }
  return { attributes, droppedAttributesCount };
}

/** Decodes an InstrumentationScope message. Throws a VitrineError (400). */
export function decodeScope(bytes: Buffer): Scope {
  const reader = new WireReader(bytes);
  let name = '';
  let version = '';
  const attributes: KeyValue[] = [];
  let droppedAttributesCount = 0;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 0x0a) name = text(reader);
    else if (tag === 0x12) version = text(reader);
    else if (tag === 0x1a) attributes.push(attribute(reader));
    else if (tag === 0x20) droppedAttributesCount = reader.varint32();
    else reader.skip(tag);
  }
  return { name, version, attributes, droppedAttributesCount };
}
