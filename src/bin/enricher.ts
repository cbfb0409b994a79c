/** Composition of the enricher process. */
import { readFileSync } from 'node:fs';
import { readOtelConfig } from '../config/otel.ts';
import { SERVICE_ENRICHER } from '../contract/attributes.ts';
import { createEnricher } from '../enricher/enricher.ts';
import { createHealth } from '../lifecycle/health.ts';
import { runService } from '../lifecycle/service_process.ts';
import { loadObjectives } from '../slo/load_objectives.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { configOrExit } from './config_or_exit.ts';

const config = configOrExit();
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const telemetry = await startTelemetry({
  serviceName: SERVICE_ENRICHER,
  instanceId: config.telemetry.instanceId || 'enricher-0',
  version,
  config: config.telemetry,
  // It records no queries.
  otel: { ...readOtelConfig(), tracesExporters: [] },
});
const health = createHealth();

await runService({
  name: 'enricher',
  index: 0,
  graceMs: config.lifecycle.graceMs,
  log: telemetry.log,
  health,
  async start() {
    const enricher = await createEnricher(
      { telemetry, health, objectives: loadObjectives(config.slo.path, telemetry.log) },
      { ...config.enricher, ...config.access, timeScale: config.slo.timeScale },
    );
    return {
      ports: { http: enricher.httpPort },
      drain: (graceMs) => enricher.drain(graceMs),
      async close() {
        await enricher[Symbol.asyncDispose]();
        await telemetry.close();
      },
    };
  },
});
