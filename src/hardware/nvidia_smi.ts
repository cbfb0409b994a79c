/**
 * The fallback where NVML cannot be called: one child, `nvidia-smi`, that prints a line per GPU each second.
 * It ends with this process however that ends: its next line meets a closed pipe.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { Log } from '../contract/log.ts';
import { GPU_LIMIT, type GpuReading } from './gpu_reading.ts';

const MIB = 1024 * 1024;
const FIELDS = 'uuid,name,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu';
/** Fields after the name, which alone could hold a comma. */
const VALUES = 5;
const SMI_COMMAND: readonly [string, ...string[]] = [
  process.platform === 'win32' ? 'C:\\Windows\\System32\\nvidia-smi.exe' : 'nvidia-smi',
  `--query-gpu=${FIELDS}`,
  '--format=csv,noheader,nounits',
  '-lms',
  '1000',
];
/** Where the tool is installed, and nothing of this process's environment, which holds secrets. */
const ENVIRONMENT =
  process.platform === 'win32'
    ? { SystemRoot: 'C:\\Windows' }
    : { PATH: '/usr/bin:/usr/local/bin:/bin:/usr/local/nvidia/bin:/usr/lib/wsl/lib', LC_ALL: 'C' };
/** A line is about 120 characters; what is longer is none of ours. */
const LINE_LIMIT = 4096;
/** A child that dies this often is given up until this process restarts. */
const RESTART_LIMIT = 5;
/** A run this long wipes out the deaths before it. */
const STEADY_AFTER_MS = 600_000;
const RESTART_BACKOFF_MS = 1000;
/** From SIGTERM to SIGKILL. */
const END_WITHIN_MS = 1000;
/** A reading that was not renewed for this long is no longer one. */
export const STALE_AFTER_MS = 10_000;

export interface NvidiaSmi extends AsyncDisposable {
  /** Resolves once: true with the first GPU's line, false when there is no such tool, no GPU, or it was closed. */
  readonly found: Promise<boolean>;
  /** The newest line of every GPU; empty while the child is away. */
  read(): readonly GpuReading[];
}

export interface NvidiaSmiOptions {
  /** What is run, for tests. */
  readonly command?: readonly [string, ...string[]];
  /** First wait before a restart; doubles. */
  readonly restartBackoffMs?: number;
}

/**
 * One line of the table, or undefined when it is none: `[N/A]`, `[Not Supported]` and anything else that is no
 * number is an absent value, and `[GPU is lost]` anywhere says that the GPU is lost.
 */
export function parseSmiLine(line: string): GpuReading | undefined {
  const cells = line.split(',').map((cell) => cell.trim());
  const [id = ''] = cells;
  if (cells.length < 2 + VALUES || !/^GPU-[0-9A-Fa-f-]{8,64}$/.test(id)) return undefined;
  const model = cells.slice(1, -VALUES).join(', ');
  if (/lost|reset required/i.test(cells.slice(1).join())) return { id, model, state: 'lost', values: {} };
  const [utilization, used, total, power, temperature] = cells
    .slice(-VALUES)
    .map((cell) => (/^\d+(\.\d+)?$/.test(cell) ? Number(cell) : undefined));
  return {
    id,
    model,
    state: 'ok',
    values: {
      utilizationRatio: utilization !== undefined && utilization <= 100 ? utilization / 100 : undefined,
      memoryUsedBytes: used === undefined ? undefined : used * MIB,
      memoryTotalBytes: total === undefined ? undefined : total * MIB,
      powerWatts: power,
      temperatureCelsius: temperature,
    },
  };
}

/**
 * Two states: a child runs, or a restart waits. A death before the first line ever, and the death after
 * RESTART_LIMIT restarts without a steady run between them, end it; so does closing.
 */
export function startNvidiaSmi(log: Log, options: NvidiaSmiOptions = {}): NvidiaSmi {
  const [file, ...args] = options.command ?? SMI_COMMAND;
  const backoffMs = options.restartBackoffMs ?? RESTART_BACKOFF_MS;
  const found = Promise.withResolvers<boolean>();
  const readings = new Map<string, { readonly reading: GpuReading; readonly atMs: number }>();
  let child: ChildProcessByStdio<null, Readable, null> | undefined;
  let restart: NodeJS.Timeout | undefined;
  let restarts = 0;
  let seen = false;
  let closed = false;
  let oddLines = 0;

  function take(line: string): void {
    const reading = parseSmiLine(line);
    if (reading === undefined) {
      oddLines += 1;
      // Once: what the tool says instead of a table is for people.
      if (oddLines === 1)
        log.warn('nvidia-smi printed a line that is no reading', { line: line.slice(0, 200) });
      return;
    }
    if (!readings.has(reading.id) && readings.size >= GPU_LIMIT) return;
    const before = readings.get(reading.id)?.reading.state;
    if (reading.state === 'lost' && before !== 'lost') {
      log.error('a GPU is lost: it fell off the bus or needs a reset', {
        gpu: reading.id,
        model: reading.model,
      });
    }
    readings.set(reading.id, { reading, atMs: performance.now() });
    seen = true;
    found.resolve(true);
  }

  function run(): void {
    let pending = '';
    const startedAtMs = performance.now();
    const started = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: ENVIRONMENT,
      windowsHide: true,
    });
    child = started;
    started.stdout.setEncoding('utf8');
    started.stdout.on('data', (text: string) => {
      const lines = (pending + text).split('\n');
      pending = (lines.pop() ?? '').slice(0, LINE_LIMIT);
      for (const line of lines) if (line.trim() !== '') take(line.slice(0, LINE_LIMIT));
    });
    // Not there: `close` follows, and it never printed a line.
    started.on('error', (error) => log.debug('nvidia-smi does not start', { error }));
    started.on('close', (code, signal) => {
      child = undefined;
      readings.clear();
      if (closed) return;
      if (!seen) {
        found.resolve(false);
        return;
      }
      if (performance.now() - startedAtMs > STEADY_AFTER_MS) restarts = 0;
      if (restarts >= RESTART_LIMIT) {
        log.error('nvidia-smi keeps ending; GPUs are no longer read', { code, signal, restarts });
        return;
      }
      const waitMs = backoffMs * 2 ** restarts;
      restarts += 1;
      log.warn('nvidia-smi ended and is started again', { code, signal, waitMs });
      restart = setTimeout(run, waitMs);
      restart.unref();
    });
  }
  run();

  return {
    found: found.promise,
    read() {
      const oldest = performance.now() - STALE_AFTER_MS;
      return [...readings.values()].filter(({ atMs }) => atMs >= oldest).map(({ reading }) => reading);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(restart);
      found.resolve(false);
      const running = child;
      if (running?.pid === undefined) return;
      const gone = once(running, 'close');
      running.kill('SIGTERM');
      const force = setTimeout(() => running.kill('SIGKILL'), END_WITHIN_MS);
      await gone;
      clearTimeout(force);
      readings.clear();
    },
  };
}
