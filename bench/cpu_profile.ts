/**
 * V8's CPU profiles, summed up: which room, package and function the time of a process went to. Self time
 * only: where the processor was, not who called. Shares come from the profile, times from the thread's own clock.
 */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digits, table } from './print.ts';
import type { RunningProcess } from './processes.ts';
import type { ProfileTask, ThreadProfileFile } from './profile_preload.ts';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

/** As V8's inspector protocol names them. */
interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Microseconds of processor time per query: the thread's, by this share. */
  readonly us: number;
  /** Of the samples of its thread in which it was busy, 0 to 1. */
  readonly share: number;
}

/** One thread of one process. */
export interface ThreadProfile {
  readonly process: string;
  readonly thread: string;
  /** Microseconds of processor time per query. */
  readonly cpuUs: number;
  /** Rooms of ours, packages, Node's own modules, the collector; the largest first. */
  readonly places: readonly Share[];
  readonly functions: readonly Share[];
}

/** Options of Node with which a process can be profiled. */
export const PROFILE_OPTIONS: readonly string[] = [
  `--import=${new URL('./profile_preload.ts', import.meta.url).href}`,
];

/** Functions kept of each thread, and lines printed. */
const FUNCTIONS = 40;
const PRINTED = 10;
const NATIVE = '(native)';
const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Starting and stopping the profile. */
const OWN_WORK = 'node:inspector';
/** V8's names for time in which nothing of the program ran. */
const NOT_BUSY: ReadonlySet<string> = new Set(['(idle)', '(root)']);

/** A readable place of a call frame: `src/gateway/exchange.ts`, `node_modules/undici`, `node:http`. */
function fileOf(url: string): string {
  if (url === '') return NATIVE;
  if (!url.startsWith('file://')) return url;
  const path = fileURLToPath(url);
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

function placeOf(file: string): string {
  const parts = file.split('/');
  if (parts[0] === 'src' || parts[0] === 'bench') return parts.slice(0, 2).join('/');
  const at = parts.lastIndexOf('node_modules');
  if (at >= 0) return parts.slice(at + 1, at + (parts[at + 1]?.startsWith('@') ? 3 : 2)).join('/');
  return file.startsWith('node:') ? 'node' : file.startsWith('wasm:') ? 'wasm (HTTP parsers)' : file;
}

function shares(times: ReadonlyMap<string, number>, busy: number, cpuUs: number): Share[] {
  return [...times]
    .map(([name, time]) => ({ name, us: (cpuUs * time) / busy, share: time / busy }))
    .sort((a, b) => b.us - a.us);
}

function add(times: Map<string, number>, name: string, time: number): void {
  times.set(name, (times.get(name) ?? 0) + time);
}

function summarise(processName: string, file: ThreadProfileFile, queries: number): ThreadProfile {
  const profile = file.profile as Profile;
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of profile.samples.entries()) {
    const frame = nodes.get(id)?.callFrame;
    if (frame === undefined || NOT_BUSY.has(frame.functionName) || frame.url === OWN_WORK) continue;
    const time = Math.max(0, profile.timeDeltas[index] ?? 0);
    busy += time;
    const path = fileOf(frame.url);
    // V8's own entries, such as (garbage collector), stand for themselves; natives are many and small.
    add(
      places,
      path === NATIVE && frame.functionName.startsWith('(') ? frame.functionName : placeOf(path),
      time,
    );
    const where = path === NATIVE ? '' : `  ${path}:${frame.lineNumber + 1}`;
    add(functions, `${frame.functionName || '(anonymous)'}${where}`, time);
  }
  const cpuUs = file.cpuUs / queries;
  return {
    process: processName,
    thread: file.thread,
    cpuUs,
    places: shares(places, busy, cpuUs),
    functions: shares(functions, busy, cpuUs).slice(0, FUNCTIONS),
  };
}

/**
 * Profiles the threads of processes that were started with `PROFILE_OPTIONS`, while `work` runs.
 * @param folder where the profiles are kept; what was in it goes
 * @param work resolves with the number of queries, by which times are divided
 */
export async function profileWhile(
  processes: Readonly<Record<string, RunningProcess>>,
  folder: string,
  work: () => Promise<number>,
): Promise<ThreadProfile[]> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const start: ProfileTask = { profile: 'start' };
  const stop: ProfileTask = { profile: { stopInto: folder } };
  for (const process of Object.values(processes)) await process.ask(start);
  const queries = await work();
  for (const process of Object.values(processes)) await process.ask(stop);
  const threads: ThreadProfile[] = [];
  for (const [name, { pid }] of Object.entries(processes)) {
    for (const fileName of (await readdir(folder)).filter((each) => each.startsWith(`${pid}.`)).sort()) {
      const text = await readFile(join(folder, fileName), 'utf8');
      threads.push(summarise(name, JSON.parse(text) as ThreadProfileFile, queries));
    }
  }
  return threads;
}

/** A thread as text: where its time went, by place and by function. */
export function formatProfile(title: string, profile: ThreadProfile): string[] {
  const rows = (list: readonly Share[]): string[] =>
    table(
      list
        .slice(0, PRINTED)
        .map(({ name, us, share }) => [name, digits(us), `${(share * 100).toFixed(1)} %`]),
    ).map((line) => `  ${line}`);
  return [
    `${title}, ${profile.process}, thread ${profile.thread}: ${digits(profile.cpuUs)} us a query`,
    ...rows(profile.places),
    '  the largest functions',
    ...rows(profile.functions),
  ];
}
