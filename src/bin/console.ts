/** Composition of the console process. */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { readOtelConfig } from '../config/otel.ts';
import type { Config } from '../config/settings.ts';
import { createConsole } from '../console/console.ts';
import { SERVICE_CONSOLE } from '../contract/attributes.ts';
import { openFaultSocket } from '../lifecycle/fault_socket.ts';
import { createFaults } from '../lifecycle/faults.ts';
import { createHealth } from '../lifecycle/health.ts';
import { runService } from '../lifecycle/service_process.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { configOrExit } from './config_or_exit.ts';

/** Below the processes that serve queries. */
const NICE = 10;

const config = configOrExit();

function targetsUrl(metricsPort: number): string {
  return `http://127.0.0.1:${metricsPort}/metrics/targets`;
}

function beside(databasePath: string): string {
  return databasePath === ':memory:' ? databasePath : join(dirname(databasePath), 'evaluator.db');
}

/** Gateways on the ports that the configuration names; none where those are free ones. */
function configuredGateways({ metricsPort, count }: Config['gateway']): string[] {
  return metricsPort === 0
    ? []
    : Array.from({ length: count }, (_, index) => targetsUrl(metricsPort + index));
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const telemetry = await startTelemetry({
  serviceName: SERVICE_CONSOLE,
  instanceId: 'console-0',
  version,
  config: config.telemetry,
  // The console records no queries, and must not export to itself.
  otel: { ...readOtelConfig(), tracesExporters: [] },
  timeScale: config.slo.timeScale,
});
const health = createHealth();
try {
  setPriority(NICE);
} catch (error) {
  telemetry.log.warn('the console could not lower its priority', { error });
}

await runService({
  name: 'console',
  index: 0,
  graceMs: config.lifecycle.graceMs,
  log: telemetry.log,
  health,
  async start({ onPeers }) {
    const { discoveryUrls, scrapeIntervalS, evaluationIntervalS, evaluatorPath } = config.console;
    await using opened = new AsyncDisposableStack();
    const faults = config.drill.allowed ? createFaults() : undefined;
    if (faults !== undefined) {
      const directory = config.drill.socketDirectory;
      opened.use(await openFaultSocket(faults, { directory, name: 'console', index: 0 }));
    }
    const embedded = await createConsole(
      { telemetry, health, onLoginLink: (url) => telemetry.log.info(`log in at ${url}`), faults },
      {
        ...config.console,
        allowedHosts: config.access.allowedHosts,
        version,
        alerts: {
          sloPath: config.slo.path,
          timeScale: config.slo.timeScale,
          scrapeIntervalS,
          evaluationIntervalS,
          databasePath: evaluatorPath === '' ? beside(config.console.databasePath) : evaluatorPath,
          discoveryUrls: discoveryUrls.length > 0 ? discoveryUrls : configuredGateways(config.gateway),
          workerSecret: config.worker.secret,
          enricherToken: config.enricher.token,
          notifier: {
            webhookUrl: config.console.alertWebhookUrl,
            webhookFormat: config.console.alertWebhookFormat,
            deadManUrl: config.console.deadManUrl,
            groupWaitS: config.console.alertGroupWaitS,
            groupIntervalS: config.console.alertGroupIntervalS,
            repeatIntervalS: config.console.alertRepeatIntervalS,
            deadManIntervalS: config.console.deadManIntervalS,
          },
          links: { runbooks: config.slo.runbooksUrl, dashboards: config.slo.dashboardsUrl },
        },
      },
    );
    onPeers((peers) => {
      const urls = peers.flatMap(({ name, ports }) =>
        name === 'gateway' && ports.metrics !== undefined ? [targetsUrl(ports.metrics)] : [],
      );
      // Without a gateway the last lists stay in force: its processes are then found to be down.
      if (discoveryUrls.length === 0 && urls.length > 0) embedded.setDiscoveryUrls(urls);
    });
    opened.use(embedded);
    const held = opened.move();
    return {
      ports: { http: embedded.httpPort, otlp: embedded.otlpPort },
      drain: (graceMs) => embedded.drain(graceMs),
      async close() {
        await held.disposeAsync();
        await telemetry.close();
      },
    };
  },
});
