/**
 * The life of one query at the gateway, from its headers to the end of its answer.
 *
 *   entering    headers are read; refused here, nothing was spent on it
 *   receiving   its body is read, whole, so that it can be sent again
 *   delivering  it waits for a worker or is with one: see delivery.ts
 *   answering   the status is decided and the answer handed to the socket
 *   closed      the answer is finished, or the client left: the one finalizer has run
 *
 * A refusal or the deadline leads from any state to answering; a client that leaves leads from any state to
 * closed. Whatever is held (slot, bytes, timers, place in the routing room, connection) is given back in
 * closed, or before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asVitrineError, type VitrineError } from '../contract/errors.ts';
import { REQUEST_ID, REQUEST_TIMEOUT_MS, SERVER_TIMING, TRACE_ID } from '../contract/headers.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import type { GatewayQuery } from '../telemetry/gateway_query.ts';
import { errorAnswer, writeAnswer } from './answers.ts';
import type { WorkerAnswer } from './attempt.ts';
import type { GatewayCore } from './core.ts';
import { Delivery, type DeliveryOwner } from './delivery.ts';
import { type BodyOwner, IncomingBody } from './incoming_body.ts';
import { answerHeaders, checkContent } from './infer_headers.ts';
import type { ModelRoute } from './model_table.ts';
import { cancelled, deadlineExceeded, overloaded, whyNotWait } from './refusals.ts';
import { callerTimeoutMs } from './timeout.ts';
import type { WorkerLink } from './worker_link.ts';

type State = 'entering' | 'receiving' | 'delivering' | 'answering' | 'closed';

export class Exchange implements BodyOwner, DeliveryOwner {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: GatewayQuery | undefined;
  readonly #core: GatewayCore;
  readonly #startMs: number;
  readonly #expectsContinue: boolean;
  #state: State = 'entering';
  #model = '';
  #version = '';
  #route: ModelRoute<WorkerLink> | undefined;
  #timeoutMs = 0;
  #deadline: NodeJS.Timeout | undefined;
  #incoming: IncomingBody | undefined;
  #admitted = false;
  #delivery: Delivery | undefined;
  #status = 0;
  #error: VitrineError | undefined;
  #finishedMs = 0;

  /**
   * @param startMs performance.now() when the headers were parsed
   * @param expectsContinue the client waits to be told before it sends its body
   */
  constructor(
    core: GatewayCore,
    request: IncomingMessage,
    response: ServerResponse,
    startMs: number,
    expectsContinue: boolean,
  ) {
    this.#core = core;
    this.request = request;
    this.response = response;
    this.#startMs = startMs;
    this.#expectsContinue = expectsContinue;
    this.query = core.telemetry.openGatewayQuery(
      request.headers,
      request.socket.remoteAddress ?? '',
      startMs,
    );
    response.on('finish', () => {
      this.#finishedMs = performance.now();
    });
    response.on('close', () => this.#close());
  }

  /** Begins. @param version empty for the default */
  start(model: string, version: string): void {
    try {
      this.#enter(model, version);
    } catch (error) {
      this.refuse(error);
    }
  }

  #enter(model: string, version: string): void {
    const { options, table, admission } = this.#core;
    const { headers } = this.request;
    this.#model = model;
    this.#version = version;
    const route = table.find(model, version);
    this.#route = route;
    // Names of the repository only: what a client makes up is no label.
    if (route !== undefined) this.query?.model(route.name, route.version);
    checkContent(headers);
    const hopeless = whyNotWait(table, model, version);
    if (hopeless !== undefined) throw hopeless;
    this.#timeoutMs =
      callerTimeoutMs(headers[REQUEST_TIMEOUT_MS], options.maxTimeoutMs) ??
      Math.min(route?.defaultTimeoutMs ?? options.defaultTimeoutMs, options.maxTimeoutMs);
    this.#deadline = setTimeout(expire, this.#timeoutMs, this);
    const incoming = new IncomingBody(this.request, admission, options.bodyLimitBytes);
    this.#incoming = incoming;
    incoming.reserve();
    if (!admission.enter()) throw overloaded(`${options.inFlightLimit} queries are in flight`);
    this.#admitted = true;
    if (this.#expectsContinue) this.response.writeContinue();
    this.#state = 'receiving';
    incoming.read(this);
  }

  bodyRefused(error: VitrineError): void {
    this.refuse(error);
  }

  bodyReceived(body: Buffer): void {
    if (this.#state !== 'receiving') return;
    this.query?.mark('receive');
    this.#state = 'entering';
    if (this.#core.faults?.active) this.#struck('admit', () => this.#admit(body));
    else this.#admit(body);
  }

  #admit(body: Buffer): void {
    const delivery = new Delivery(this.#core, this, this.query, {
      model: this.#model,
      version: this.#version,
      route: this.#route,
      headers: this.request.headers,
      body,
      deadlineMs: this.#startMs + this.#timeoutMs,
    });
    const refusal = delivery.checkStanding();
    if (refusal !== undefined) {
      this.refuse(refusal);
      return;
    }
    this.query?.mark('admit');
    this.#delivery = delivery;
    this.#state = 'delivering';
    delivery.begin();
  }

  delivered({ status, headers, body }: WorkerAnswer, refusal: VitrineError | undefined): void {
    if (this.#state !== 'delivering') return;
    this.#error = refusal;
    this.#incoming?.holdAnswer(body.length);
    const pass = (): void => this.#answer(status, answerHeaders(headers, body.length), body);
    if (this.#core.faults?.active) this.#struck('respond', pass);
    else pass();
  }

  /** The deadline passed. */
  expire(): void {
    const during =
      this.#state === 'receiving' ? 'while the body was arriving' : (this.#delivery?.during ?? '');
    this.refuse(deadlineExceeded(this.#timeoutMs, during));
  }

  /** Answers with an error, from any state; nothing once the status is decided. */
  refuse(raw: unknown): void {
    if (this.#state === 'answering' || this.#state === 'closed') return;
    const error = asVitrineError(raw);
    if (error.code === 'internal') {
      this.#core.tell(this.query, 'error', 'a query failed inside the gateway', {
        error: error.cause ?? error,
      });
    }
    this.#stop(error.code === 'deadline_exceeded' ? 'deadline' : 'cancelled');
    this.#error = error;
    if (!this.request.complete) lingerThenCut(this.request);
    const { headers, body } = errorAnswer(error);
    this.#answer(error.status, headers, body);
  }

  /** Ends whatever the query was doing, and claims the time for its stage. */
  #stop(attemptOutcome: 'deadline' | 'cancelled'): void {
    const nowMs = performance.now();
    if (this.#state === 'entering') this.query?.mark('admit', nowMs);
    else if (this.#state === 'receiving') this.query?.mark('receive', nowMs);
    this.#incoming?.stop();
    this.#delivery?.stop(attemptOutcome, nowMs);
  }

  #answer(status: number, headers: string[], body: Buffer | string): void {
    this.#state = 'answering';
    this.#status = status;
    this.#delivery = undefined;
    clearTimeout(this.#deadline);
    const { query, response } = this;
    // The last answer on this connection, so that its client goes elsewhere and nobody is cut off.
    if (this.#core.draining()) headers.push('connection', 'close');
    if (query !== undefined) {
      headers.push(TRACE_ID, query.traceId, SERVER_TIMING, query.serverTiming());
      if (query.requestId !== '') headers.push(REQUEST_ID, query.requestId);
    }
    writeAnswer(response, status, headers, body);
  }

  /** The one finalizer: the answer is finished, or the connection is. */
  #close(): void {
    if (this.#state === 'closed') return;
    const clientGone = !this.response.writableFinished;
    if (this.#state !== 'answering') {
      this.#stop('cancelled');
      clearTimeout(this.#deadline);
      this.#error = cancelled();
      this.#status = this.#error.status;
    }
    this.#state = 'closed';
    this.#delivery = undefined;
    this.#incoming?.release();
    if (this.#admitted) this.#core.admission.leave();
    this.query?.finish({
      status: this.#status,
      error: this.#error,
      clientGone,
      finishedMs: this.#finishedMs > 0 ? this.#finishedMs : performance.now(),
    });
  }

  /** Waits, fails or crashes as a drill asks. */
  #struck(point: 'admit' | 'respond', next: () => void): void {
    const state = this.#state;
    const go = (): void => {
      if (this.#state === state) next();
    };
    this.#core.faults?.pass(point).then(go, (error: unknown) => this.refuse(error));
  }
}

// The timer takes the query as argument, so that none makes a closure for it.
function expire(exchange: Exchange): void {
  exchange.expire();
}
