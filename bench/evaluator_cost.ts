/** What the embedded evaluator costs: reading scrapes, and evaluating every rule, by the number of series. */
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AlertEngine } from '../src/console/evaluator/alert_engine.ts';
import { parseExposition } from '../src/console/evaluator/exposition_parser.ts';
import { SampleStore } from '../src/console/evaluator/sample_store.ts';
import { OUTCOMES } from '../src/contract/outcomes.ts';
import { compileEvaluatorPlan } from '../src/slo/compile_evaluator.ts';
import { readObjectives } from '../src/slo/objectives.ts';
import { CATALOG } from '../src/telemetry/catalog.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { digits, table } from './print.ts';
import { ratioOf, spreadOf } from './rounds.ts';

const SIZES = [1000, 10_000] as const;
const START_MS = 1_790_000_000_000;
/** Evaluations that are timed in each round, a scrape before each. */
const EVALUATIONS = 20;
const SLO_PATH = fileURLToPath(new URL('../slo.yaml', import.meta.url));

const { objectives } = readObjectives(readFileSync(SLO_PATH, 'utf8'), { path: SLO_PATH, models: undefined });
const plan = compileEvaluatorPlan(objectives, {
  timeScale: 1,
  links: { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' },
});
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** One gateway's scrape of so many models, as it stands after so many rounds. */
function exposition(models: number, round: number): string {
  const lines: string[] = [];
  const { buckets } = CATALOG.inference_service_duration_seconds;
  for (let model = 0; model < models; model += 1) {
    // The objectives' own are among them.
    const labels = `model="${['langid', 'digits'][model] ?? `m${model}`}",version="1"`;
    const perRound = 100 + model;
    for (const outcome of OUTCOMES) {
      const count = outcome === 'ok' ? perRound * round : 0;
      lines.push(`inference_requests_total{${labels},outcome="${outcome}"} ${count}`);
    }
    for (const [index, edge] of [...buckets, '+Inf'].entries()) {
      const share = Math.min(1, (index + 1) / 8);
      const count = Math.floor(perRound * round * share);
      lines.push(`inference_service_duration_seconds_bucket{${labels},outcome="ok",le="${edge}"} ${count}`);
    }
    lines.push(`inference_service_duration_seconds_count{${labels},outcome="ok"} ${perRound * round}`);
    lines.push(`inference_service_duration_seconds_sum{${labels},outcome="ok"} ${perRound * round * 0.01}`);
    lines.push(`inference_queue_requests{model="m${model}"} ${(model + round) % 3}`);
  }
  lines.push(`process_uptime_seconds ${round * plan.scrapeIntervalS}`, '');
  return lines.join('\n');
}

/** How many models make so many series. */
function modelsFor(series: number): number {
  const lines = (models: number): number => exposition(models, 1).split('\n').length;
  const perModel = lines(2) - lines(1);
  return Math.round((series - (lines(1) - perModel)) / perModel);
}

interface Cost {
  readonly series: number;
  /** Of one round: parsing and recording. */
  readonly scrapeMs: number;
  readonly evaluationMs: number;
  readonly heapMib: number;
}

/** @param historyRounds scrapes before what is timed */
async function measure(models: number, historyRounds: number, signal: AbortSignal): Promise<Cost> {
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: 20_000 });
  const engine = new AlertEngine(plan, SILENT, () => store.nowMs);
  const target = { job: 'vitrine-gateway', instance: 'gateway-0' };
  const heapBefore = heapMib();
  const timeOf = (round: number): number => START_MS + round * plan.scrapeIntervalS * 1000;
  for (let round = 0; round < historyRounds; round += 1) {
    signal.throwIfAborted();
    store.record(target, parseExposition(exposition(models, round)), timeOf(round));
    if (round % 20 === 0) await turn();
  }
  let [scrapeMs, evaluationMs] = [0, 0];
  for (let round = historyRounds; round < historyRounds + EVALUATIONS; round += 1) {
    const text = exposition(models, round);
    const startMs = performance.now();
    store.record(target, parseExposition(text), timeOf(round));
    const scrapedMs = performance.now();
    engine.evaluate(store, timeOf(round));
    evaluationMs += performance.now() - scrapedMs;
    scrapeMs += scrapedMs - startMs;
    await turn();
  }
  const heap = heapMib() - heapBefore;
  // The store is in use until here.
  const series = store.seriesCount;
  if (engine.stats().failures > 0) throw new Error('a rule failed');
  return {
    series,
    scrapeMs: scrapeMs / EVALUATIONS,
    evaluationMs: evaluationMs / EVALUATIONS,
    heapMib: heap,
  };
}

/** Samples lie in typed arrays, outside of the heap proper. */
function heapMib(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / (1024 * 1024);
}

async function run({ rounds, quick, progress, signal }: BenchContext): Promise<BenchResult> {
  // Two hours of samples, as they are held raw.
  const historyRounds = quick ? 60 : 7200 / plan.scrapeIntervalS;
  const models = SIZES.map(modelsFor);
  const costs = SIZES.map((): Cost[] => []);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, size] of SIZES.entries()) {
      progress(`round ${round} of ${rounds}, ${size} series`);
      costs[index]?.push(await measure(models[index] as number, historyRounds, signal));
    }
  }
  const of = (index: number, read: (cost: Cost) => number): number[] => (costs[index] ?? []).map(read);
  const figures = SIZES.flatMap((size, index): Figure[] => [
    {
      label: `all rules evaluated once, ${size.toLocaleString('en-US')} series`,
      spread: spreadOf(of(index, ({ evaluationMs }) => evaluationMs)),
      unit: 'ms',
    },
    {
      label: `a scrape read, ${size.toLocaleString('en-US')} series`,
      spread: spreadOf(of(index, ({ scrapeMs }) => scrapeMs)),
      unit: 'ms',
    },
  ]);
  figures.push({
    label: 'all rules: 10,000 series / 1,000 series',
    spread: ratioOf(
      of(1, ({ evaluationMs }) => evaluationMs),
      of(0, ({ evaluationMs }) => evaluationMs),
    ),
    unit: 'x',
    aim: { relation: 'at most', value: 12 },
  });
  const rows = [
    ['series', 'models', 'scrape ms', 'evaluation ms', 'of a core at every 15 s', 'MiB'],
    ...SIZES.map((_, index) => {
      const median = (read: (cost: Cost) => number): number => spreadOf(of(index, read)).median;
      const perRoundMs = median(({ scrapeMs, evaluationMs }) => scrapeMs + evaluationMs);
      return [
        digits(median(({ series }) => series)),
        String(models[index]),
        digits(median(({ scrapeMs }) => scrapeMs)),
        digits(median(({ evaluationMs }) => evaluationMs)),
        `${((perRoundMs / (plan.evaluationIntervalS * 1000)) * 100).toFixed(3)} %`,
        digits(median(({ heapMib: mib }) => mib)),
      ];
    }),
  ];
  return {
    figures,
    tables: [table(rows)],
    notes: [
      `In this process, without network and database: one target, ${plan.rules.length} rules, ${historyRounds} scrapes of history. MiB are those of the samples.`,
      'The console runs on low priority; what it takes is taken when serving leaves it.',
    ],
    details: { historyRounds, models, costs },
  };
}

export const evaluatorCost: Bench = {
  number: 9,
  name: 'evaluator cost',
  summary: 'reading a scrape and evaluating every rule, with 1,000 and 10,000 series',
  run,
};
