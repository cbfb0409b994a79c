/** Jaeger's query API v3, as Jaeger's own page calls it: OTLP in JSON, and summaries of traces. */
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import {
  badParameter,
  durationRange,
  firstParameter,
  parseKind,
  parseLimit,
  parseTags,
  parseTimeUs,
  parseTraceId,
} from './jaeger_params.ts';
import type { JaegerAnswer } from './jaeger_v1.ts';
import {
  type AnyValue,
  type KeyValue,
  type Origin,
  SPAN_KINDS,
  STATUS_ERROR,
  type StoredSpan,
  type Trace,
} from './span.ts';
import type { TraceQuery, TraceStore } from './store.ts';

type Json = Record<string, unknown>;

/** Any thrown value in v3's form of an error. */
export function jaegerV3Error(thrown: unknown): JaegerAnswer {
  const { status, message } = asVitrineError(thrown);
  return { status, json: { error: { httpCode: status, message } } };
}

/** A parameter's name in v3's two spellings. */
function both(name: string): string[] {
  return [name, name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];
}

function parseSearch(parameters: URLSearchParams): TraceQuery {
  const parameter = (name: string, ...others: string[]) =>
    firstParameter(parameters, [...both(name), ...others]);
  const from = parameter('query.startTimeMin');
  const to = parameter('query.startTimeMax');
  if (from === undefined || to === undefined) {
    throw new VitrineError('invalid_request', 'query.startTimeMin and query.startTimeMax are required');
  }
  const service = parameter('query.serviceName')?.value;
  const operation = parameter('query.operationName', 'query.spanName', 'query.span_name')?.value;
  const attributes = parameter('query.attributes');
  const depth = parameter('query.searchDepth', 'query.numTraces', 'query.num_traces');
  const tags = new Map<string, string>();
  if (attributes !== undefined) parseTags(attributes.name, attributes.value, tags);
  const startMinUs = parseTimeUs(from.name, from.value);
  const startMaxUs = parseTimeUs(to.name, to.value);
  if (startMaxUs < startMinUs) throw badParameter(to.name, 'no earlier than query.startTimeMin');
  return {
    ...(service !== undefined && { service }),
    ...(operation !== undefined && { operation }),
    startMinUs,
    startMaxUs,
    ...durationRange(parameter('query.durationMin'), parameter('query.durationMax')),
    tags,
    limit: parseLimit(depth?.name ?? 'query.searchDepth', depth?.value),
  };
}

/** Members that are empty or 0 are left out, as protobuf's JSON form has it. */
function compact(json: Json): Json {
  const kept: Json = {};
  for (const [key, value] of Object.entries(json)) {
    if (value === '' || value === 0 || (Array.isArray(value) && value.length === 0)) continue;
    kept[key] = value;
  }
  return kept;
}

function toAnyValue(value: AnyValue): Json {
  if (value.arrayValue !== undefined)
    return { arrayValue: { values: value.arrayValue.values.map(toAnyValue) } };
  if (value.kvlistValue !== undefined)
    return { kvlistValue: { values: value.kvlistValue.values.map(toKeyValue) } };
  // Jaeger's page takes exactly one member; an empty value reads as an empty string everywhere else, too.
  return Object.keys(value).length === 0 ? { stringValue: '' } : { ...value };
}

function toKeyValue({ key, value }: KeyValue): Json {
  return { key, value: toAnyValue(value) };
}

/** Jaeger's page refuses a whole trace over one id that is none. */
function isId(id: string, digits: number): boolean {
  return id.length === digits && !/^0+$/.test(id);
}

function toSpan(span: StoredSpan): Json {
  return {
    ...compact({
      traceId: span.traceId,
      spanId: span.spanId,
      traceState: span.traceState,
      parentSpanId: span.parentSpanId,
      flags: span.flags,
      name: span.name,
      kind: span.kind,
      startTimeUnixNano: span.startTimeUnixNano,
      endTimeUnixNano: span.endTimeUnixNano,
      attributes: span.attributes.map(toKeyValue),
      droppedAttributesCount: span.droppedAttributesCount,
      events: span.events.map((event) => compact({ ...event, attributes: event.attributes.map(toKeyValue) })),
      droppedEventsCount: span.droppedEventsCount,
      links: span.links
        .filter((link) => isId(link.traceId, 32) && isId(link.spanId, 16))
        .map((link) => compact({ ...link, attributes: link.attributes.map(toKeyValue) })),
      droppedLinksCount: span.droppedLinksCount,
    }),
    status: compact({ message: span.statusMessage, code: span.statusCode }),
  };
}

function toResource(origin: Origin): Json {
  return compact({
    attributes: origin.resourceAttributes.map(toKeyValue),
    droppedAttributesCount: origin.resourceDroppedAttributesCount,
  });
}

function toScope({ scope }: Origin): Json {
  return compact({ ...scope, attributes: scope.attributes.map(toKeyValue) });
}

