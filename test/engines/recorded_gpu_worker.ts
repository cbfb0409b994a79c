/** A worker in this process whose GPU is a recording: everything but the driver is real. */

import { loadConfig } from '../../src/config/load.ts';
import { readOtelConfig } from '../../src/config/otel.ts';
import { SERVICE_WORKER } from '../../src/contract/attributes.ts';
import { EnergyShare } from '../../src/hardware/energy_share.ts';
import { openGpuReader } from '../../src/hardware/gpu_reader.ts';
import { createFaults } from '../../src/lifecycle/faults.ts';
import { createHealth } from '../../src/lifecycle/health.ts';
import { startTelemetry } from '../../src/telemetry/telemetry.ts';
import { recordGpus } from '../../src/worker/gpu_metrics.ts';
import { createWorkerService } from '../../src/worker/worker_service.ts';
import { NvmlReplay, type RecordingName } from '../fixtures/nvml_replay.ts';

export interface RecordedGpuWorker extends AsyncDisposable {
  readonly url: string;
  readonly instance: string;
}

/**
 * @param recording a file below test/fixtures/nvml/
 * @param processId which of the recording's processes this worker is
 */
export async function startRecordedGpuWorker(
  instance: string,
  { recording, processId }: { readonly recording: RecordingName; readonly processId: number },
): Promise<RecordedGpuWorker> {
  await using opened = new AsyncDisposableStack();
  const config = loadConfig({ VITRINE_TELEMETRY_LOG_LEVEL: 'silent' });
  const telemetry = await startTelemetry({
    serviceName: SERVICE_WORKER,
    instanceId: instance,
    version: '0.0.0',
    config: config.telemetry,
    otel: readOtelConfig({ OTEL_TRACES_EXPORTER: 'none' }),
  });
  opened.defer(() => telemetry.close());
  const { metrics, log } = telemetry;
  const energy = new EnergyShare(processId);
  const health = createHealth();
  const service = opened.use(
    await createWorkerService(
      {
        telemetry,
        energy,
        health,
        faults: createFaults(),
        crashed: (error) => {
          throw error;
        },
      },
      {
        ...config.worker,
        ...config.access,
        version: '0.0.0',
        host: '127.0.0.1',
        port: 0,
        defaultTimeoutMs: 20_000,
      },
    ),
  );
  opened.use(
    recordGpus(
      {
        metrics,
        log,
        energy,
        open: (deps, options) =>
          openGpuReader({ ...deps, nvml: async () => new NvmlReplay(recording) }, options),
      },
      { look: 'on', recordsHost: true },
    ),
  );
  health.clear('start');
  const held = opened.move();
  return {
    url: `http://127.0.0.1:${service.port}`,
    instance,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
