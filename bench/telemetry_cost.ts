/**
 * What telemetry costs: the same queries through gateway and worker with everything on (every trace kept and
 * exported) and with everything off, in processor time per query of both processes.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { readProfiles, type ThreadProfile } from './cpu_profile.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { type LoadCost, measureLoad, startLoadProcess } from './load.ts';
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
const PROFILE_LINES = 14;

type Side = 'off' | 'on' | 'console';

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const durationS = quick ? 1.5 : 4;
  const warmupS = quick ? 1 : 4;
  // A process keeps what its compiler made of its first seconds, so each comparison uses several.
  const generations = quick ? 1 : 3;
  await using folder = await temporaryFolder();
  const models = [tinyModel(), mlpModel('small', { maxRows: 32, maxDelayMs: 2 })];
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
  const start = (side: Side, profileFolder?: string): Promise<Fleet> =>
    startFleet(machine, folder.root, {
      name: side,
      repository,
      otlpPort: ports[side],
      gatewayRole: SERVING_ROLE,
      workerRole: SERVING_ROLE,
      ...(profileFolder === undefined ? {} : { profileFolder }),
    });
  const measure = (fleet: Fleet, model: BenchModel, seconds: number): Promise<LoadCost> =>
    measureLoad(
      load,
      {
        url: fleet.url,
        model: model.name,
        samples: samplesOf(model, 'json'),
        concurrency: CONCURRENCY,
        durationS: seconds,
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
      for (const fleet of [off, on, embedded]) await measure(fleet, model, warmupS);
      const rounds = await alternate(
        context.rounds,
        {
          off: () => measure(off, model, durationS),
          on: () => measure(on, model, durationS),
          console: () => measure(embedded, model, durationS),
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
  for (const side of ['off', 'on'] as const) {
    context.progress(`profile, telemetry ${side}`);
    const profileFolder = join(context.outFolder, `telemetry-${side}`);
    await mkdir(profileFolder, { recursive: true });
    const into = await mkdtemp(join(profileFolder, 'profile-'));
    const [model] = models;
    if (model === undefined) continue;
    const fleet = await start(side, into);
    let queries = 0;
    const pids = { gateway: fleet.gateway.pid, worker: fleet.worker.pid };
    try {
      queries = (await measure(fleet, model, durationS + warmupS)).ok;
    } finally {
      await fleet[Symbol.asyncDispose]();
    }
    const threads = await readProfiles(into, queries);
    profiles[side] = threads;
    for (const [process, pid] of Object.entries(pids)) {
      for (const thread of threads.filter((each) => each.pid === pid)) {
        if (thread.busyUs < 0.5) continue;
        profileTables.push(
          profileTable(`${model.name}, telemetry ${side}, ${process}, thread ${thread.thread}`, thread),
        );
      }
    }
  }
  return {
    figures,
    tables: [table(rows), ...profileTables],
    notes: [
      `Closed loop of ${CONCURRENCY}, ${durationS} s a round, ${generations} generations of processes; gateway and worker share one core, generator and receiver another.`,
      'tiny is the worst case: a query that computes nothing, unbatched. small is the model of bench 5.',
      'Processor time includes the export threads; profiles count time in JavaScript and the collector, not in the kernel.',
      ...busyNote(Object.values(costs).flatMap((sides) => Object.values(sides).flat())),
    ],
    details: { costs, profiles },
  };
}

function profileTable(title: string, thread: ThreadProfile): string[] {
  const line = ({ name, us, share }: ThreadProfile['places'][number]): string[] => [
    name,
    digits(us),
    `${(share * 100).toFixed(1)} %`,
  ];
  return [
    `profile of ${title}: ${digits(thread.busyUs)} us a query`,
    ...table(thread.places.slice(0, PROFILE_LINES).map(line)).map((text) => `  ${text}`),
    '  the largest functions',
    ...table(thread.functions.slice(0, PROFILE_LINES).map(line)).map((text) => `  ${text}`),
  ];
}

function busyNote(costs: readonly LoadCost[]): string[] {
  const others = spreadOf(costs.map(({ otherCores }) => otherCores));
  const limited = costs.filter(({ generatorLimited }) => generatorLimited).length;
  const notes = [
    `Processes outside the bench used ${digits(others.median)} cores (${digits(others.min)} to ${digits(others.max)}).`,
  ];
  if (limited > 0)
    notes.push(`In ${limited} of ${costs.length} loads the generator was the limit of throughput.`);
  return notes;
}

export const telemetryCost: Bench = {
  number: 1,
  name: 'telemetry cost',
  summary: 'everything on, every trace kept, against everything off',
  run,
};
