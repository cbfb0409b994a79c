/**
 * What telemetry costs: the same queries through gateway and worker with everything on (every trace kept and
 * exported) and with everything off, in processor time per query of both processes.
 */
import { join } from 'node:path';
import type { LoadOptions } from '../src/loadgen/plan.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { formatProfile, profileWhile, type ThreadProfile } from './cpu_profile.ts';
import { type Fleet, startFleet, TELEMETRY } from './fleet.ts';
import { type LoadCost, measureLoad, othersNote, startLoadProcess } from './load.ts';
import { threadCpuMs } from './machine.ts';
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

const SIDES = ['off', 'unexported', 'on', 'console'] as const;
type Side = (typeof SIDES)[number];
const SIDE_TEXT: Readonly<Record<Side, string>> = {
  off: 'off',
  unexported: 'on, nothing exported',
  on: 'on, to a drain',
  console: 'on, to the console',
};

/** By process (`gateway`, `worker`) and name of the thread, microseconds per query. */
type ThreadCosts = Map<string, number>;

/** What was found of one model. */
interface ModelCosts {
  readonly model: BenchModel;
  readonly rounds: Record<Side, LoadCost[]>;
  readonly threads: Record<Side, ThreadCosts[]>;
}

interface Lab extends AsyncDisposable {
  start(side: Side, profiled: boolean): Promise<Fleet>;
  measure(
    fleet: Fleet,
    model: BenchModel,
    length: Pick<LoadOptions, 'durationS' | 'requests'>,
  ): Promise<LoadCost>;
}

/** Everything but the fleets: models, receivers, generator. */
async function openLab({ machine }: BenchContext, models: readonly BenchModel[]): Promise<Lab> {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await temporaryFolder());
  const repository = folder.path('models');
  await writeRepository(repository, models);
  const drain = opened.use(
    await startProcess(machine, folder.root, {
      name: 'drain',
      module: new URL('./drain.ts', import.meta.url),
      role: OTHER_ROLE,
    }),
  );
  const load = opened.use(await startLoadProcess(machine, folder.root, OTHER_ROLE));
  const receiver = opened.use(
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
  const telemetry: Record<Side, Readonly<Record<string, string>>> = {
    off: TELEMETRY.off,
    unexported: TELEMETRY.unexported,
    on: TELEMETRY.to(drain.ports.http),
    console: TELEMETRY.to(receiver.ports.otlp),
  };
  const held = opened.move();
  return {
    start: (side, profiled) =>
      startFleet(machine, folder.root, {
        name: side,
        repository,
        telemetry: telemetry[side],
        gatewayRole: SERVING_ROLE,
        workerRole: SERVING_ROLE,
        profiled,
      }),
    measure: (fleet, model, length) =>
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
      ),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { quick } = context;
  const durationS = quick ? 1.5 : 4;
  const warmup = { requests: quick ? 12_000 : 30_000, durationS: 30 };
  // A process keeps what its compiler made of its first seconds, so each comparison uses several.
  const generations = quick ? 1 : 3;
  const tiny = tinyModel();
  const models = [tiny, mlpModel('small', { maxRows: 32, maxDelayMs: 2 })];
  await using lab = await openLab(context, models);

  const costs = models.map((model): ModelCosts => ({ model, rounds: perSide(), threads: perSide() }));
  for (let generation = 1; generation <= generations; generation += 1) {
    const text = `generation ${generation} of ${generations}`;
    context.progress(`${text}, starting`);
    await using opened = new AsyncDisposableStack();
    const fleets = {} as Record<Side, Fleet>;
    for (const side of SIDES) fleets[side] = opened.use(await lab.start(side, false));
    for (const { model, rounds, threads } of costs) {
      for (const side of SIDES) await lab.measure(fleets[side], model, warmup);
      const measure = (side: Side) => async () => {
        const before = threadTimes(fleets[side]);
        const cost = await lab.measure(fleets[side], model, { durationS });
        threads[side].push(threadCosts(before, threadTimes(fleets[side]), cost.ok));
        return cost;
      };
      const sides = Object.fromEntries(SIDES.map((side) => [side, measure(side)]));
      const found = await alternate(context.rounds, sides, (round) =>
        context.progress(`${model.name}, ${text}, ${round}`),
      );
      for (const side of SIDES) rounds[side].push(...(found[side] ?? []));
    }
  }

  const profiles: Partial<Record<Side, readonly ThreadProfile[]>> = {};
  for (const side of ['off', 'on'] as const) {
    context.progress(`profile, telemetry ${side}`);
    await using fleet = await lab.start(side, true);
    await lab.measure(fleet, tiny, warmup);
    profiles[side] = await profileWhile(
      { gateway: fleet.gateway, worker: fleet.worker },
      join(context.outFolder, `profile-telemetry-${side}`),
      async () => (await lab.measure(fleet, tiny, { durationS })).ok,
    );
  }
  const profileTables = Object.entries(profiles).flatMap(([side, threads]) =>
    threads
      .filter(({ cpuUs }) => cpuUs >= LEAST_CPU_US)
      .map((thread) => formatProfile(`profile of ${tiny.name}, telemetry ${side}`, thread)),
  );
  return {
    figures: costs.flatMap(figuresOf),
    tables: [costTable(costs), ...costs.map(threadTable), ...profileTables],
    notes: [
      `Closed loop of ${CONCURRENCY}, ${durationS} s a round, ${generations} generations of processes; gateway and worker share one core, generator and receiver another.`,
      'tiny is the worst case: a query that computes nothing, unbatched. small is the model of bench 5.',
      'Where others use the machine, the least of each side is the better figure.',
      ...othersNote(costs.flatMap(({ rounds }) => Object.values(rounds).flat())),
    ],
    details: {
      costs: costs.map(({ model, rounds }) => ({ model: model.name, rounds })),
      profiles,
    },
  };
}