/** Traces as OTLP's resourceSpans: spans of one resource and scope stand together, in the order of their first span. */
function toResourceSpans(traces: readonly Trace[]): Json[] {
  const resources = new Map<string, { json: Json; scopeSpans: Json[] }>();
  const spansByOrigin = new Map<Origin, Json[]>();
  for (const trace of traces) {
    for (const span of trace.spans) {
      const { origin } = span;
      let spans = spansByOrigin.get(origin);
      if (spans === undefined) {
        spans = [];
        spansByOrigin.set(origin, spans);
        const resource = toResource(origin);
        const key = JSON.stringify([resource, origin.resourceSchemaUrl]);
        const held = resources.get(key) ?? {
          json: { resource, schemaUrl: origin.resourceSchemaUrl },
          scopeSpans: [],
        };
        resources.set(key, held);
        held.scopeSpans.push({ scope: toScope(origin), spans, schemaUrl: origin.scopeSchemaUrl });
      }
      spans.push(toSpan(span));
    }
  }
  return [...resources.values()].map(({ json, scopeSpans }) =>
    compact({ ...json, scopeSpans: scopeSpans.map((scopeSpan) => compact(scopeSpan)) }),
  );
}

function later(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}

/**
 * Counts and bounds of one trace. Its root is the earliest span without a parent, or, when every span has one
 * (the caller's span is not here), the earliest whose parent is not in the trace.
 */
function summarize(trace: Trace): Json {
  const ids = new Set(trace.spans.map((span) => span.spanId));
  const services = new Map<string, { name: string; spanCount: number; errorSpanCount: number }>();
  let minStartTimeUnixNano: string | undefined;
  let maxEndTimeUnixNano = '0';
  let errorSpanCount = 0;
  let orphanSpanCount = 0;
  let root: StoredSpan | undefined;
  for (const span of trace.spans) {
    const { startTimeUnixNano, endTimeUnixNano } = span;
    if (minStartTimeUnixNano === undefined || later(minStartTimeUnixNano, startTimeUnixNano)) {
      minStartTimeUnixNano = startTimeUnixNano;
    }
    if (later(endTimeUnixNano, maxEndTimeUnixNano)) maxEndTimeUnixNano = endTimeUnixNano;
    const service = services.get(span.origin.service) ?? {
      name: span.origin.service,
      spanCount: 0,
      errorSpanCount: 0,
    };
    services.set(service.name, service);
    service.spanCount += 1;
    if (span.statusCode === STATUS_ERROR) {
      service.errorSpanCount += 1;
      errorSpanCount += 1;
    }
    const orphan = span.parentSpanId !== '' && !ids.has(span.parentSpanId);
    if (orphan) orphanSpanCount += 1;
    if ((orphan || span.parentSpanId === '') && isBetterRoot(span, root)) root = span;
  }
  return {
    traceId: trace.traceId,
    rootServiceName: root?.origin.service ?? '',
    rootOperationName: root?.name ?? '',
    minStartTimeUnixNano: minStartTimeUnixNano ?? '0',
    maxEndTimeUnixNano,
    spanCount: trace.spans.length,
    errorSpanCount,
    orphanSpanCount,
    services: [...services.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function isBetterRoot(span: StoredSpan, held: StoredSpan | undefined): boolean {
  if (held === undefined) return true;
  const parentless = span.parentSpanId === '';
  if (parentless !== (held.parentSpanId === '')) return parentless;
  return later(held.startTimeUnixNano, span.startTimeUnixNano);
}

function tracesAnswer(traces: readonly Trace[]): JaegerAnswer {
  if (traces.length === 0) throw new VitrineError('not_found', 'No traces found');
  return { status: 200, json: { result: { resourceSpans: toResourceSpans(traces) } } };
}

function traceById(store: TraceStore, id: string, parameters: URLSearchParams): JaegerAnswer {
  const traceId = parseTraceId('trace_id', id);
  for (const name of ['startTime', 'endTime']) {
    const time = firstParameter(parameters, both(name));
    if (time !== undefined) parseTimeUs(time.name, time.value);
  }
  const trace = store.trace(traceId);
  return tracesAnswer(trace === undefined ? [] : [trace]);
}

function operations(store: TraceStore, parameters: URLSearchParams): JaegerAnswer {
  const service = parameters.get('service');
  if (service === null || service === '') throw badParameter('service', 'the name of a service');
  const kind = firstParameter(parameters, both('spanKind'));
  const found = store.operations(service, kind === undefined ? undefined : parseKind(kind.name, kind.value));
  return {
    status: 200,
    json: {
      // Jaeger reads a kind that was not given as internal.
      operations: found.map((operation) => ({
        name: operation.name,
        spanKind: SPAN_KINDS[operation.kind === 0 ? 1 : operation.kind],
      })),
    },
  };
}

/**
 * Answers a path below /api/v3/ (without it). Throws a VitrineError for a bad parameter (400), no match or an
 * unknown path (404), and what the store throws.
 */
export function answerV3(
  store: TraceStore,
  path: readonly string[],
  parameters: URLSearchParams,
): JaegerAnswer {
  const [first, second] = path;
  if (path.length === 1 && first === 'services') return { status: 200, json: { services: store.services() } };
  if (path.length === 1 && first === 'operations') return operations(store, parameters);
  if (path.length === 1 && first === 'traces')
    return tracesAnswer(store.search(parseSearch(parameters)).traces);
  if (path.length === 1 && first === 'trace-summaries') {
    const { traces, scanned, scanLimitReached } = store.search(parseSearch(parameters));
    return { status: 200, json: { summaries: traces.map(summarize), scanned, scanLimitReached } };
  }
  if (path.length === 2 && first === 'traces' && second !== undefined)
    return traceById(store, second, parameters);
  throw new VitrineError('not_found', 'no such path in the query API');
}
