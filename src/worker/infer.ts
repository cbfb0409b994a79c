/**
 * `POST /v2/models/{model}[/versions/{version}]/infer`: one query from its headers to its answer.
 *
 * Refusals come before work: a model that is not there, a full queue and a body that is too large are told
 * from the headers, before the body is read. Its stages are contiguous: `worker_receive` until the request
 * is understood, `preprocess` until it is queued, then the marks of batch_runner.ts, and `worker_respond`
 * until the headers are written, when the report goes into them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Batcher } from '../batching/batcher.ts';
import type { ByteBudget } from '../batching/byte_budget.ts';
import type { Refusal } from '../batching/queue.ts';
import { VitrineError } from '../contract/errors.ts';
import { INFERENCE_HEADER_CONTENT_LENGTH, WORKER_REPORT } from '../contract/headers.ts';
import { DEFAULT_OIP_LIMITS, type InferRequest } from '../contract/oip.ts';
import { parseInferRequest } from '../contract/oip_request.ts';
import { serializeInferResponse } from '../contract/oip_response.ts';
import { validateInputs } from '../contract/oip_validate.ts';
import { type Tensor, VARIABLE_DIMENSION } from '../contract/tensors.ts';
import type { WireMessage } from '../contract/wire_write.ts';
import type { Faults } from '../lifecycle/faults.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { WorkerQuery } from '../telemetry/worker_query.ts';
import { answer, errorAnswer, messageHeaders } from './answer.ts';
import { deadlineError } from './batch_runner.ts';
import { headerPriority, headerTimeoutMs } from './deadline.ts';
import { type HeldBody, readBody } from './read_body.ts';
import type { ReadyModel, ServedModels } from './served_models.ts';
import { createWaiting, type Waiting } from './waiting.ts';

export interface InferOptions {
  readonly bodyLimitBytes: number;
  /** Rows of one query for a model that declares no batching but a variable first dimension. */
  readonly maxRowsPerQuery: number;
  /** For queries that name no deadline to models that have none. */
  readonly defaultTimeoutMs: number;
}

export interface InferDeps {
  readonly models: ServedModels;
  readonly batcher: Batcher<Waiting>;
  readonly budget: ByteBudget;
  readonly telemetry: Pick<Telemetry, 'openWorkerQuery' | 'log'>;
  readonly faults: Faults;
}

export interface Infer {
  /**
   * Answers the request, whatever becomes of it; never throws.
   * @param startMs when its headers were parsed, by performance.now()
   */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    model: string,
    version: string | undefined,
    startMs: number,
  ): void;
  /** From now on new queries are refused; resolves when those under way are answered. */
  drain(): Promise<void>;
}

/** A query between its headers and its end. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: WorkerQuery | undefined;
  readonly startMs: number;
  /** Set while it is in the queue or runs. */
  cancel: (() => void) | undefined;
  error: VitrineError | undefined;
}

function queueFull(refusal: Refusal): VitrineError {
  const message =
    refusal.limit === 'requests'
      ? 'the queue of this model is full; retry later, or raise VITRINE_WORKER_QUEUE_REQUESTS_LIMIT'
      : 'queued queries hold all the memory they may; retry later, or raise VITRINE_WORKER_QUEUE_BYTES_LIMIT';
  return new VitrineError('queue_full', message, { retryAfterS: refusal.retryAfterS });
}

function callerGone(): VitrineError {
  return new VitrineError('cancelled', 'the caller closed the connection');
}

/** The bound on rows where no batching bounds them. */
function checkRows(model: ReadyModel, inputs: readonly Tensor[], maxRows: number): void {
  if (model.info.batching !== undefined) return;
  for (let index = 0; index < inputs.length; index += 1) {
    const { shape, name } = inputs[index] as Tensor;
    const declared = model.info.inputs[index]?.shape ?? [];
    if (declared.length < 2 || declared[0] !== VARIABLE_DIMENSION || (shape[0] ?? 0) <= maxRows) continue;
    const field = `${JSON.stringify(name)}.shape[0]`;
    throw new VitrineError(
      'too_many_rows',
      `input ${field} is ${shape[0]}; this worker takes at most ${maxRows} rows per query, so send several queries, or raise VITRINE_WORKER_MAX_ROWS_PER_QUERY`,
      { field },
    );
  }
}

