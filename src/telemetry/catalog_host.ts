/**
 * Metrics of processes and of the machine, under the names of OpenTelemetry's conventions for processes,
 * runtimes and hardware; part of the catalogue.
 */
import type { CatalogEntry } from './catalog_entry.ts';

export const HOST_METRICS = {
  nodejs_eventloop_delay_max_seconds: {
    type: 'gauge',
    unit: 's',
    description: 'Largest event-loop delay of the last 15 s.',
    attributes: [],
    place: 'all',
    otelName: 'nodejs.eventloop.delay.max',
  },
  nodejs_eventloop_utilization_ratio: {
    type: 'gauge',
    unit: '1',
    description: 'Share of time in which the event loop was not idle, since the last scrape.',
    attributes: [],
    place: 'all',
    otelName: 'nodejs.eventloop.utilization',
  },
  process_cpu_time_seconds_total: {
    type: 'counter',
    unit: 's',
    description: 'CPU time of the process.',
    attributes: ['cpu_mode'],
    place: 'all',
    otelName: 'process.cpu.time',
  },
  process_memory_usage_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Resident memory of the process.',
    attributes: [],
    place: 'all',
    otelName: 'process.memory.usage',
  },
  process_memory_limit_bytes: {
    type: 'gauge',
    unit: 'By',
    description:
      'Resident memory at which the process cannot go on: its control group or the machine, or less where it is told so.',
    attributes: [],
    place: 'all',
    otelName: 'process.memory.limit',
  },
  process_uptime_seconds: {
    type: 'gauge',
    unit: 's',
    description: 'Time since the process started.',
    attributes: [],
    place: 'all',
    otelName: 'process.uptime',
  },
  v8js_memory_heap_used_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Heap in use.',
    attributes: [],
    place: 'all',
    otelName: 'v8js.memory.heap.used',
  },
  v8js_gc_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: 'Garbage collections, by kind.',
    attributes: ['v8js_gc_type'],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5],
    place: 'all',
    otelName: 'v8js.gc.duration',
  },
  hw_gpu_utilization_ratio: {
    type: 'gauge',
    unit: '1',
    description: 'Share of time in which the GPU ran something, since the last look.',
    attributes: ['hw_id', 'hw_type', 'hw_model'],
    place: 'host',
    otelName: 'hw.gpu.utilization',
  },
  hw_gpu_memory_usage_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Memory of the GPU in use.',
    attributes: ['hw_id', 'hw_type', 'hw_model'],
    place: 'host',
    otelName: 'hw.gpu.memory.usage',
  },
  hw_gpu_memory_limit_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Memory of the GPU.',
    attributes: ['hw_id', 'hw_type', 'hw_model'],
    place: 'host',
    otelName: 'hw.gpu.memory.limit',
  },
} as const satisfies Record<string, CatalogEntry>;
