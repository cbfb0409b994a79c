/** The GPUs of this machine as metrics. One worker of a machine records them; the others do not look. */
import type { Log } from '../contract/log.ts';
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

export interface GpuMetricsDeps {
  readonly metrics: Metrics;
  readonly log: Log;
  readonly open?: typeof openGpuReader;
}

/**
 * Series exist for what was read and for nothing else: a value that a GPU does not tell, a GPU that is lost, and
 * a machine without one leave no series, rather than a zero. Values are those of the last look (read at scrape).
 * Errors grow for as long as a GPU is lost, so that an alert holds for as long.
 */
export function recordGpus(deps: GpuMetricsDeps, options: GpuReaderOptions): AsyncDisposable {
  const { metrics, log, open = openGpuReader } = deps;
  const reader: GpuReader = open({ log }, options);
  let shown: readonly GpuReading[] = [];

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

  metrics.beforeRead(() => {
    const readings = reader.read();
    if (readings === shown) return;
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
