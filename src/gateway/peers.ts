/** Who else runs, as the supervisor says: the workers to call, and the processes that Prometheus scrapes. */
import {
  SERVICE_CONSOLE,
  SERVICE_ENRICHER,
  SERVICE_GATEWAY,
  SERVICE_WORKER,
} from '../contract/attributes.ts';
import type { Peer } from '../contract/messages.ts';
import type { WorkerTarget } from './worker_link.ts';

/** One process with /metrics. */
export interface ScrapeTarget {
  /** `host:port` of /metrics. */
  readonly address: string;
  /** service.name. */
  readonly job: string;
  /** service.instance.id. */
  readonly instance: string;
}

const JOBS: Readonly<Record<string, string>> = {
  gateway: SERVICE_GATEWAY,
  worker: SERVICE_WORKER,
  console: SERVICE_CONSOLE,
  enricher: SERVICE_ENRICHER,
};

/** Where a kind of process serves /metrics: its own port where it has one, else the one it serves. */
function metricsPort(peer: Peer): number | undefined {
  return peer.ports.metrics ?? peer.ports.http;
}

/**
 * The workers after a change. One that is not among the peers is restarting, not gone: it keeps its place and
 * address, so that its models stay known and are waited for.
 */
export function workerTargets(before: readonly WorkerTarget[], peers: readonly Peer[]): WorkerTarget[] {
  const targets = new Map(before.map((target) => [target.name, target]));
  for (const { name, index, ports } of peers) {
    if (name !== 'worker' || ports.http === undefined) continue;
    const worker = `worker-${index}`;
    targets.set(worker, { name: worker, url: `http://127.0.0.1:${ports.http}` });
  }
  return [...targets.values()];
}

/** Peers that serve /metrics. */
export function peerScrapeTargets(peers: readonly Peer[]): ScrapeTarget[] {
  return peers.flatMap((peer) => {
    const job = JOBS[peer.name];
    const port = metricsPort(peer);
    if (job === undefined || port === undefined) return [];
    return [{ address: `127.0.0.1:${port}`, job, instance: `${peer.name}-${peer.index}` }];
  });
}

/** Workers that the configuration names; their place in the list is their index. */
export function staticTargets(urls: readonly string[]): WorkerTarget[] {
  return urls.map((url, index) => ({ name: `worker-${index + 1}`, url: url.replace(/\/$/, '') }));
}

/** Workers that the configuration names serve /metrics on the same port. */
export function targetScrapes(targets: readonly WorkerTarget[]): ScrapeTarget[] {
  return targets.map(({ name, url }) => ({
    address: new URL(url).host,
    job: SERVICE_WORKER,
    instance: name,
  }));
}

/** Targets as Prometheus's HTTP service discovery reads them: https://prometheus.io/docs/prometheus/latest/http_sd/ */
export function httpServiceDiscovery(
  targets: readonly ScrapeTarget[],
): { targets: string[]; labels: Record<string, string> }[] {
  return targets.map(({ address, job, instance }) => ({ targets: [address], labels: { job, instance } }));
}
