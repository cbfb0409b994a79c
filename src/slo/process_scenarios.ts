/** What proves the alerts about processes and machines. */
import { type Phase, raisedScenarios, type Scenario, type ScenarioSeries } from './scenario.ts';
import { counting, GATEWAY, GPU, MIB, OTHER_WORKER, STEP_S, standing, WORKER } from './scenario_parts.ts';

/** Seconds of uptime between the restarts, one phase for each life. */
function lives(...seconds: readonly number[]): Phase[] {
  return seconds.map((lastsS) => ({ lastsS, from: 1, perS: 1 }));
}

function restarts(title: string, lifetimesS: readonly number[], firing: Scenario['checks']): Scenario {
  return {
    rule: 'VitrineProcessRestarting',
    title,
    stepS: STEP_S,
    series: [{ name: 'process_uptime_seconds', labels: WORKER, phases: lives(...lifetimesS) }],
    checks: firing,
  };
}

const LOST = (gpu: string): Readonly<Record<string, string>> => ({
  ...WORKER,
  hw_id: gpu,
  error_type: 'lost',
});

function lost(gpu: string, phases: readonly Phase[]): ScenarioSeries {
  return { name: 'hw_errors_total', labels: { ...LOST(gpu), hw_type: 'gpu' }, phases };
}

