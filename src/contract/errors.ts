/**
 * Errors classify themselves: a stable code, the HTTP status that answers them, and whether the same query
 * may succeed when it is sent again. One middleware translates them to the Open Inference Protocol's
 * `{"error": message}`. A message names the field and the fix, and never carries a payload.
 */
export const ERROR_STATUS = {
  invalid_json: 400,
  invalid_request: 400,
  invalid_tensor: 400,
  invalid_binary: 400,
  unknown_input: 400,
  unknown_output: 400,
  too_many_rows: 400,
  invalid_timeout: 400,
  forbidden: 403,
  host_not_allowed: 403,
  not_found: 404,
  unknown_model: 404,
  unknown_version: 404,
  method_not_allowed: 405,
  needs_binary: 406,
  payload_too_large: 413,
  unsupported_media_type: 415,
  host_misdirected: 421,
  quarantined: 422,
  too_many_requests: 429,
  cancelled: 499,
  internal: 500,
  model_failed: 500,
  bad_worker_answer: 502,
  worker_lost: 502,
  model_not_ready: 503,
  no_worker: 503,
  queue_full: 503,
  overloaded: 503,
  draining: 503,
  deadline_exceeded: 504,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_STATUS, value);
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'too_many_requests',
  'worker_lost',
  'model_not_ready',
  'no_worker',
  'queue_full',
  'overloaded',
  'draining',
]);

export interface VitrineErrorOptions {
  readonly cause?: unknown;
  /** The field at fault, as a path: `inputs[0].shape[1]`, `inference-header-content-length`. */
  readonly field?: string;
  /** Seconds after which a retry has a chance; sent as `Retry-After`, rounded up. */
  readonly retryAfterS?: number;
}

export class VitrineError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  readonly field: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options: VitrineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'VitrineError';
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.retryable = RETRYABLE.has(code);
    this.field = options.field;
    this.retryAfterS = options.retryAfterS;
  }
}

/** Any thrown value as a VitrineError; what is not one of ours becomes `internal`, its text kept out of the answer. */
export function asVitrineError(error: unknown): VitrineError {
  if (error instanceof VitrineError) return error;
  return new VitrineError('internal', 'internal error; the log has the details', { cause: error });
}
