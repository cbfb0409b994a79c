/**
 * The door through which a drill sets faults: HTTP over a Unix socket that only the user who runs the process
 * can open, and never a service port. It is opened only when `VITRINE_DRILL_ALLOWED=true`.
 *
 *   GET    /faults           the faults that are active, and how much the process's supervisor bears with
 *   PUT    /faults/<point>   {"delayMs": 50, "error": false, "crash": false, "leaseMs": 10000}
 *   DELETE /faults/<point>   lifts one
 *
 * A thread of its own serves it, so that a fault that holds the main thread up can still be lifted.
 */
import { once } from 'node:events';
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { faultSocketDirectory } from '../contract/fault_sockets.ts';
import type { FaultSocketThreadData, FromFaultSocketThread, ProcessLife } from './fault_socket_thread.ts';
import type { Faults } from './faults.ts';
import { StartupError } from './startup_error.ts';

export interface FaultSocketOptions {
  /** Folder of the sockets; empty for a private one below the temporary folder. */
  readonly directory: string;
  /** Of the process: `worker`. */
  readonly name: string;
  readonly index: number;
  /** What a drill has to know before it takes the process down; undefined where nobody supervises it. */
  readonly life?: ProcessLife;
}

export interface FaultSocket extends AsyncDisposable {
  readonly path: string;
}

const DIRECTORY_SETTING = 'VITRINE_DRILL_SOCKET_DIRECTORY';
/** sun_path of the smallest platform (macOS), less the final zero. */
const PATH_LIMIT_BYTES = 103;

/** Where the process of this name listens for faults. */
export function faultSocketPath(options: FaultSocketOptions): string {
  return join(faultSocketDirectory(options.directory), `${options.name}-${options.index}.sock`);
}

function unusable(message: string, cause?: unknown): StartupError {
  return new StartupError('unusable_setting', DIRECTORY_SETTING, message, cause);
}

/** The folder exists, is a real one, is ours, and nobody else can enter it. */
async function privateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  const own = process.getuid === undefined || found.uid === process.getuid();
  if (!found.isDirectory() || !own || (found.mode & 0o077) !== 0) {
    throw unusable(
      `${directory} must be a folder of your own with mode 0700; set ${DIRECTORY_SETTING} to one`,
    );
  }
}

/** Removes what a killed process left; refuses when somebody still listens. */
async function removeStale(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  if (alive) throw unusable(`another process listens on ${path}; stop it, or set ${DIRECTORY_SETTING}`);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw unusable(`${path} cannot be replaced: ${error.message}`, error);
  });
}

/**
 * Opens the socket.
 * @throws StartupError when its folder is not private, or another process has it
 */
export async function openFaultSocket(faults: Faults, options: FaultSocketOptions): Promise<FaultSocket> {
  const path = faultSocketPath(options);
  if (Buffer.byteLength(path) > PATH_LIMIT_BYTES) {
    throw unusable(`${path} is too long for a socket; set ${DIRECTORY_SETTING} to a shorter one`);
  }
  await privateDirectory(join(path, '..'));
  await removeStale(path);
  const data: FaultSocketThreadData = { buffer: faults.buffer, path, life: options.life };
  const thread = new Worker(new URL('./fault_socket_thread.ts', import.meta.url), {
    workerData: data,
    execArgv: [],
    name: 'fault-socket',
  });
  const [said] = (await once(thread, 'message')) as [FromFaultSocketThread];
  if (said.kind === 'unusable') throw unusable(`${path} cannot be opened: ${said.reason}`);
  thread.unref();
  return {
    path,
    async [Symbol.asyncDispose]() {
      const gone = once(thread, 'exit');
      thread.postMessage('close');
      await gone;
    },
  };
}
