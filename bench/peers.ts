/**
 * The whole system with everything on, beside other model servers: the same two models, JSON bodies of one row.
 * The others' figures are constants; a bare server of twenty lines runs in the same rounds, so that there is a
 * quotient that the machine's mood does not change.
 */
import type { Aim, Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { becomeReady } from './fleet.ts';
import { type LoadCost, measureLoad, othersNote, startLoadProcess } from './load.ts';
import { mlpModel, samplesOf, writeRepository } from './models.ts';
import { digits, range, table } from './print.ts';
import { startProcess } from './processes.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { startSystem } from './system.ts';
import { temporaryFolder } from './temporary.ts';

const CONCURRENCIES = [1, 16, 64] as const;
const MODELS = ['small', 'big'] as const;

interface Peer {
  readonly name: string;
  /** By model and concurrency: rows per second, with p50 at 1 and p99 otherwise in ms where it was noted. */
  readonly cells: Readonly<Record<string, string>>;
  readonly tracing: string;
}

/** Measured on the same kind of machine: 2 cores, generator on it, noise of about 20 %, one ORT thread, batching 32 rows / 2 ms. */
const PEERS: readonly Peer[] = [
  {
    name: 'Triton 2.51, Python backend',
    cells: { 'small 1': '190, 5.2', 'small 16': '1,982, 11', 'small 64': '3,334, 32' },
    tracing: 'crashes at rate 1; 0.49x at 1/1000',
  },
  {
    name: 'MLServer 1.7.1',
    cells: { 'small 1': '192, 5.2', 'small 16': '1,176, 74', 'small 64': '1,005, 156', 'big 16': '664, 69' },
    tracing: '0.43x, 4 spans',
  },
  {
    name: 'LitServe 0.2.19',
    cells: { 'small 1': '346, 2.8', 'small 16': '943, 28', 'small 64': '723', 'big 16': '506, 50' },
    tracing: 'none',
  },
  {
    name: 'BentoML 1.4.38',
    cells: { 'small 1': '51 to 300', 'small 16': '480, 371', 'small 64': '340', 'big 16': '364, 298' },
    tracing: '0.78x, 5 spans',
  },
  {
    name: 'Ray Serve 2.60',
    cells: { 'small 1': '81, 12', 'small 16': '236, 121', 'small 64': '192', 'big 16': '172' },
    tracing: '0.73x, 1 span',
  },
  {
    name: 'bare Node + onnxruntime-node',
    cells: { 'small 1': '4,435, 0.23', 'small 16': '7,763, 4', 'small 64': '7,943', 'big 16': '182, 480' },
    tracing: '-',
  },
];

const AIMS: Readonly<Record<string, { readonly rows: Aim; readonly p99: Aim }>> = {
  'small 16': { rows: { relation: 'at least', value: 6_000 }, p99: { relation: 'at most', value: 8 } },
  'big 16': { rows: { relation: 'at least', value: 1_500 }, p99: { relation: 'at most', value: 20 } },
};

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const durationS = quick ? 1.5 : 4;
  await using folder = await temporaryFolder();
  const repository = folder.path('models');
  const models = MODELS.map((name) => mlpModel(name, { maxRows: 32, maxDelayMs: 2 }));
  await writeRepository(repository, models);
  await using held = new AsyncDisposableStack();
  const load = held.use(await startLoadProcess(machine, folder.root, undefined));
  const bare = held.use(
    await startProcess(machine, folder.root, {
      name: 'bare-server',
      module: new URL('./bare_server.ts', import.meta.url),
      args: [repository, ...MODELS],
      env: { ORT_DISABLE_TELEMETRY: '1' },
    }),
  );
  context.progress('starting');
  const system = held.use(await startSystem(folder, { by: 'node', modelRepository: repository }));
  await becomeReady(system.url, () => system.checkAlive());
  const processes = Object.fromEntries(system.processes().map(({ name, pid }) => [name, { pid }]));

  const costs = new Map<string, Record<'vitrine' | 'bare', LoadCost[]>>();
  for (const model of models) {
    const samples = samplesOf(model, 'json');
    const serve =
      (
        url: string,
        measured: Readonly<Record<string, { readonly pid: number }>>,
        concurrency: number,
        seconds = durationS,
      ) =>
      () =>
        measureLoad(load, { url, model: model.name, samples, concurrency, durationS: seconds }, measured);
    const bareUrl = `http://127.0.0.1:${bare.ports.http}`;
    context.progress(`${model.name}, warming`);
    for (const url of [system.url, bareUrl]) await serve(url, {}, 16, quick ? 1 : 5)();
    for (const concurrency of CONCURRENCIES) {
      costs.set(
        `${model.name} ${concurrency}`,
        await alternate(
          context.rounds,
          { vitrine: serve(system.url, processes, concurrency), bare: serve(bareUrl, { bare }, concurrency) },
          (text) => context.progress(`${model.name}, ${concurrency} at a time, ${text}`),
        ),
      );
    }
  }

  const figures: Figure[] = [];
  const header = ['rows/s, p50 ms at 1, p99 ms at 16 and 64', ...costs.keys(), 'tracing on, at 16'];
  const ours = ['Vitrine, everything on'];
  const theirs = ['bare server, this run'];
  const rows: string[][] = [
    ['CPU us a query', 'gateway', 'worker', 'console', 'supervisor', 'all', 'failed', 'bare server'],
  ];
  for (const [key, { vitrine, bare: other }] of costs) {
    const perS = (side: readonly LoadCost[]): number[] => side.map(({ okPerS }) => okPerS);
    const latency = (side: readonly LoadCost[]): number[] =>
      side.map(({ p50Ms, p99Ms }) => (key.endsWith(' 1') ? p50Ms : p99Ms));
    const aims = AIMS[key];
    if (aims !== undefined) {
      figures.push({
        label: `${key} at a time`,
        spread: spreadOf(perS(vitrine)),
        unit: 'rows/s',
        aim: aims.rows,
      });
      figures.push({
        label: `${key} at a time, p99`,
        spread: spreadOf(latency(vitrine)),
        unit: 'ms',
        aim: aims.p99,
      });
    }
    figures.push({
      label: `${key} at a time, rows/s, Vitrine / bare server`,
      spread: ratioOf(perS(vitrine), perS(other)),
      unit: 'x',
    });
    const cell = (side: readonly LoadCost[]): string =>
      `${digits(spreadOf(perS(side)).median)}, ${digits(spreadOf(latency(side)).median)}`;
    ours.push(cell(vitrine));
    theirs.push(cell(other));
    const cpu = (name: string): string =>
      digits(spreadOf(vitrine.map(({ cpuUs }) => cpuUs[name] ?? 0)).median);
    rows.push([
      key,
      ...['gateway', 'worker', 'console', 'supervisor'].map(cpu),
      range(spreadOf(vitrine.map(({ totalCpuUs }) => totalCpuUs))),
      String(vitrine.reduce((sum, { failed }) => sum + failed, 0)),
      range(spreadOf(other.map(({ totalCpuUs }) => totalCpuUs))),
    ]);
  }
  ours.push('is on');
  theirs.push('none');
  const constants = PEERS.map(({ name, cells, tracing }) => [
    name,
    ...[...costs.keys()].map((key) => cells[key] ?? '-'),
    tracing,
  ]);
  return {
    figures,
    tables: [table([header, ours, theirs, ...constants]), table(rows)],
    notes: [
      `Closed loop, ${durationS} s a round, JSON bodies of one row; one ORT thread; batching 32 rows / 2 ms; generator on the same machine, nothing pinned.`,
      'Rows below "this run" are constants, measured on the same kind of machine (2 cores, generator on it, noise of about 20 %).',
      'small is 4 layers of 256, big 12 layers of 1024. The bare server has no batching, no limits, no telemetry and one process.',
      ...othersNote([...costs.values()].flatMap((sides) => Object.values(sides).flat())),
    ],
    details: Object.fromEntries(costs),
  };
}

export const peers: Bench = {
  number: 5,
  name: 'peers',
  summary: 'the whole system, everything on, beside other model servers',
  run,
};
