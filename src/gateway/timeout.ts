/** The caller's deadline in its header form. */
import { VitrineError } from '../contract/errors.ts';
import { REQUEST_TIMEOUT_MS } from '../contract/headers.ts';

/**
 * @param value the header `x-request-timeout-ms`
 * @param maxTimeoutMs the longest deadline that a caller may ask for
 * @returns milliseconds, or undefined when the caller named none
 * @throws VitrineError `invalid_timeout`
 */
export function callerTimeoutMs(
  value: string | readonly string[] | undefined,
  maxTimeoutMs: number,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^\d{1,10}$/.test(value)) {
    const timeoutMs = Number(value);
    if (timeoutMs >= 1 && timeoutMs <= maxTimeoutMs) return timeoutMs;
  }
  throw new VitrineError(
    'invalid_timeout',
    `${REQUEST_TIMEOUT_MS} must be a whole number of milliseconds from 1 to ${maxTimeoutMs}`,
    { field: REQUEST_TIMEOUT_MS },
  );
}
