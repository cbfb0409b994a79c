/**
 * The life of one query at the gateway, from its headers to the end of its answer.
 *
 *   entering    headers are read; refused here, nothing was spent on it
 *   receiving   its body is read, whole, so that it can be sent again
 *   routing     it waits for a worker (or, suspect, for a worker's probation lane)
 *   attempting  a worker has it
 *   judging     its connection broke; a look tells whether the worker is gone
 *   answering   the status is decided and the answer handed to the socket
 *   closed      the answer is finished, or the client left: the one finalizer has run
 *
 * A refusal or the deadline leads from any state to answering; a client that leaves leads from any state to
 * closed. At most two attempts reach a worker. Whatever is held (slot, bytes, timers, place in the room,
 * connection) is given back in closed, or before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { asVitrineError, type ErrorCode, type VitrineError } from '../contract/errors.ts';
import type { FaultPoint } from '../contract/fault_points.ts';
import {
  REQUEST_ID,
  REQUEST_TIMEOUT_MS,
  SERVER_TIMING,
  TRACE_ID,
  WORKER_REPORT,
} from '../contract/headers.ts';
import type { Log } from '../contract/log.ts';
import { parseWorkerReport } from '../contract/worker_report.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import type { GatewayQuery } from '../telemetry/gateway_query.ts';
import { errorAnswer, writeAnswer } from './answers.ts';
import { Attempt, type AttemptOwner, type AttemptResult, type WorkerAnswer } from './attempt.ts';
import type { GatewayCore } from './core.ts';
import { type BodyOwner, IncomingBody } from './incoming_body.ts';
import { answerHeaders, checkContent, workerHeaders, workerRefusal } from './infer_headers.ts';
import type { ModelRoute } from './model_table.ts';
import { Probation } from './probation.ts';
import {
  badWorkerAnswer,
  cancelled,
  deadlineExceeded,
  noWorker,
  overloaded,
  whyNotWait,
  workerLost,
} from './refusals.ts';
import type { Waiter } from './routing.ts';
import { callerTimeoutMs } from './timeout.ts';
import type { WorkerLink } from './worker_link.ts';

type State = 'entering' | 'receiving' | 'routing' | 'attempting' | 'judging' | 'answering' | 'closed';

/** Attempts that reach a worker: the first, and once more. */
const SENT_ATTEMPTS_LIMIT = 2;
/** Attempts altogether: a connection that nobody accepted cost no worker anything, but does not go on for ever. */
const ATTEMPTS_LIMIT = 6;
/** A worker's answers that say: not here, not now, and nothing was done. */
const SERVED_ELSEWHERE: ReadonlySet<ErrorCode> = new Set(['draining', 'model_not_ready']);
/** How long a suspect waits for a free probation lane; then it goes beside another one. */
const PROBATION_WAIT_MS = 2000;
const NO_WORKERS: readonly WorkerLink[] = [];
const EMPTY = Buffer.alloc(0);

const DURING: Readonly<Record<State, string>> = {
  entering: 'before the body was read',
  receiving: 'while the body was arriving',
  routing: 'while the query waited for a worker',
  attempting: 'while a worker had the query',
  judging: 'after the connection to a worker broke',
  answering: '',
  closed: '',
};

export class Exchange implements Waiter<WorkerLink>, AttemptOwner, BodyOwner {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: GatewayQuery | undefined;
  readonly #core: GatewayCore;
  readonly #startMs: number;
  #state: State = 'entering';
  #model = '';
  #version = '';
  #route: ModelRoute<WorkerLink> | undefined;
  #expectsContinue: boolean;

  #timeoutMs = 0;
  #deadline: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;

  #incoming: IncomingBody | undefined;
  #body: Buffer = EMPTY;
  #admitted = false;

  #attempt: Attempt | undefined;
  #attempts = 0;
  #sentAttempts = 0;
  avoid: WorkerLink | undefined;
  #probation: Probation | undefined;

  #status = 0;
  #error: VitrineError | undefined;
  #finishedMs = 0;

  /** @param startMs performance.now() when the headers were parsed */
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
    this.#body = body;
    this.query?.mark('receive');
    this.#state = 'entering';
    if (this.#core.faults?.active) this.#struck('admit', () => this.#admit());
    else this.#admit();
  }

  #admit(): void {
    const { quarantine } = this.#core;
    if (quarantine.mayKnow(this.#body.length)) {
      this.#probation = new Probation(quarantine, this.#model, this.#body);
      if (this.#refusedAsQuarantined()) return;
    }
    this.query?.mark('admit');
    this.#choose();
  }

  #refusedAsQuarantined(): boolean {
    const refusal = this.#probation?.look();
    if (refusal === undefined) return false;
    this.refuse(refusal);
    return true;
  }

