/**
 * What batching keeps of the model's own throughput: single-row queries through gateway and worker against the
 * bare runtime at the batch size that the worker may use, and against the same model without batching.
 */

import { GENERATED_INPUT } from '../src/model/generated_models.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { startFleet, TELEMETRY } from './fleet.ts';
import { type LoadCost, measureLoad, othersNote, startLoadProcess } from './load.ts';
import { type BenchModel, mlpModel, modelFile, samplesOf, writeRepository } from './models.ts';
import { digits, range, table } from './print.ts';
import { startProcess } from './processes.ts';
import type { RawResult, RawTask } from './raw_runtime.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { temporaryFolder } from './temporary.ts';

const CONCURRENCY = 64;
const BATCH_ROWS = 16;

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const durationS = quick ? 2 : 5;
  await using folder = await temporaryFolder();
  const repository = folder.path('models');
  const batched = mlpModel('slow', { maxRows: BATCH_ROWS, maxDelayMs: 2 }, 'batched');
  const single = mlpModel('slow', undefined, 'single');
  await writeRepository(repository, [batched, single]);
  await using held = new AsyncDisposableStack();
  const drain = held.use(
    await startProcess(machine, folder.root, {
      name: 'drain',
      module: new URL('./drain.ts', import.meta.url),
    }),
  );
  const load = held.use(await startLoadProcess(machine, folder.root, undefined));
  const raw = held.use(
    await startProcess(machine, folder.root, {
      name: 'raw_runtime',
      module: new URL('./raw_runtime.ts', import.meta.url),
      args: [modelFile(repository, batched), GENERATED_INPUT, String(batched.width)],
      env: { ORT_DISABLE_TELEMETRY: '1' },
    }),
  );
  const fleet = held.use(
    await startFleet(machine, folder.root, {
      name: 'fleet',
      repository,
      telemetry: TELEMETRY.to(drain.ports.http),
    }),
  );
  const serve = (model: BenchModel, seconds = durationS): Promise<LoadCost> =>
    measureLoad(
      load,
      {
        url: fleet.url,
        model: model.name,
        samples: samplesOf(model, 'binary'),
        concurrency: CONCURRENCY,
        durationS: seconds,
      },
      { gateway: fleet.gateway, worker: fleet.worker },
      [drain, raw],
    );
  const loop = async (batchRows: number): Promise<RawResult> => {
    const task: RawTask = { batchRows, durationMs: durationS * 1000 };
    return (await raw.ask(task)) as RawResult;
  };

  context.progress('warming');
  for (const model of [batched, single]) await serve(model, 1);
  await loop(1);
  const rounds = await alternate<'raw' | 'rawSingle' | 'batched' | 'single', RawResult | LoadCost>(
    context.rounds,
    {
      raw: () => loop(BATCH_ROWS),
      batched: () => serve(batched),
      rawSingle: () => loop(1),
      single: () => serve(single),
    },
    context.progress,
  );
  const rowsPerS = (side: keyof typeof rounds): number[] =>
    rounds[side].map((result) => ('rowsPerS' in result ? result.rowsPerS : result.okPerS));
  const costs = (side: 'batched' | 'single'): LoadCost[] =>
    rounds[side].filter((result): result is LoadCost => 'okPerS' in result);
  const runMs = (side: 'raw' | 'rawSingle'): number[] =>
    rounds[side].flatMap((result) => ('meanRunMs' in result ? result.meanRunMs : []));

  const figures: Figure[] = [
    {
      label: `rows/s, service / bare runtime at ${BATCH_ROWS}`,
      spread: ratioOf(rowsPerS('batched'), rowsPerS('raw')),
      unit: 'x',
      aim: { relation: 'at least', value: 0.9 },
    },
    {
      label: 'rows/s, batching on / off',
      spread: ratioOf(rowsPerS('batched'), rowsPerS('single')),
      unit: 'x',
    },
    {
      label: 'rows/s, service without batching / bare runtime at 1',
      spread: ratioOf(rowsPerS('single'), rowsPerS('rawSingle')),
      unit: 'x',
    },
  ];
  const cpu = (side: 'batched' | 'single', process: string): string =>
    digits(spreadOf(costs(side).map(({ cpuUs }) => cpuUs[process] ?? 0)).median);
  const p99 = (side: 'batched' | 'single'): string =>
    digits(spreadOf(costs(side).map(({ p99Ms }) => p99Ms)).median);
  const rate = (side: keyof typeof rounds): string => range(spreadOf(rowsPerS(side)));
  return {
    figures,
    tables: [
      table([
        ['', 'rows/s', 'p99 ms', 'gateway us a query', 'worker us a query'],
        [`bare runtime, batches of ${BATCH_ROWS}`, rate('raw'), '', '', ''],
        [
          'service, batching',
          rate('batched'),
          p99('batched'),
          cpu('batched', 'gateway'),
          cpu('batched', 'worker'),
        ],
        ['bare runtime, one row', rate('rawSingle'), '', '', ''],
        [
          'service, no batching',
          rate('single'),
          p99('single'),
          cpu('single', 'gateway'),
          cpu('single', 'worker'),
        ],
      ]),
    ],
    notes: [
      `Closed loop of ${CONCURRENCY}, binary tensors, one inference thread of one core; nothing is pinned, so gateway, generator and the worker's own thread need what that core leaves.`,
      `A row alone takes the bare runtime ${range(spreadOf(runMs('rawSingle')))} ms, ${BATCH_ROWS} rows ${range(spreadOf(runMs('raw')))} ms.`,
      ...othersNote([...costs('batched'), ...costs('single')]),
    ],
    details: rounds,
  };
}

export const batching: Bench = {
  number: 3,
  name: 'batching',
  summary: 'single-row queries through the service against the bare runtime',
  run,
};
