/**
 * What telemetry costs: the same queries through gateway and worker with everything on (every trace kept and
 * exported) and with everything off, in processor time per query of both processes.
 */
import { join } from 'node:path';
import type { LoadOptions } from '../src/loadgen/plan.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { formatProfile, profileWhile, type ThreadProfile } from './cpu_profile.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { type LoadCost, measureLoad, othersNote, startLoadProcess } from './load.ts';
import { type BenchModel, mlpModel, samplesOf, tinyModel, writeRepository } from './models.ts';
import { digits, table } from './print.ts';
import { entry, startProcess } from './processes.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { temporaryFolder } from './temporary.ts';

/** Gateway and worker share a core, so that their processor time is the throughput; all else is on another. */
const SERVING_ROLE = 0;
const OTHER_ROLE = 1;
const CONCURRENCY = 16;
const AIM = { relation: 'at least', value: 0.9 } as const;
/** Threads below are not printed. */
const LEAST_CPU_US = 0.5;

type Side = 'off' | 'on' | 'console';

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const durationS = quick ? 1.5 : 4;
  const warmup = { requests: quick ? 5_000 : 30_000, durationS: 30 };
  // A process keeps what its compiler made of its first seconds, so each comparison uses several.
  const generations = quick ? 1 : 3;
  await using folder = await temporaryFolder();
  const models = [tinyModel(), mlpModel('small', { maxRows: 32, maxDelayMs: 2 })] as const;
  const repository = folder.path('models');
  await writeRepository(repository, models);
  const drain = await startProcess(machine, folder.root, {
    name: 'drain',
    module: new URL('./drain.ts', import.meta.url),
    role: OTHER_ROLE,
  });
  await using held = new AsyncDisposableStack();
  held.use(drain);
  const load = held.use(await startLoadProcess(machine, folder.root, OTHER_ROLE));
  const receiver = held.use(
    await startProcess(machine, folder.root, {
      name: 'console',
      module: entry('console'),
      role: OTHER_ROLE,
      env: {
        VITRINE_CONSOLE_HTTP_PORT: '0',
        VITRINE_CONSOLE_OTLP_PORT: '0',
        VITRINE_CONSOLE_DATABASE_PATH: folder.path('traces.db'),
      },
    }),
  );
  const ports: Record<Side, number | undefined> = {
    off: undefined,
    on: drain.ports.http,
    console: receiver.ports.otlp,
  };
  const start = (side: Side, profiled = false): Promise<Fleet> =>
    startFleet(machine, folder.root, {
      name: side,
      repository,
      otlpPort: ports[side],
      gatewayRole: SERVING_ROLE,
      workerRole: SERVING_ROLE,
      profiled,
    });
  const measure = (
    fleet: Fleet,
    model: BenchModel,
    length: Pick<LoadOptions, 'durationS' | 'requests'>,
  ): Promise<LoadCost> =>
    measureLoad(
      load,
      {
        url: fleet.url,
        model: model.name,
        samples: samplesOf(model, 'json'),
        concurrency: CONCURRENCY,
        ...length,
      },
      { gateway: fleet.gateway, worker: fleet.worker, console: receiver },
      [drain],
    );
  /** Of the processes that serve. */
  const servingUs = ({ cpuUs }: LoadCost): number => (cpuUs.gateway ?? 0) + (cpuUs.worker ?? 0);

  const costs: Record<string, Record<Side, LoadCost[]>> = {};
  for (const model of models) costs[model.name] = { off: [], on: [], console: [] };
  for (let generation = 1; generation <= generations; generation += 1) {
    context.progress(`generation ${generation} of ${generations}, starting`);
    await using fleets = new AsyncDisposableStack();
    const off = fleets.use(await start('off'));
    const on = fleets.use(await start('on'));
    const embedded = fleets.use(await start('console'));
    for (const model of models) {
      for (const fleet of [off, on, embedded]) await measure(fleet, model, warmup);
      const rounds = await alternate(
        context.rounds,
        {
          off: () => measure(off, model, { durationS }),
          on: () => measure(on, model, { durationS }),
          console: () => measure(embedded, model, { durationS }),
        },
        (text) => context.progress(`${model.name}, generation ${generation} of ${generations}, ${text}`),
      );
      for (const side of ['off', 'on', 'console'] as const) costs[model.name]?.[side].push(...rounds[side]);
    }
  }

  const figures: Figure[] = [];
  const rows = [
    ['us of processor time a query', 'gateway', 'worker', 'both', 'console', 'queries/s', 'p99 ms'],
  ];
  for (const model of models) {
    const sides = costs[model.name];
    if (sides === undefined) continue;
    for (const side of ['on', 'console'] as const) {
      const receiverName = side === 'on' ? 'a drain' : 'the console';
      figures.push({
        label: `${model.name}: CPU off / on, export to ${receiverName}`,
        spread: ratioOf(sides.off.map(servingUs), sides[side].map(servingUs)),
        unit: 'x',
        ...(side === 'on' ? { aim: AIM } : {}),
      });
      figures.push({
        label: `${model.name}: the same, least of each side`,
        spread: spreadOf([least(sides.off.map(servingUs)) / least(sides[side].map(servingUs))]),
        unit: 'x',
      });
      figures.push({
        label: `${model.name}: throughput on / off, export to ${receiverName}`,
        spread: ratioOf(
          sides[side].map(({ okPerS }) => okPerS),
          sides.off.map(({ okPerS }) => okPerS),
        ),
        unit: 'x',
      });
    }
    for (const side of ['off', 'on', 'console'] as const) {
      const median = (of: (cost: LoadCost) => number): string => digits(spreadOf(sides[side].map(of)).median);
      rows.push([
        `${model.name}, ${side === 'console' ? 'on, to the console' : side}`,
        median(({ cpuUs }) => cpuUs.gateway ?? 0),
        median(({ cpuUs }) => cpuUs.worker ?? 0),
        median(servingUs),
        median(({ cpuUs }) => cpuUs.console ?? 0),
        median(({ okPerS }) => okPerS),
        median(({ p99Ms }) => p99Ms),
      ]);
    }
  }

  const profileTables: string[][] = [];
  const profiles: Record<string, readonly ThreadProfile[]> = {};
  const [profiledModel] = models;
  for (const side of ['off', 'on'] as const) {
    context.progress(`profile, telemetry ${side}`);
    await using fleet = await start(side, true);
    await measure(fleet, profiledModel, warmup);
    const threads = await profileWhile(
      { gateway: fleet.gateway, worker: fleet.worker },
      join(context.outFolder, `profile-telemetry-${side}`),
      async () => (await measure(fleet, profiledModel, { durationS })).ok,
    );
    profiles[side] = threads;
    for (const thread of threads) {
      if (thread.cpuUs < LEAST_CPU_US) continue;
      profileTables.push(formatProfile(`profile of ${profiledModel.name}, telemetry ${side}`, thread));
    }
  }
  return {
    figures,
    tables: [table(rows), ...profileTables],
    notes: [
      `Closed loop of ${CONCURRENCY}, ${durationS} s a round, ${generations} generations of processes; gateway and worker share one core, generator and receiver another.`,
      'tiny is the worst case: a query that computes nothing, unbatched. small is the model of bench 5.',
      'Processor time is of all threads, the export threads among them. Where others use the machine, the least of each side is the better figure.',
      ...othersNote(Object.values(costs).flatMap((sides) => Object.values(sides).flat())),
    ],
    details: { costs, profiles },
  };
}

/** The round that was disturbed least. */
function least(values: readonly number[]): number {
  return Math.min(...values);
}

export const telemetryCost: Bench = {
  number: 1,
  name: 'telemetry cost',
  summary: 'everything on, every trace kept, against everything off',
  run,
};
