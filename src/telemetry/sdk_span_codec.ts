/** Spans opened through the OpenTelemetry SDK, as records: kind byte, then JSON. They are few; clarity over speed. */
import type { Attributes, HrTime } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { RECORD_KIND, RECORD_LIMIT_BYTES } from './record_codec.ts';
import type { SpanAttributeValue, SpanData } from './span_data.ts';

function nano(time: HrTime): string {
  return String(BigInt(time[0]) * 1_000_000_000n + BigInt(time[1]));
}

function pairs(attributes: Attributes | undefined): [string, SpanAttributeValue][] {
  return Object.entries(attributes ?? {}).flatMap(([key, value]) => {
    if (Array.isArray(value))
      return [
        [key, value.filter((item) => item !== null && item !== undefined)] as [string, SpanAttributeValue],
      ];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      return [[key, value]];
    return [];
  });
}

/** @returns undefined when the span is larger than a record may be: it is dropped */
export function encodeSdkSpan(span: ReadableSpan): Buffer | undefined {
  const context = span.spanContext();
  const json = JSON.stringify({
    traceId: context.traceId,
    spanId: context.spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    parentIsRemote: span.parentSpanContext?.isRemote === true,
    traceState: context.traceState?.serialize() ?? '',
    name: span.name,
    // The API counts kinds from internal = 0, OTLP from internal = 1.
    kind: span.kind + 1,
    start: nano(span.startTime),
    end: nano(span.endTime),
    attributes: pairs(span.attributes),
    events: span.events.map((event) => ({
      name: event.name,
      time: nano(event.time),
      attributes: pairs(event.attributes),
      droppedAttributes: event.droppedAttributesCount ?? 0,
    })),
    links: span.links.map((link) => ({
      traceId: link.context.traceId,
      spanId: link.context.spanId,
      flags: link.context.traceFlags,
      attributes: pairs(link.attributes),
    })),
    statusCode: span.status.code,
    statusMessage: span.status.message ?? '',
    droppedAttributes: span.droppedAttributesCount,
    droppedEvents: span.droppedEventsCount,
    droppedLinks: span.droppedLinksCount,
    scope: { name: span.instrumentationScope.name, version: span.instrumentationScope.version ?? '' },
  });
  const record = Buffer.concat([Buffer.from([RECORD_KIND.sdkSpan]), Buffer.from(json)]);
  return record.length > RECORD_LIMIT_BYTES ? undefined : record;
}

/** The inverse. @throws SyntaxError for bytes that are none */
export function decodeSdkSpan(bytes: Buffer): SpanData {
  const { start, end, events, ...span } = JSON.parse(bytes.toString('utf8')) as Omit<
    SpanData,
    'startUnixNano' | 'endUnixNano' | 'events'
  > & {
    start: string;
    end: string;
    events: (Omit<SpanData['events'][number], 'timeUnixNano'> & { time: string })[];
  };
  return {
    ...span,
    startUnixNano: BigInt(start),
    endUnixNano: BigInt(end),
    events: events.map(({ time, ...event }) => ({ ...event, timeUnixNano: BigInt(time) })),
  };
}
