/**
 * Workers as DNS lists them: asked every few seconds, so that replicas come and go without a restart of the gateway.
 *
 * Two forms. An SRV name, such as a headless service of Kubernetes has (`_http._tcp.<service>.<namespace>.svc...`):
 * each record is a worker, whose name is the first label of its target (`vitrine-worker-1` of a StatefulSet), stable
 * over restarts. Or `host:port`: each address of the host is a worker, named by its address.
 *
 * What DNS says is the list, not who serves: the gateway looks at each worker itself. So a DNS server that fails
 * changes nothing. A worker that is no longer listed is kept for a while, since one that restarts is not listed
 * meanwhile; and when nobody is listed any more, those that answer are kept for as long as they do.
 */
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../contract/log.ts';
import type { WorkerTarget } from './worker_link.ts';

/** What is asked of DNS: of node:dns/promises, its `Resolver`. */
export interface DnsResolver {
  resolveSrv(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
  resolve4(name: string): Promise<readonly string[]>;
  resolve6(name: string): Promise<readonly string[]>;
}

export interface DnsWorkersDeps {
  readonly resolver: DnsResolver;
  readonly log: Log;
  /** Called with the whole list after each change. */
  readonly onTargets: (targets: readonly WorkerTarget[]) => void;
  /** Whether the gateway finds this worker serving. */
  readonly isReady: (target: WorkerTarget) => boolean;
  readonly onLookup: (outcome: 'ok' | 'failed') => void;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
}

export interface DnsWorkersOptions {
  /** `_service._tcp.name` or `host:port`. */
  readonly name: string;
  readonly intervalMs: number;
}

/** Workers of one gateway; further records are not used, and told. */
const WORKERS_LIMIT = 1024;
/** Addresses asked for at once. */
const PARALLEL_LIMIT = 16;
/** How long a worker that is no longer listed keeps its place. */
const HOLD_MS = 30_000;
/** How long the address of a worker that serves is believed; one that does not serve is asked for each time. */
const ADDRESS_MS = 60_000;
/** So that gateways do not ask in step. */
const JITTER = 0.2;

/** The name exists and has no such record, or does not exist: an answer, and not a failure. */
const NOTHING: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

interface Listed {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

interface Known {
  readonly target: WorkerTarget;
  addressAtMs: number;
  listedAtMs: number;
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code ?? error);
}

async function orNothing<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer;
  } catch (error) {
    if (NOTHING.has(codeOf(error))) return [];
    throw error;
  }
}

function urlOf(address: string, port: number): string {
  return `http://${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** Asks once and tells the differences; `createDnsWorkers` calls it again and again. */
export class DnsWorkerList {
  readonly #deps: DnsWorkersDeps;
  readonly #name: string;
  readonly #known = new Map<string, Known>();
  #failing = false;
  #told = '';

  constructor(deps: DnsWorkersDeps, name: string) {
    this.#deps = deps;
    this.#name = name;
  }

  /** Never throws: what fails is logged, once until it works again, and the list stays as it was. */
  async refresh(): Promise<void> {
    const { log, onLookup } = this.#deps;
    try {
      const listed = this.#name.startsWith('_') ? await this.#listSrv() : await this.#listAddresses();
      onLookup('ok');
      if (this.#failing) log.info('DNS lists the workers again', { name: this.#name });
      this.#failing = false;
      this.#take(listed);
    } catch (error) {
      onLookup('failed');
      if (!this.#failing) {
        log.warn('DNS does not list the workers; the gateway goes on with those that it knows', {
          name: this.#name,
          reason: codeOf(error),
        });
      }
      this.#failing = true;
    }
  }

  async #listSrv(): Promise<readonly WorkerTarget[]> {
    const records = await orNothing(this.#deps.resolver.resolveSrv(this.#name));
    const listed = records.map(
      ({ name, port }): Listed => ({ name: name.split('.', 1)[0] ?? name, host: name, port }),
    );
    const targets: WorkerTarget[] = [];
    const waiting = this.#limited(listed.sort((a, b) => (a.name < b.name ? -1 : 1)));
    for (let at = 0; at < waiting.length; at += PARALLEL_LIMIT) {
      const some = waiting.slice(at, at + PARALLEL_LIMIT).map((each) => this.#locate(each));
      targets.push(...(await Promise.all(some)).filter((target) => target !== undefined));
    }
    return targets;
  }

  /** @returns undefined while the worker has no address */
  async #locate({ name, host, port }: Listed): Promise<WorkerTarget | undefined> {
    const { resolver, isReady, nowMs } = this.#deps;
    const known = this.#known.get(name);
    if (known !== undefined && isReady(known.target) && nowMs() - known.addressAtMs < ADDRESS_MS)
      return known.target;
    const address =
      (await orNothing(resolver.resolve4(host)))[0] ?? (await orNothing(resolver.resolve6(host)))[0];
    if (address === undefined) return known?.target;
    if (known !== undefined) known.addressAtMs = nowMs();
    return { name, url: urlOf(address, port) };
  }

  async #listAddresses(): Promise<readonly WorkerTarget[]> {
    const at = this.#name.lastIndexOf(':');
    const port = Number(this.#name.slice(at + 1));
    const found = await orNothing(lookup(this.#name.slice(0, at), { all: true }));
    const targets = found.map(({ address }) => {
      const url = urlOf(address, port);
      return { name: url.slice('http://'.length), url };
    });
    return this.#limited(targets.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  #limited<T>(listed: readonly T[]): readonly T[] {
    if (listed.length > WORKERS_LIMIT && !this.#failing) {
      this.#deps.log.warn('DNS lists more workers than a gateway takes; the others are not used', {
        listed: listed.length,
        limit: WORKERS_LIMIT,
      });
    }
    return listed.slice(0, WORKERS_LIMIT);
  }

  #take(listed: readonly WorkerTarget[]): void {
    const { isReady, nowMs, onTargets } = this.#deps;
    const atMs = nowMs();
    for (const target of listed) {
      const before = this.#known.get(target.name);
      const addressAtMs =
        before !== undefined && before.target.url === target.url ? before.addressAtMs : atMs;
      this.#known.set(target.name, { target, addressAtMs, listedAtMs: atMs });
    }
    for (const [name, { target, listedAtMs }] of this.#known) {
      if (atMs - listedAtMs < HOLD_MS || (listed.length === 0 && isReady(target))) continue;
      this.#known.delete(name);
    }
    const targets = [...this.#known.values()].map(({ target }) => target);
    const text = JSON.stringify(targets);
    if (text === this.#told) return;
    this.#told = text;
    onTargets(targets);
  }
}

/** Resolves after the first answer, so that a gateway knows its workers before it takes queries. */
export async function followDnsWorkers(
  deps: DnsWorkersDeps,
  options: DnsWorkersOptions,
): Promise<AsyncDisposable> {
  const list = new DnsWorkerList(deps, options.name);
  const stop = new AbortController();
  await list.refresh();
  const following = (async () => {
    for (;;) {
      const jitter = 1 + JITTER * (2 * Math.random() - 1);
      await sleep(options.intervalMs * jitter, undefined, { signal: stop.signal, ref: false });
      await list.refresh();
    }
  })().catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await following;
    },
  };
}
