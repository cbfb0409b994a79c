/** Jaeger's interface v1: `{data: [{traceID, spans, processes}]}`, times in whole microseconds. */
import { ATTR } from '../contract/attributes.ts';
import { bigintOf, type JsonObject, objectOf, objectsOf, textOf } from './json_walk.ts';
import type { RawSpan, SpanKind, TraceValue } from './trace.ts';

/** Tags in which Jaeger keeps what OTLP has fields for. */
const TAG_KIND = 'span.kind';
const TAG_STATUS = 'otel.status_code';
const TAG_STATUS_MESSAGE = 'otel.status_description';
const TAG_ERROR = 'error';
const KINDS: readonly SpanKind[] = ['internal', 'server', 'client', 'producer', 'consumer'];

export function readTraceV1(document: unknown): RawSpan[] {
  const trace = objectsOf(objectOf(document).data)[0] ?? {};
  const processes = objectOf(trace.processes);
  return objectsOf(trace.spans).map((span) => readSpan(span, objectOf(processes[textOf(span.processID)])));
}

function readSpan(span: JsonObject, process: JsonObject): RawSpan {
  const tags = readTags(span.tags);
  const kind = tags.get(TAG_KIND);
  const status = String(tags.get(TAG_STATUS) ?? '').toLowerCase();
  const isError = status === 'error' || String(tags.get(TAG_ERROR)) === 'true';
  const statusMessage = String(tags.get(TAG_STATUS_MESSAGE) ?? '');
  for (const tag of [TAG_KIND, TAG_STATUS, TAG_STATUS_MESSAGE]) tags.delete(tag);
  const references = objectsOf(span.references).map((reference) => ({
    isParent: reference.refType === 'CHILD_OF' && reference.traceID === span.traceID,
    traceId: textOf(reference.traceID),
    spanId: textOf(reference.spanID),
  }));
  const parent = references.find((reference) => reference.isParent);
  const startNs = bigintOf(span.startTime) * 1000n;
  return {
    spanId: textOf(span.spanID),
    parentSpanId: parent?.spanId ?? '',
    name: textOf(span.operationName),
    kind: KINDS.find((each) => each === kind) ?? 'unspecified',
    service: textOf(process.serviceName),
    instance: String(readTags(process.tags).get(ATTR.serviceInstanceId) ?? ''),
    attributes: tags,
    status: isError ? 'error' : status === 'ok' ? 'ok' : 'unset',
    statusMessage,
    startNs,
    endNs: startNs + bigintOf(span.duration) * 1000n,
    events: objectsOf(span.logs).map(readLog),
    links: references
      .filter((reference) => reference !== parent)
      .map(({ traceId, spanId }) => ({ traceId, spanId })),
  };
}

function readLog(log: JsonObject): RawSpan['events'][number] {
  const attributes = readTags(log.fields);
  const name = String(attributes.get('event') ?? '');
  attributes.delete('event');
  return { name, atNs: bigintOf(log.timestamp) * 1000n, attributes };
}

function readTags(value: unknown): Map<string, TraceValue> {
  return new Map(
    objectsOf(value).map(({ key, value: tag }) => [
      textOf(key),
      typeof tag === 'string' || typeof tag === 'number' || typeof tag === 'boolean' ? tag : '',
    ]),
  );
}
