/** Header names that cross a process or the network, in lower case as Node gives them. */

/** Open Inference Protocol binary tensors: length in bytes of the JSON part. */
export const INFERENCE_HEADER_CONTENT_LENGTH = 'inference-header-content-length';
/** The caller's deadline for a query, in milliseconds from its arrival. */
export const REQUEST_TIMEOUT_MS = 'x-request-timeout-ms';
/** 0 = default, 1 = highest, as `parameters.priority`. */
export const REQUEST_PRIORITY = 'x-request-priority';
export const REQUEST_ID = 'x-request-id';
export const TRACE_ID = 'x-trace-id';
export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';
export const BAGGAGE = 'baggage';
export const SERVER_TIMING = 'server-timing';
export const RETRY_AFTER = 'retry-after';

/** Gateway to worker: milliseconds left of the deadline when the request was written. */
export const DEADLINE_MS = 'x-vitrine-deadline-ms';
/** Gateway to worker, mode `retroactive`: hold the record of this attempt until the gateway's verdict. */
export const HOLD = 'x-vitrine-hold';
/** Gateway to worker: the shared secret that opens a worker's port when it listens beyond loopback. */
export const WORKER_SECRET = 'x-vitrine-worker-secret';
/** Worker to gateway: the report of worker stages (see worker_report.ts). */
export const WORKER_REPORT = 'x-vitrine-report';
/** Worker to gateway: the code of an answer that is an error (see errors.ts). */
export const ERROR_CODE = 'x-vitrine-error';
/** A state-changing route of the console or the repository asks for this header, which no plain form can send. */
export const CSRF = 'x-vitrine-request';
