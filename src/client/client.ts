/**
 * A small, typed client of the Open Inference Protocol v2 over HTTP, for Vitrine and for any server that
 * speaks the protocol.
 *
 * ```ts
 * await using client = createClient({ url: 'http://localhost:8000' });
 * const answer = await client.text('langid', 'Where did the time go?');
 * textsOf(answer.outputs[0]);   // the language
 * answer.serverTiming;          // { receive: 0.05, queue: 0.31, compute: 1.2, ..., total: 2.1 } in ms
 * answer.traceId;               // look it up: await client.trace(answer.traceId, 'http://localhost:16686')
 * ```
 */

import { VitrineError } from '../contract/errors.ts';
import {
  INFERENCE_HEADER_CONTENT_LENGTH,
  REQUEST_TIMEOUT_MS,
  SERVER_TIMING,
  TRACE_ID,
  TRACEPARENT,
} from '../contract/headers.ts';
import type { InferResponse, ModelMetadata, RequestedOutput, ServerMetadata } from '../contract/oip.ts';
import { decodeInferResponse, encodeInferRequest } from '../contract/oip_client.ts';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';
import type { Tensor } from '../contract/tensors.ts';
import { ClientError } from './client_error.ts';
import { readModelMetadata, readRepositoryIndex, readServerMetadata } from './metadata.ts';
import { parseServerTiming } from './server_timing.ts';
import { textInput } from './text_input.ts';
import type { Trace } from './trace.ts';
import { fetchTrace, type TraceOptions } from './trace_fetch.ts';
import { type Answer, createTransport, errorOfAnswer, headerOf, jsonOfAnswer } from './transport.ts';

export interface ClientOptions {
  /** Address of the gateway: `http://localhost:8000`. A path in it goes before `/v2`. */
  readonly url: string;
  /**
   * Deadline of each call in milliseconds, 1 to 3,600,000. For queries it travels with the request, so that
   * the service stops work that nobody waits for. When it is absent the client waits 30 s and sends none: the
   * model's own default holds.
   */
  readonly timeoutMs?: number;
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string;
  /** Connections kept per address; 16 unless told. Calls beyond them wait for one. */
  readonly connections?: number;
  /** Largest answer taken, in bytes; 64 MiB unless told. */
  readonly answerLimitBytes?: number;
}

/** What any call may say of its own. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Cancels the call, and with it the query in the service. */
  readonly signal?: AbortSignal;
}

export interface QueryOptions extends CallOptions {
  /** The newest that is ready unless told. */
  readonly version?: string;
  /** Comes back with the answer. */
  readonly id?: string;
  /** Names of the outputs wanted; all unless told. */
  readonly outputs?: readonly (string | RequestedOutput)[];
  /** Tensors as bytes, both ways; true unless told. False sends and asks for JSON, as a server without the extension needs. */
  readonly binary?: boolean;
  /** W3C trace context that the query joins. */
  readonly traceparent?: string;
}

export interface InferOptions extends QueryOptions {
  readonly inputs: readonly Tensor[];
}

export interface InferResult {
  readonly outputs: readonly Tensor[];
  /** As it was sent; undefined when none was. */
  readonly id: string | undefined;
  readonly modelName: string;
  /** The version that answered; undefined when the server does not tell. */
  readonly modelVersion: string | undefined;
  /** Finds the query's trace; undefined from a server without tracing. */
  readonly traceId: string | undefined;
  /** Milliseconds per stage, as the service measured them, and their `total`. Empty from a server that tells none. */
  readonly serverTiming: Readonly<Record<string, number>>;
  readonly status: number;
}

/**
 * All calls throw ClientError and nothing else. A call is sent once; whether to send it again is the
 * caller's choice (`error.retryable`).
 */
