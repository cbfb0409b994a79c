/**
 * What the gateway adds to a query, beside the least that a gateway can do: bare Express and undici proxying the
 * same queries to the same worker. The worker is a stub, so that gateway and nothing else is the limit.
 */
import { join } from 'node:path';
import type { LoadOptions } from '../src/loadgen/plan.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { formatProfile, PROFILE_OPTIONS, profileWhile } from './cpu_profile.ts';
import { becomeReady, TELEMETRY } from './fleet.ts';
import { type LoadCost, measureLoad, othersNote, startLoadProcess } from './load.ts';
import { samplesOf, tinyModel } from './models.ts';
import { digits, table } from './print.ts';
import { entry, type RunningProcess, startProcess } from './processes.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { temporaryFolder } from './temporary.ts';

const GATEWAY_ROLE = 0;
const OTHER_ROLE = 1;
/** A third core, where there is one, keeps the generator from waiting for the worker. */
const LOAD_ROLE = 2;
const BUSY_CONCURRENCY = 16;
const STUB_MODEL = 'stub';

const SIDES = ['direct', 'bare', 'gateway'] as const;
type Side = (typeof SIDES)[number];
type Rounds = Record<Side, LoadCost[]>;

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const durationS = quick ? 1.5 : 4;
  const generations = quick ? 1 : 3;
  await using folder = await temporaryFolder();
  await using held = new AsyncDisposableStack();
  const child = async (name: string, more: Partial<Parameters<typeof startProcess>[2]> = {}) =>
    held.use(
      await startProcess(machine, folder.root, {
        name,
        module: new URL(`./${name}.ts`, import.meta.url),
        role: OTHER_ROLE,
        ...more,
      }),
    );
  const drain = await child('drain');
  const worker = await child('stub_worker');
  const load = held.use(await startLoadProcess(machine, folder.root, LOAD_ROLE));
  const workerUrl = `http://127.0.0.1:${worker.ports.http}`;
  const startGateway = (nodeOptions: readonly string[] = []): Promise<RunningProcess> =>
    startProcess(machine, folder.root, {
      name: 'gateway',
      module: entry('gateway'),
      env: {
        ...TELEMETRY.to(drain.ports.http),
        VITRINE_GATEWAY_HTTP_PORT: '0',
        VITRINE_GATEWAY_METRICS_PORT: '0',
        VITRINE_GATEWAY_WORKERS: workerUrl,
      },
      role: GATEWAY_ROLE,
      nodeOptions,
    });
  const startBare = (): Promise<RunningProcess> =>
    startProcess(machine, folder.root, {
      name: 'bare-gateway',
      module: new URL('./bare_gateway.ts', import.meta.url),
      args: [workerUrl],
      role: GATEWAY_ROLE,
    });
  const samples = samplesOf(tinyModel(), 'json');
  const measure = (
    url: string,
    measured: Readonly<Record<string, RunningProcess>>,
    concurrency: number,
    seconds = durationS,
  ): Promise<LoadCost> => {
    const options: LoadOptions = { url, model: STUB_MODEL, samples, concurrency, durationS: seconds };
    return measureLoad(load, options, measured, [drain, worker]);
  };
  const urlOf = ({ ports }: RunningProcess): string => `http://127.0.0.1:${ports.http}`;

  const alone: Rounds = { direct: [], bare: [], gateway: [] };
  const busy: Rounds = { direct: [], bare: [], gateway: [] };
  for (let generation = 1; generation <= generations; generation += 1) {
    context.progress(`generation ${generation} of ${generations}, starting`);
    await using gateways = new AsyncDisposableStack();
    const gateway = gateways.use(await startGateway());
    const bare = gateways.use(await startBare());
    await becomeReady(urlOf(gateway));
    const sides = {
      direct: { url: workerUrl, measured: {} },
      bare: { url: urlOf(bare), measured: { proxy: bare } },
      gateway: { url: urlOf(gateway), measured: { proxy: gateway } },
    } as const;
    for (const side of SIDES) await measure(sides[side].url, {}, BUSY_CONCURRENCY, quick ? 1 : 4);
    for (const [concurrency, rounds] of [
      [1, alone],
      [BUSY_CONCURRENCY, busy],
    ] as const) {
      const side = (name: Side) => () => measure(sides[name].url, sides[name].measured, concurrency);
      const found = await alternate(
        context.rounds,
        { direct: side('direct'), bare: side('bare'), gateway: side('gateway') },
        (text) =>
          context.progress(`${concurrency} at a time, generation ${generation} of ${generations}, ${text}`),
      );
      for (const name of SIDES) rounds[name].push(...found[name]);
    }
  }

  context.progress('profile');
  await using profiled = await startGateway(PROFILE_OPTIONS);
  await becomeReady(urlOf(profiled));
  await measure(urlOf(profiled), {}, BUSY_CONCURRENCY, quick ? 1 : 4);
  const threads = await profileWhile(
    { gateway: profiled },
    join(context.outFolder, 'profile-gateway'),
    async () => (await measure(urlOf(profiled), {}, BUSY_CONCURRENCY)).ok,
  );

  const p50 = (side: Side): number[] => alone[side].map(({ p50Ms }) => p50Ms);
  const added = (side: Side): number[] => p50(side).map((ms, round) => ms - (p50('direct')[round] ?? 0));
  const perS = (side: Side): number[] => busy[side].map(({ okPerS }) => okPerS);
  const cpu = (side: Side): number[] => busy[side].map(({ totalCpuUs }) => totalCpuUs);
  const figures: Figure[] = [
    {
      label: 'added p50 at 1 at a time, gateway / bare',
      spread: ratioOf(added('gateway'), added('bare')),
      unit: 'x',
      aim: { relation: 'at most', value: 2 },
    },
    {
      label: `throughput at ${BUSY_CONCURRENCY} at a time, gateway / bare`,
      spread: ratioOf(perS('gateway'), perS('bare')),
      unit: 'x',
      aim: { relation: 'at least', value: 0.75 },
    },
    {
      label: 'throughput by CPU per query, bare / gateway',
      spread: ratioOf(cpu('bare'), cpu('gateway')),
      unit: 'x',
    },
    {
      label: 'throughput, gateway / no gateway',
      spread: ratioOf(perS('gateway'), perS('direct')),
      unit: 'x',
    },
    {
      label: 'p50 at 1 at a time, gateway / no gateway',
      spread: ratioOf(p50('gateway'), p50('direct')),
      unit: 'x',
    },
    { label: 'added p50 of the gateway', spread: spreadOf(added('gateway')), unit: 'ms' },
    { label: 'added p50 of bare Express + undici', spread: spreadOf(added('bare')), unit: 'ms' },
  ];
  const rows = [
    [
      '',
      'p50 ms at 1',
      'p99 ms at 1',
      `queries/s at ${BUSY_CONCURRENCY}`,
      `p99 ms at ${BUSY_CONCURRENCY}`,
      'CPU us a query',
    ],
  ];
  for (const side of SIDES) {
    const median = (rounds: readonly LoadCost[], of: (cost: LoadCost) => number): string =>
      digits(spreadOf(rounds.map(of)).median);
    rows.push([
      side,
      median(alone[side], ({ p50Ms }) => p50Ms),
      median(alone[side], ({ p99Ms }) => p99Ms),
      median(busy[side], ({ okPerS }) => okPerS),
      median(busy[side], ({ p99Ms }) => p99Ms),
      side === 'direct' ? '' : median(busy[side], ({ totalCpuUs }) => totalCpuUs),
    ]);
  }
  return {
    figures,
    tables: [table(rows), ...threads.map((thread) => formatProfile('profile', thread))],
    notes: [
      'Both gateways on core 0 in turn; a worker that answers at once, receiver of spans and generator elsewhere. Telemetry is on.',
      'CPU per query says what a core can carry even where the generator or the worker is the limit of throughput.',
      ...othersNote([...Object.values(alone), ...Object.values(busy)].flat()),
    ],
    details: { alone, busy, threads },
  };
}

export const gatewayCost: Bench = {
  number: 2,
  name: 'gateway cost',
  summary: 'the gateway against bare Express and undici, and against no gateway',
  run,
};
