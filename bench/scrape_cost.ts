/** A scrape of a service with twenty models, and what being scraped does to its queries. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { type Fleet, startFleet, TELEMETRY } from './fleet.ts';
import { type LoadProcess, startLoadProcess } from './load.ts';
import { samplesOf, tinyModel, writeRepository } from './models.ts';
import { digits, range, table } from './print.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { temporaryFolder } from './temporary.ts';

const MODELS = 20;
const SCRAPES = 50;
const WARM_SCRAPES = 10;
/** Fifteen times as often as usual. */
const SCRAPE_INTERVAL_MS = 1000;
const QUERIES_PER_S = 200;
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';

async function scrapeMs(url: string): Promise<{ readonly ms: number; readonly bytes: number }> {
  const fromMs = performance.now();
  const answer = await fetch(url, { headers: { accept: OPENMETRICS } });
  const bytes = (await answer.arrayBuffer()).byteLength;
  if (!answer.ok) throw new Error(`${url} was answered ${answer.status}`);
  return { ms: performance.now() - fromMs, bytes };
}

async function scrapes(url: string): Promise<{ readonly ms: readonly number[]; readonly bytes: number }> {
  for (let warm = 0; warm < WARM_SCRAPES; warm += 1) await scrapeMs(url);
  const ms: number[] = [];
  let bytes = 0;
  for (let count = 0; count < SCRAPES; count += 1) {
    const scrape = await scrapeMs(url);
    ms.push(scrape.ms);
    bytes = scrape.bytes;
  }
  return { ms, bytes };
}

interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function loaded(
  load: LoadProcess,
  fleet: Fleet,
  model: ReturnType<typeof tinyModel>,
  { urls, durationS }: { readonly urls: readonly string[]; readonly durationS: number },
): Promise<Latency> {
  const ended = new AbortController();
  const scraping = (async () => {
    while (urls.length > 0 && !ended.signal.aborted) {
      await Promise.all(urls.map(scrapeMs));
      await sleep(SCRAPE_INTERVAL_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
  })();
  try {
    const { latency, ok } = await load.run({
      url: fleet.url,
      model: model.name,
      samples: samplesOf(model, 'json'),
      ratePerS: QUERIES_PER_S,
      durationS,
      warmupS: 1,
    });
    if (ok === 0) throw new Error('no query was answered');
    return { p50Ms: latency.service.p50Ms, p99Ms: latency.service.p99Ms };
  } finally {
    ended.abort();
    await scraping;
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick, rounds, progress } = context;
  await using folder = await temporaryFolder();
  const repository = folder.path('models');
  const models = Array.from({ length: MODELS }, (_, index) => ({
    ...tinyModel(),
    name: `tiny-${index + 1}`,
  }));
  await writeRepository(repository, models);
  await using held = new AsyncDisposableStack();
  const load = held.use(await startLoadProcess(machine, folder.root, undefined));
  const fleet = held.use(
    await startFleet(machine, folder.root, { name: 'scraped', repository, telemetry: TELEMETRY.unexported }),
  );
  const urls = {
    gateway: `http://127.0.0.1:${fleet.gateway.ports.metrics}/metrics`,
    worker: `${fleet.workerUrl}/metrics`,
  };
  progress('every model answers');
  for (const model of models) {
    await load.run({
      url: fleet.url,
      model: model.name,
      samples: samplesOf(model, 'json'),
      concurrency: 4,
      requests: 200,
    });
  }
  progress('scrapes');
  const gateway = await scrapes(urls.gateway);
  const worker = await scrapes(urls.worker);
  const [model] = models;
  if (model === undefined) throw new Error('no model');
  const durationS = quick ? 3 : 15;
  const latencies = await alternate(
    rounds,
    {
      scraped: () => loaded(load, fleet, model, { urls: Object.values(urls), durationS }),
      alone: () => loaded(load, fleet, model, { urls: [], durationS }),
    },
    progress,
  );
  const quotient = (read: (latency: Latency) => number) =>
    ratioOf(latencies.scraped.map(read), latencies.alone.map(read));
  const figures: Figure[] = [
    {
      label: `scrape of the gateway, ${MODELS} models`,
      spread: spreadOf(gateway.ms),
      unit: 'ms',
      aim: { relation: 'at most', value: 20 },
    },
    { label: `scrape of the worker, ${MODELS} models`, spread: spreadOf(worker.ms), unit: 'ms' },
    {
      label: 'median of queries: scraped every second / not scraped',
      spread: quotient(({ p50Ms }) => p50Ms),
      unit: 'x',
      aim: { relation: 'at most', value: 1.05 },
    },
    {
      label: 'p99 of queries: scraped every second / not scraped',
      spread: quotient(({ p99Ms }) => p99Ms),
      unit: 'x',
      aim: { relation: 'at most', value: 1.1 },
    },
  ];
  const rows = [
    ['', 'p50 ms', 'p99 ms'],
    ...Object.entries(latencies).map(([name, list]) => [
      name,
      range(spreadOf(list.map(({ p50Ms }) => p50Ms))),
      range(spreadOf(list.map(({ p99Ms }) => p99Ms))),
    ]),
  ];
  return {
    figures,
    tables: [table(rows)],
    notes: [
      `OpenMetrics with exemplars: ${digits(gateway.bytes)} bytes of the gateway, ${digits(worker.bytes)} of the worker, each after a query by every model.`,
      `${QUERIES_PER_S} queries a second to one model; gateway and worker are both scraped, fifteen times as often as usual.`,
    ],
    details: { gateway, worker, latencies },
  };
}

export const scrapeCost: Bench = {
  number: 10,
  name: 'scrape cost',
  summary: `a scrape of ${MODELS} models, and queries while it is scraped against queries alone`,
  run,
};
