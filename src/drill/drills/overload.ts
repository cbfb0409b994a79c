import { setTimeout as pause } from 'node:timers/promises';
import type { LoadOptions } from '../../loadgen/plan.ts';
import { runLoad } from '../../loadgen/run.ts';
import { type Drill, type DrillContext, type Injected, MINUTE_S } from '../drill.ts';
import { holdFault } from '../hold.ts';

/**
 * So long each batch is made to take: a worker then answers a few queries a second, whatever the machine, and a
 * generator of a few hundred overloads any number of them.
 */
const COMPUTE_MS = 1000;
/**
 * First the load rises, so slowly that the queue is seen to grow before it is full: by so many queries per second
 * each second at the scale of which that is, and in proportion to time elsewhere.
 */
const RAMP = { perS2: 5, atScale: 60 };
const START_PER_S = 1;
/** Then so many more come in the time of a window that no gateway has room for them. */
const FILL_AFTER_S = 8 * MINUTE_S;
const FILL = { queries: 1500, withinS: 5 * MINUTE_S };
const CONNECTIONS = 1024;
const OUTSTANDING_LIMIT = 4096;
const LOAD_LIMIT_S = 3600;

type Rates = Pick<LoadOptions, 'ratePerS' | 'rampPerS2' | 'seed'>;

/** Held up, and driven by more load than can be answered, until it is disposed. */
async function overload({ doors, target, timeScale, signal }: DrillContext): Promise<Injected> {
  const { url, model, samples, workers } = target;
  const gateways = (await doors.processes()).filter((name) => name.startsWith('gateway-')).length;
  const held = await holdFault(doors, workers, 'compute', { delayMs: COMPUTE_MS });
  const stop = new AbortController();
  const ends = AbortSignal.any([stop.signal, signal]);
  let failed: string | undefined;
  const load = async (afterMs: number, rates: Rates): Promise<void> => {
    try {
      await pause(afterMs, undefined, { signal: ends });
      await runLoad(
        {
          ...{ url, model, samples, ...rates, connections: CONNECTIONS },
          maxOutstanding: OUTSTANDING_LIMIT,
          durationS: LOAD_LIMIT_S,
        },
        { signal: ends },
      );
    } catch (error) {
      if (!ends.aborted) failed = (error as Error).message;
    }
  };
  const rampPerS2 = RAMP.perS2 * (timeScale / RAMP.atScale) ** 2;
  const loads = [
    load(0, { ratePerS: START_PER_S, rampPerS2, seed: 1 }),
    // Each gateway has room of its own, and a load's connections fill but one.
    ...Array.from({ length: gateways }, (_, index) =>
      load((FILL_AFTER_S * 1000) / timeScale, {
        ratePerS: (FILL.queries * timeScale) / FILL.withinS,
        seed: index + 2,
      }),
    ),
  ];
  return {
    get problem() {
      return held.problem ?? failed;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([...loads, held[Symbol.asyncDispose]()]);
    },
  };
}

export const OVERLOAD: Drill = {
  name: 'overload',
  summary: `more queries come than can be answered, with each batch ${COMPUTE_MS} ms longer`,
  place: ({ workers }) => `the gateways, and compute of ${workers.join(', ')}`,
  inject: overload,
  lifted: 'the load is as before, and so is compute',
  feltFromMs: COMPUTE_MS,
  alerts: [
    { name: 'VitrineRefusals', of: 'model', firesS: 20 * MINUTE_S, clearsS: 8 * MINUTE_S },
    { name: 'VitrineInferenceThreadSaturated', of: 'worker', firesS: 20 * MINUTE_S, clearsS: 8 * MINUTE_S },
    { name: 'VitrineQueueGrowing', of: 'model', firesS: 20 * MINUTE_S, clearsS: 16 * MINUTE_S },
  ],
  evidence: { subject: 'errors', at: 'no_worker' },
};
