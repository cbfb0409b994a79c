/**
 * One worker as this gateway sees it: its address, its connections, what is in flight there, and what the
 * last look at it said. Discovery writes its state, routing reads it.
 *
 * Each connection carries one query at a time, so that its end frees it and no query waits behind another
 * one's answer. At most `connectionsLimit` are opened; who finds none waits in the routing room.
 */
import { type buildConnector, Client, type Dispatcher, errors } from 'undici';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';

export interface WorkerTarget {
  /** Stable over restarts; the label of metrics and the attribute of spans: `worker-1`. */
  readonly name: string;
  /** Base address: `http://127.0.0.1:8101`. */
  readonly url: string;
}

export interface WorkerLinkOptions {
  readonly connectionsLimit: number;
  readonly answerLimitBytes: number;
  /** Makes its connections; undefined makes them directly. */
  readonly connector?: buildConnector.connector | undefined;
  /** There is room for one more, or the worker's state changed. */
  readonly onChange: () => void;
}

/** Longest wait for a connection; longer means that nobody is there. */
export const CONNECT_TIMEOUT_MS = 1000;
/** A connection idle for longer is closed, before the worker closes it. The worker's own hint comes first. */
const KEEP_ALIVE_MS = 4000;

/** Ended from here: idle for too long, or cut. */
function isOwnEnd(error: Error): boolean {
  return error instanceof errors.InformationalError || error instanceof errors.ClientDestroyedError;
}

export class WorkerLink {
  readonly name: string;
  readonly url: string;
  readonly #options: WorkerLinkOptions;
  /** Connections in nobody's use; the newest is taken first, so that the others may lapse. */
  readonly #free: Client[] = [];
  readonly #clients = new Set<Client>();
  /** For looks and metadata, so that a worker whose connections are all busy can still be asked. */
  readonly control: Client;

  /**
   * Counts the ends of the control connection. A process that dies takes it along, so an attempt that broke
   * in a later life than the one it began in was with a worker that died, however soon that was restarted.
   */
  life = 0;
  /** Taken connections. */
  inFlight = 0;
  /** The last look found it serving. */
  ready = false;
  /** A call has just failed: nothing goes there before the next look. */
  doubtful = false;
  /** The query whose body is on probation here. */
  lane: object | undefined;
  entries: readonly RepositoryIndexEntry[] | undefined;

  constructor(target: WorkerTarget, options: WorkerLinkOptions) {
    this.name = target.name;
    this.url = target.url;
    this.#options = options;
    this.control = this.#open();
    this.control.on('disconnect', (_url, _clients, error) => {
      if (!isOwnEnd(error)) this.life += 1;
    });
  }

  get usable(): boolean {
    return this.ready && !this.doubtful && this.inFlight < this.#options.connectionsLimit;
  }

  get laneTaken(): boolean {
    return this.lane !== undefined;
  }

  /** Takes a connection and sends the request on it. Whoever called gives it back with release(). */
  send(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Client {
    this.inFlight += 1;
    let client = this.#free.pop();
    if (client === undefined) {
      client = this.#open();
      this.#clients.add(client);
    }
    client.dispatch(request, handler);
    return client;
  }

  release(client: Client): void {
    this.inFlight -= 1;
    this.#free.push(client);
    this.#options.onChange();
  }

  /** Takes nothing more and lets what is in flight end. */
  async retire(): Promise<void> {
    this.ready = false;
    await Promise.all([this.control.destroy(), ...[...this.#clients].map((client) => client.close())]);
  }

  /** Ends every connection; what is in flight fails. */
  async close(): Promise<void> {
    this.ready = false;
    await Promise.all([...this.#clients, this.control].map((client) => client.destroy()));
  }

  #open(): Client {
    return new Client(this.url, {
      pipelining: 1,
      allowH2: false,
      // A query's deadline bounds it; a second clock would only cost.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxResponseSize: this.#options.answerLimitBytes,
      connect: this.#options.connector ?? { timeout: CONNECT_TIMEOUT_MS },
    });
  }
}
