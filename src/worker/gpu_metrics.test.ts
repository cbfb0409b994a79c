import { expect, test } from 'vitest';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { EnergyShare } from '../hardware/energy_share.ts';
import type { GpuReading, GpuValues } from '../hardware/gpu_reading.ts';
import { catalogFamilies, renderFamilies } from '../telemetry/exposition.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { recordGpus } from './gpu_metrics.ts';

const PROCESS_ID = 4711;

/** A reader whose next look the test decides. */
function recorded(recordsHost = true) {
  const metrics = new Metrics();
  const energy = new EnergyShare(PROCESS_ID);
  let atMs = 0;
  let now: readonly GpuReading[] = [];
  recordGpus(
    {
      metrics,
      log: toldLog(),
      energy,
      open: () => ({
        source: 'nvml',
        searched: Promise.resolve('nvml'),
        read: () => now,
        [Symbol.asyncDispose]: async () => {},
      }),
    },
    { look: 'auto', recordsHost },
  );
  return {
    energy,
    look: (...readings: GpuReading[]) => {
      now = readings;
      atMs += 1000;
      energy.look(atMs, readings);
    },
    scrape: () =>
      renderFamilies(catalogFamilies(metrics), 'openmetrics')
        .split('\n')
        .filter((line) => /^(hw_|vitrine_gpu|vitrine_worker_gpu|inference_executor_energy)/.test(line)),
  };
}

function gpu(id: string, values: GpuValues): GpuReading {
  return { id, model: 'NVIDIA "A10"', state: 'ok', values };
}

const LABELS = (id: string) => `{hw_id="${id}",hw_type="gpu",hw_model="NVIDIA \\"A10\\""}`;

test('no GPU leaves no trace in /metrics', () => {
  expect(recorded().scrape()).toEqual([]);
});

test('every value of every GPU', () => {
  const { look, scrape } = recorded();
  look(
    gpu('GPU-a', {
      utilizationRatio: 0.5,
      memoryUsedBytes: 1024,
      memoryTotalBytes: 4096,
      powerWatts: 71.5,
      energyJoules: 123.25,
      temperatureCelsius: 40,
      computeProcesses: 2,
    }),
    gpu('GPU-b', { utilizationRatio: 0 }),
  );
  expect(scrape()).toEqual([
    `hw_gpu_utilization_ratio${LABELS('GPU-a')} 0.5`,
    `hw_gpu_utilization_ratio${LABELS('GPU-b')} 0`,
    `hw_gpu_memory_usage_bytes${LABELS('GPU-a')} 1024`,
    `hw_gpu_memory_limit_bytes${LABELS('GPU-a')} 4096`,
    `hw_power_watts${LABELS('GPU-a')} 71.5`,
    `hw_energy_joules_total${LABELS('GPU-a')} 123.25`,
    `hw_temperature_celsius${LABELS('GPU-a')} 40`,
    'hw_errors_total{hw_id="GPU-a",hw_type="gpu",error_type="lost"} 0',
    'hw_errors_total{hw_id="GPU-b",hw_type="gpu",error_type="lost"} 0',
    `vitrine_gpu_compute_processes${LABELS('GPU-a')} 2`,
  ]);
});

test('a value that is gone takes its series along; a loss counts with each look', () => {
  const { look, scrape } = recorded();
  const errors = (count: number) => `hw_errors_total{hw_id="GPU-a",hw_type="gpu",error_type="lost"} ${count}`;
  const energy = (joules: number) => `hw_energy_joules_total${LABELS('GPU-a')} ${joules}`;
  look(gpu('GPU-a', { powerWatts: 1, energyJoules: 2 }));
  expect(scrape()).toEqual([`hw_power_watts${LABELS('GPU-a')} 1`, energy(2), errors(0)]);
  look(gpu('GPU-a', { energyJoules: 3 }));
  expect(scrape()).toEqual([energy(3), errors(0)]);
  const lost: GpuReading = { ...gpu('GPU-a', {}), state: 'lost' };
  look(lost);
  expect(scrape()).toEqual([errors(1)]);
  // The same look, scraped twice.
  expect(scrape()).toEqual([errors(1)]);
  look({ ...lost });
  expect(scrape()).toEqual([errors(2)]);
  look(gpu('GPU-a', { energyJoules: 4 }));
  expect(scrape()).toEqual([energy(4), errors(2)]);
  look();
  expect(scrape()).toEqual([errors(2)]);
});

test('a worker tells which GPUs its own process uses, and nothing else unless it records the machine', () => {
  const { look, scrape, energy } = recorded(false);
  const labels = LABELS('GPU-a');
  const using = (energyJoules: number): GpuReading => ({
    ...gpu('GPU-a', { energyJoules, powerWatts: 70 }),
    processIds: [PROCESS_ID, 12],
  });
  const other: GpuReading = { ...gpu('GPU-b', { energyJoules: 5 }), processIds: [12] };
  look(using(100), other);
  expect(scrape()).toEqual([
    'inference_executor_energy_joules_total 0',
    `vitrine_worker_gpu_used${labels} 1`,
  ]);
  look(using(200), other);
  energy.take(500);
  look(using(300), other);
  // Two processes share it, and this one's batches ran for half of the second.
  expect(scrape()).toEqual([
    'inference_executor_energy_joules_total 25',
    `vitrine_worker_gpu_used${labels} 1`,
  ]);
  look(other);
  expect(scrape()).toEqual(['inference_executor_energy_joules_total 25']);
});
