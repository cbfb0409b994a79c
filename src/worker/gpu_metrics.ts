/** The GPUs of this machine as metrics: its readings by one worker, and by each worker those that it uses itself. */
import type { Log } from '../contract/log.ts';
import type { EnergyShare } from '../hardware/energy_share.ts';
import { type GpuReader, type GpuReaderOptions, openGpuReader } from '../hardware/gpu_reader.ts';
import type { GpuReading, GpuValues } from '../hardware/gpu_reading.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const GAUGES = {
  hw_gpu_utilization_ratio: 'utilizationRatio',
  hw_gpu_memory_usage_bytes: 'memoryUsedBytes',
  hw_gpu_memory_limit_bytes: 'memoryTotalBytes',
  hw_power_watts: 'powerWatts',
  hw_temperature_celsius: 'temperatureCelsius',
  vitrine_gpu_compute_processes: 'computeProcesses',
} as const satisfies Readonly<Record<string, keyof GpuValues>>;
const GAUGE_NAMES = Object.keys(GAUGES) as (keyof typeof GAUGES)[];

export interface GpuMetricsOptions extends GpuReaderOptions {
  /** Whether this worker is the one that records the readings of the machine's GPUs. */
  readonly recordsHost: boolean;
}

export interface GpuMetricsDeps {
  readonly metrics: Metrics;
  readonly log: Log;
  /** Told of every look. */
  readonly energy: EnergyShare;
  readonly open?: typeof openGpuReader;
}

/**
 * Series exist for what was read and for nothing else: a value that a GPU does not tell, a GPU that is lost, and
 * a machine without one leave no series, rather than a zero. Values are those of the last look (read at scrape).
 * Errors grow for as long as a GPU is lost, so that an alert holds for as long.
 */
export function recordGpus(deps: GpuMetricsDeps, options: GpuMetricsOptions): AsyncDisposable {
  const { metrics, log, energy, open = openGpuReader } = deps;
  const { recordsHost } = options;
  const looked = (atMs: number, readings: readonly GpuReading[]): void => energy.look(atMs, readings);
  const reader: GpuReader = open(
    { log, looked },
    // nvidia-smi tells neither energy nor processes, and whoever looks for the machine tells that it has no GPU.
    recordsHost ? options : { ...options, look: 'auto', throughTool: false },
  );
  let shown: readonly GpuReading[] = [];
  let used: readonly GpuReading[] = [];

  function labelsOf(reading: GpuReading) {
    return { hw_id: reading.id, hw_type: 'gpu', hw_model: reading.model };
  }

  function show(reading: GpuReading): void {
    const labels = labelsOf(reading);
    for (const name of GAUGE_NAMES) {
      const value = reading.values[GAUGES[name]];
      if (value !== undefined) metrics.gauge(name).series(labels).set(value);
    }
    const { energyJoules } = reading.values;
    if (energyJoules !== undefined) {
      metrics.counter('hw_energy_joules_total').series(labels).value = energyJoules;
    }
  }

  /** What an earlier look had and this one has not. */
  function withdraw(reading: GpuReading, now: GpuValues): void {
    const labels = labelsOf(reading);
    for (const name of GAUGE_NAMES) {
      if (reading.values[GAUGES[name]] !== undefined && now[GAUGES[name]] === undefined) {
        metrics.gauge(name).remove(labels);
      }
    }
    if (reading.values.energyJoules !== undefined && now.energyJoules === undefined) {
      metrics.counter('hw_energy_joules_total').remove(labels);
    }
  }

  function showUsed(readings: readonly GpuReading[]): void {
    const inUse = metrics.gauge('vitrine_worker_gpu_used');
    for (const before of used) inUse.remove(labelsOf(before));
    used = energy.used(readings);
    for (const reading of used) inUse.series(labelsOf(reading)).set(1);
    if (used.length === 0 && energy.dueJoules === 0) return;
    metrics.counter('inference_executor_energy_joules_total').series({}).value = energy.dueJoules;
  }

  metrics.beforeRead(() => {
    const readings = reader.read();
    showUsed(readings);
    if (!recordsHost || readings === shown) return;
    for (const before of shown) {
      withdraw(before, readings.find(({ id }) => id === before.id)?.values ?? {});
    }
    for (const reading of readings) {
      show(reading);
      const losses = metrics
        .counter('hw_errors_total')
        .series({ hw_id: reading.id, hw_type: 'gpu', error_type: 'lost' });
      if (reading.state === 'lost') losses.add(1);
    }
    shown = readings;
  });
  return reader;
}
