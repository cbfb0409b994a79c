/** The gateway: everything of this room, put together, listening. */
import { WORKER_SECRET } from '../contract/headers.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import type { Health } from '../lifecycle/health.ts';
import { createHostCheck } from '../lifecycle/http_guard.ts';
import { listenAll } from '../lifecycle/listen.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Admission } from './admission.ts';
import type { GatewayCore } from './core.ts';
import { createDiscovery } from './discovery.ts';
import { createHttpServers } from './http_server.ts';
import { tellLateVerdicts } from './late_verdicts.ts';
import { createMetricsServer } from './metrics_server.ts';
import { ModelTable } from './model_table.ts';
import type { GatewayOptions } from './options.ts';
import type { ScrapeTarget } from './peers.ts';
import { Quarantine } from './quarantine.ts';
import { Routing } from './routing.ts';
import type { WorkerLink, WorkerLinkOptions, WorkerTarget } from './worker_link.ts';

export interface GatewayDeps {
  readonly telemetry: Telemetry;
  readonly health: Health;
  /** Given where drills are allowed. */
  readonly faults?: FaultReader | undefined;
  /** Makes the connections to workers; undefined makes them directly. */
  readonly connector?: WorkerLinkOptions['connector'];
}

export interface Gateway extends AsyncDisposable {
  readonly httpPort: number;
  readonly metricsPort: number;
  /** Replaces the list of workers. */
  setWorkers(targets: readonly WorkerTarget[]): void;
  /** Whether this worker serves, as far as the gateway knows. */
  isReady(target: WorkerTarget): boolean;
  /** Replaces what /metrics/targets lists. */
  setScrapeTargets(targets: readonly ScrapeTarget[]): void;
  /** Takes no new connections and finishes what comes on those that it has; what is left after graceMs is cut. */
  drain(graceMs: number): Promise<void>;
}

/** @throws StartupError when a port is taken */
export async function createGateway(deps: GatewayDeps, options: GatewayOptions): Promise<Gateway> {
  const { telemetry, health } = deps;
  const { metrics } = telemetry;
  let draining = false;
  let scrapeTargets: readonly ScrapeTarget[] = [];

  const routing = new Routing<WorkerLink>(options.routeWaitersLimit);
  const table = new ModelTable<WorkerLink>();
  const admission = new Admission({
    inFlightLimit: options.inFlightLimit,
    bytesLimit: options.bodiesInFlightLimitBytes,
  });
  const quarantine = new Quarantine({ quarantineMs: options.quarantineMs });
  const workerHeaders = options.workerSecret === '' ? [] : [WORKER_SECRET, options.workerSecret];
  const discovery = createDiscovery(
    {
      log: telemetry.log,
      table,
      onChange: () => routing.serve(),
      onModel: (name, version) => telemetry.announceModel(name, version),
    },
    {
      link: {
        connectionsLimit: options.workerConnections,
        answerLimitBytes: options.answerLimitBytes,
        connector: deps.connector,
      },
      headers: workerHeaders,
    },
  );
  const core: GatewayCore = {
    options,
    telemetry,
    admission,
    table,
    routing,
    quarantine,
    faults: deps.faults,
    check: (worker) => discovery.check(worker),
    tell: (query, level, message, fields) => {
      if (query === undefined) telemetry.log[level](message, fields);
      else query.run(() => telemetry.log[level](message, fields));
    },
    workerHeaders,
    draining: () => draining,
  };

  const hostAllowed = createHostCheck({ allowedHosts: options.allowedHosts, listenHost: options.host });
  const createQueryServer = createHttpServers({ core, health, hostAllowed, links: () => discovery.links });
  observe(metrics, { admission, routing, quarantine, links: () => discovery.links });

  await using opened = new AsyncDisposableStack();
  opened.use(discovery);
  const http = opened.use(
    await listenAll(createQueryServer, {
      host: options.host,
      port: options.httpPort,
      setting: 'VITRINE_GATEWAY_HTTP_PORT',
      shared: options.sharePort,
    }),
  );
  const scraped = opened.use(
    await listenAll(() => createMetricsServer({ telemetry, hostAllowed, targets: () => scrapeTargets }), {
      host: options.host,
      port: options.metricsPort,
      setting: 'VITRINE_GATEWAY_METRICS_PORT',
    }),
  );
  if (options.retroactive && telemetry.enabled) {
    opened.use(tellLateVerdicts(telemetry, () => discovery.links, workerHeaders));
  }
  const held = opened.move();

  return {
    httpPort: http.port,
    metricsPort: scraped.port,
    setWorkers: (targets) => discovery.setTargets(targets),
    isReady: ({ name, url }) =>
      discovery.links.some((link) => link.name === name && link.url === url && link.ready),
    setScrapeTargets: (targets) => {
      scrapeTargets = targets;
    },
    drain: async (graceMs) => {
      // Connections stay open until they have had their next answer: none is cut under a client.
      draining = true;
      await http.close(graceMs);
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** What is bounded, how full it is, and what had to go. */
function observe(
  metrics: Metrics,
  of: {
    readonly admission: Admission;
    readonly routing: Routing<WorkerLink>;
    readonly quarantine: Quarantine;
    readonly links: () => readonly WorkerLink[];
  },
): void {
  const { admission, routing, quarantine, links } = of;
  metrics
    .gauge('vitrine_gateway_bodies_usage_bytes')
    .series({})
    .observeWith(() => admission.heldBytes);
  metrics
    .gauge('vitrine_gateway_bodies_limit_bytes')
    .series({})
    .observeWith(() => admission.limits.bytesLimit);
  metrics
    .gauge('vitrine_gateway_admitted_requests')
    .series({})
    .observeWith(() => admission.inFlight);
  metrics
    .gauge('vitrine_gateway_admitted_limit_requests')
    .series({})
    .observeWith(() => admission.limits.inFlightLimit);
  metrics
    .gauge('vitrine_gateway_route_waiters_requests')
    .series({})
    .observeWith(() => routing.waiting);
  metrics
    .gauge('vitrine_gateway_known_bodies')
    .series({})
    .observeWith(() => quarantine.size);
  const forgotten = metrics.counter('vitrine_gateway_known_bodies_forgotten_total').series({});
  const ready = metrics.gauge('vitrine_gateway_workers').series({ state: 'ready' });
  const unready = metrics.gauge('vitrine_gateway_workers').series({ state: 'not_ready' });
  const eachReady = metrics.gauge('vitrine_gateway_worker_ready');
  metrics.beforeRead(() => {
    forgotten.value = quarantine.forgotten;
    for (const { name, ready: serves } of links()) eachReady.series({ worker: name }).set(serves ? 1 : 0);
    const serving = links().filter((link) => link.ready).length;
    ready.set(serving);
    unready.set(links().length - serving);
  });
}
