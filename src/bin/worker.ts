/** Composition of one worker process. */
import { readFileSync } from 'node:fs';
import { readOtelConfig } from '../config/otel.ts';
import { SERVICE_WORKER } from '../contract/attributes.ts';
import { EnergyShare } from '../hardware/energy_share.ts';
import { openFaultSocket } from '../lifecycle/fault_socket.ts';
import { createFaults } from '../lifecycle/faults.ts';
import { createHealth } from '../lifecycle/health.ts';
import { growOnFault } from '../lifecycle/memory_growth.ts';
import { runService } from '../lifecycle/service_process.ts';
import { stallOnFault } from '../lifecycle/stall.ts';
import { applyRuntimeEnvironment } from '../model/runtime_environment.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { recordGpus } from '../worker/gpu_metrics.ts';
import { createWorkerService } from '../worker/worker_service.ts';
import { configOrExit } from './config_or_exit.ts';

const config = configOrExit();
const { index, basePort, httpPort } = config.worker;
// Before the first inference thread: native code reads the environment of the process.
applyRuntimeEnvironment(process.env);
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const telemetry = await startTelemetry({
  serviceName: SERVICE_WORKER,
  instanceId: config.telemetry.instanceId || `worker-${index}`,
  version,
  config: config.telemetry,
  otel: readOtelConfig(),
  timeScale: config.slo.timeScale,
});
const health = createHealth();

await runService({
  name: 'worker',
  index,
  graceMs: config.lifecycle.graceMs,
  log: telemetry.log,
  health,
  async start() {
    await using opened = new AsyncDisposableStack();
    const faults = createFaults();
    if (config.drill.allowed) {
      const directory = config.drill.socketDirectory;
      opened.use(await openFaultSocket(faults, { directory, name: 'worker', index, life: config.lifecycle }));
      opened.use(stallOnFault(faults));
      opened.use(growOnFault(faults, telemetry.metrics));
    }
    const energy = new EnergyShare(process.pid);
    const service = opened.use(
      await createWorkerService(
        {
          telemetry,
          energy,
          health,
          faults,
          crashed: (error) => {
            // Uncaught on purpose: the process is what is restarted.
            setImmediate(() => {
              throw error;
            });
          },
        },
        {
          ...config.worker,
          ...config.access,
          version,
          port: httpPort !== 0 || basePort === 0 ? httpPort : basePort + index,
          defaultTimeoutMs: config.gateway.defaultTimeoutMs,
        },
      ),
    );
    // One of a machine's workers; they would all read the same.
    const look = config.worker.gpuMetrics;
    if (look !== 'off' && telemetry.enabled) {
      const { metrics, log } = telemetry;
      // One of a machine's workers records its GPUs; they would all read the same.
      opened.use(recordGpus({ metrics, log, energy }, { look, recordsHost: index === 1 }));
    }
    const held = opened.move();
    return {
      ports: { http: service.port },
      drain: (graceMs) => service.drain(graceMs),
      async close() {
        await held.disposeAsync();
        // Last, so that everything before it could still be told.
        await telemetry.close();
      },
    };
  },
});