export interface Client extends AsyncDisposable {
  infer(model: string, options: InferOptions): Promise<InferResult>;
  /** One query of one or more texts, for a model with one BYTES input. Its metadata is asked once and kept. */
  text(model: string, text: string | readonly string[], options?: QueryOptions): Promise<InferResult>;
  /** Whether the process answers. @throws ClientError `connection_refused` when nothing listens */
  serverLive(options?: CallOptions): Promise<boolean>;
  /** Whether it can take queries. */
  serverReady(options?: CallOptions): Promise<boolean>;
  modelReady(model: string, version?: string, options?: CallOptions): Promise<boolean>;
  serverMetadata(options?: CallOptions): Promise<ServerMetadata>;
  modelMetadata(model: string, version?: string, options?: CallOptions): Promise<ModelMetadata>;
  /** Versions that are served, as the service lists them; empty when it lists none. */
  versions(model: string, options?: CallOptions): Promise<readonly string[]>;
  /** Every model version in the repository, also those that failed to load, with the reason. */
  repositoryIndex(options?: CallOptions): Promise<readonly RepositoryIndexEntry[]>;
  /**
   * The spans of one query, from the console or any Jaeger.
   * @param consoleUrl `http://localhost:16686`
   * @throws ClientError `not_found` when the trace is not there, or not yet: see `waitMs`
   */
  trace(id: string, consoleUrl: string, options?: TraceOptions): Promise<Trace>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const TIMEOUT_LIMIT_MS = 3_600_000;
const DEFAULT_CONNECTIONS = 16;
const DEFAULT_ANSWER_LIMIT_BYTES = 64 * 2 ** 20;
/** How much longer than the deadline it sent the client waits, so that the service's own answer, which has a trace, comes through. */
const DEADLINE_GRACE_MS = 250;
/** Models whose metadata `text` keeps; beyond it the oldest goes. */
const METADATA_LIMIT = 64;

/** @throws ClientError `invalid_request` for options that cannot work */
export function createClient(options: ClientOptions): Client {
  const { origin, prefix } = readAddress(options.url, 'url');
  if (options.timeoutMs !== undefined) checkTimeoutMs(options.timeoutMs);
  const transport = createTransport({
    connections: wholeInRange('connections', options.connections ?? DEFAULT_CONNECTIONS, 1024),
    answerLimitBytes: wholeInRange(
      'answerLimitBytes',
      options.answerLimitBytes ?? DEFAULT_ANSWER_LIMIT_BYTES,
      2 ** 30,
    ),
  });
  const authorization: Record<string, string> =
    options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` };
  const textModels = new Map<string, ModelMetadata>();

  const exchange = (
    method: 'GET' | 'POST',
    path: string,
    call: CallOptions,
    more: {
      readonly headers?: Record<string, string>;
      readonly body?: Buffer;
      readonly graceMs?: number;
    } = {},
  ): Promise<Answer> =>
    transport.exchange({
      origin,
      method,
      path: `${prefix}${path}`,
      headers: { ...authorization, ...more.headers },
      ...(more.body === undefined ? {} : { body: more.body }),
      timeoutMs: (deadlineOf(call) ?? DEFAULT_TIMEOUT_MS) + (more.graceMs ?? 0),
      signal: call.signal,
      whenRefused: 'start the service with `npm start`, or give the address at which it listens',
    });
  const deadlineOf = (call: CallOptions): number | undefined => {
    if (call.timeoutMs !== undefined) checkTimeoutMs(call.timeoutMs);
    return call.timeoutMs ?? options.timeoutMs;
  };
  const get = async (path: string, call: CallOptions): Promise<unknown> =>
    jsonOfAnswer(await exchange('GET', path, call), origin);
  /** Health answers with its status alone: anything under 400 is a yes. */
  const ask = async (path: string, call: CallOptions): Promise<boolean> =>
    (await exchange('GET', path, call)).status < 400;

  const client: Client = {
    async infer(model, query) {
      const deadlineMs = deadlineOf(query);
      const message = encode(query);
      const answer = await exchange('POST', `${modelPath(model, query.version)}/infer`, query, {
        body: message.body,
        headers: {
          'content-type': message.contentType,
          ...(message.inferenceHeaderContentLength === undefined
            ? {}
            : { [INFERENCE_HEADER_CONTENT_LENGTH]: String(message.inferenceHeaderContentLength) }),
          ...(deadlineMs === undefined
            ? {}
            : { [REQUEST_TIMEOUT_MS]: String(Math.max(1, Math.floor(deadlineMs))) }),
          ...(query.traceparent === undefined ? {} : { [TRACEPARENT]: query.traceparent }),
        },
        graceMs: deadlineMs === undefined ? 0 : DEADLINE_GRACE_MS,
      });
      if (answer.status >= 400) throw errorOfAnswer(answer, origin);
      const response = decode(answer);
      return {
        outputs: response.outputs,
        id: response.id,
        modelName: response.modelName,
        modelVersion: response.modelVersion,
        traceId: headerOf(answer, TRACE_ID),
        serverTiming: parseServerTiming(answer.headers[SERVER_TIMING]),
        status: answer.status,
      };
    },
    async text(model, text, query = {}) {
      const key = `${model}\n${query.version ?? ''}`;
      let metadata = textModels.get(key);
      if (metadata === undefined) {
        metadata = await client.modelMetadata(model, query.version, query);
        const [oldest] = textModels.keys();
        if (textModels.size >= METADATA_LIMIT && oldest !== undefined) textModels.delete(oldest);
        textModels.set(key, metadata);
      }
      const texts = typeof text === 'string' ? [text] : text;
      return client.infer(model, { ...query, inputs: [textInput(metadata, texts)] });
    },
    serverLive: (call = {}) => ask('/v2/health/live', call),
    serverReady: (call = {}) => ask('/v2/health/ready', call),
    modelReady: (model, version, call = {}) => ask(`${modelPath(model, version)}/ready`, call),
    serverMetadata: async (call = {}) => readServerMetadata(await get('/v2', call)),
    modelMetadata: async (model, version, call = {}) =>
      readModelMetadata(await get(modelPath(model, version), call)),
    versions: async (model, call = {}) => (await client.modelMetadata(model, undefined, call)).versions ?? [],
    async repositoryIndex(call = {}) {
      const answer = await exchange('POST', '/v2/repository/index', call, {
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{}'),
      });
      return readRepositoryIndex(jsonOfAnswer(answer, origin));
    },
    trace: (id, consoleUrl, traceOptions = {}) =>
      fetchTrace(transport, id, readAddress(consoleUrl, 'consoleUrl'), {
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        ...traceOptions,
      }),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
  return client;
}

function modelPath(model: string, version: string | undefined): string {
  const path = `/v2/models/${encodeURIComponent(model)}`;
  return version === undefined || version === '' ? path : `${path}/versions/${encodeURIComponent(version)}`;
}

function encode(query: InferOptions): ReturnType<typeof encodeInferRequest> {
  const binary = query.binary ?? true;
  const outputs = query.outputs?.map((output) => (typeof output === 'string' ? { name: output } : output));
  try {
    return encodeInferRequest(
      {
        ...(query.id === undefined ? {} : { id: query.id }),
        inputs: query.inputs,
        ...(outputs === undefined ? {} : { outputs }),
        ...(binary ? { binaryDataOutput: true } : {}),
      },
      binary ? 'binary' : 'json',
    );
  } catch (cause) {
    if (!(cause instanceof VitrineError)) throw cause;
    const code = cause.code === 'internal' ? 'invalid_tensor' : cause.code;
    throw new ClientError(code, cause.message, { cause });
  }
}

function decode(answer: Answer): InferResponse {
  try {
    return decodeInferResponse(answer.body, {
      contentType: headerOf(answer, 'content-type'),
      inferenceHeaderContentLength: headerOf(answer, INFERENCE_HEADER_CONTENT_LENGTH),
    });
  } catch (cause) {
    if (!(cause instanceof VitrineError)) throw cause;
    throw new ClientError('bad_answer', cause.message, {
      status: answer.status,
      traceId: headerOf(answer, TRACE_ID),
      cause,
    });
  }
}

function readAddress(given: string, field: string): { readonly origin: string; readonly prefix: string } {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ClientError(
      'invalid_request',
      `${field} must be an http(s) address, such as http://localhost:8000`,
    );
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ClientError(
      'invalid_request',
      `${field} must have no user, query or fragment; a key goes in apiKey`,
    );
  }
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

function checkTimeoutMs(timeoutMs: number): void {
  if (!(timeoutMs >= 1 && timeoutMs <= TIMEOUT_LIMIT_MS)) {
    throw new ClientError(
      'invalid_request',
      `timeoutMs is ${timeoutMs}; it must be milliseconds from 1 to ${TIMEOUT_LIMIT_MS}`,
    );
  }
}

function wholeInRange(field: string, value: number, to: number): number {
  if (!(Number.isInteger(value) && value >= 1 && value <= to)) {
    throw new ClientError(
      'invalid_request',
      `${field} is ${value}; it must be a whole number from 1 to ${to}`,
    );
  }
  return value;
}
