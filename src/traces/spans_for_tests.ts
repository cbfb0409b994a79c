/** For this room's tests: described spans, serialized by the SDK's own serializers, and what must come back. */
import { type Attributes, createTraceState, type SpanContext } from '@opentelemetry/api';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { decodeTraces } from './otlp_decode.ts';
import type { AnyValue, KeyValue, Span, StoredSpan } from './span.ts';
import type { TraceStore } from './store.ts';

export type Value =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly Value[]
  | { readonly [key: string]: Value };

export interface DescribedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly service: string;
  readonly instance: string;
  readonly scope: string;
  readonly name: string;
  /** OTLP's number. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly traceState: string;
  readonly attributes: Readonly<Record<string, Value>>;
  readonly events: readonly { timeNs: bigint; name: string; attributes: Readonly<Record<string, Value>> }[];
  readonly links: readonly { traceId: string; spanId: string; attributes: Readonly<Record<string, Value>> }[];
  readonly dropped: readonly [attributes: number, events: number, links: number];
}

export const NOON_NS = 1_770_000_000_123_456_789n;

export function describeSpan(given: Partial<DescribedSpan>): DescribedSpan {
  return {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parentSpanId: '',
    service: 'vitrine-gateway',
    instance: '0',
    scope: 'vitrine',
    name: 'infer langid',
    kind: 2,
    startNs: NOON_NS,
    endNs: NOON_NS + 12_345_678n,
    statusCode: 0,
    statusMessage: '',
    traceState: '',
    attributes: {},
    events: [],
    links: [],
    dropped: [0, 0, 0],
    ...given,
  };
}

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomHex(random: () => number, digits: number): string {
  let hex = '';
  while (hex.length < digits) hex += Math.floor(random() * 16).toString(16);
  return /^0+$/.test(hex) ? randomHex(random, digits) : hex;
}

export function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function hrTime(ns: bigint): [number, number] {
  return [Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n)];
}

/** One object per distinct resource and scope, since the SDK's serializers group by identity. */
export class SdkSpans {
  private readonly resources = new Map<string, ReadableSpan['resource']>();
  private readonly scopes = new Map<string, ReadableSpan['instrumentationScope']>();

  readable(span: DescribedSpan): ReadableSpan {
    const context = (traceId: string, spanId: string): SpanContext => ({ traceId, spanId, traceFlags: 1 });
    const resourceKey = `${span.service} ${span.instance}`;
    const resource =
      this.resources.get(resourceKey) ??
      resourceFromAttributes({ 'service.name': span.service, 'service.instance.id': span.instance });
    this.resources.set(resourceKey, resource);
    const scope = this.scopes.get(span.scope) ?? { name: span.scope, version: '1.2' };
    this.scopes.set(span.scope, scope);
    const spanContext: SpanContext = {
      ...context(span.traceId, span.spanId),
      ...(span.traceState !== '' && { traceState: createTraceState(span.traceState) }),
    };
    return {
      name: span.name,
      kind: span.kind - 1,
      spanContext: () => spanContext,
      ...(span.parentSpanId !== '' && { parentSpanContext: context(span.traceId, span.parentSpanId) }),
      startTime: hrTime(span.startNs),
      endTime: hrTime(span.endNs),
      duration: hrTime(span.endNs > span.startNs ? span.endNs - span.startNs : 0n),
      ended: true,
      status: { code: span.statusCode, ...(span.statusMessage !== '' && { message: span.statusMessage }) },
      attributes: span.attributes as Attributes,
      events: span.events.map((event) => ({
        time: hrTime(event.timeNs),
        name: event.name,
        attributes: event.attributes as Attributes,
      })),
      links: span.links.map((link) => ({
        context: context(link.traceId, link.spanId),
        attributes: link.attributes as Attributes,
      })),
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: span.dropped[0],
      droppedEventsCount: span.dropped[1],
      droppedLinksCount: span.dropped[2],
    };
  }

  protobuf(spans: readonly DescribedSpan[]): Buffer {
    return Buffer.from(
      ProtobufTraceSerializer.serializeRequest(spans.map((span) => this.readable(span))) ?? [],
    );
  }

  json(spans: readonly DescribedSpan[]): Buffer {
    return Buffer.from(JsonTraceSerializer.serializeRequest(spans.map((span) => this.readable(span))) ?? []);
  }
}

export function insertAll(store: TraceStore, spans: readonly DescribedSpan[], perBatch = 512): void {
  const sdk = new SdkSpans();
  for (let at = 0; at < spans.length; at += perBatch) {
    store.insert([decodeTraces(sdk.protobuf(spans.slice(at, at + perBatch)))]);
  }
}

function toAnyValue(value: Value): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 2 ** 63
      ? { intValue: String(value) }
      : { doubleValue: value };
  }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(toAnyValue) } };
  return { kvlistValue: { values: toKeyValues(value as Record<string, Value>) } };
}

function toKeyValues(attributes: Readonly<Record<string, Value>>): KeyValue[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: toAnyValue(value) }));
}

/** The SDK tells in bit 8 that it knows whether the parent is remote; ours never are. */
const FLAGS = 0x101;