function perSide<T>(): Record<Side, T[]> {
  return { off: [], unexported: [], on: [], console: [] };
}

function threadTimes({ gateway, worker }: Fleet): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const [process, { pid }] of Object.entries({ gateway, worker })) {
    for (const [thread, ms] of threadCpuMs(pid)) times.set(`${process} ${thread}`, ms);
  }
  return times;
}

function threadCosts(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  queries: number,
): ThreadCosts {
  return new Map([...after].map(([name, ms]) => [name, ((ms - (before.get(name) ?? 0)) * 1e3) / queries]));
}

/** Of the processes that serve. */
function servingUs({ cpuUs }: LoadCost): number {
  return (cpuUs.gateway ?? 0) + (cpuUs.worker ?? 0);
}

function figuresOf({ model, rounds }: ModelCosts): Figure[] {
  const off = rounds.off.map(servingUs);
  return (['on', 'console'] as const).flatMap((side): Figure[] => {
    const receiver = side === 'on' ? 'a drain' : 'the console';
    const on = rounds[side].map(servingUs);
    const perS = (of: Side): number[] => rounds[of].map(({ okPerS }) => okPerS);
    return [
      {
        label: `${model.name}: CPU off / on, export to ${receiver}`,
        spread: ratioOf(off, on),
        unit: 'x',
        ...(side === 'on' ? { aim: AIM } : {}),
      },
      {
        label: `${model.name}: the same, least of each side`,
        spread: spreadOf([Math.min(...off) / Math.min(...on)]),
        unit: 'x',
      },
      {
        label: `${model.name}: throughput on / off, export to ${receiver}`,
        spread: ratioOf(perS(side), perS('off')),
        unit: 'x',
      },
    ];
  });
}

function costTable(costs: readonly ModelCosts[]): string[] {
  const rows = [
    ['us of processor time a query', 'gateway', 'worker', 'both', 'console', 'queries/s', 'p99 ms'],
  ];
  for (const { model, rounds } of costs) {
    for (const side of SIDES) {
      const median = (of: (cost: LoadCost) => number): string =>
        digits(spreadOf(rounds[side].map(of)).median);
      rows.push([
        `${model.name}, ${SIDE_TEXT[side]}`,
        median(({ cpuUs }) => cpuUs.gateway ?? 0),
        median(({ cpuUs }) => cpuUs.worker ?? 0),
        median(servingUs),
        median(({ cpuUs }) => cpuUs.console ?? 0),
        median(({ okPerS }) => okPerS),
        median(({ p99Ms }) => p99Ms),
      ]);
    }
  }
  return table(rows);
}

function threadTable({ model, threads }: ModelCosts): string[] {
  const names = [...new Set(SIDES.flatMap((side) => threads[side].flatMap((costs) => [...costs.keys()])))];
  const rows = names.map((name) => {
    const medians = SIDES.map((side) => spreadOf(threads[side].map((costs) => costs.get(name) ?? 0)).median);
    return { name, medians };
  });
  return table([
    [`${model.name}, by thread, us a query`, ...SIDES],
    ...rows
      .filter(({ medians }) => Math.max(...medians) >= LEAST_CPU_US)
      .map(({ name, medians }) => [name, ...medians.map(digits)]),
  ]);
}

export const telemetryCost: Bench = {
  number: 1,
  name: 'telemetry cost',
  summary: 'everything on, every trace kept, against everything off',
  run,
};
