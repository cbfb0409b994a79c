/**
 * `POST /vitrine/keep`, gateway to worker in mode `retroactive`: the attempts that turned out to be worth
 * keeping, by the span ids under which the worker holds its part of them. A JSON array of strings.
 */
export const KEEP_PATH = '/vitrine/keep';

/** Span ids in one body at most; the rest goes in the next. */
export const KEEP_LIMIT = 4096;
/** Bytes of a body at most: quotes, comma and some white space around each id. */
export const KEEP_LIMIT_BYTES = KEEP_LIMIT * 24;

const SPAN_ID = /^[0-9a-f]{16}$/;

/** @param spanIds at most KEEP_LIMIT */
export function writeKeepVerdicts(spanIds: readonly string[]): string {
  return JSON.stringify(spanIds);
}

/** The span ids of a body; undefined when it is no such array. Never throws. */
export function parseKeepVerdicts(body: Buffer): string[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (!Array.isArray(value) || value.length > KEEP_LIMIT) return undefined;
    return value.every((item): item is string => typeof item === 'string' && SPAN_ID.test(item))
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}
