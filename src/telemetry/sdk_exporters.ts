/**
 * Exporters other than OTLP over HTTP with protobuf, as the standard variables name them: the SDK's own, fed
 * with ReadableSpans made from ours. Loaded only when asked for; about 4 us a span more than the direct way.
 */
import type { Attributes, HrTime, SpanStatusCode } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { ConsoleSpanExporter, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import { type ExportThreadData, SHARED } from './export_protocol.ts';
import type { SpanAttributeValue, SpanData } from './span_data.ts';

/** Sends spans; settles when their fate is decided and counted, and never rejects. */
export type SpanSink = (spans: readonly SpanData[]) => Promise<void>;

function hrTime(nano: bigint): HrTime {
  return [Number(nano / 1_000_000_000n), Number(nano % 1_000_000_000n)];
}

function record(attributes: readonly (readonly [string, SpanAttributeValue])[]): Attributes {
  return Object.fromEntries(attributes) as Attributes;
}

/** Makes ReadableSpans of spans, with one resource and one scope object each, by whose identity the SDK groups. */
export function createReadableSpans(
  identity: Pick<ExportThreadData, 'resource' | 'scopeName' | 'scopeVersion'>,
): (span: SpanData) => ReadableSpan {
  const resource = resourceFromAttributes(record(identity.resource));
  const ownScope = { name: identity.scopeName, version: identity.scopeVersion };
  const scopes = new Map<string, { name: string; version: string }>();
  return (span) => {
    let scope = ownScope;
    if (span.scope !== undefined) {
      const key = `${span.scope.name}\u0000${span.scope.version}`;
      scope = scopes.get(key) ?? { ...span.scope };
      if (scopes.size < 256) scopes.set(key, scope);
    }
    const context = { traceId: span.traceId, spanId: span.spanId, traceFlags: 1 };
    return {
      name: span.name,
      kind: span.kind - 1,
      spanContext: () => context,
      ...(span.parentSpanId === ''
        ? {}
        : {
            parentSpanContext: {
              traceId: span.traceId,
              spanId: span.parentSpanId,
              traceFlags: 1,
              isRemote: span.parentIsRemote,
            },
          }),
      startTime: hrTime(span.startUnixNano),
      endTime: hrTime(span.endUnixNano),
      duration: hrTime(span.endUnixNano - span.startUnixNano),
      status: {
        code: span.statusCode as SpanStatusCode,
        ...(span.statusMessage === '' ? {} : { message: span.statusMessage }),
      },
      attributes: record(span.attributes),
      links: span.links.map((link) => ({
        context: { traceId: link.traceId, spanId: link.spanId, traceFlags: link.flags },
        attributes: record(link.attributes),
      })),
      events: span.events.map((event) => ({
        name: event.name,
        time: hrTime(event.timeUnixNano),
        attributes: record(event.attributes),
        droppedAttributesCount: event.droppedAttributes,
      })),
      ended: true,
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: span.droppedAttributes,
      droppedEventsCount: span.droppedEvents,
      droppedLinksCount: span.droppedLinks,
    };
  };
}

async function createExporter(name: string, protocol: string): Promise<SpanExporter> {
  if (name === 'console') return new ConsoleSpanExporter();
  if (name === 'zipkin') return new (await import('@opentelemetry/exporter-zipkin')).ZipkinExporter();
  if (protocol === 'grpc')
    return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
  return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
}

/** @param count adds to a shared counter (see export_protocol.ts) */
export async function createSdkSink(
  name: string,
  data: ExportThreadData,
  count: (index: number, amount: number) => void,
): Promise<SpanSink> {
  const exporter = await createExporter(name, data.target.protocol);
  const readable = createReadableSpans(data);
  return (spans) =>
    new Promise((resolve) => {
      exporter.export(spans.map(readable), (result) => {
        if (result.code === ExportResultCode.SUCCESS) {
          count(SHARED.spansExported, spans.length);
        } else {
          count(SHARED.exportFailures, 1);
          count(SHARED.spansDropped, spans.length);
        }
        resolve();
      });
    });
}
