/** How long a query may take at this worker, as its headers tell: the smallest wins. */
import type { IncomingHttpHeaders } from 'node:http';
import { VitrineError } from '../contract/errors.ts';
import { DEADLINE_MS, REQUEST_PRIORITY, REQUEST_TIMEOUT_MS } from '../contract/headers.ts';

const DECIMAL = /^\d{1,10}(\.\d{1,6})?$/;
const WHOLE = /^\d{1,10}$/;

/**
 * Milliseconds from the query's arrival that its headers allow: what the gateway says is left, and the
 * caller's own; Infinity when neither is there.
 * @throws VitrineError `invalid_timeout`
 */
export function headerTimeoutMs(headers: IncomingHttpHeaders): number {
  let timeoutMs = Number.POSITIVE_INFINITY;
  const left = headers[DEADLINE_MS];
  if (left !== undefined) {
    if (typeof left !== 'string' || !DECIMAL.test(left)) {
      throw new VitrineError('invalid_timeout', `${DEADLINE_MS} must be milliseconds from 0`, {
        field: DEADLINE_MS,
      });
    }
    timeoutMs = Number(left);
  }
  const asked = headers[REQUEST_TIMEOUT_MS];
  if (asked !== undefined) {
    const askedMs = typeof asked === 'string' && WHOLE.test(asked) ? Number(asked) : 0;
    if (askedMs < 1) {
      throw new VitrineError(
        'invalid_timeout',
        `${REQUEST_TIMEOUT_MS} must be a whole number of milliseconds from 1`,
        { field: REQUEST_TIMEOUT_MS },
      );
    }
    timeoutMs = Math.min(timeoutMs, askedMs);
  }
  return timeoutMs;
}

/**
 * The priority that the header asks for; undefined without one.
 * @throws VitrineError `invalid_request`
 */
export function headerPriority(headers: IncomingHttpHeaders, maxPriority: number): number | undefined {
  const asked = headers[REQUEST_PRIORITY];
  if (asked === undefined) return undefined;
  if (typeof asked === 'string' && WHOLE.test(asked) && Number(asked) <= maxPriority) return Number(asked);
  throw new VitrineError(
    'invalid_request',
    `${REQUEST_PRIORITY} must be a whole number from 0 (the default) or 1 (the highest) to ${maxPriority}`,
    { field: REQUEST_PRIORITY },
  );
}
