/** The machine that a bench runs on: its cores, whether processes can be pinned to them, and who else uses them. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Kernel ticks per second in which /proc counts processor time; fixed in the interface that Linux shows to programs. */
const TICKS_PER_S = 100;
const MIB = 1024 * 1024;

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly node: string;
  /** Whether `taskset` is there; without it nothing is pinned, and the result says so. */
  readonly canPin: boolean;
  /** Runnable processes on average over the last minute, before the bench began. */
  readonly loadBefore: number;
}

/** @throws Error where there is no /proc, from which processor time and memory are read */
export function describeMachine(): Machine {
  try {
    readFileSync('/proc/self/stat');
  } catch {
    throw new Error('the bench reads processor time and memory from /proc; run it on Linux');
  }
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memoryMib: Math.round(totalmem() / MIB),
    kernel: release(),
    node: process.version,
    canPin: spawnSync('taskset', ['-c', '0', 'true']).status === 0,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** The core for the processes of one role, counted from 0; roles beyond the cores share the last one. */
export function coreOf(machine: Machine, role: number): number | undefined {
  return machine.canPin ? Math.min(role, machine.cores - 1) : undefined;
}

/**
 * Processor time of a process in milliseconds, user and system, of all its threads, also of those that ended.
 * Counted in steps of 10 ms.
 */
export function cpuMs(pid: number): number {
  return cpuOfStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

function cpuOfStat(stat: string): number {
  // The command's name stands in parentheses and may hold blanks; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_S;
}

/**
 * Processor time of a process in milliseconds by the names of its threads; those of one name are summed. `MainThread`
 * is JavaScript's main one, `V8Worker` compiles and collects, threads of ours have the names that they were given.
 */
export function threadCpuMs(pid: number): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    } catch {
      continue; // it ended while we looked
    }
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    times.set(name, (times.get(name) ?? 0) + cpuOfStat(stat));
  }
  return times;
}

/** Processor time of the whole machine in milliseconds, idle and waiting left out. */
export function machineCpuMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return ((user + nice + system + irq + softirq + steal) * 1000) / TICKS_PER_S;
}

export interface Memory {
  /** Pages of the process in memory, shared ones in full. */
  readonly rssMib: number;
  /** The same with each shared page divided among its users, so that a sum over processes counts it once. */
  readonly pssMib: number;
}

export function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]) / 1024;
  return { rssMib: mib('Rss'), pssMib: mib('Pss') };
}
