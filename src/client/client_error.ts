/** What every call of the client throws when it cannot give an answer. */
import { ERROR_STATUS, type ErrorCode } from '../contract/errors.ts';

/**
 * The service's own codes, and those of a client that got no answer or none that it can read:
 * - `connection_refused`: nothing listens at the address (or its name is unknown: `unknown_host`)
 * - `connection_lost`: the connection ended before the answer was whole
 * - `timeout`: the client gave up waiting; `cancelled`: its caller did
 * - `answer_too_large`, `bad_answer`: the answer is beyond the limit, or is not what the protocol says
 */
export type ClientErrorCode =
  | ErrorCode
  | 'connection_refused'
  | 'unknown_host'
  | 'connection_lost'
  | 'timeout'
  | 'answer_too_large'
  | 'bad_answer';

export interface ClientErrorOptions {
  /** The HTTP status of the answer; 0 when none came. */
  readonly status?: number;
  readonly retryable?: boolean;
  readonly retryAfterS?: number | undefined;
  readonly traceId?: string | undefined;
  readonly cause?: unknown;
}

/**
 * One failure of one call. The client never sends a query twice by itself: `retryable` says whether sending
 * the same one again has a chance, and `retryAfterS` after how many seconds, where the service told.
 */
export class ClientError extends Error {
  /** Undefined when the answer's status does not tell which of the service's codes it was. */
  readonly code: ClientErrorCode | undefined;
  /** The HTTP status of the answer; 0 when none came. */
  readonly status: number;
  readonly retryable: boolean;
  readonly retryAfterS: number | undefined;
  /** The trace that shows what happened; undefined when the query never reached the service. */
  readonly traceId: string | undefined;

  constructor(code: ClientErrorCode | undefined, message: string, options: ClientErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClientError';
    this.code = code;
    this.status = options.status ?? 0;
    this.retryable = options.retryable ?? false;
    this.retryAfterS = options.retryAfterS;
    this.traceId = options.traceId;
  }
}

/** The one code of the service that a status can mean; undefined when several share it. */
export function codeOfStatus(status: number): ErrorCode | undefined {
  const codes = (Object.keys(ERROR_STATUS) as ErrorCode[]).filter((code) => ERROR_STATUS[code] === status);
  return codes.length === 1 ? codes[0] : undefined;
}

/** Statuses of overload and of a worker that went away: the same query may succeed elsewhere or later. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([429, 502, 503]);

export function isRetryableStatus(status: number): boolean {
  return RETRYABLE_STATUSES.has(status);
}

/** Seconds in a `Retry-After` header, which gives a number of them or a date; undefined when unreadable. */
export function readRetryAfterS(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? undefined : Math.max(0, Math.ceil((atMs - nowMs) / 1000));
}
