/**
 * One OTLP/HTTP request at a time over one kept connection, with the specification's retries
 * (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response): 429, 502, 503, 504 and connection errors are
 * retried with exponential backoff and jitter, everything else is final.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { ExporterTarget } from './export_protocol.ts';

export type ExportResult =
  | { readonly kind: 'accepted'; readonly rejectedSpans: number }
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'gave_up' };

export interface OtlpSender {
  /**
   * @param body is not read any more once this settles
   * @param onFailure is called for each request that failed, retried or not
   */
  send(body: Buffer, onFailure: (reason: string) => void): Promise<ExportResult>;
}

const RETRYABLE = new Set([429, 502, 503, 504]);
const ATTEMPTS = 5;
const FIRST_BACKOFF_MS = 250;
const BACKOFF_LIMIT_MS = 5_000;
const ANSWER_LIMIT_BYTES = 64 * 1024;

interface Answer {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly body: Buffer;
}

/** rejected_spans of an ExportTraceServiceResponse: message field 1 (partial_success), varint field 1. */
function rejectedSpansOf(body: Buffer): number {
  if (body.length < 2 || body[0] !== 0x0a) return 0;
  if (body[2] !== 0x08) return 0;
  let value = 0;
  let scale = 1;
  for (let index = 3; index < body.length && index < 12; index += 1) {
    const byte = body[index] as number;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return value;
  }
  return 0;
}

/** @param stopping true when the process drains: one try, no waiting */
export function createOtlpSender(
  target: ExporterTarget,
  contentType: string,
  stopping: () => boolean,
): OtlpSender {
  const url = new URL(target.url);
  const secure = url.protocol === 'https:';
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1 })
    : new HttpAgent({ keepAlive: true, maxSockets: 1 });

  const post = (body: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const onAnswer = (response: IncomingMessage): void => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= ANSWER_LIMIT_BYTES) chunks.push(chunk);
        });
        response.on('end', () => {
          // Refused before it was read: what is left of the body must not be sent from memory that is used again.
          if (!request.writableFinished) request.destroy();
          const seconds = Number(response.headers['retry-after']);
          resolve({
            status: response.statusCode ?? 0,
            retryAfterMs:
              Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, BACKOFF_LIMIT_MS) : 0,
            body: Buffer.concat(chunks),
          });
        });
        response.on('error', reject);
      };
      const options = {
        agent,
        method: 'POST',
        timeout: target.timeoutMs,
        headers: {
          'content-type': contentType,
          'content-length': body.length,
          'user-agent': 'vitrine-otlp',
          ...(target.gzip ? { 'content-encoding': 'gzip' } : {}),
          ...target.headers,
        },
      };
      const request = secure ? httpsRequest(url, options, onAnswer) : httpRequest(url, options, onAnswer);
      request.on('timeout', () => request.destroy(new Error('timeout')));
      request.on('error', reject);
      request.end(body);
    });

  return {
    async send(plain, onFailure) {
      const body = target.gzip ? gzipSync(plain, { level: 1 }) : plain;
      let backoffMs = FIRST_BACKOFF_MS;
      for (let attempt = 1; ; attempt += 1) {
        let waitMs = backoffMs * (0.5 + Math.random());
        try {
          const answer = await post(body);
          if (answer.status >= 200 && answer.status < 300) {
            return {
              kind: 'accepted',
              rejectedSpans: contentType.includes('json') ? 0 : rejectedSpansOf(answer.body),
            };
          }
          onFailure(`HTTP ${answer.status}`);
          if (!RETRYABLE.has(answer.status)) return { kind: 'refused', status: answer.status };
          waitMs = Math.max(waitMs, answer.retryAfterMs);
        } catch (error) {
          onFailure((error as NodeJS.ErrnoException).code ?? (error as Error).message);
        }
        if (attempt >= ATTEMPTS || stopping()) return { kind: 'gave_up' };
        await sleep(waitMs);
        backoffMs = Math.min(backoffMs * 2, BACKOFF_LIMIT_MS);
      }
    },
  };
}
