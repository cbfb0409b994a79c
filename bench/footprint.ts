/** What the system takes to start, to be there, and to be watched. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../src/client/client.ts';
import { requestSamples } from '../src/loadgen/samples.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { startLoadProcess } from './load.ts';
import { cpuMs, type Memory, memoryOf } from './machine.ts';
import { mlpModel, writeRepository } from './models.ts';
import { digits, range, table } from './print.ts';
import { startProcess } from './processes.ts';
import { ratioOf, spreadOf } from './rounds.ts';
import { type System, startSystem } from './system.ts';
import { type TemporaryFolder, temporaryFolder } from './temporary.ts';

const FIRST_ANSWER_LIMIT_MS = 30_000;
const CHECK_INTERVAL_MS = 10;
const SCRAPES = 100;
/** Collectors and compilers are done by then. */
const IDLE_MS = 3000;
const LOAD_CONCURRENCY = 16;
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';
/** Of a scraper that comes at its usual interval. */
const SCRAPE_INTERVAL_S = 15;

/** Milliseconds from the call to the first answer of a model. */
async function firstAnswerMs(system: System, startMs: number): Promise<number> {
  await using client = createClient({ url: system.url });
  let reason = '';
  while (performance.now() - startMs < FIRST_ANSWER_LIMIT_MS) {
    system.checkAlive();
    try {
      await client.text('langid', 'Where did the time go?');
      return performance.now() - startMs;
    } catch (error) {
      reason = String(error);
      await sleep(CHECK_INTERVAL_MS);
    }
  }
  throw new Error(`no answer within ${FIRST_ANSWER_LIMIT_MS} ms: ${reason}`);
}

async function startMs(folder: TemporaryFolder, by: 'npm' | 'node'): Promise<number> {
  const fromMs = performance.now();
  await using system = await startSystem(folder, { by, modelRepository: undefined });
  return await firstAnswerMs(system, fromMs);
}

/** A bare server of one model, until it listens: what Node and the runtime take by themselves. */
async function bareStartMs(
  context: BenchContext,
  folder: TemporaryFolder,
  repository: string,
): Promise<number> {
  const fromMs = performance.now();
  await using _ = await startProcess(context.machine, folder.root, {
    name: 'bare-server',
    module: new URL('./bare_server.ts', import.meta.url),
    args: [repository, 'small'],
    env: { ORT_DISABLE_TELEMETRY: '1' },
  });
  return performance.now() - fromMs;
}

interface Scrape {
  readonly ms: readonly number[];
  readonly cpuUs: number;
  readonly bytes: number;
}

