import { Client, type Dispatcher } from 'undici';
import { SERVER_TIMING } from '../contract/headers.ts';
import type { LoadPlan } from './plan.ts';

/** A request as undici takes it, made once per sample. */
export interface PreparedRequest {
  readonly path: string;
  readonly method: 'POST';
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer;
}

/** The plan's samples, ready to be written: encoded once, whatever number of times they are sent. */
export function prepareRequests(plan: LoadPlan): PreparedRequest[] {
  return plan.samples.map(({ body, headers }) => ({
    path: plan.path,
    method: 'POST',
    headers: Object.entries({ ...lowerCased(headers), ...plan.headers }).flat(),
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
  }));
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Given to `onResponseError` when a request is given up; its code ends up in the report. */
export class GivenUp extends Error {
  readonly kind: 'timeout' | 'aborted';

  constructor(kind: 'timeout' | 'aborted', message: string) {
    super(message);
    this.name = 'GivenUp';
    this.kind = kind;
  }
}

/** How a lane's request ended; valid inside the `done` call only, the lane writes over it with the next. */
export interface LaneResult {
  /** HTTP status of the answer that came whole; 0 when none did. */
  readonly status: number;
  readonly serverTiming: string | readonly string[] | undefined;
  /** Start of the body of an answer of 400 and more, when it was asked for. */
  readonly errorText: Buffer | undefined;
  readonly receivedBytes: number;
  /** Why no whole answer came. */
  readonly error: Error | undefined;
}

export interface LaneOptions {
  readonly timeoutMs: number;
  /** Whether the body of an answer with this status is wanted; its first bytes then come as `errorText`. */
  readonly wantsErrorText: (status: number) => boolean;
  /** Called once per request, when it has ended. The lane is free by then and may be used inside the call. */
  readonly done: (lane: Lane, result: LaneResult) => void;
}

const ERROR_TEXT_LIMIT_BYTES = 4096;

/**
 * One connection and the request on it: idle, or busy from `send` to `done`. A lane is its own response
 * handler and is used again for each request, so that sending costs the generator next to nothing; the body
 * of an answer is counted and dropped as it comes.
 *
 * A connection that closed is opened again by the next `send`. Time is in milliseconds of performance.now().
 */
export class Lane implements Dispatcher.DispatchHandler {
  /** When the request was meant to go. */
  intendedMs = 0;
  /** When the generator handed it over. */
  dispatchedMs = 0;
  /** When its first byte was about to be written; dispatchedMs until then, connecting lies between. */
  sentMs = 0;
  /** Whether the request belongs to the measured part. */
  measured = false;
  busy = false;

  readonly #client: Client;
  readonly #options: LaneOptions;
  #controller: Dispatcher.DispatchController | undefined;
  #givenUp: GivenUp | undefined;
  #status = 0;
  #serverTiming: string | readonly string[] | undefined;
  #receivedBytes = 0;
  #errorText: Buffer[] | undefined;
  #errorTextBytes = 0;

  constructor(origin: string, options: LaneOptions) {
    this.#options = options;
    // The sweep in run.ts keeps the time of the whole answer; undici's own timers would only come second.
    this.#client = new Client(origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connectTimeout: options.timeoutMs,
      allowH2: false,
    });
  }

  /** Sends one request. The lane is idle when this is called. */
  send(request: PreparedRequest, intendedMs: number, measured: boolean): void {
    this.busy = true;
    this.measured = measured;
    this.intendedMs = intendedMs;
    this.#controller = undefined;
    this.#givenUp = undefined;
    this.#status = 0;
    this.#serverTiming = undefined;
    this.#receivedBytes = 0;
    this.#errorText = undefined;
    this.#errorTextBytes = 0;
    this.dispatchedMs = performance.now();
    this.sentMs = this.dispatchedMs;
    this.#client.dispatch(request, this);
  }

  /** Ends the request of a busy lane; `done` follows with the reason as its error. */
  giveUp(reason: GivenUp): void {
    if (!this.busy || this.#givenUp !== undefined) return;
    this.#givenUp = reason;
    // Before the connection stands there is no controller yet: onRequestStart sees the reason then.
    this.#controller?.abort(reason);
  }

  /** Closes the connection; a request on it ends with an error. */
  async destroy(): Promise<void> {
    await this.#client.destroy();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.sentMs = performance.now();
    if (this.#givenUp !== undefined) controller.abort(this.#givenUp);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    this.#serverTiming = headers[SERVER_TIMING];
    if (status >= 400 && this.#options.wantsErrorText(status)) this.#errorText = [];
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    if (this.#errorText !== undefined && this.#errorTextBytes < ERROR_TEXT_LIMIT_BYTES) {
      // The parser reuses its memory, so what is kept is copied.
      const kept = Buffer.from(chunk.subarray(0, ERROR_TEXT_LIMIT_BYTES - this.#errorTextBytes));
      this.#errorText.push(kept);
      this.#errorTextBytes += kept.length;
    }
  }

  onResponseEnd(): void {
    this.#end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end(this.#givenUp ?? error);
  }

  #end(error: Error | undefined): void {
    if (!this.busy) return;
    this.busy = false;
    this.#options.done(this, {
      status: error === undefined ? this.#status : 0,
      serverTiming: this.#serverTiming,
      errorText: this.#errorText === undefined ? undefined : Buffer.concat(this.#errorText),
      receivedBytes: this.#receivedBytes,
      error,
    });
  }
}
