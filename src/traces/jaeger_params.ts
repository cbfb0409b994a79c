/** Parameters of Jaeger's query API, as its clients write them. Each error names the parameter and what it takes. */
import { VitrineError } from '../contract/errors.ts';
import { SPAN_KINDS } from './span.ts';

/** Traces of one search when the caller does not say, and at most. */
const DEFAULT_LIMIT = 100;
const LIMIT_MAX = 1_500;

export function badParameter(name: string, expected: string): VitrineError {
  return new VitrineError('invalid_request', `malformed parameter ${name}: must be ${expected}`, {
    field: name,
  });
}

/** Nanoseconds by Go's unit names. */
const DURATION_UNITS_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const DURATION =
  /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/;
const DURATION_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const DURATION_LIMIT_CHARS = 64;

/** A duration as Go's time.ParseDuration reads it (`100ms`, `1.5s`, `1m30s`), in microseconds with fractions. */
export function parseDurationUs(name: string, text: string): number {
  if (text === '0') return 0;
  if (text.length > DURATION_LIMIT_CHARS || !DURATION.test(text)) {
    throw badParameter(name, 'a duration like 100ms, 1.5s or 1m30s');
  }
  let ns = 0;
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) {
    ns += Number(amount) * (DURATION_UNITS_NS[unit ?? ''] ?? 0);
  }
  return (text.startsWith('-') ? -ns : ns) / 1e3;
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})$/;

/** An RFC 3339 time with up to nanoseconds, in whole microseconds since 1970, rounded down. */
export function parseTimeUs(name: string, text: string): number {
  const match = RFC3339.exec(text);
  const milliseconds =
    match === null ? Number.NaN : Date.parse(`${text.slice(0, 19)}${match[8]}`.toUpperCase());
  if (match === null || Number.isNaN(milliseconds)) {
    throw badParameter(name, 'an RFC 3339 time like 2026-01-31T12:00:00.5Z');
  }
  return milliseconds * 1000 + Math.floor(Number((match[7] ?? '').padEnd(9, '0')) / 1000);
}

/** A whole number of at least 0 that JavaScript holds exactly. */
export function parseCount(name: string, text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw badParameter(name, 'a whole number');
  return value;
}

export function parseLimit(name: string, text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = parseCount(name, text);
  return limit === 0 ? DEFAULT_LIMIT : Math.min(limit, LIMIT_MAX);
}

const TAGS_LIMIT = 32;

/** A JSON map of attribute keys to text; numbers and booleans are taken as the text that JSON writes for them. */
export function parseTags(name: string, json: string, into: Map<string, string>): void {
  let map: unknown;
  try {
    map = JSON.parse(json);
  } catch {
    map = undefined;
  }
  const expected = 'a JSON object of attribute names and strings, like {"http.response.status_code":"200"}';
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw badParameter(name, expected);
  for (const [key, value] of Object.entries(map)) {
    if (typeof value === 'string') into.set(key, value);
    else if (typeof value === 'number' || typeof value === 'boolean') into.set(key, String(value));
    else throw badParameter(name, expected);
  }
  if (into.size > TAGS_LIMIT) throw badParameter(name, `an object of at most ${TAGS_LIMIT} members`);
}

/** A span kind by Jaeger's name for it; undefined for an empty one. */
export function parseKind(name: string, text: string): number | undefined {
  if (text === '') return undefined;
  const kind = SPAN_KINDS.indexOf(text.toLowerCase());
  if (kind < 0) throw badParameter(name, `one of ${SPAN_KINDS.slice(1).join(', ')}`);
  return kind;
}

/** A trace id of 1 to 32 hex digits as the 32 that the store knows; ids of 64 bits are padded on the left. */
export function parseTraceId(name: string, text: string): string {
  if (!/^[0-9a-fA-F]{1,32}$/.test(text) || /^0+$/.test(text))
    throw badParameter(name, '1 to 32 hex digits, not all 0');
  return text.toLowerCase().padStart(32, '0');
}

/** The first non-empty value among a parameter and its other names, with the name that carried it. */
export function firstParameter(
  parameters: URLSearchParams,
  names: readonly string[],
): { readonly name: string; readonly value: string } | undefined {
  for (const name of names) {
    const value = parameters.get(name);
    if (value !== null && value !== '') return { name, value };
  }
  return undefined;
}

/** Bounds of a search's durations; whole microseconds, as spans are compared. */
export function durationRange(
  least: { readonly name: string; readonly value: string } | undefined,
  most: { readonly name: string; readonly value: string } | undefined,
): { minDurationUs?: number; maxDurationUs?: number } {
  const range: { minDurationUs?: number; maxDurationUs?: number } = {};
  if (least !== undefined) range.minDurationUs = Math.ceil(parseDurationUs(least.name, least.value));
  if (most !== undefined) range.maxDurationUs = Math.floor(parseDurationUs(most.name, most.value));
  const { minDurationUs, maxDurationUs } = range;
  if (minDurationUs !== undefined && maxDurationUs !== undefined && maxDurationUs < minDurationUs) {
    throw badParameter(most?.name ?? 'maxDuration', 'no shorter than the least duration');
  }
  return range;
}