async function scrape(url: string, pid: number): Promise<Scrape> {
  const ms: number[] = [];
  let bytes = 0;
  const once = async (): Promise<void> => {
    const fromMs = performance.now();
    const answer = await fetch(url, { headers: { accept: OPENMETRICS } });
    bytes = (await answer.arrayBuffer()).byteLength;
    if (!answer.ok) throw new Error(`${url} was answered ${answer.status}`);
    ms.push(performance.now() - fromMs);
  };
  // The first few are compiled, the rest counted.
  for (let warm = 0; warm < 10; warm += 1) await once();
  ms.length = 0;
  const before = cpuMs(pid);
  for (let count = 0; count < SCRAPES; count += 1) await once();
  return { ms, cpuUs: ((cpuMs(pid) - before) * 1e3) / SCRAPES, bytes };
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  await using folder = await temporaryFolder();
  const repository = folder.path('models');
  const small = mlpModel('small', { maxRows: 32, maxDelayMs: 2 });
  await writeRepository(repository, [small]);
  const starts = { npm: [] as number[], node: [] as number[], bare: [] as number[] };
  for (let round = 1; round <= context.rounds; round += 1) {
    context.progress(`start ${round} of ${context.rounds}`);
    starts.npm.push(await startMs(folder, 'npm'));
    starts.node.push(await startMs(folder, 'node'));
    starts.bare.push(await bareStartMs(context, folder, repository));
  }

  context.progress('memory');
  await using held = new AsyncDisposableStack();
  const load = held.use(await startLoadProcess(machine, folder.root, undefined));
  const fromMs = performance.now();
  const system = held.use(await startSystem(folder, { by: 'node', modelRepository: undefined }));
  await firstAnswerMs(system, fromMs);
  await sleep(IDLE_MS);
  const processes = system.processes();
  const idle = processes.map(({ pid }) => memoryOf(pid));
  const idleCpuBefore = processes.map(({ pid }) => cpuMs(pid));
  await sleep(IDLE_MS);
  const idleCpuMs = processes.map(({ pid }, index) => cpuMs(pid) - (idleCpuBefore[index] ?? 0));
  context.progress('memory under load');
  await using client = createClient({ url: system.url });
  const report = await load.run({
    url: system.url,
    model: 'langid',
    samples: requestSamples(await client.modelMetadata('langid')),
    concurrency: LOAD_CONCURRENCY,
    durationS: quick ? 3 : 20,
  });
  await sleep(IDLE_MS);
  const loaded = processes.map(({ pid }) => memoryOf(pid));

  context.progress('scrapes');
  const pidOf = (name: string): number => processes.find((process) => process.name === name)?.pid ?? 0;
  const scrapes = {
    gateway: await scrape(system.gatewayMetricsUrl, pidOf('gateway')),
    worker: await scrape(system.workerMetricsUrl, pidOf('worker')),
  };

  const total = (memory: readonly Memory[], of: keyof Memory): number =>
    memory.reduce((sum, each) => sum + each[of], 0);
  const figures: Figure[] = [
    {
      label: 'npm start to first answer',
      spread: spreadOf(starts.npm.map((ms) => ms / 1000)),
      unit: 's',
      aim: { relation: 'at most', value: 2 },
    },
    {
      label: 'node src/bin/supervisor.ts to first answer',
      spread: spreadOf(starts.node.map((ms) => ms / 1000)),
      unit: 's',
    },
    { label: 'npm start / start of a bare server', spread: ratioOf(starts.npm, starts.bare), unit: 'x' },
    {
      label: 'memory idle, whole system (PSS)',
      spread: spreadOf([total(idle, 'pssMib')]),
      unit: 'MiB',
      aim: { relation: 'at most', value: 450 },
    },
    {
      label: 'memory after load, whole system (PSS)',
      spread: spreadOf([total(loaded, 'pssMib')]),
      unit: 'MiB',
    },
    { label: 'scrape of the gateway', spread: spreadOf(scrapes.gateway.ms), unit: 'ms' },
    { label: 'scrape of the worker', spread: spreadOf(scrapes.worker.ms), unit: 'ms' },
  ];
  const rows = [['MiB', 'RSS idle', 'PSS idle', 'RSS after load', 'PSS after load', 'idle CPU']];
  for (const [index, { name }] of processes.entries()) {
    const [before, after] = [idle[index], loaded[index]];
    if (before === undefined || after === undefined) continue;
    rows.push([
      name,
      ...[before.rssMib, before.pssMib, after.rssMib, after.pssMib].map(digits),
      `${(((idleCpuMs[index] ?? 0) / IDLE_MS) * 100).toFixed(1)} %`,
    ]);
  }
  rows.push([
    'sum',
    ...[idle, loaded].flatMap((memory) => [digits(total(memory, 'rssMib')), digits(total(memory, 'pssMib'))]),
    '',
  ]);
  const scrapeRows = [
    ['scrape, OpenMetrics', 'ms', 'CPU us', `of a core, every ${SCRAPE_INTERVAL_S} s`, 'bytes'],
  ];
  for (const [name, { ms, cpuUs, bytes }] of Object.entries(scrapes)) {
    scrapeRows.push([
      name,
      range(spreadOf(ms)),
      digits(cpuUs),
      `${(cpuUs / (SCRAPE_INTERVAL_S * 1e4)).toFixed(4)} %`,
      digits(bytes),
    ]);
  }
  return {
    figures,
    tables: [table(rows), table(scrapeRows)],
    notes: [
      'The models of the repository; the first answer is a sentence through langid. Ports are free ones, so nothing is waited for.',
      `Load before the second reading: ${report.ok.toLocaleString('en-US')} queries of langid, ${LOAD_CONCURRENCY} at a time, every trace kept by the console.`,
      `A bare server of one model listens after ${range(spreadOf(starts.bare))} ms.`,
      'PSS counts shared pages once over the system; RSS counts them for each process.',
    ],
    details: { starts, processes, idle, loaded, scrapes },
  };
}

export const footprint: Bench = {
  number: 6,
  name: 'footprint',
  summary: 'start to first answer, memory, cost of a scrape',
  run,
};
