/** Headers of a query: what the gateway checks of the caller's, and what it sends on, both ways. */
import type { IncomingHttpHeaders } from 'node:http';
import { isErrorCode, VitrineError } from '../contract/errors.ts';
import {
  DEADLINE_MS,
  ERROR_CODE,
  INFERENCE_HEADER_CONTENT_LENGTH,
  REQUEST_ID,
  REQUEST_PRIORITY,
  REQUEST_TIMEOUT_MS,
  RETRY_AFTER,
} from '../contract/headers.ts';
import type { GatewayAttempt } from '../telemetry/gateway_attempt.ts';
import type { AnswerHeaders } from './attempt.ts';

const JSON_TYPE = 'application/json';
const BINARY_TYPE = 'application/octet-stream';

function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/**
 * Only types that no page can send without asking first are taken; a form or plain text is refused.
 * @throws VitrineError `unsupported_media_type`
 */
export function checkContent(headers: IncomingHttpHeaders): void {
  const type = headers['content-type'];
  if (type !== JSON_TYPE && type !== BINARY_TYPE) {
    const media = type === undefined ? '' : mediaType(type);
    if (media !== JSON_TYPE && media !== BINARY_TYPE) {
      throw new VitrineError(
        'unsupported_media_type',
        `content-type must be ${JSON_TYPE}, or ${BINARY_TYPE} with ${INFERENCE_HEADER_CONTENT_LENGTH}`,
        { field: 'content-type' },
      );
    }
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new VitrineError(
      'unsupported_media_type',
      'content-encoding is not supported; send the body as it is',
      {
        field: 'content-encoding',
      },
    );
  }
}

/** The announced length in bytes; undefined for a chunked body. Node has checked that it is a number. */
export function announcedBytes(headers: IncomingHttpHeaders): number | undefined {
  const length = headers['content-length'];
  if (length !== undefined) return Number(length);
  return headers['transfer-encoding'] === undefined ? 0 : undefined;
}

/** Headers of the call to the worker, flat. Nothing else of the caller's goes on. */
export function workerHeaders(
  headers: IncomingHttpHeaders,
  leftMs: number,
  common: readonly string[],
  attempt: GatewayAttempt | undefined,
): string[] {
  const sent = [
    'content-type',
    headers['content-type'] ?? JSON_TYPE,
    DEADLINE_MS,
    String(Math.max(1, Math.floor(leftMs))),
    ...common,
  ];
  const jsonLength = headers[INFERENCE_HEADER_CONTENT_LENGTH];
  if (typeof jsonLength === 'string') sent.push(INFERENCE_HEADER_CONTENT_LENGTH, jsonLength);
  const priority = headers[REQUEST_PRIORITY];
  if (typeof priority === 'string') sent.push(REQUEST_PRIORITY, priority);
  const requestId = headers[REQUEST_ID];
  if (typeof requestId === 'string') sent.push(REQUEST_ID, requestId);
  attempt?.addHeaders(sent);
  return sent;
}

const PASSED_ON = ['content-type', INFERENCE_HEADER_CONTENT_LENGTH, RETRY_AFTER] as const;

/** What of the worker's headers the client sees, flat. */
export function answerHeaders(headers: AnswerHeaders, lengthBytes: number): string[] {
  const sent = ['content-length', String(lengthBytes)];
  for (const name of PASSED_ON) {
    const value = headers[name];
    if (typeof value === 'string') sent.push(name, value);
  }
  return sent;
}

/** The worker's own error as its answer names it, for the record; undefined when it names none. */
export function workerRefusal(headers: AnswerHeaders): VitrineError | undefined {
  const code = headers[ERROR_CODE];
  return isErrorCode(code) ? new VitrineError(code, 'the worker refused the query') : undefined;
}

/** Request headers that pages of allowed origins may send. */
export const CORS_REQUEST_HEADERS = [
  'content-type',
  INFERENCE_HEADER_CONTENT_LENGTH,
  REQUEST_TIMEOUT_MS,
  REQUEST_PRIORITY,
  REQUEST_ID,
  'x-trace-id',
  'traceparent',
  'tracestate',
] as const;
