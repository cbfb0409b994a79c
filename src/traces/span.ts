/**
 * A span as the store gives it back: OTLP's own shape in OTLP's JSON mapping (lower-case hex ids, 64-bit
 * integers as decimal strings, bytes as base64), so that nothing is lost on the way in or out.
 */

/** Exactly one member is set; none means an empty value. */
export interface AnyValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  /** Decimal digits, signed 64 bits. */
  readonly intValue?: string;
  /** Infinite and undefined values as `"Infinity"`, `"-Infinity"`, `"NaN"`. */
  readonly doubleValue?: number | string;
  /** Base64. */
  readonly bytesValue?: string;
  readonly arrayValue?: { readonly values: readonly AnyValue[] };
  readonly kvlistValue?: { readonly values: readonly KeyValue[] };
}

export interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

export interface SpanEvent {
  readonly timeUnixNano: string;
  readonly name: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount: number;
}

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount: number;
  readonly flags: number;
}

export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** 16 hex digits; empty when the span has no parent. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly flags: number;
  readonly name: string;
  /** OTLP's number: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount: number;
  readonly events: readonly SpanEvent[];
  readonly droppedEventsCount: number;
  readonly links: readonly SpanLink[];
  readonly droppedLinksCount: number;
  /** 0 unset, 1 ok, 2 error. */
  readonly statusCode: number;
  readonly statusMessage: string;
}

export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount: number;
}

/** Where spans came from: one resource and one instrumentation scope, shared by all of their spans. */
export interface Origin {
  /** `service.name` of the resource; `unknown_service` when it has none. */
  readonly service: string;
  readonly resourceAttributes: readonly KeyValue[];
  readonly resourceDroppedAttributesCount: number;
  readonly resourceSchemaUrl: string;
  readonly scope: Scope;
  readonly scopeSchemaUrl: string;
}

export interface StoredSpan extends Span {
  readonly origin: Origin;
  /** Start and duration rounded down to whole microseconds; a span that ends before it starts lasts 0. */
  readonly startUs: number;
  readonly durationUs: number;
}

/** All spans of one trace that the store holds, never none. In the order in which they arrived. */
export interface Trace {
  readonly traceId: string;
  readonly spans: readonly StoredSpan[];
}

export const STATUS_ERROR = 2;

/** Names of span kinds as Jaeger writes them, by OTLP's number. */
export const SPAN_KINDS: readonly string[] = [
  'unspecified',
  'internal',
  'server',
  'client',
  'producer',
  'consumer',
];

/**
 * An attribute's value as text, as searches compare it: strings as they are, numbers and booleans as JSON
 * writes them. Undefined for bytes, lists, maps and empty values, which no search matches.
 */
export function valueText(value: AnyValue): string | undefined {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.intValue !== undefined) return value.intValue;
  if (value.boolValue !== undefined) return String(value.boolValue);
  if (value.doubleValue !== undefined) return String(value.doubleValue);
  return undefined;
}
