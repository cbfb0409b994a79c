/**
 * Traffic with and without faults, as ledgers, for scoring evidence: Poisson arrivals, workers with one batching
 * executor each (so that waiting comes from work, as in the service), lognormal stages, and pauses of the kind
 * that garbage collection and noisy neighbours cause.
 */
import type { LedgerStage, QueryLedger } from '../src/slo/evidence_input.ts';

/** mulberry32: the same scenarios on every run. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Stages where a delay is injected. `queue` stands for a delay that nothing else explains. */
export const FAULT_STAGES = [
  'admit',
  'route',
  'network',
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
] as const satisfies readonly LedgerStage[];
export type FaultStage = (typeof FAULT_STAGES)[number];

/** Stages that a worker passes: there a fault can sit in one worker. */
export const WORKER_FAULT_STAGES: ReadonlySet<FaultStage> = new Set([
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
]);

export interface Fault {
  readonly stage: FaultStage;
  /** Undefined: every worker. */
  readonly worker: string | undefined;
  readonly delayMs: number;
}

export interface Traffic {
  readonly seed: number;
  readonly ratePerS: number;
  readonly workers: number;
  readonly seconds: number;
  /** Unix milliseconds of its first moment. */
  readonly fromMs: number;
  /** Share of queries that meet a pause of 10 to 80 ms in a stage of their own. */
  readonly pauseShare: number;
  readonly fault: Fault | undefined;
}

/** Medians in milliseconds; each value is lognormal around them. */
const MEDIAN_MS: Partial<Record<LedgerStage, number>> = {
  receive: 0.3,
  admit: 0.01,
  route: 0.1,
  network: 0.8,
  worker_receive: 0.5,
  preprocess: 0.1,
  worker_respond: 0.5,
  respond: 0.1,
};
const BATCH_WAIT_MS = 2;
const DISPATCH_MS = 0.3;
const COMPUTE_MS = 2;
const POSTPROCESS_MS = 0.05;
const BATCH_LIMIT = 16;
const SIGMA = 0.5;

interface Arrival {
  readonly atMs: number;
  readonly stages: Map<LedgerStage, number>;
  readonly worker: string;
  readyMs: number;
}

/** The ledgers of one stretch of traffic. */
export function simulate(traffic: Traffic): QueryLedger[] {
  const random = createRandom(traffic.seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const lognormal = (median: number): number => median * Math.exp(SIGMA * normal());
  const { fault } = traffic;
  const delay = (stage: FaultStage, worker: string): number =>
    fault !== undefined && fault.stage === stage && (fault.worker === undefined || fault.worker === worker)
      ? fault.delayMs
      : 0;

  const byWorker = new Map<string, Arrival[]>();
  for (let index = 1; index <= traffic.workers; index += 1) byWorker.set(`worker-${index}`, []);
  const names = [...byWorker.keys()];
  let clockMs = 0;
  let turn = 0;
  while (clockMs < traffic.seconds * 1000) {
    clockMs += (-Math.log(1 - random()) * 1000) / traffic.ratePerS;
    const worker = names[turn % names.length] as string;
    turn += 1;
    const stages = new Map<LedgerStage, number>();
    for (const [stage, median] of Object.entries(MEDIAN_MS) as [LedgerStage, number][]) {
      stages.set(stage, lognormal(median) + delay(stage as FaultStage, worker));
    }
    if (random() < traffic.pauseShare) {
      const paused = [...stages.keys()][Math.floor(random() * stages.size)] as LedgerStage;
      stages.set(paused, (stages.get(paused) ?? 0) + 10 + 70 * random());
    }
    const before = ['receive', 'admit', 'route', 'worker_receive', 'preprocess'] as const;
    const readyMs = clockMs + before.reduce((sum, stage) => sum + (stages.get(stage) ?? 0), 0);
    byWorker.get(worker)?.push({ atMs: clockMs, stages, worker, readyMs });
  }

  const ledgers: QueryLedger[] = [];
  for (const [worker, arrivals] of byWorker) {
    arrivals.sort((a, b) => a.readyMs - b.readyMs);
    let freeMs = 0;
    for (let next = 0; next < arrivals.length; ) {
      const head = arrivals[next] as Arrival;
      const openedMs = Math.max(freeMs, head.readyMs + delay('queue', worker));
      const waitUntilMs = Math.max(openedMs, head.readyMs + BATCH_WAIT_MS);
      let size = 1;
      while (
        size < BATCH_LIMIT &&
        (arrivals[next + size]?.readyMs ?? Number.POSITIVE_INFINITY) <= waitUntilMs
      )
        size += 1;
      const closedMs =
        Math.max(size === BATCH_LIMIT ? openedMs : waitUntilMs, openedMs) + delay('batch_wait', worker);
      const dispatchMs = lognormal(DISPATCH_MS) + delay('dispatch', worker);
      const computeMs = lognormal(COMPUTE_MS) * (1 + size / BATCH_LIMIT) + delay('compute', worker);
      const postprocessMs = lognormal(POSTPROCESS_MS) + delay('postprocess', worker);
      for (const arrival of arrivals.slice(next, next + size)) {
        const { stages } = arrival;
        const freeForMs = Math.max(openedMs, arrival.readyMs);
        stages.set('queue', freeForMs - arrival.readyMs);
        stages.set('batch_wait', Math.max(0, closedMs - freeForMs));
        stages.set('dispatch', dispatchMs);
        stages.set('compute', computeMs);
        stages.set('postprocess', postprocessMs);
        ledgers.push(ledger(arrival, traffic.fromMs, ledgers.length));
      }
      freeMs = closedMs + dispatchMs + computeMs + postprocessMs;
      next += size;
    }
  }
  return ledgers.sort((a, b) => a.startMs - b.startMs);
}

function ledger({ atMs, stages, worker }: Arrival, fromMs: number, index: number): QueryLedger {
  let serviceMs = 0;
  for (const [stage, stageMs] of stages) if (stage !== 'receive' && stage !== 'respond') serviceMs += stageMs;
  return {
    traceId: index.toString(16).padStart(32, '0'),
    startMs: fromMs + atMs,
    serviceMs,
    stagesMs: stages,
    model: 'langid',
    version: '1',
    worker,
    outcome: 'ok',
    errorCode: '',
  };
}
