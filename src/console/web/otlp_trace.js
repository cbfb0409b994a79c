/** A trace as the query API gives it (OTLP in JSON), as plain spans in milliseconds from the trace's start. */
import { ATTR } from './names.js';

/** @typedef {string | number | boolean | null | readonly unknown[] | {readonly [key: string]: unknown}} Value */
/** @typedef {{name: string, offsetMs: number, attributes: ReadonlyMap<string, Value>}} SpanEvent */
/** @typedef {{traceId: string, spanId: string, attributes: ReadonlyMap<string, Value>}} SpanLink */
/**
 * @typedef {object} Span
 * @property {string} spanId 16 hex digits
 * @property {string} parentSpanId empty for a root; it may name a span that is not in the trace
 * @property {string} name
 * @property {string} kind
 * @property {string} service
 * @property {string} instance
 * @property {string} scope name and version of the instrumentation
 * @property {number} offsetMs from the start of the trace, 0 or more
 * @property {number} durationMs
 * @property {'unset' | 'ok' | 'error'} status
 * @property {string} statusMessage
 * @property {ReadonlyMap<string, Value>} attributes
 * @property {ReadonlyMap<string, Value>} resource
 * @property {readonly SpanEvent[]} events
 * @property {readonly SpanLink[]} links
 * @property {number} dropped attributes, events and links that the sender left out
 */
/**
 * @typedef {object} Trace
 * @property {string} traceId
 * @property {number} startUnixMs
 * @property {number} durationMs
 * @property {readonly Span[]} spans by start; of spans that start together the longest first; never empty
 */
/** @typedef {Record<string, unknown>} Json */

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'];
const NESTING_LIMIT = 8;

/** @param {unknown} value @returns {Json} */
const objectOf = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? /** @type {Json} */ (value) : {};
/** @param {unknown} value @returns {Json[]} */
const objectsOf = (value) => (Array.isArray(value) ? value.map(objectOf) : []);
/** @param {unknown} value */
const textOf = (value) => (typeof value === 'string' ? value : '');
/** @param {unknown} value */
const countOf = (value) => (typeof value === 'number' && value > 0 ? value : 0);

/** Nanoseconds: a decimal string, since they exceed what a number holds. @param {unknown} value */
function nanosOf(value) {
  const text = typeof value === 'number' ? String(value) : textOf(value);
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

/** @param {unknown} any @param {number} depth @returns {Value} */
function readValue(any, depth) {
  const value = objectOf(any);
  if (value.stringValue !== undefined) return textOf(value.stringValue);
  if (value.boolValue !== undefined) return value.boolValue === true;
  if (value.intValue !== undefined) {
    const number = Number(value.intValue);
    return Number.isSafeInteger(number) ? number : String(value.intValue);
  }
  if (value.doubleValue !== undefined) return Number(value.doubleValue);
  if (value.bytesValue !== undefined) return textOf(value.bytesValue);
  if (depth >= NESTING_LIMIT) return null;
  if (value.arrayValue !== undefined) {
    return objectsOf(objectOf(value.arrayValue).values).map((each) => readValue(each, depth + 1));
  }
  if (value.kvlistValue !== undefined) {
    const members = objectsOf(objectOf(value.kvlistValue).values);
    return Object.fromEntries(members.map((each) => [textOf(each.key), readValue(each.value, depth + 1)]));
  }
  return null;
}

/** @param {unknown} list @returns {Map<string, Value>} */
function readAttributes(list) {
  return new Map(objectsOf(list).map(({ key, value }) => [textOf(key), readValue(value, 0)]));
}

/** @param {Map<string, Value>} attributes @param {string} key */
const attributeText = (attributes, key) => String(attributes.get(key) ?? '');

/**
 * Reads the answer of `/api/v3/traces/<id>`. What is malformed is left out; nothing throws.
 * @param {unknown} document
 * @param {string} traceId
 * @returns {Trace | undefined} undefined when there is no span in it
 */
export function readTrace(document, traceId) {
  /** @type {{span: Json, startNs: bigint, endNs: bigint, resource: Map<string, Value>, scope: string}[]} */
  const raw = [];
  for (const resourceSpans of objectsOf(objectOf(objectOf(document).result).resourceSpans)) {
    const resource = readAttributes(objectOf(resourceSpans.resource).attributes);
    for (const scopeSpans of objectsOf(resourceSpans.scopeSpans)) {
      const { name, version } = objectOf(scopeSpans.scope);
      const scope = [textOf(name), textOf(version)].filter((part) => part !== '').join(' ');
      for (const span of objectsOf(scopeSpans.spans)) {
        const startNs = nanosOf(span.startTimeUnixNano);
        const endNs = nanosOf(span.endTimeUnixNano);
        raw.push({ span, startNs, endNs: endNs < startNs ? startNs : endNs, resource, scope });
      }
    }
  }
  const [first] = raw;
  if (first === undefined) return undefined;
  let originNs = first.startNs;
  let lastNs = first.endNs;
  for (const { startNs, endNs } of raw) {
    if (startNs < originNs) originNs = startNs;
    if (endNs > lastNs) lastNs = endNs;
  }
  /** @param {bigint} ns */
  const msFrom = (ns) => Number(ns - originNs) / 1e6;
  const spans = raw.map(({ span, startNs, endNs, resource, scope }) => {
    const { code, message } = objectOf(span.status);
    /** @type {Span} */
    const read = {
      spanId: textOf(span.spanId).toLowerCase(),
      parentSpanId: textOf(span.parentSpanId).toLowerCase(),
      name: textOf(span.name),
      kind: KINDS[Number(span.kind ?? 0)] ?? 'unspecified',
      service: attributeText(resource, ATTR.serviceName),
      instance: attributeText(resource, ATTR.serviceInstanceId),
      scope,
      offsetMs: msFrom(startNs),
      durationMs: Number(endNs - startNs) / 1e6,
      status: code === 2 ? 'error' : code === 1 ? 'ok' : 'unset',
      statusMessage: textOf(message),
      attributes: readAttributes(span.attributes),
      resource,
      events: objectsOf(span.events).map((event) => ({
        name: textOf(event.name),
        offsetMs: msFrom(nanosOf(event.timeUnixNano)),
        attributes: readAttributes(event.attributes),
      })),
      links: objectsOf(span.links).map((link) => ({
        traceId: textOf(link.traceId).toLowerCase(),
        spanId: textOf(link.spanId).toLowerCase(),
        attributes: readAttributes(link.attributes),
      })),
      dropped:
        countOf(span.droppedAttributesCount) +
        countOf(span.droppedEventsCount) +
        countOf(span.droppedLinksCount),
    };
    return read;
  });
  spans.sort((a, b) => a.offsetMs - b.offsetMs || b.durationMs - a.durationMs);
  return { traceId, startUnixMs: Number(originNs) / 1e6, durationMs: msFrom(lastNs), spans };
}
