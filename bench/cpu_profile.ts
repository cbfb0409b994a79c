/**
 * V8's CPU profiles, summed up: which room, package and function the time of a process went to. Self time
 * only: where the processor was, not who called.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  /** Microseconds per query. */
  readonly us: number;
  /** Of the busy time of its thread, 0 to 1. */
  readonly share: number;
}

/** One thread of one process. */
export interface ThreadProfile {
  /** Process id and thread number, as in the file's name. */
  readonly pid: number;
  readonly thread: number;
  /** Microseconds of busy time per query. */
  readonly busyUs: number;
  /** Rooms of ours, packages, Node's own modules, the collector; the largest first. */
  readonly places: readonly Share[];
  readonly functions: readonly Share[];
}

const FILE_NAME = /^CPU\.\d+\.\d+\.(\d+)\.(\d+)\.\d+\.cpuprofile$/;
const FUNCTIONS = 25;
const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** V8's names for time in which nothing of the program ran. */
const NOT_BUSY: ReadonlySet<string> = new Set(['(idle)', '(root)']);

/** A readable place of a call frame: `src/gateway/exchange.ts`, `node_modules/undici`, `node:http`. */
function fileOf(url: string): string {
  if (url === '') return '(native)';
  if (!url.startsWith('file://')) return url;
  const path = fileURLToPath(url);
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

function placeOf(file: string): string {
  const parts = file.split('/');
  if (parts[0] === 'src' || parts[0] === 'bench') return parts.slice(0, 2).join('/');
  const at = parts.lastIndexOf('node_modules');
  if (at >= 0) return parts.slice(at + 1, at + (parts[at + 1]?.startsWith('@') ? 3 : 2)).join('/');
  return file.startsWith('node:') ? 'node' : file;
}

function shares(times: ReadonlyMap<string, number>, busyUs: number, queries: number): Share[] {
  return [...times]
    .map(([name, us]) => ({ name, us: us / queries, share: busyUs === 0 ? 0 : us / busyUs }))
    .sort((a, b) => b.us - a.us);
}

function summarise(profile: Profile, pid: number, thread: number, queries: number): ThreadProfile {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let busyUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const frame = nodes.get(id)?.callFrame;
    if (frame === undefined || NOT_BUSY.has(frame.functionName)) continue;
    const us = Math.max(0, profile.timeDeltas[index] ?? 0);
    busyUs += us;
    const file = fileOf(frame.url);
    const isNative = frame.url === '';
    const place = isNative ? frame.functionName || '(native)' : placeOf(file);
    // Natives are many and small; V8 names each by its function.
    const placeName = isNative && !place.startsWith('(') ? '(native)' : place;
    places.set(placeName, (places.get(placeName) ?? 0) + us);
    const name = `${frame.functionName || '(anonymous)'}  ${isNative ? '' : `${file}:${frame.lineNumber + 1}`}`;
    functions.set(name.trim(), (functions.get(name.trim()) ?? 0) + us);
  }
  return {
    pid,
    thread,
    busyUs: busyUs / queries,
    places: shares(places, busyUs, queries),
    functions: shares(functions, busyUs, queries).slice(0, FUNCTIONS),
  };
}

/** Every profile in a folder, by process and thread. @param queries what times are divided by */
export async function readProfiles(folder: string, queries: number): Promise<ThreadProfile[]> {
  const profiles: ThreadProfile[] = [];
  for (const name of await readdir(folder)) {
    const match = FILE_NAME.exec(name);
    if (match === null) continue;
    const profile = JSON.parse(await readFile(join(folder, name), 'utf8')) as Profile;
    profiles.push(summarise(profile, Number(match[1]), Number(match[2]), queries));
  }
  return profiles.sort((a, b) => a.pid - b.pid || a.thread - b.thread);
}
