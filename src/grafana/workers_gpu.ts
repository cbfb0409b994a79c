/** GPUs: collapsed, because few machines have one. Worker 1 of each machine reads them. */
import { alertThreshold } from './alert_threshold.ts';
import { BAD, GOOD, MUTED, NEUTRAL } from './palette.ts';
import { type SizedPanel, series } from './panel.ts';
import { each, level, perSecond, promql } from './promql.ts';

const LEGEND = '{{hw_model}} {{hw_id}}, {{instance}}';
const BY_GPU = ['instance', 'hw_id', 'hw_model'] as const;

const ANSWERED = promql`(${perSecond('inference_requests_total', { where: { outcome: 'ok' } })} > 0)`;

export const GPU: readonly SizedPanel[] = [
  series({
    title: 'GPU utilization',
    shows:
      "Share of the driver's last window in which at least one kernel ran. It does not say how much of the GPU that filled.",
    bad: 'above the line for 10 minutes an alert is due: no room for more queries.',
    alerts: ['VitrineGpuSaturated'],
    unit: 'percentunit',
    queries: [{ expr: each('hw_gpu_utilization_ratio'), legend: LEGEND }],
    limits: [alertThreshold('VitrineGpuSaturated')],
    most: 1,
    width: 8,
  }),
  series({
    title: 'GPU memory',
    shows: 'Memory in use, with what the driver keeps for itself; dashed, what there is.',
    bad: 'at the dashed line allocations fail, and models cannot be loaded.',
    alerts: ['VitrineGpuMemoryFilling'],
    unit: 'bytes',
    queries: [
      { expr: each('hw_gpu_memory_usage_bytes'), legend: LEGEND },
      { expr: each('hw_gpu_memory_limit_bytes'), legend: `limit of ${LEGEND}` },
    ],
    colorsByPattern: { '^limit of ': BAD },
    dashedPattern: '^limit of ',
    width: 8,
  }),
  series({
    title: 'GPU power',
    shows: 'What the board draws, with its memory.',
    bad: 'flat at the limit of the board: it is throttled.',
    unit: 'watt',
    queries: [{ expr: each('hw_power_watts'), legend: LEGEND }],
    width: 8,
  }),
  series({
    title: 'GPU energy per answered query',
    shows:
      'Two lines. spent: energy that all GPUs took, whatever ran on them. attributed: the part that was taken while batches ran. Both divided by answered queries; estimates.',
    bad: 'spent far above attributed: GPUs run idle, or for somebody else.',
    unit: 'joule',
    queries: [
      {
        expr: promql`${perSecond('hw_energy_joules_total')} / on () ${ANSWERED}`,
        legend: 'spent',
      },
      {
        expr: promql`${perSecond('inference_attributed_energy_joules_total')} / on () ${ANSWERED}`,
        legend: 'attributed',
      },
    ],
    colors: { spent: MUTED, attributed: NEUTRAL },
    width: 8,
  }),
  series({
    title: 'GPU energy',
    shows: 'Energy that each GPU takes a second, from its counter: the mean power between scrapes.',
    bad: 'it differs from the power beside it: the power jumps between readings.',
    unit: 'watt',
    queries: [{ expr: perSecond('hw_energy_joules_total', { by: BY_GPU }), legend: LEGEND }],
    width: 8,
  }),
  series({
    title: 'GPU temperature',
    shows: 'Temperature of each GPU.',
    bad: 'above 85 °C most boards slow down.',
    unit: 'celsius',
    queries: [{ expr: each('hw_temperature_celsius'), legend: LEGEND }],
    width: 8,
  }),
  series({
    title: 'GPU lost',
    shows: 'Looks at a GPU that found it lost, a second: it fell off the bus, or needs a reset.',
    bad: 'any; it goes on for as long as the GPU is gone.',
    alerts: ['VitrineGpuLost'],
    unit: 'short',
    queries: [
      {
        expr: perSecond('hw_errors_total', { by: ['instance', 'hw_id', 'error_type'] }),
        legend: '{{hw_id}} {{error_type}}, {{instance}}',
      },
    ],
    colorsByPattern: { '.': BAD },
    bars: true,
    width: 8,
    height: 7,
  }),
  series({
    title: 'Energy of batches',
    shows:
      'Energy that GPUs took while batches ran on them, and what of it was attributed to queries, a second; the two lines lie on each other, a look behind.',
    bad: 'they part: the cost of queries is not what was spent.',
    unit: 'watt',
    queries: [
      { expr: perSecond('inference_executor_energy_joules_total'), legend: 'measured' },
      { expr: perSecond('inference_attributed_energy_joules_total'), legend: 'attributed' },
    ],
    colors: { measured: GOOD, attributed: NEUTRAL },
    dashed: ['attributed'],
    width: 8,
    height: 7,
  }),
  series({
    title: 'GPU compute processes',
    shows: 'Processes that hold a compute context on the GPU; dashed, workers of ours that do.',
    bad: 'more than are yours: somebody else computes there.',
    unit: 'short',
    queries: [
      { expr: each('vitrine_gpu_compute_processes'), legend: LEGEND },
      {
        expr: level('sum', 'vitrine_worker_gpu_used', { by: ['hw_id', 'hw_model'] }),
        legend: 'ours on {{hw_model}} {{hw_id}}',
      },
    ],
    dashedPattern: '^ours on ',
    width: 8,
    height: 7,
  }),
];