export function createInfer(deps: InferDeps, options: InferOptions): Infer {
  const { models, batcher, budget, telemetry, faults } = deps;
  let underWay = 0;
  let drained: PromiseWithResolvers<void> | undefined;

  const refuse = (model: ReadyModel, refusal: Refusal): VitrineError => {
    model.meters?.refusals[refusal.limit].add(1);
    return queueFull(refusal);
  };

  const read = async (exchange: Exchange, model: ReadyModel): Promise<HeldBody> => {
    const refusal = model.queue.refusal(0);
    if (refusal !== undefined) throw refuse(model, refusal);
    return readBody(exchange.request, {
      limitBytes: options.bodyLimitBytes,
      setting: 'VITRINE_WORKER_BODY_LIMIT_BYTES',
      budget,
      noRoom: () =>
        refuse(model, model.queue.refusal(budget.limitBytes) ?? { limit: 'bytes', retryAfterS: 1 }),
    });
  };

  const parse = (exchange: Exchange, model: ReadyModel, body: Buffer): InferRequest => {
    const { headers } = exchange.request;
    const headerLength = headers[INFERENCE_HEADER_CONTENT_LENGTH];
    const { inputs } = model.info;
    return parseInferRequest(
      body,
      {
        contentType: headers['content-type'],
        inferenceHeaderContentLength: Array.isArray(headerLength) ? headerLength[0] : headerLength,
      },
      DEFAULT_OIP_LIMITS,
      inputs.length === 1 ? inputs[0] : undefined,
    );
  };

  /** Queues the query and waits for its outputs. */
  const run = (
    exchange: Exchange,
    model: ReadyModel,
    offer: { readonly inputs: readonly Tensor[]; readonly priority: number; readonly deadlineMs: number },
  ): Promise<readonly Tensor[]> | readonly Tensor[] => {
    const { query } = exchange;
    const prepared = model.pipeline.prepareRows(offer.inputs);
    const { waiting, outputs } = createWaiting(model, prepared, query);
    const enter = (): void => {
      if (exchange.response.destroyed) throw callerGone();
      const nowMs = performance.now();
      const { priority, deadlineMs } = offer;
      const { rows, bytes, groupKey } = prepared;
      const entry = batcher.submit(
        model.queue,
        { rows, bytes, groupKey, priority, deadlineMs, payload: waiting },
        nowMs,
      );
      if (!('state' in entry)) throw refuse(model, entry);
      exchange.cancel = () => {
        if (batcher.cancel(model.queue, entry)) {
          model.meters?.departures.cancelled.add(1);
          query?.mark('queue');
        }
        waiting.reject(callerGone());
      };
    };
    if (!faults.active) {
      query?.mark('preprocess');
      enter();
      return outputs;
    }
    return faults
      .pass('preprocess')
      .then(() => {
        query?.mark('preprocess');
        return faults.pass('queue');
      })
      .then(enter)
      .then(() => outputs);
  };

  const work = async (
    exchange: Exchange,
    name: string,
    version: string | undefined,
  ): Promise<WireMessage> => {
    const { query, request, startMs } = exchange;
    if (drained !== undefined) {
      throw new VitrineError('draining', 'this worker is stopping; send the query to another', {
        retryAfterS: 1,
      });
    }
    const model = models.find(name, version);
    const { info } = model;
    query?.model(info.name, info.version);
    const allowedMs = headerTimeoutMs(request.headers);
    const asked = headerPriority(request.headers, DEFAULT_OIP_LIMITS.maxPriority);
    const held = await read(exchange, model);
    try {
      const inferRequest = parse(exchange, model, held.body);
      const inputs = validateInputs(inferRequest, info);
      checkRows(model, inputs, options.maxRowsPerQuery);
      if (faults.active) await faults.pass('worker_receive');
      query?.mark('worker_receive');
      const { timeoutUs, priority } = inferRequest.parameters;
      const namedMs = Math.min(allowedMs, timeoutUs === undefined ? allowedMs : timeoutUs / 1000);
      const defaultMs = info.defaultTimeoutMs ?? options.defaultTimeoutMs;
      const deadlineMs = startMs + (namedMs === Number.POSITIVE_INFINITY ? defaultMs : namedMs);
      if (deadlineMs <= performance.now()) throw deadlineError();
      const outputs = await run(exchange, model, {
        inputs,
        priority: priority === 0 ? (asked ?? 0) : priority,
        deadlineMs,
      });
      const message = serializeInferResponse(
        {
          modelName: info.name,
          modelVersion: info.version,
          outputs,
          ...(inferRequest.id === undefined ? {} : { id: inferRequest.id }),
        },
        inferRequest,
      );
      if (faults.active) await faults.pass('worker_respond');
      return message;
    } finally {
      budget.release(held.bytes);
    }
  };

  const succeed = ({ query, response }: Exchange, message: WireMessage): void => {
    const headers = messageHeaders(message);
    if (query !== undefined) headers.push(WORKER_REPORT, query.report());
    answer(response, 200, headers, message.body);
  };

  const fail = (exchange: Exchange, thrown: unknown): void => {
    const { query, request, response } = exchange;
    const { error, headers, body } = errorAnswer(thrown);
    exchange.error = error;
    if (error.code === 'internal') {
      // The line carries the query's trace. Nothing else here needs its context, which costs a tenth of a query.
      const tell = (): void => telemetry.log.error('a query failed', { error: thrown });
      if (query === undefined) tell();
      else query.run(tell);
    }
    if (!request.complete) lingerThenCut(request);
    if (query !== undefined) headers.push(WORKER_REPORT, query.report());
    answer(response, error.status, headers, body);
  };

  const end = (exchange: Exchange): void => {
    const { query, response, error } = exchange;
    const clientGone = !response.writableFinished;
    if (clientGone) exchange.cancel?.();
    query?.finish({ status: clientGone ? 499 : response.statusCode, error, clientGone });
    underWay -= 1;
    if (underWay === 0) drained?.resolve();
  };

  return {
    handle(request, response, model, version, startMs) {
      const query = telemetry.openWorkerQuery(request.headers, startMs);
      const exchange: Exchange = { request, response, query, startMs, cancel: undefined, error: undefined };
      underWay += 1;
      response.once('close', () => end(exchange));
      work(exchange, model, version)
        .then((message) => succeed(exchange, message))
        .catch((error: unknown) => fail(exchange, error));
    },
    drain() {
      drained ??= Promise.withResolvers();
      if (underWay === 0) drained.resolve();
      return drained.promise;
    },
  };
}
