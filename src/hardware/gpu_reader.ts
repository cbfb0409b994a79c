/** The GPUs of this machine, read about once a second: through NVML, else through nvidia-smi, else there are none. */
import { existsSync } from 'node:fs';
import type { Log } from '../contract/log.ts';
import type { GpuReading } from './gpu_reading.ts';
import { type NvidiaSmi, STALE_AFTER_MS, startNvidiaSmi } from './nvidia_smi.ts';
import { type NvmlSession, openNvml } from './nvml.ts';
import { loadNvml, type NvmlLibrary, NvmlUnavailable } from './nvml_library.ts';

export type GpuSource = 'nvml' | 'nvidia-smi' | 'none';

export interface GpuReader extends AsyncDisposable {
  /** `none` until something was found. */
  readonly source: GpuSource;
  /** Resolves when the search has ended; never rejects. */
  readonly searched: Promise<GpuSource>;
  /** The last look, in the driver's order; empty before the first, and when it is older than 10 s. */
  read(): readonly GpuReading[];
}

export interface GpuReaderDeps {
  readonly log: Log;
  /** @throws NvmlUnavailable where it is not there */
  readonly nvml?: () => Promise<NvmlLibrary>;
  readonly smi?: (log: Log) => NvidiaSmi;
  /** Told of every look through NVML, with its monotonic time; nvidia-smi names neither energy nor processes. */
  readonly looked?: (atMs: number, readings: readonly GpuReading[]) => void;
  /** Whether it is worth looking at all. */
  readonly driverPresent?: () => boolean;
}

export interface GpuReaderOptions {
  /** `auto` looks only where the machine shows a driver, so that others pay nothing; `on` looks, and warns. */
  readonly look: 'auto' | 'on';
  /** Whether nvidia-smi is a way, where NVML is none; true unless told. */
  readonly throughTool?: boolean;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1000;
/** A driver that does not come back from a call may not hold up the end of the process. */
const CLOSE_WITHIN_MS = 1000;

/** Left by the driver of Linux, of Linux under Windows, and of Windows. */
const DRIVER_FILES = ['/dev/nvidiactl', '/dev/dxg', 'C:\\Windows\\System32\\nvml.dll'];

function driverPresent(): boolean {
  return DRIVER_FILES.some((path) => existsSync(path));
}

/**
 * Starts to look and returns at once: the search goes on beside what else the process does. One look is under
 * way at a time; a slow one delays the next.
 */
export function openGpuReader(deps: GpuReaderDeps, options: GpuReaderOptions): GpuReader {
  const { log } = deps;
  const intervalMs = options.intervalMs ?? INTERVAL_MS;
  let source: GpuSource = 'none';
  let session: NvmlSession | undefined;
  let smi: NvidiaSmi | undefined;
  let latest: { readonly readings: readonly GpuReading[]; readonly atMs: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failed = false;
  let closed = false;

  async function search(): Promise<GpuSource> {
    if (options.look === 'auto' && !(deps.driverPresent ?? driverPresent)()) return 'none';
    try {
      session = await openNvml(await (deps.nvml ?? loadNvml)(), log);
      // The tool asks the same library, and would see as little.
      return session !== undefined && session.count > 0 ? 'nvml' : 'none';
    } catch (error) {
      if (!(error instanceof NvmlUnavailable)) throw error;
      log.debug('no NVML; trying nvidia-smi', { error });
    }
    if (closed || options.throughTool === false) return 'none';
    smi = (deps.smi ?? startNvidiaSmi)(log);
    return (await smi.found) ? 'nvidia-smi' : 'none';
  }

  async function look(): Promise<void> {
    try {
      if (session === undefined) return;
      latest = { readings: await session.look(), atMs: performance.now() };
      deps.looked?.(latest.atMs, latest.readings);
      failed = false;
    } catch (error) {
      if (!failed) log.warn('GPUs could not be read; the next look follows', { error });
      failed = true;
    }
  }

  let looking: Promise<void> = Promise.resolve();
  function lookAgain(): void {
    looking = look().then(() => {
      if (closed) return;
      timer = setTimeout(lookAgain, intervalMs);
      timer.unref();
    });
  }

  const searched = search()
    .catch((error: unknown): GpuSource => {
      log.warn('the search for GPUs failed', { error });
      return 'none';
    })
    .then((found) => {
      if (closed) return 'none';
      source = found;
      if (found === 'nvml') lookAgain();
      if (found !== 'none') log.info('GPUs are read', { source: found });
      else if (options.look === 'on') log.warn('no GPU was found', { wanted: 'on' });
      return found;
    });

  return {
    get source() {
      return source;
    },
    searched,
    read() {
      if (closed) return [];
      if (source === 'nvidia-smi') return smi?.read() ?? [];
      return latest !== undefined && performance.now() - latest.atMs < STALE_AFTER_MS ? latest.readings : [];
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      clearTimeout(timer);
      // Ends a search that waits for the tool's first line.
      await smi?.[Symbol.asyncDispose]();
      const ended = searched
        .then(() => looking)
        .then(() => session?.[Symbol.asyncDispose]())
        .catch((error: unknown) => log.debug('NVML did not shut down', { error }));
      let overdue: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        overdue = setTimeout(() => {
          log.warn('the GPU driver does not answer; it is left as it is');
          resolve();
        }, CLOSE_WITHIN_MS);
      });
      await Promise.race([ended, limit]);
      clearTimeout(overdue);
    },
  };
}