export function expectedSpan(span: DescribedSpan): Span {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    traceState: span.traceState,
    flags: FLAGS,
    name: span.name,
    kind: span.kind,
    startTimeUnixNano: span.startNs.toString(),
    endTimeUnixNano: span.endNs.toString(),
    attributes: toKeyValues(span.attributes),
    droppedAttributesCount: span.dropped[0],
    events: span.events.map((event) => ({
      timeUnixNano: event.timeNs.toString(),
      name: event.name,
      attributes: toKeyValues(event.attributes),
      droppedAttributesCount: 0,
    })),
    droppedEventsCount: span.dropped[1],
    links: span.links.map((link) => ({
      traceId: link.traceId,
      spanId: link.spanId,
      traceState: '',
      attributes: toKeyValues(link.attributes),
      droppedAttributesCount: 0,
      flags: FLAGS,
    })),
    droppedLinksCount: span.dropped[2],
    statusCode: span.statusCode,
    statusMessage: span.statusMessage,
  };
}

export function expectedStored(span: DescribedSpan): StoredSpan {
  const durationNs = span.endNs - span.startNs;
  return {
    ...expectedSpan(span),
    origin: {
      service: span.service,
      resourceAttributes: toKeyValues({ 'service.name': span.service, 'service.instance.id': span.instance }),
      resourceDroppedAttributesCount: 0,
      resourceSchemaUrl: '',
      scope: { name: span.scope, version: '1.2', attributes: [], droppedAttributesCount: 0 },
      scopeSchemaUrl: '',
    },
    startUs: Number(span.startNs / 1000n),
    durationUs: durationNs > 0n ? Number(durationNs / 1000n) : 0,
  };
}

/** Values of every kind that an attribute can have, some beyond what JavaScript's numbers or ASCII hold. */
function randomValue(random: () => number, depth = 0): Value {
  switch (Math.floor(random() * (depth > 2 ? 5 : 8))) {
    case 0:
      return pick(random, ['', 'ok', 'langid', 'Grüße, 世界 🙂', 'a\u0000b', '"\\\n', 'x'.repeat(200)]);
    case 1:
      return pick(random, [
        0,
        1,
        -1,
        200,
        2 ** 31,
        -(2 ** 40),
        Number.MAX_SAFE_INTEGER,
        Number.MIN_SAFE_INTEGER,
      ]);
    case 2:
      return pick(random, [0.5, -1.25, 1e-300, 1.7976931348623157e308, 3.14]);
    case 3:
      return random() < 0.5;
    case 4:
      return Uint8Array.from({ length: Math.floor(random() * 6) }, () => Math.floor(random() * 256));
    case 5:
      return Array.from({ length: Math.floor(random() * 4) }, () => randomValue(random, depth + 1));
    case 6:
      return randomAttributes(random, depth + 1);
    default:
      return pick(random, ['a', 'b', 'c']);
  }
}

function randomAttributes(random: () => number, depth: number): Record<string, Value> {
  const attributes: Record<string, Value> = {};
  for (let count = Math.floor(random() * 5); count > 0; count -= 1) {
    attributes[pick(random, ['k', 'key.two', 'ключ', 'http.route', ''])] = randomValue(random, depth);
  }
  return attributes;
}

/** Traces of a few spans with everything that OTLP has, all from a seed. */
export function randomSpans(random: () => number, traces: number): DescribedSpan[] {
  const spans: DescribedSpan[] = [];
  for (let trace = 0; trace < traces; trace += 1) {
    const traceId = randomHex(random, 32);
    let parentSpanId = random() < 0.3 ? randomHex(random, 16) : '';
    for (let count = 1 + Math.floor(random() * 6); count > 0; count -= 1) {
      const spanId = randomHex(random, 16);
      const startNs = NOON_NS + BigInt(Math.floor(random() * 1e13));
      const link = {
        traceId: randomHex(random, 32),
        spanId: randomHex(random, 16),
        attributes: { n: randomValue(random) },
      };
      const event = {
        timeNs: startNs + 7n,
        name: pick(random, ['', 'retry', '再試行']),
        attributes: { n: randomValue(random) },
      };
      spans.push({
        traceId,
        spanId,
        parentSpanId,
        service: pick(random, ['vitrine-gateway', 'vitrine-worker', 'caller']),
        instance: pick(random, ['0', '1']),
        scope: pick(random, ['vitrine', 'http']),
        name: pick(random, ['infer langid', 'attempt', 'work', '', 'ü'.repeat(200)]),
        kind: 1 + Math.floor(random() * 5),
        startNs,
        endNs: startNs + BigInt(Math.floor(Math.exp(random() * 25)) - 5),
        statusCode: Math.floor(random() * 3),
        statusMessage: pick(random, ['', 'deadline exceeded']),
        traceState: pick(random, ['', 'a=1,b=2']),
        attributes: randomAttributes(random, 0),
        events: random() < 0.3 ? [event, { ...event, name: 'second' }] : [],
        links: random() < 0.3 ? [link] : [],
        dropped: [Math.floor(random() * 3), Math.floor(random() * 300), 0],
      });
      parentSpanId = spanId;
    }
  }
  return spans;
}
