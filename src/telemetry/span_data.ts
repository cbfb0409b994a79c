/** A finished span as plain data, between a record and its encoding. */
import type { AttributeValue } from './record_codec.ts';

export const SPAN_KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
export const STATUS = { unset: 0, ok: 1, error: 2 } as const;

/** What the SDK's spans may carry besides plain values. */
export type SpanAttributeValue = AttributeValue | readonly string[] | readonly number[] | readonly boolean[];

export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
  /** W3C flags of the linked span. */
  readonly flags: number;
  readonly attributes: readonly (readonly [string, SpanAttributeValue])[];
}

export interface SpanEvent {
  readonly name: string;
  readonly timeUnixNano: bigint;
  readonly attributes: readonly (readonly [string, SpanAttributeValue])[];
  readonly droppedAttributes: number;
}

export interface SpanData {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly parentIsRemote: boolean;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
  readonly attributes: (readonly [string, SpanAttributeValue])[];
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
  readonly statusCode: number;
  readonly statusMessage: string;
  droppedAttributes: number;
  droppedEvents: number;
  droppedLinks: number;
  /** Instrumentation scope of a span that was opened through the SDK; absent for spans made from records. */
  readonly scope?: { readonly name: string; readonly version: string };
}

/** `OTEL_SPAN_*` limits. */
export interface SpanLimits {
  readonly attributes: number;
  readonly attributeValueChars: number;
  readonly events: number;
  readonly links: number;
}

/** Applies the limits in place and fills the dropped counts. Attributes of a link or event are not ours to grow. */
export function applyLimits(span: SpanData, limits: SpanLimits): SpanData {
  const { attributes } = span;
  if (attributes.length > limits.attributes) {
    span.droppedAttributes += attributes.length - limits.attributes;
    attributes.length = limits.attributes;
  }
  if (Number.isFinite(limits.attributeValueChars)) {
    for (let index = 0; index < attributes.length; index += 1) {
      const [key, value] = attributes[index] as readonly [string, SpanAttributeValue];
      if (typeof value === 'string' && value.length > limits.attributeValueChars) {
        attributes[index] = [key, value.slice(0, limits.attributeValueChars)];
      }
    }
  }
  if (span.links.length > limits.links) {
    span.droppedLinks += span.links.length - limits.links;
    (span.links as SpanLink[]).length = limits.links;
  }
  if (span.events.length > limits.events) {
    span.droppedEvents += span.events.length - limits.events;
    (span.events as SpanEvent[]).length = limits.events;
  }
  return span;
}
