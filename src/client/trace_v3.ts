/** Jaeger's interface v3: a trace as OTLP in JSON, `{result: {resourceSpans}}`. */
import { ATTR } from '../contract/attributes.ts';
import { bigintOf, type JsonObject, listOf, objectOf, objectsOf, textOf } from './json_walk.ts';
import type { RawSpan, SpanKind, TraceSpan, TraceValue } from './trace.ts';

/** By number, and by name as some servers write enumerations. */
const KINDS: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const STATUSES: readonly TraceSpan['status'][] = ['unset', 'ok', 'error'];

export function readTraceV3(document: unknown): RawSpan[] {
  const spans: RawSpan[] = [];
  for (const resourceSpans of objectsOf(objectOf(objectOf(document).result).resourceSpans)) {
    const resource = readAttributes(objectOf(resourceSpans.resource).attributes);
    const process = {
      service: String(resource.get(ATTR.serviceName) ?? ''),
      instance: String(resource.get(ATTR.serviceInstanceId) ?? ''),
    };
    for (const scope of objectsOf(resourceSpans.scopeSpans)) {
      for (const span of objectsOf(scope.spans)) spans.push({ ...readSpan(span), ...process });
    }
  }
  return spans;
}

function readSpan(span: JsonObject): Omit<RawSpan, 'service' | 'instance'> {
  const status = objectOf(span.status);
  return {
    spanId: hexOf(span.spanId),
    parentSpanId: hexOf(span.parentSpanId),
    name: textOf(span.name),
    kind: enumOf(span.kind, KINDS, 'SPAN_KIND_') ?? 'unspecified',
    attributes: readAttributes(span.attributes),
    status: enumOf(status.code, STATUSES, 'STATUS_CODE_') ?? 'unset',
    statusMessage: textOf(status.message),
    startNs: bigintOf(span.startTimeUnixNano),
    endNs: bigintOf(span.endTimeUnixNano),
    events: objectsOf(span.events).map((event) => ({
      name: textOf(event.name),
      atNs: bigintOf(event.timeUnixNano),
      attributes: readAttributes(event.attributes),
    })),
    links: objectsOf(span.links).map((link) => ({
      traceId: hexOf(link.traceId),
      spanId: hexOf(link.spanId),
    })),
  };
}

function readAttributes(value: unknown): Map<string, TraceValue> {
  return new Map(objectsOf(value).map(({ key, value: any }) => [textOf(key), readValue(any, 0)]));
}

/** Values nest; what is deeper than anyone writes is cut, so that no answer exhausts the stack. */
const NESTING_LIMIT = 8;

function readValue(value: unknown, depth: number): TraceValue {
  const any = objectOf(value);
  if (typeof any.stringValue === 'string') return any.stringValue;
  if (typeof any.boolValue === 'boolean') return any.boolValue;
  if (any.intValue !== undefined) {
    const whole = bigintOf(any.intValue);
    return BigInt(Number(whole)) === whole ? Number(whole) : String(whole);
  }
  if (any.doubleValue !== undefined) return Number(any.doubleValue);
  if (any.arrayValue !== undefined && depth < NESTING_LIMIT) {
    return listOf(objectOf(any.arrayValue).values).map((each) => readValue(each, depth + 1));
  }
  if (any.kvlistValue !== undefined) return JSON.stringify(any.kvlistValue);
  return textOf(any.bytesValue);
}

function enumOf<Name extends string>(
  value: unknown,
  names: readonly Name[],
  prefix: string,
): Name | undefined {
  if (typeof value === 'number') return names[value];
  const name = textOf(value).slice(prefix.length).toLowerCase();
  return names.find((each) => each === name);
}

/** An id as hex: OTLP's JSON writes hex, protobuf's own JSON form of the same message writes base64. */
function hexOf(value: unknown): string {
  const id = textOf(value);
  if (id === '' || /^([0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/.test(id)) return id.toLowerCase();
  return Buffer.from(id, 'base64').toString('hex');
}
