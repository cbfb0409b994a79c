/** Scores evidence over injected faults (stage x place x size, with noise) and over healthy traffic. */
import { setImmediate as turn } from 'node:timers/promises';
import { explain } from '../src/slo/evidence.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import {
  FAULT_STAGES,
  type Fault,
  type FaultStage,
  simulate,
  WORKER_FAULT_STAGES,
} from './evidence_scenarios.ts';
import { spreadOf } from './rounds.ts';

const SIZES_MS = [15, 50, 200];
const RATES_PER_S = [20, 80];
const WORKERS = [2, 4];
const WINDOW_S = 40;
const BASELINE_S = 60;
const AT_MS = 1_790_000_000_000;

interface Score {
  readonly scenarios: number;
  readonly stageAndPlaceRight: number;
  readonly stageRight: number;
  readonly healthy: number;
  readonly falseClaims: number;
  /** Injected stage → named stage → count; `-` = could not say. */
  readonly confusion: ReadonlyMap<FaultStage, ReadonlyMap<string, number>>;
}

function explainTraffic(seed: number, ratePerS: number, workers: number, fault: Fault | undefined) {
  const common = { ratePerS, workers, pauseShare: 0.01 };
  return explain({
    atMs: AT_MS,
    windowS: WINDOW_S,
    baselineS: BASELINE_S,
    subject: 'latency',
    baseline: simulate({
      ...common,
      seed,
      seconds: BASELINE_S,
      fromMs: AT_MS - (WINDOW_S + BASELINE_S) * 1000,
      fault: undefined,
    }),
    now: simulate({ ...common, seed: seed + 1, seconds: WINDOW_S, fromMs: AT_MS - WINDOW_S * 1000, fault }),
    thresholdMs: undefined,
    circumstances: [],
    traceUrl: (traceId) => `http://localhost:16686/trace/${traceId}`,
  });
}

/** @param rounds how often each scenario is drawn anew */
async function scoreEvidence(rounds: number, signal: AbortSignal): Promise<Score> {
  const confusion = new Map<FaultStage, Map<string, number>>();
  let scenarios = 0;
  let stageRight = 0;
  let stageAndPlaceRight = 0;
  let healthy = 0;
  let falseClaims = 0;
  let seed = 1;
  for (let round = 0; round < rounds; round += 1) {
    for (const ratePerS of RATES_PER_S) {
      await turn();
      signal.throwIfAborted();
      for (const workers of WORKERS) {
        for (const stage of FAULT_STAGES) {
          const places = WORKER_FAULT_STAGES.has(stage) ? [undefined, 'worker-2'] : [undefined];
          for (const worker of places) {
            for (const delayMs of SIZES_MS) {
              seed += 2;
              const evidence = explainTraffic(seed, ratePerS, workers, { stage, worker, delayMs });
              const named = evidence.stage?.stage ?? '-';
              const row = confusion.get(stage) ?? new Map<string, number>();
              row.set(named, (row.get(named) ?? 0) + 1);
              confusion.set(stage, row);
              scenarios += 1;
              if (named !== stage) continue;
              stageRight += 1;
              const place = evidence.places.find(({ dimension }) => dimension === 'worker');
              const placeRight =
                worker === undefined
                  ? place?.all === true
                  : place?.all === false && place.values.join() === worker;
              if (placeRight) stageAndPlaceRight += 1;
            }
          }
        }
        for (let index = 0; index < 20; index += 1) {
          seed += 2;
          healthy += 1;
          if (explainTraffic(seed, ratePerS, workers, undefined).cannotSay === undefined) falseClaims += 1;
        }
      }
    }
  }
  return { scenarios, stageAndPlaceRight, stageRight, healthy, falseClaims, confusion };
}

/** The score as text, with the confusion table. */
function formatScore(score: Score): string[] {
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;
  const lines = [
    `stage and place right  ${score.stageAndPlaceRight} of ${score.scenarios} (${percent(score.stageAndPlaceRight, score.scenarios)}), aim 95 %`,
    `stage right            ${score.stageRight} of ${score.scenarios} (${percent(score.stageRight, score.scenarios)})`,
    `false claims           ${score.falseClaims} of ${score.healthy} (${percent(score.falseClaims, score.healthy)}), aim under 1 %`,
    'injected -> named:',
  ];
  for (const [stage, row] of score.confusion) {
    lines.push(`  ${stage.padEnd(15)} ${[...row].map(([named, count]) => `${named} ${count}`).join(', ')}`);
  }
  return lines;
}

async function run({ quick, signal, progress }: BenchContext): Promise<BenchResult> {
  progress('explaining injected faults and healthy traffic');
  const score = await scoreEvidence(quick ? 1 : 3, signal);
  const right = score.stageAndPlaceRight / score.scenarios;
  const wrong = score.falseClaims / score.healthy;
  const figure = (label: string, value: number, aim: Figure['aim']): Figure => ({
    label,
    spread: spreadOf([value]),
    unit: 'x',
    ...(aim === undefined ? {} : { aim }),
  });
  return {
    figures: [
      figure('stage and place named right', right, { relation: 'at least', value: 0.95 }),
      figure('claims on healthy traffic', wrong, { relation: 'at most', value: 0.01 }),
    ],
    notes: [
      'Simulated ledgers with queues, batches, noise and pauses; one figure over all scenarios, drawn from fixed seeds.',
    ],
    tables: [formatScore(score)],
    details: {
      ...score,
      confusion: [...score.confusion].map(([stage, named]) => [stage, Object.fromEntries(named)]),
    },
  };
}

export const evidenceScore: Bench = {
  number: 7,
  name: 'evidence',
  summary:
    'how often evidence names stage and place of an injected fault, and claims one where there is none',
  run,
};
