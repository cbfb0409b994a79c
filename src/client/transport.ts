/** One HTTP exchange with a deadline, a bounded answer, and errors that say what to do. */
import type { IncomingHttpHeaders } from 'node:http';
import { Agent } from 'undici';
import { RETRY_AFTER, TRACE_ID } from '../contract/headers.ts';
import { readErrorBody } from '../contract/oip_error.ts';
import { ClientError, codeOfStatus, isRetryableStatus, readRetryAfterS } from './client_error.ts';

interface Exchange {
  readonly origin: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Milliseconds until the client gives up; the answer must be whole by then. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What to start or set when nothing listens at `origin`. */
  readonly whenRefused: string;
}

/** A whole answer, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Transport extends AsyncDisposable {
  /** @throws ClientError when no whole answer came; an answer of 400 and more is an answer */
  exchange(exchange: Exchange): Promise<Answer>;
}

export interface TransportOptions {
  /** Connections per origin; a call beyond them waits for one, within its timeout. */
  readonly connections: number;
  readonly answerLimitBytes: number;
}

export function createTransport({ connections, answerLimitBytes }: TransportOptions): Transport {
  // The deadline below covers connecting, headers and body, so undici's own timers are off.
  const agent = new Agent({
    connections,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxResponseSize: answerLimitBytes,
  });
  return {
    async exchange({ origin, method, path, headers, body, timeoutMs, signal, whenRefused }) {
      const stop = new AbortController();
      const deadline = setTimeout(() => stop.abort('deadline'), timeoutMs);
      const cancel = () => stop.abort('caller');
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) cancel();
      try {
        const answer = await agent.request({
          origin,
          method,
          path,
          headers: headers ?? {},
          body: body ?? null,
          signal: stop.signal,
        });
        return {
          status: answer.statusCode,
          headers: answer.headers,
          body: Buffer.from(await answer.body.arrayBuffer()),
        };
      } catch (error) {
        if (stop.signal.aborted) {
          throw stop.signal.reason === 'caller'
            ? new ClientError('cancelled', 'the call was cancelled', { cause: signal?.reason })
            : new ClientError('timeout', `no whole answer from ${origin} within ${timeoutMs} ms`);
        }
        throw explain(error, origin, answerLimitBytes, whenRefused);
      } finally {
        clearTimeout(deadline);
        signal?.removeEventListener('abort', cancel);
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}

function explain(error: unknown, origin: string, limitBytes: number, whenRefused: string): ClientError {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const options = { cause: error, retryable: true };
  switch (code) {
    case 'ECONNREFUSED':
      return new ClientError('connection_refused', `nothing listens at ${origin}; ${whenRefused}`, options);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ClientError('unknown_host', `the host of ${origin} is not known here; ${whenRefused}`, {
        cause: error,
      });
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return new ClientError(
        'answer_too_large',
        `the answer from ${origin} is larger than the client's limit of ${limitBytes} bytes; raise answerLimitBytes or ask for less`,
        { cause: error },
      );
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return new ClientError('cancelled', 'the client is closed', { cause: error });
    default:
      return new ClientError(
        'connection_lost',
        `the connection to ${origin} ended before a whole answer came${code === '' ? '' : ` (${code})`}`,
        options,
      );
  }
}

/** The first value of a header, whether or not it came doubled. */
export function headerOf(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The error that an answer of 400 and more stands for. */
export function errorOfAnswer(answer: Answer, origin: string): ClientError {
  const { status } = answer;
  const message =
    readErrorBody(answer.body) ?? `${origin} answered ${status} without a message that the protocol knows`;
  return new ClientError(codeOfStatus(status), message, {
    status,
    retryable: isRetryableStatus(status),
    retryAfterS: readRetryAfterS(headerOf(answer, RETRY_AFTER), Date.now()),
    traceId: headerOf(answer, TRACE_ID),
  });
}

/** The JSON of a successful answer. @throws ClientError as errorOfAnswer for 400 and more, `bad_answer` */
export function jsonOfAnswer(answer: Answer, origin: string): unknown {
  if (answer.status >= 400) throw errorOfAnswer(answer, origin);
  try {
    return JSON.parse(answer.body.toString('utf8'));
  } catch (cause) {
    throw new ClientError('bad_answer', `${origin} answered ${answer.status} with a body that is not JSON`, {
      status: answer.status,
      cause,
    });
  }
}
