/** Answers to clients, written in one go. */
import type { ServerResponse } from 'node:http';
import type { VitrineError } from '../contract/errors.ts';
import { RETRY_AFTER } from '../contract/headers.ts';
import { errorBody } from '../contract/oip_error.ts';

/** Answers up to here are written as one string with their headers. */
const ONE_WRITE_LIMIT_BYTES = 8192;

/** Headers, flat, and the protocol's body of an error. */
export function errorAnswer(error: VitrineError): { headers: string[]; body: string } {
  const body = JSON.stringify(errorBody(error));
  const headers = ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))];
  if (error.retryAfterS !== undefined) headers.push(RETRY_AFTER, String(Math.ceil(error.retryAfterS)));
  return { headers, body };
}

/** @param headers flat, the length among them */
export function writeAnswer(
  response: ServerResponse,
  status: number,
  headers: string[],
  body: Buffer | string,
): void {
  response.writeHead(status, headers);
  // Node writes a string together with the headers, a buffer after them: for a small answer one write is
  // cheaper than two. As latin1 every byte stays what it is.
  if (typeof body === 'string' || body.length > ONE_WRITE_LIMIT_BYTES) response.end(body);
  else response.end(body.toString('latin1'), 'latin1');
}