export const PROCESS_SCENARIOS: readonly Scenario[] = [
  ...raisedScenarios({
    rule: 'VitrineGatewayDown',
    stepS: STEP_S,
    calmS: 300,
    raisedS: 300,
    pendingS: 60,
    clearS: 300,
    firing: [{ labels: { job: 'vitrine-gateway' }, value: 0 }],
    series: [
      standing('up', GATEWAY, [1, 0, 0]),
      // One gateway that answers is enough.
      standing('up', { ...GATEWAY, instance: 'gateway-1' }, [1, 0, 1]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineNoWorkerReady',
    stepS: STEP_S,
    calmS: 300,
    raisedS: 300,
    pendingS: 30,
    clearS: 300,
    firing: [{ labels: { job: 'vitrine-gateway' }, value: 0 }],
    series: [
      standing('vitrine_gateway_workers', { ...GATEWAY, state: 'ready' }, [2, 0, 1]),
      standing('vitrine_gateway_workers', { ...GATEWAY, state: 'not_ready' }, [0, 2, 1]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineWorkerDown',
    stepS: STEP_S,
    calmS: 300,
    raisedS: 300,
    pendingS: 60,
    clearS: 300,
    firing: [{ labels: { job: 'vitrine-gateway' }, value: 1 }],
    series: [
      standing('vitrine_gateway_workers', { ...GATEWAY, state: 'ready' }, [2, 1, 2]),
      standing('vitrine_gateway_workers', { ...GATEWAY, state: 'not_ready' }, [0, 1, 0]),
    ],
  }),
  {
    rule: 'VitrineWorkerDown',
    title: 'stays silent while a worker restarts',
    stepS: STEP_S,
    series: [
      {
        name: 'vitrine_gateway_workers',
        labels: { ...GATEWAY, state: 'not_ready' },
        phases: [
          { lastsS: 300, from: 0 },
          { lastsS: 60, from: 1 },
          { lastsS: 300, from: 0 },
        ],
      },
    ],
    checks: [
      { atS: 345, firing: [] },
      { atS: 360, firing: [] },
    ],
  },
  restarts(
    'fires at the third restart, and clears',
    [1800, 180, 180, 2400],
    [
      { atS: 1800 + 180, firing: [] },
      { atS: 1800 + 360, firing: [{ labels: WORKER, value: 3 }] },
      // The first of the three leaves the window 15 minutes after it; then it is kept firing for 5.
      { atS: 1800 + 900, firing: [{ labels: WORKER, value: 3 }] },
      { atS: 1800 + 900 + 330, firing: [] },
    ],
  ),
  restarts(
    'stays silent with two restarts',
    [1800, 180, 2400],
    [
      { atS: 1800 + 180, firing: [] },
      { atS: 1800 + 900, firing: [] },
    ],
  ),
  ...raisedScenarios({
    rule: 'VitrineTargetDown',
    stepS: STEP_S,
    calmS: 300,
    raisedS: 300,
    pendingS: 60,
    clearS: 300,
    firing: [{ labels: WORKER, value: 0 }],
    series: [standing('up', WORKER, [1, 0, 1]), standing('up', OTHER_WORKER, [1, 1, 1])],
  }),
  {
    rule: 'VitrineTargetDown',
    title: 'stays silent when it misses scrapes for less than a minute, or is not ours',
    stepS: STEP_S,
    series: [
      {
        name: 'up',
        labels: WORKER,
        phases: [
          { lastsS: 300, from: 1 },
          { lastsS: 60, from: 0 },
          { lastsS: 300, from: 1 },
        ],
      },
      { name: 'up', labels: { job: 'database', instance: 'db-1' }, phases: [{ lastsS: 660, from: 0 }] },
    ],
    checks: [
      { atS: 345, firing: [] },
      { atS: 600, firing: [] },
    ],
  },
  {
    rule: 'VitrineTargetAbsent',
    title: 'fires when no gateway is listed, and clears',
    stepS: STEP_S,
    series: [
      {
        name: 'up',
        labels: GATEWAY,
        phases: [
          { lastsS: 300, from: 1 },
          { lastsS: 300, gap: 'stale' },
          { lastsS: 300, from: 1 },
        ],
      },
      { name: 'up', labels: WORKER, phases: [{ lastsS: 900, from: 1 }] },
    ],
    checks: [
      { atS: 345, firing: [] },
      { atS: 360, firing: [{ labels: { job: 'vitrine-gateway' }, value: 1 }] },
      { atS: 600, firing: [] },
    ],
  },
  {
    rule: 'VitrineTargetAbsent',
    title: 'stays silent for a gateway that fails its scrapes: it is listed',
    stepS: STEP_S,
    series: [
      {
        name: 'up',
        labels: GATEWAY,
        phases: [
          { lastsS: 300, from: 1 },
          { lastsS: 600, from: 0 },
        ],
      },
    ],
    checks: [
      { atS: 600, firing: [] },
      { atS: 885, firing: [] },
    ],
  },
  {
    rule: 'VitrineTargetVanished',
    title: 'fires when a target is no longer listed, and clears within the hour',
    stepS: STEP_S,
    series: [
      {
        name: 'up',
        labels: WORKER,
        phases: [
          { lastsS: 600, from: 1 },
          { lastsS: 4200, gap: 'stale' },
        ],
      },
      { name: 'up', labels: OTHER_WORKER, phases: [{ lastsS: 4800, from: 1 }] },
    ],
    checks: [
      { atS: 705, firing: [] },
      { atS: 720, firing: [{ labels: WORKER, value: 1 }] },
      { atS: 585 + 3585, firing: [{ labels: WORKER, value: 1 }] },
      { atS: 585 + 3600, firing: [] },
    ],
  },
  {
    rule: 'VitrineTargetVanished',
    title: 'stays silent when it is back within two minutes',
    stepS: STEP_S,
    series: [
      {
        name: 'up',
        labels: WORKER,
        phases: [
          { lastsS: 600, from: 1 },
          { lastsS: 120, gap: 'stale' },
          { lastsS: 600, from: 1 },
        ],
      },
    ],
    checks: [
      { atS: 705, firing: [] },
      { atS: 720, firing: [] },
      { atS: 1200, firing: [] },
    ],
  },
  ...raisedScenarios({
    rule: 'VitrineInferenceThreadSaturated',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 900,
    pendingS: 450,
    clearS: 600,
    firing: [{ labels: { ...WORKER, thread: '0' }, value: 0.91 }],
    series: [
      counting('inference_executor_busy_seconds_total', { ...WORKER, thread: '0' }, [0.5, 0.91, 0.89]),
      counting('inference_executor_busy_seconds_total', { ...WORKER, thread: '1' }, [0.5, 0.5, 0.5]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineGpuSaturated',
    stepS: STEP_S,
    calmS: 900,
    raisedS: 1200,
    pendingS: 750,
    clearS: 900,
    firing: [{ labels: { ...WORKER, hw_id: 'GPU-0', hw_model: 'L4' }, value: 0.96 }],
    series: [standing('hw_gpu_utilization_ratio', GPU, [0.5, 0.96, 0.94])],
  }),
  ...raisedScenarios({
    rule: 'VitrineGpuMemoryFilling',
    stepS: STEP_S,
    calmS: 2400,
    raisedS: 2400,
    pendingS: 1725,
    clearS: 2400,
    // From 14,000 MiB by 2 a second for 2,400 s to 18,800; in an hour 26,000 of 24,000.
    firing: [{ labels: { ...WORKER, hw_id: 'GPU-0', hw_model: 'L4' }, value: 26_000 / 24_000 }],
    series: [
      {
        name: 'hw_gpu_memory_usage_bytes',
        labels: GPU,
        calm: { from: 14_000 * MIB },
        above: { perS: 2 * MIB },
        below: { perS: 1.65 * MIB },
      },
      standing('hw_gpu_memory_limit_bytes', GPU, [24_000 * MIB, 24_000 * MIB, 24_000 * MIB]),
    ],
  }),
  {
    rule: 'VitrineGpuLost',
    title:
      'fires while looks at it fail, also of one that was lost from the start, and clears five minutes after',
    stepS: STEP_S,
    series: [
      lost('GPU-0', [
        { lastsS: 600, from: 0 },
        // Counted once for each scrape that found it lost.
        { lastsS: 600, perS: 1 / STEP_S },
        { lastsS: 600 },
      ]),
      lost('GPU-1', [{ lastsS: 60, from: 1, perS: 1 / STEP_S }, { lastsS: 1740 }]),
    ],
    checks: [
      { atS: 0, firing: [] },
      // Of the first sample of a series nothing is known; from the second on it grows.
      { atS: 60, firing: [{ labels: LOST('GPU-1'), value: 3.375 }] },
      { atS: 585, firing: [] },
      { atS: 1185, firing: [{ labels: LOST('GPU-0'), value: 20 }] },
      { atS: 1455, firing: [{ labels: LOST('GPU-0'), value: 20 / 19 }] },
      { atS: 1470, firing: [] },
    ],
  },
  {
    rule: 'VitrineGpuLost',
    title: 'stays silent when the reader restarts: its counter begins anew',
    stepS: STEP_S,
    series: [
      lost('GPU-0', [
        { lastsS: 600, from: 40 },
        { lastsS: 600, from: 0 },
      ]),
    ],
    checks: [
      { atS: 600, firing: [] },
      { atS: 900, firing: [] },
    ],
  },
  ...raisedScenarios({
    rule: 'VitrineProcessMemoryFilling',
    stepS: STEP_S,
    calmS: 2400,
    raisedS: 2400,
    pendingS: 2115,
    clearS: 2400,
    // From 500 MiB by 0.09 a second for 2,400 s to 716; in an hour 1,040 of 1,000.
    firing: [{ labels: WORKER, value: 1.04 }],
    series: [
      {
        name: 'process_memory_usage_bytes',
        labels: WORKER,
        calm: { from: 500 * MIB },
        above: { perS: 0.09 * MIB },
        below: { perS: 0.0825 * MIB },
      },
      standing('process_memory_limit_bytes', WORKER, [1000 * MIB, 1000 * MIB, 1000 * MIB]),
    ],
  }),
  ...raisedScenarios({
    rule: 'VitrineEventLoopDelayed',
    stepS: STEP_S,
    calmS: 600,
    raisedS: 600,
    pendingS: 360,
    clearS: 600,
    firing: [{ labels: GATEWAY, value: 0.21 }],
    series: [standing('nodejs_eventloop_delay_max_seconds', GATEWAY, [0.02, 0.21, 0.19])],
  }),
];
