/** Loads of a bench: who sends, and what the measured processes spent on them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadOptions } from '../src/loadgen/plan.ts';
import type { LoadReport } from '../src/loadgen/report.ts';
import { cpuMs, type Machine, machineCpuMs } from './machine.ts';
import { digits } from './print.ts';
import { startProcess } from './processes.ts';
import { spreadOf } from './rounds.ts';

/** Longer than a flush interval of the export thread: what a load leaves behind is counted as its cost. */
const SETTLE_MS = 700;

export interface LoadProcess extends AsyncDisposable {
  readonly pid: number;
  run(options: LoadOptions): Promise<LoadReport>;
}

export async function startLoadProcess(
  machine: Machine,
  folder: string,
  role: number | undefined,
): Promise<LoadProcess> {
  const child = await startProcess(machine, folder, {
    name: 'load',
    module: new URL('./load_process.ts', import.meta.url),
    ...(role === undefined ? {} : { role }),
  });
  return {
    pid: child.pid,
    run: async (options) => (await child.ask(options)) as LoadReport,
    [Symbol.asyncDispose]: () => child.stop(),
  };
}

/** One load, and what it cost. */
export interface LoadCost {
  readonly ok: number;
  readonly failed: number;
  readonly okPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** By name of the measured process: microseconds of processor time per query. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** Their sum. */
  readonly totalCpuUs: number;
  /** Cores that the generator used, and whether it was the limit. */
  readonly generatorCores: number;
  readonly generatorLimited: boolean;
  /** Cores that processes outside the bench used meanwhile. */
  readonly otherCores: number;
}

/**
 * Runs a load and counts the processor time of the named processes.
 * @param measured whose cost is told
 * @param beside further processes of the bench, which are not "others"
 * @throws Error when no query was answered well: nothing was measured
 */
export async function measureLoad(
  load: LoadProcess,
  options: LoadOptions,
  measured: Readonly<Record<string, { readonly pid: number }>>,
  beside: readonly { readonly pid: number }[] = [],
): Promise<LoadCost> {
  const names = Object.keys(measured);
  const pids = names.map((name) => measured[name]?.pid ?? 0);
  const all = [...pids, load.pid, process.pid, ...beside.map(({ pid }) => pid)];
  const before = pids.map(cpuMs);
  const oursBefore = all.map(cpuMs).reduce((sum, ms) => sum + ms, 0);
  const machineBefore = machineCpuMs();
  const startMs = performance.now();
  const report = await load.run(options);
  await sleep(SETTLE_MS);
  const elapsedMs = performance.now() - startMs;
  const after = pids.map(cpuMs);
  const oursMs = all.map(cpuMs).reduce((sum, ms) => sum + ms, 0) - oursBefore;
  const machineMs = machineCpuMs() - machineBefore;
  if (report.ok === 0) {
    const [worst] = report.outcomes;
    throw new Error(
      `no query was answered: ${worst?.outcome} ${worst?.status} ${worst?.code} ${worst?.sample}`,
    );
  }
  const queries = report.sent + report.warmup.sent;
  const cpuUs = Object.fromEntries(
    names.map((name, index) => [name, (((after[index] ?? 0) - (before[index] ?? 0)) * 1e3) / queries]),
  );
  return {
    ok: report.ok,
    failed: report.failed,
    okPerS: report.okPerS,
    p50Ms: report.latency.service.p50Ms,
    p99Ms: report.latency.service.p99Ms,
    cpuUs,
    totalCpuUs: Object.values(cpuUs).reduce((sum, us) => sum + us, 0),
    generatorCores: report.generator.cpuCores,
    generatorLimited: report.generator.limited,
    otherCores: Math.max(0, (machineMs - oursMs) / elapsedMs),
  };
}

/** What disturbed the loads, for the reader. */
export function othersNote(costs: readonly LoadCost[]): string[] {
  const others = spreadOf(costs.map(({ otherCores }) => otherCores));
  const limited = costs.filter(({ generatorLimited }) => generatorLimited).length;
  const notes = [
    `Processes outside the bench used ${digits(others.median)} cores (${digits(others.min)} to ${digits(others.max)}).`,
  ];
  if (limited > 0)
    notes.push(`In ${limited} of ${costs.length} loads the generator was the limit of throughput.`);
  return notes;
}
