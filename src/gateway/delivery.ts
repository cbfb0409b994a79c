/**
 * Brings one query's body to a worker and its answer back.
 *
 *   routing     it waits for a worker, or, suspect, for a worker's probation lane
 *   attempting  a worker has it
 *   judging     its connection broke; a look tells whether the worker is gone
 *   ended       the owner has the answer or the refusal, or has stopped it
 *
 * At most two attempts reach a worker: the first, and once more when the connection broke before the answer
 * was complete (the client has seen nothing of it yet) or the worker said that it serves no more.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ErrorCode, VitrineError } from '../contract/errors.ts';
import type { FaultPoint } from '../contract/fault_points.ts';
import { WORKER_REPORT } from '../contract/headers.ts';
import { parseWorkerReport } from '../contract/worker_report.ts';
import type { GatewayQuery } from '../telemetry/gateway_query.ts';
import { Attempt, type AttemptOwner, type AttemptResult, type WorkerAnswer } from './attempt.ts';
import type { GatewayCore } from './core.ts';
import { workerHeaders, workerRefusal } from './infer_headers.ts';
import type { ModelRoute } from './model_table.ts';
import { Probation } from './probation.ts';
import { badWorkerAnswer, noWorker, overloaded, whyNotWait, workerLost } from './refusals.ts';
import type { Waiter } from './routing.ts';
import type { WorkerLink } from './worker_link.ts';

type State = 'routing' | 'attempting' | 'judging' | 'ended';

/** What is delivered. */
export interface Parcel {
  readonly model: string;
  /** Empty: the default. */
  readonly version: string;
  /** undefined while no worker has said what it serves. */
  readonly route: ModelRoute<WorkerLink> | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** performance.now() at which the deadline passes. The owner sees to it; the worker is told what is left. */
  readonly deadlineMs: number;
}

export interface DeliveryOwner {
  /** The worker's whole answer. @param refusal its error, when it is one that names its code */
  delivered(answer: WorkerAnswer, refusal: VitrineError | undefined): void;
  /** Nobody answered. Stops the delivery. */
  refuse(error: unknown): void;
}

/** Attempts that reach a worker: the first, and once more. */
const SENT_ATTEMPTS_LIMIT = 2;
/** Attempts altogether: a connection that nobody accepted cost no worker anything, but does not go on for ever. */
const ATTEMPTS_LIMIT = 6;
/** A worker's answers that say: not here, not now, and nothing was done. */
const SERVED_ELSEWHERE: ReadonlySet<ErrorCode> = new Set(['draining', 'model_not_ready']);
/** How long a suspect waits for a free probation lane; then it goes beside another one. */
const PROBATION_WAIT_MS = 2000;
const NO_WORKERS: readonly WorkerLink[] = [];

const DURING: Readonly<Record<State, string>> = {
  routing: 'while the query waited for a worker',
  attempting: 'while a worker had the query',
  judging: 'after the connection to a worker broke',
  ended: '',
};

export class Delivery implements Waiter<WorkerLink>, AttemptOwner {
  readonly #core: GatewayCore;
  readonly #owner: DeliveryOwner;
  readonly #query: GatewayQuery | undefined;
  readonly #parcel: Parcel;
  #state: State = 'routing';
  #route: ModelRoute<WorkerLink> | undefined;
  #patience: NodeJS.Timeout | undefined;
  #attempt: Attempt | undefined;
  #attempts = 0;
  #sentAttempts = 0;
  #probation: Probation | undefined;
  avoid: WorkerLink | undefined;

  constructor(core: GatewayCore, owner: DeliveryOwner, query: GatewayQuery | undefined, parcel: Parcel) {
    this.#core = core;
    this.#owner = owner;
    this.#query = query;
    this.#parcel = parcel;
    this.#route = parcel.route;
  }

