/** Jaeger's query API v1, as Grafana's Jaeger data source calls it. */
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import {
  badParameter,
  durationRange,
  firstParameter,
  parseCount,
  parseDurationUs,
  parseKind,
  parseLimit,
  parseTags,
  parseTraceId,
} from './jaeger_params.ts';
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

export interface JaegerAnswer {
  readonly status: number;
  readonly json: unknown;
}

interface Tag {
  readonly key: string;
  readonly type: 'string' | 'bool' | 'int64' | 'float64' | 'binary';
  readonly value: string | number | boolean;
}

const DAY_MS = 24 * 3_600_000;

function answer(data: readonly unknown[], extra: Record<string, unknown> = {}): JaegerAnswer {
  return { status: 200, json: { data, total: data.length, limit: 0, offset: 0, errors: null, ...extra } };
}

/** Any thrown value in Jaeger's form of an error. */
export function jaegerV1Error(thrown: unknown): JaegerAnswer {
  const { status, message } = asVitrineError(thrown);
  return {
    status,
    json: { data: null, total: 0, limit: 0, offset: 0, errors: [{ code: status, msg: message }] },
  };
}

function anyValueToJson(value: AnyValue): unknown {
  if (value.arrayValue !== undefined) return value.arrayValue.values.map(anyValueToJson);
  if (value.kvlistValue !== undefined) {
    return Object.fromEntries(
      value.kvlistValue.values.map((member) => [member.key, anyValueToJson(member.value)]),
    );
  }
  if (value.intValue !== undefined) return safeInteger(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue ?? null;
}

/** As a number where JavaScript holds it exactly, else as text, as Jaeger does. */
function safeInteger(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

function toTag({ key, value }: KeyValue): Tag {
  if (value.boolValue !== undefined) return { key, type: 'bool', value: value.boolValue };
  if (value.intValue !== undefined) return { key, type: 'int64', value: safeInteger(value.intValue) };
  if (value.doubleValue !== undefined) {
    // JSON has no NaN and no infinities.
    const finite = typeof value.doubleValue === 'number';
    return { key, type: finite ? 'float64' : 'string', value: value.doubleValue };
  }
  if (value.bytesValue !== undefined) return { key, type: 'binary', value: value.bytesValue };
  if (value.arrayValue !== undefined || value.kvlistValue !== undefined) {
    return { key, type: 'string', value: JSON.stringify(anyValueToJson(value)) };
  }
  return { key, type: 'string', value: value.stringValue ?? '' };
}

function text(key: string, value: string): Tag {
  return { key, type: 'string', value };
}

/** Attributes, then what OTLP keeps in fields and Jaeger in tags. A field's tag gives way to an attribute of its name. */
function spanTags(span: StoredSpan): Tag[] {
  const tags = span.attributes.map(toTag);
  const add = (tag: Tag): void => {
    if (!tags.some(({ key }) => key === tag.key)) tags.push(tag);
  };
  const { scope } = span.origin;
  if (scope.name !== '') add(text('otel.scope.name', scope.name));
  if (scope.version !== '') add(text('otel.scope.version', scope.version));
  if (span.kind > 0) add(text('span.kind', SPAN_KINDS[span.kind] ?? ''));
  if (span.statusCode === 1) add(text('otel.status_code', 'OK'));
  if (span.statusCode === STATUS_ERROR) {
    add(text('otel.status_code', 'ERROR'));
    add({ key: 'error', type: 'bool', value: true });
  }
  if (span.statusMessage !== '') add(text('otel.status_description', span.statusMessage));
  if (span.traceState !== '') add(text('w3c.tracestate', span.traceState));
  return tags;
}

function toMicroseconds(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1000n);
}

function toSpan(span: StoredSpan, processID: string): Record<string, unknown> {
  const reference = (refType: string, traceID: string, spanID: string) => ({ refType, traceID, spanID });
  const references = span.links.map((link) => reference('FOLLOWS_FROM', link.traceId, link.spanId));
  if (span.parentSpanId !== '') references.unshift(reference('CHILD_OF', span.traceId, span.parentSpanId));
  return {
    traceID: span.traceId,
    spanID: span.spanId,
    processID,
    operationName: span.name,
    startTime: span.startUs,
    duration: span.durationUs,
    references,
    tags: spanTags(span),
    logs: span.events.map((event) => ({
      timestamp: toMicroseconds(event.timeUnixNano),
      fields: [
        ...(event.name === '' ? [] : [text('event', event.name)]),
        ...event.attributes.map(toTag).filter(({ key }) => key !== 'event' || event.name === ''),
      ],
    })),
    warnings: null,
    flags: span.flags & 0xff,
  };
}

/** A trace in v1's form. Processes are resources, named p1, p2 … in the order in which spans mention them. */
function toJaegerTrace(trace: Trace): Record<string, unknown> {
  const processes: Record<string, unknown> = {};
  const ids = new Map<string, string>();
  const known = new Map<Origin, string>();
  const processOf = (origin: Origin): string => {
    const held = known.get(origin);
    if (held !== undefined) return held;
    const tags = origin.resourceAttributes.filter(({ key }) => key !== 'service.name').map(toTag);
    const process = { serviceName: origin.service, tags };
    const key = JSON.stringify(process);
    const id = ids.get(key) ?? `p${ids.size + 1}`;
    ids.set(key, id);
    known.set(origin, id);
    processes[id] = process;
    return id;
  };
  const spans = trace.spans.map((span) => toSpan(span, processOf(span.origin)));
  return { traceID: trace.traceId, spans, processes, warnings: null };
}

function parseSearch(parameters: URLSearchParams, nowMs: number): TraceQuery {
  const tags = new Map<string, string>();
  for (const json of parameters.getAll('tags')) if (json !== '') parseTags('tags', json, tags);
  for (const pair of parameters.getAll('tag')) {
    const colon = pair.indexOf(':');
    if (colon < 1) throw badParameter('tag', 'a pair like key:value');
    tags.set(pair.slice(0, colon), pair.slice(colon + 1));
  }
  const value = (name: string): string | undefined => firstParameter(parameters, [name])?.value;
  const service = value('service');
  const operation = value('operation');
  const start = value('start');
  const end = value('end');
  const lookback = value('lookback');
  let startMinUs = start === undefined ? undefined : parseCount('start', start);
  const startMaxUs = end === undefined ? undefined : parseCount('end', end);
  if (startMinUs === undefined && lookback !== undefined && lookback !== 'custom') {
    const endUs = startMaxUs ?? nowMs * 1000;
    startMinUs = Math.max(0, Math.floor(endUs - parseLookbackUs(lookback)));
  }
  return {
    ...(service !== undefined && { service }),
    // Both user interfaces send `all` for no operation in particular.
    ...(operation !== undefined && operation !== 'all' && { operation }),
    ...(startMinUs !== undefined && { startMinUs }),
    ...(startMaxUs !== undefined && { startMaxUs }),
    ...durationRange(
      firstParameter(parameters, ['minDuration']),
      firstParameter(parameters, ['maxDuration']),
    ),
    tags,
    limit: parseLimit('limit', value('limit')),
  };
}

/** Go's durations, and days and weeks, which Jaeger's own page sends. */
function parseLookbackUs(lookback: string): number {
  const days = /^(\d{1,5})([dw])$/.exec(lookback);
  if (days !== null) return Number(days[1]) * (days[2] === 'w' ? 7 : 1) * DAY_MS * 1000;
  return parseDurationUs('lookback', lookback);
}

function search(store: TraceStore, parameters: URLSearchParams, nowMs: number): JaegerAnswer {
  const ids = parameters.getAll('traceID');
  if (ids.length > 0) {
    const traces = ids
      .map((id) => store.trace(parseTraceId('traceID', id)))
      .filter((trace) => trace !== undefined);
    return answer(traces.map(toJaegerTrace));
  }
  const query = parseSearch(parameters, nowMs);
  const { traces, scanned, scanLimitReached } = store.search(query);
  return answer(traces.map(toJaegerTrace), { limit: query.limit, scanned, scanLimitReached });
}

function traceById(store: TraceStore, id: string): JaegerAnswer {
  const trace = store.trace(parseTraceId('traceID', id));
  if (trace === undefined) throw new VitrineError('not_found', 'trace not found');
  return answer([toJaegerTrace(trace)]);
}

function operations(store: TraceStore, parameters: URLSearchParams): JaegerAnswer {
  const service = parameters.get('service');
  if (service === null || service === '') throw badParameter('service', 'the name of a service');
  const kind = parseKind('spanKind', parameters.get('spanKind') ?? '');
  const found = store.operations(service, kind);
  return answer(found.map((operation) => ({ name: operation.name, spanKind: kindName(operation.kind) })));
}

function kindName(kind: number): string {
  return kind === 0 ? '' : (SPAN_KINDS[kind] ?? '');
}

function dependencies(store: TraceStore, parameters: URLSearchParams, nowMs: number): JaegerAnswer {
  const endMs = parseCount('endTs', parameters.get('endTs') || String(nowMs));
  const lookbackMs = parseCount('lookback', parameters.get('lookback') || String(DAY_MS));
  const { links, scanLimitReached } = store.dependencies(
    Math.max(0, endMs - lookbackMs) * 1000,
    endMs * 1000,
  );
  return answer(links, { scanLimitReached });
}

/**
 * Answers a path below /api/ (without it). Throws a VitrineError for a bad parameter (400), an unknown trace
 * or path (404), and what the store throws.
 */
export function answerV1(
  store: TraceStore,
  path: readonly string[],
  parameters: URLSearchParams,
  nowMs: number,
): JaegerAnswer {
  const [first, second, third] = path;
  switch (first) {
    case 'services':
      if (path.length === 1) return answer(store.services());
      if (path.length === 3 && third === 'operations' && second !== undefined) {
        return answer([...new Set(store.operations(second).map(({ name }) => name))]);
      }
      break;
    case 'operations':
      if (path.length === 1) return operations(store, parameters);
      break;
    case 'traces':
      if (path.length === 1) return search(store, parameters, nowMs);
      if (path.length === 2 && second !== undefined) return traceById(store, second);
      break;
    case 'dependencies':
      if (path.length === 1) return dependencies(store, parameters, nowMs);
      break;
    case 'metrics':
      return {
        status: 501,
        json: {
          data: null,
          errors: [{ code: 501, msg: 'metrics are not served here; see the console and /metrics' }],
        },
      };
  }
  throw new VitrineError('not_found', 'no such path in the query API');
}