  get needsLane(): boolean {
    return this.#probation?.needsLane ?? false;
  }

  get workers(): readonly WorkerLink[] {
    this.#route ??= this.#core.table.find(this.#model, this.#version);
    return this.#route?.workers ?? NO_WORKERS;
  }

  #choose(): void {
    this.#state = 'routing';
    const { routing, options } = this.#core;
    const worker = routing.take(this);
    if (worker !== undefined) {
      this.assigned(worker);
      return;
    }
    if (!this.#mayWait()) return;
    if (!routing.wait(this)) {
      this.refuse(overloaded(`${options.routeWaitersLimit} queries wait for a worker`));
      return;
    }
    this.#patience = setTimeout(losePatience, this.needsLane ? PROBATION_WAIT_MS : options.routeWaitMs, this);
  }

  /** Refuses the query when no worker is there to wait for, and has not been for routeWaitMs. */
  #mayWait(waited = false): boolean {
    let refusal = whyNotWait(this.#core.table, this.#model, this.#version);
    const serving = this.workers.some((worker) => worker.ready);
    if (!serving && (waited || this.#core.options.routeWaitMs === 0)) refusal ??= noWorker(this.#model);
    if (refusal !== undefined) this.refuse(refusal);
    return refusal === undefined;
  }

  /** The wait was long: a suspect goes without its lane, others go on waiting only for a worker that is there. */
  losePatience(): void {
    if (this.#state !== 'routing') return;
    const waitedForLane = this.needsLane;
    this.#probation?.goWithoutLane();
    const worker = this.#core.routing.take(this);
    if (worker !== undefined) {
      this.#core.routing.leave(this);
      this.#send(worker);
    } else if (this.#mayWait(!waitedForLane)) {
      this.#patience = setTimeout(losePatience, Math.max(1, this.#core.options.routeWaitMs), this);
    }
  }

  assigned(worker: WorkerLink): void {
    clearTimeout(this.#patience);
    if (this.#refusedAsQuarantined()) return;
    this.#probation?.enterLane(worker);
    if (this.#core.faults?.active) this.#struck('route', () => this.#send(worker));
    else this.#send(worker);
  }

  #send(worker: WorkerLink): void {
    const route = this.#route;
    if (route === undefined) throw new Error('a worker was chosen without a route');
    const { request, query } = this;
    const leftMs = this.#startMs + this.#timeoutMs - performance.now();
    const record = query?.startAttempt(worker.name);
    const requestId = query?.requestId ?? single(request.headers[REQUEST_ID]);
    this.#attempts += 1;
    this.#state = 'attempting';
    this.#attempt = new Attempt(this, worker, record);
    this.#attempt.send({
      method: 'POST',
      path: route.inferPath,
      headers: workerHeaders(request.headers, requestId, leftMs, this.#core.workerHeaders, record?.headers),
      body: this.#body,
    });
  }

  attemptEnded(attempt: Attempt, result: AttemptResult): void {
    if (this.#state !== 'attempting' || attempt !== this.#attempt) return;
    if (this.#core.faults?.active) this.#struck('attempt', () => this.#conclude(attempt, result));
    else this.#conclude(attempt, result);
  }

  #conclude(attempt: Attempt, result: AttemptResult): void {
    const nowMs = performance.now();
    switch (result.type) {
      case 'answer':
        this.#answered(attempt, result, nowMs);
        break;
      case 'garbage':
        attempt.record?.end({ outcome: 'error' }, nowMs);
        this.#tell((log) =>
          log.warn('a worker sent what is no answer', {
            worker: attempt.worker.name,
            detail: result.detail,
          }),
        );
        this.refuse(badWorkerAnswer());
        break;
      case 'lost':
        attempt.record?.end({ outcome: 'lost' }, nowMs);
        this.#lost(attempt, result.sent);
        break;
    }
  }

  #answered(attempt: Attempt, { status, headers, body }: WorkerAnswer, nowMs: number): void {
    const report = parseWorkerReport(single(headers[WORKER_REPORT]));
    attempt.record?.end({ outcome: status < 400 ? 'ok' : 'error', status, report }, nowMs);
    this.#leaveLane();
    this.#probation?.answered();
    if (status >= 400) {
      const refusal = workerRefusal(headers);
      if (refusal !== undefined && SERVED_ELSEWHERE.has(refusal.code)) {
        this.#sentAttempts += 1;
        if (this.#sentAttempts < SENT_ATTEMPTS_LIMIT) {
          attempt.worker.doubtful = true;
          void this.#core.check(attempt.worker);
          this.#again(attempt.worker);
          return;
        }
      }
      this.#error = refusal;
    }
    this.#incoming?.holdAnswer(body.length);
    const pass = (): void => this.#answer(status, answerHeaders(headers, body.length), body);
    if (this.#core.faults?.active) this.#struck('respond', pass);
    else pass();
  }

  #lost({ worker, life }: Attempt, sent: boolean): void {
    this.#state = 'judging';
    worker.doubtful = true;
    const verdict = this.#core.check(worker);
    if (sent) {
      this.#sentAttempts += 1;
      void verdict.then((found) => this.#judge(worker, found === 'gone' || worker.life !== life));
    } else {
      // Nothing reached it, so nothing is to be judged.
      this.#judge(worker, false);
    }
  }

  #judge(worker: WorkerLink, died: boolean): void {
    if (this.#state !== 'judging') return;
    const { quarantine } = this.#core;
    if (died && quarantine.enabled) {
      this.#probation ??= new Probation(quarantine, this.#model, this.#body);
      this.#probation.crashed(worker);
      if (this.#refusedAsQuarantined()) return;
    }
    this.#leaveLane();
    if (this.#sentAttempts >= SENT_ATTEMPTS_LIMIT || this.#attempts >= ATTEMPTS_LIMIT) {
      this.refuse(workerLost());
    } else this.#again(worker);
  }

  /** Once more, elsewhere if there is another worker. */
  #again(failed: WorkerLink): void {
    this.avoid = failed;
    this.#choose();
  }

  #leaveLane(): void {
    if (this.#probation?.leaveLane() === true) this.#core.routing.serve();
  }

  /** The deadline passed. */
  expire(): void {
    this.refuse(deadlineExceeded(this.#timeoutMs, DURING[this.#state]));
  }

  /** Answers with an error, from any state; nothing once the status is decided. */
  refuse(raw: unknown): void {
    if (this.#state === 'answering' || this.#state === 'closed') return;
    const error = asVitrineError(raw);
    if (error.code === 'internal') {
      this.#tell((log) => log.error('a query failed inside the gateway', { error: error.cause ?? error }));
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
    switch (this.#state) {
      case 'entering':
        this.query?.mark('admit', nowMs);
        break;
      case 'receiving':
        this.query?.mark('receive', nowMs);
        break;
      case 'routing':
        this.#core.routing.leave(this);
        this.query?.mark('route', nowMs);
        break;
      case 'attempting':
        this.#attempt?.record?.end({ outcome: attemptOutcome }, nowMs);
        break;
      case 'judging':
        this.query?.mark('route', nowMs);
        break;
    }
    this.#incoming?.stop();
    clearTimeout(this.#patience);
    this.#attempt?.cancel();
    this.#leaveLane();
  }

  #answer(status: number, headers: string[], body: Buffer | string): void {
    if (this.#state === 'closed') return;
    this.#state = 'answering';
    this.#status = status;
    clearTimeout(this.#deadline);
    this.#body = EMPTY;
    const { query, response } = this;
    // The last answer on this connection, so that its client goes elsewhere and nobody is cut off.
    if (this.#core.draining()) headers.push('connection', 'close');
    if (query !== undefined) {
      headers.push(TRACE_ID, query.traceId, REQUEST_ID, query.requestId, SERVER_TIMING, query.serverTiming());
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
    this.#body = EMPTY;
    this.#incoming?.release();
    if (this.#admitted) this.#core.admission.leave();
    this.query?.finish({
      status: this.#status,
      error: this.#error,
      clientGone,
      finishedMs: this.#finishedMs > 0 ? this.#finishedMs : performance.now(),
    });
  }

  /** Logs with the query's trace: the code around here runs in whichever context the event came from. */
  #tell(write: (log: Log) => void): void {
    const { log } = this.#core.telemetry;
    if (this.query === undefined) write(log);
    else this.query.run(() => write(log));
  }

  /** Waits, fails or crashes as a drill asks. */
  #struck(point: FaultPoint, next: () => void): void {
    const state = this.#state;
    const go = (): void => {
      if (this.#state === state) next();
    };
    this.#core.faults?.pass(point).then(go, (error: unknown) => this.refuse(error));
  }
}

// Timers take the query as argument, so that no query makes a closure for them.
function expire(exchange: Exchange): void {
  exchange.expire();
}

function losePatience(exchange: Exchange): void {
  exchange.losePatience();
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
