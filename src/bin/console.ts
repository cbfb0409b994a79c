/** Composition of the console process. */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { readOtelConfig } from '../config/otel.ts';
import { createConsole } from '../console/console.ts';
import { SERVICE_CONSOLE } from '../contract/attributes.ts';
import { createHealth } from '../lifecycle/health.ts';
import { runService } from '../lifecycle/service_process.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { configOrExit } from './config_or_exit.ts';

/** Below the processes that serve queries. */
const NICE = 10;

const config = configOrExit();
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
  async start() {
    const embedded = await createConsole(
      { telemetry, health, onLoginLink: (url) => telemetry.log.info(`log in at ${url}`) },
      { ...config.console, allowedHosts: config.access.allowedHosts, version },
    );
    return {
      ports: { http: embedded.httpPort, otlp: embedded.otlpPort },
      drain: (graceMs) => embedded.drain(graceMs),
      async close() {
        await embedded[Symbol.asyncDispose]();
        await telemetry.close();
      },
    };
  },
});
