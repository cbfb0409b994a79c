/** Composition of one gateway process. */
import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { readOtelConfig } from '../config/otel.ts';
import { SERVICE_GATEWAY } from '../contract/attributes.ts';
import type { Peer } from '../contract/messages.ts';
import { followDnsWorkers } from '../gateway/dns_workers.ts';
import { createGateway } from '../gateway/gateway.ts';
import { peerScrapeTargets, staticTargets, targetScrapes, workerTargets } from '../gateway/peers.ts';
import { createWorkerNetwork, type WorkerNetwork } from '../gateway/worker_network.ts';
import { openFaultSocket } from '../lifecycle/fault_socket.ts';
import { createFaults } from '../lifecycle/faults.ts';
import { createHealth } from '../lifecycle/health.ts';
import { runService } from '../lifecycle/service_process.ts';
import { stallOnFault } from '../lifecycle/stall.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { configOrExit } from './config_or_exit.ts';

/** Longest wait for DNS, with one repeat: the list as it was does until then. */
const DNS_TIMEOUT_MS = 2000;

const config = configOrExit();
const { index, workersDns } = config.gateway;
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const telemetry = await startTelemetry({
  serviceName: SERVICE_GATEWAY,
  instanceId: config.telemetry.instanceId || `gateway-${index}`,
  version,
  config: config.telemetry,
  otel: readOtelConfig(),
  timeScale: config.slo.timeScale,
});
const health = createHealth();

await runService({
  name: 'gateway',
  index,
  graceMs: config.lifecycle.graceMs,
  log: telemetry.log,
  health,
  async start({ onPeers }) {
    await using opened = new AsyncDisposableStack();
    const faults = config.drill.allowed ? createFaults() : undefined;
    let network: WorkerNetwork | undefined;
    if (faults !== undefined) {
      const directory = config.drill.socketDirectory;
      opened.use(
        await openFaultSocket(faults, { directory, name: 'gateway', index, life: config.lifecycle }),
      );
      opened.use(stallOnFault(faults));
      network = opened.use(await createWorkerNetwork(faults));
    }
    const { metricsPort } = config.gateway;
    const gateway = opened.use(
      await createGateway(
        { telemetry, health, faults, connector: network?.connector },
        {
          ...config.gateway,
          ...config.access,
          metricsPort: metricsPort === 0 ? 0 : metricsPort + index,
          sharePort: config.gateway.count > 1,
          workerSecret: config.worker.secret,
          version,
          retroactive: config.telemetry.mode === 'retroactive',
        },
      ),
    );
    const self: Peer = {
      name: 'gateway',
      index,
      ports: { http: gateway.httpPort, metrics: gateway.metricsPort },
    };
    let targets = staticTargets(config.gateway.workers);
    const configured = targets.length > 0 || workersDns !== '';
    gateway.setWorkers(targets);
    gateway.setScrapeTargets([...peerScrapeTargets([self]), ...targetScrapes(targets)]);
    if (workersDns !== '') {
      const lookups = telemetry.metrics.counter('vitrine_gateway_dns_lookups_total');
      const counts = { ok: lookups.series({ outcome: 'ok' }), failed: lookups.series({ outcome: 'failed' }) };
      opened.use(
        await followDnsWorkers(
          {
            resolver: new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 }),
            log: telemetry.log,
            nowMs: () => performance.now(),
            isReady: (target) => gateway.isReady(target),
            onLookup: (outcome) => counts[outcome].add(1),
            onTargets: (listed) => {
              targets = [...listed];
              gateway.setWorkers(targets);
              gateway.setScrapeTargets([...peerScrapeTargets([self]), ...targetScrapes(targets)]);
            },
          },
          { name: workersDns, intervalMs: config.gateway.workersDnsIntervalMs },
        ),
      );
    }
    onPeers((peers) => {
      const others = peers.filter((peer) => peer.name !== self.name || peer.index !== index);
      gateway.setScrapeTargets([
        ...peerScrapeTargets([self, ...others]),
        ...(configured ? targetScrapes(targets) : []),
      ]);
      if (configured) return;
      targets = workerTargets(targets, peers);
      gateway.setWorkers(targets);
    });
    const held = opened.move();
    return {
      ports: self.ports,
      drain: (graceMs) => gateway.drain(graceMs),
      async close() {
        await held.disposeAsync();
        // Last, so that everything before it could still be told.
        await telemetry.close();
      },
    };
  },
});
