/**
 * One HTTP receiver: posts a body and tells what came of it. The address comes from the configuration alone and
 * holds secrets, so only its origin is ever shown. No redirect is followed: a message must not go where nobody
 * configured it to go.
 */
import { Agent } from 'undici';
import { RETRY_AFTER } from '../contract/headers.ts';

const ANSWER_LIMIT_BYTES = 64 * 1024;
const ANSWER_SHOWN_CHARS = 300;
/** A receiver may ask for a pause, but not for so long that nobody hears of alerts any more. */
const RETRY_AFTER_LIMIT_MS = 3_600_000;

export type Outcome =
  /** 2xx. */
  | { readonly kind: 'delivered'; readonly status: number; readonly answer: string }
  /** Another moment may do: no answer, overload, a fault of the receiver. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs: number | undefined }
  /** It refuses this message, or sends elsewhere: somebody has to put it right. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

export interface Receiver extends AsyncDisposable {
  /** Scheme, host and port: what may be shown. */
  readonly origin: string;
  /** Never throws. */
  post(body: string | Buffer): Promise<Outcome>;
}

/** `Retry-After` in seconds or as a date. @returns milliseconds from now, undefined when there is none */
function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (Array.isArray(header) ? header[0] : header)?.trim() ?? '';
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), RETRY_AFTER_LIMIT_MS);
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return /^[A-Z_]{1,50}$/.test(code) ? code : 'connection failed';
}

/**
 * @param url as configured
 * @param timeoutMs for the whole exchange
 * @param nowMs Unix time, against which a date in `Retry-After` is read
 */
export function createReceiver(
  url: string,
  { timeoutMs, nowMs }: { readonly timeoutMs: number; readonly nowMs: () => number },
): Receiver {
  const { origin, pathname, search } = new URL(url);
  const agent = new Agent({ connections: 2, maxResponseSize: ANSWER_LIMIT_BYTES });
  return {
    origin,
    async post(body) {
      const deadline = AbortSignal.timeout(timeoutMs);
      try {
        const answer = await agent.request({
          origin,
          path: pathname + search,
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'vitrine' },
          body,
          signal: deadline,
        });
        const status = answer.statusCode;
        const text = (await answer.body.text()).slice(0, ANSWER_SHOWN_CHARS);
        if (status < 300) return { kind: 'delivered', status, answer: text };
        if (status < 400) return { kind: 'refused', status, reason: `redirect refused (${status})` };
        if (status >= 500 || [408, 425, 429].includes(status)) {
          const pauseMs = retryAfterMs(answer.headers[RETRY_AFTER], nowMs());
          return { kind: 'unavailable', reason: `status ${status}`, retryAfterMs: pauseMs };
        }
        return { kind: 'refused', status, reason: `status ${status}` };
      } catch (error) {
        const reason = deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : codeOf(error);
        return { kind: 'unavailable', reason, retryAfterMs: undefined };
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}
