/** Writes answers. What is private stays private: an error's message names fields, never payloads. */
import type { ServerResponse } from 'node:http';
import { asVitrineError, type VitrineError } from '../contract/errors.ts';
import { ERROR_CODE, INFERENCE_HEADER_CONTENT_LENGTH, RETRY_AFTER } from '../contract/headers.ts';
import { errorBody } from '../contract/oip_error.ts';
import { CONTENT_TYPE_JSON } from '../contract/wire_body.ts';
import type { WireMessage } from '../contract/wire_write.ts';

/** Name, value, name, value ... as writeHead takes them. */
type RawHeaders = (string | number)[];

/** Writes status, headers and body in one go; nothing when the caller has gone. */
export function answer(
  response: ServerResponse,
  status: number,
  headers: RawHeaders,
  body: Buffer | string,
): void {
  if (response.headersSent || response.destroyed) return;
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  headers.push('content-length', length);
  response.writeHead(status, headers as string[]);
  response.end(body);
}

export function answerJson(response: ServerResponse, value: unknown, status = 200): void {
  answer(response, status, ['content-type', CONTENT_TYPE_JSON], JSON.stringify(value));
}

/** Headers of an inference answer. */
export function messageHeaders(message: WireMessage): RawHeaders {
  const headers: RawHeaders = ['content-type', message.contentType];
  if (message.inferenceHeaderContentLength !== undefined) {
    headers.push(INFERENCE_HEADER_CONTENT_LENGTH, message.inferenceHeaderContentLength);
  }
  return headers;
}

/** `{"error": message}` with the status of the error, and `Retry-After` where it makes sense. */
export function errorAnswer(thrown: unknown): { error: VitrineError; headers: RawHeaders; body: string } {
  const error = asVitrineError(thrown);
  const headers: RawHeaders = ['content-type', CONTENT_TYPE_JSON, ERROR_CODE, error.code];
  if (error.retryAfterS !== undefined) headers.push(RETRY_AFTER, Math.ceil(error.retryAfterS));
  return { error, headers, body: JSON.stringify(errorBody(error)) };
}
