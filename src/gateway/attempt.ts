/**
 * One try at one worker: the request on a connection, and what came of it. Ends exactly once, in one of the
 * ways of AttemptResult, and gives the connection back.
 */
import { type Client, type Dispatcher, errors } from 'undici';
import type { GatewayAttempt } from '../telemetry/gateway_attempt.ts';
import type { WorkerLink } from './worker_link.ts';

export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The whole answer is here. */
export interface WorkerAnswer {
  readonly type: 'answer';
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: Buffer;
}

export type AttemptResult =
  | WorkerAnswer
  /** The connection failed before the answer was complete. */
  | {
      readonly type: 'lost';
      /** Whether the worker may have begun: its connection stood and the request was written. */
      readonly sent: boolean;
    }
  /** What came is no answer, or is beyond the limit: the worker, or what stands in its place, is broken. */
  | { readonly type: 'garbage'; readonly detail: string };

export interface AttemptOwner {
  attemptEnded(attempt: Attempt, result: AttemptResult): void;
}

const EMPTY = Buffer.alloc(0);

/** undici's codes for answers that are none; every other failure is the connection's. */
const GARBAGE: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

export class Attempt implements Dispatcher.DispatchHandler {
  readonly worker: WorkerLink;
  readonly record: GatewayAttempt | undefined;
  /** The worker's life in which it began. */
  readonly life: number;
  readonly #owner: AttemptOwner;
  #client: Client | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #sent = false;
  #ended = false;
  #cancelled = false;
  #status = 0;
  #headers: AnswerHeaders = {};
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;

  constructor(owner: AttemptOwner, worker: WorkerLink, record: GatewayAttempt | undefined) {
    this.#owner = owner;
    this.worker = worker;
    this.record = record;
    this.life = worker.life;
  }

  send(request: Dispatcher.DispatchOptions): void {
    const client = this.worker.send(request, this);
    this.#client = client;
    // A connection that fails at once ends the attempt before send() has returned it.
    if (this.#ended) this.#release();
  }

  /** Gives the attempt up: its connection is cut, and the owner hears no more of it. */
  cancel(): void {
    if (this.#ended) return;
    this.#cancelled = true;
    this.#controller?.abort(new Error('cancelled'));
  }

  /**
   * undici calls this when the connection stands and is free, immediately before it writes the request: where
   * `route` ends. Its other hook comes after the write, when the worker may have begun already, and would
   * make `network` negative.
   */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#cancelled) {
      controller.abort(new Error('cancelled'));
      return;
    }
    this.#controller = controller;
    this.#sent = true;
    this.record?.sent(performance.now());
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#first === undefined) this.#first = chunk;
    else if (this.#rest === undefined) this.#rest = [chunk];
    else this.#rest.push(chunk);
  }

  onResponseEnd(): void {
    const body =
      this.#rest === undefined
        ? (this.#first ?? EMPTY)
        : Buffer.concat([this.#first ?? EMPTY, ...this.#rest]);
    this.#end({ type: 'answer', status: this.#status, headers: this.#headers, body });
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const unparsable = error instanceof errors.HTTPParserError;
    if (unparsable || GARBAGE.has(code))
      this.#end({ type: 'garbage', detail: unparsable ? error.name : code });
    else this.#end({ type: 'lost', sent: this.#sent });
  }

  #end(result: AttemptResult): void {
    if (this.#ended) return;
    this.#ended = true;
    // The owner first: whoever is let in by the connection's release would delay an answer that is here.
    if (!this.#cancelled) this.#owner.attemptEnded(this, result);
    this.#release();
  }

  #release(): void {
    if (this.#client === undefined) return;
    this.worker.release(this.#client);
    this.#client = undefined;
  }
}