  /** What it is doing, for people: `while a worker had the query`. */
  get during(): string {
    return DURING[this.#state];
  }

  /** @returns the refusal of a body that is in quarantine */
  checkStanding(): VitrineError | undefined {
    const { quarantine } = this.#core;
    const { model, body } = this.#parcel;
    if (!quarantine.mayKnow(body.length)) return undefined;
    this.#probation = new Probation(quarantine, model, body);
    return this.#probation.look();
  }

  begin(): void {
    this.#choose();
  }

  /** Ends whatever it is doing, and claims the time for its stage. The owner hears no more. */
  stop(outcome: 'deadline' | 'cancelled', nowMs: number): void {
    switch (this.#state) {
      case 'routing':
        this.#core.routing.leave(this);
        this.#query?.mark('route', nowMs);
        break;
      case 'attempting':
        this.#attempt?.record?.end({ outcome }, nowMs);
        break;
      case 'judging':
        this.#query?.mark('route', nowMs);
        break;
    }
    this.#state = 'ended';
    clearTimeout(this.#patience);
    this.#attempt?.cancel();
    this.#leaveLane();
  }

  get needsLane(): boolean {
    return this.#probation?.needsLane ?? false;
  }

  get workers(): readonly WorkerLink[] {
    this.#route ??= this.#core.table.find(this.#parcel.model, this.#parcel.version);
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
      this.#owner.refuse(overloaded(`${options.routeWaitersLimit} queries wait for a worker`));
      return;
    }
    this.#patience = setTimeout(losePatience, this.needsLane ? PROBATION_WAIT_MS : options.routeWaitMs, this);
  }

  /** Refuses the query when no worker is there to wait for, and has not been for routeWaitMs. */
  #mayWait(waited = false): boolean {
    const { table, options } = this.#core;
    const { model, version } = this.#parcel;
    let refusal = whyNotWait(table, model, version);
    const serving = this.workers.some((worker) => worker.ready);
    if (!serving && (waited || options.routeWaitMs === 0)) refusal ??= noWorker(model);
    if (refusal !== undefined) this.#owner.refuse(refusal);
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
    // Other queries with the same body may have changed its standing meanwhile.
    const refusal = this.#probation?.look();
    if (refusal !== undefined) {
      this.#owner.refuse(refusal);
      return;
    }
    this.#probation?.enterLane(worker);
    if (this.#core.faults?.active) this.#struck('route', () => this.#send(worker));
    else this.#send(worker);
  }

  #send(worker: WorkerLink): void {
    const route = this.#route;
    if (route === undefined) throw new Error('a worker was chosen without a route');
    const { headers, body, deadlineMs } = this.#parcel;
    const leftMs = deadlineMs - performance.now();
    const record = this.#query?.startAttempt(worker.name);
    this.#attempts += 1;
    this.#state = 'attempting';
    this.#attempt = new Attempt(this, worker, record);
    this.#attempt.send({
      method: 'POST',
      path: route.inferPath,
      headers: workerHeaders(headers, leftMs, this.#core.workerHeaders, record),
      body,
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
        this.#core.tell(this.#query, 'warn', 'a worker sent what is no answer', {
          worker: attempt.worker.name,
          detail: result.detail,
        });
        this.#owner.refuse(badWorkerAnswer());
        break;
      case 'lost':
        attempt.record?.end({ outcome: 'lost' }, nowMs);
        this.#lost(attempt, result.sent);
        break;
    }
  }

  #answered(attempt: Attempt, answer: WorkerAnswer, nowMs: number): void {
    const { status, headers } = answer;
    const header = headers[WORKER_REPORT];
    const report = parseWorkerReport(typeof header === 'string' ? header : undefined);
    attempt.record?.end({ outcome: status < 400 ? 'ok' : 'error', status, report }, nowMs);
    this.#leaveLane();
    this.#probation?.answered();
    const refusal = status < 400 ? undefined : workerRefusal(headers);
    this.#sentAttempts += 1;
    const once = this.#sentAttempts < SENT_ATTEMPTS_LIMIT;
    if (once && refusal !== undefined && SERVED_ELSEWHERE.has(refusal.code)) {
      attempt.worker.doubtful = true;
      void this.#core.check(attempt.worker);
      this.#again(attempt.worker);
      return;
    }
    this.#state = 'ended';
    this.#owner.delivered(answer, refusal);
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
      this.#probation ??= new Probation(quarantine, this.#parcel.model, this.#parcel.body);
      this.#probation.crashed(worker);
      const refusal = this.#probation.look();
      if (refusal !== undefined) {
        this.#owner.refuse(refusal);
        return;
      }
    }
    this.#leaveLane();
    if (this.#sentAttempts >= SENT_ATTEMPTS_LIMIT || this.#attempts >= ATTEMPTS_LIMIT) {
      this.#owner.refuse(workerLost());
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

  /** Waits, fails or crashes as a drill asks. */
  #struck(point: FaultPoint, next: () => void): void {
    const state = this.#state;
    const go = (): void => {
      if (this.#state === state) next();
    };
    this.#core.faults?.pass(point).then(go, (error: unknown) => this.#owner.refuse(error));
  }
}

// The timer takes the delivery as argument, so that none makes a closure for it.
function losePatience(delivery: Delivery): void {
  delivery.losePatience();
}
