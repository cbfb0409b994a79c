/** Finds one trace through Jaeger's query API. */
import { setTimeout as pause } from 'node:timers/promises';
import { ClientError } from './client_error.ts';
import { assembleTrace, type Trace } from './trace.ts';
import { readTraceV1 } from './trace_v1.ts';
import { readTraceV3 } from './trace_v3.ts';
import { type Answer, errorOfAnswer, headerOf, jsonOfAnswer, type Transport } from './transport.ts';

export interface TraceOptions {
  /**
   * Which of Jaeger's interfaces to ask. `v3` unless told, which every current Jaeger and the console answer;
   * `v1` for older ones.
   */
  readonly api?: 'v3' | 'v1';
  /**
   * Spans travel behind their query's answer, each process's on its own. For so many milliseconds the client
   * asks again while the trace is not there, or `until` says no; 0 unless told. It then gives what is there.
   */
  readonly waitMs?: number;
  /** Whether the trace has all that the caller wants to see; true for any trace unless told. */
  readonly until?: (trace: Trace) => boolean;
  /** Of each question, in milliseconds. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
}

/** Between two questions; Vitrine's exporters flush a few times a second. */
const RETRY_PAUSE_MS = 100;

/**
 * @param id 32 hex digits, or a UUID; 16 digits are read as the lower half, as Jaeger does
 * @throws ClientError `invalid_request` for an id that is none, `not_found`
 */
export async function fetchTrace(
  transport: Transport,
  id: string,
  address: { readonly origin: string; readonly prefix: string },
  options: TraceOptions & { readonly timeoutMs: number },
): Promise<Trace> {
  const traceId = readTraceId(id);
  const { api = 'v3', waitMs = 0, until = () => true, signal } = options;
  const giveUpAtMs = performance.now() + waitMs;
  for (;;) {
    const answer = await transport.exchange({
      origin: address.origin,
      method: 'GET',
      path: `${address.prefix}${api === 'v3' ? '/api/v3/traces/' : '/api/traces/'}${traceId}`,
      headers: {
        accept: 'application/json',
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      },
      timeoutMs: options.timeoutMs,
      signal,
      whenRefused: 'start the console (it is part of `npm start`), or give the address of your Jaeger',
    });
    const trace = readAnswer(answer, api, traceId, address.origin);
    if (trace !== undefined && until(trace)) return trace;
    if (performance.now() >= giveUpAtMs) {
      if (trace !== undefined) return trace;
      throw new ClientError(
        'not_found',
        `${address.origin} has no trace ${traceId}; it may not have been kept, or not have arrived yet`,
        { status: 404, traceId },
      );
    }
    await pauseUnless(signal);
  }
}

/** The trace, or undefined when there is none by that id. */
function readAnswer(answer: Answer, api: 'v3' | 'v1', traceId: string, origin: string): Trace | undefined {
  if (answer.status === 404) return undefined;
  // Jaeger answers a path that it does not have with its web page.
  if (answer.status < 400 && !(headerOf(answer, 'content-type') ?? '').includes('json')) {
    throw new ClientError(
      'bad_answer',
      `${origin} has no Jaeger query API ${api}; is it the address of the console or of Jaeger's query service?`,
      { status: answer.status },
    );
  }
  if (answer.status >= 400) throw errorOfAnswer(answer, origin);
  const document = jsonOfAnswer(answer, origin);
  return assembleTrace(traceId, api === 'v3' ? readTraceV3(document) : readTraceV1(document));
}

function readTraceId(id: string): string {
  const digits = id.trim().replaceAll('-', '').toLowerCase();
  if (!/^([0-9a-f]{16}|[0-9a-f]{32})$/.test(digits) || /^0+$/.test(digits)) {
    throw new ClientError(
      'invalid_request',
      'a trace id is 32 hex digits, as in the x-trace-id header of an answer',
    );
  }
  return digits.padStart(32, '0');
}

async function pauseUnless(signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(RETRY_PAUSE_MS, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new ClientError('cancelled', 'the call was cancelled', { cause });
  }
}
