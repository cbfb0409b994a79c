/** The private sockets of a running service, through which faults are set. */
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { VitrineError } from '../contract/errors.ts';
import type { FaultPoint } from '../contract/fault_points.ts';

/** As lifecycle/fault_socket.ts takes it, less the lease. */
export interface FaultBody {
  readonly delayMs?: number;
  readonly error?: boolean;
  readonly crash?: boolean;
  readonly bytes?: number;
  readonly jumpMs?: number;
}

/** What the supervisor of a process bears with; see lifecycle/fault_socket.ts. */
export interface ProcessLife {
  readonly upMs: number;
  /** Within the window, when the process was started. */
  readonly restarts: number;
  readonly restartLimit: number;
  readonly restartWindowMs: number;
  /** It is killed after answering nothing for so long. */
  readonly hangTimeoutMs: number;
}

export interface FaultDoors {
  /** Processes that take faults now, as `worker-1`, in order. */
  processes(): Promise<string[]>;
  /** @throws Error when the process is gone or refuses */
  set(process: string, point: FaultPoint, fault: FaultBody): Promise<void>;
  /** @throws Error when the process is gone */
  life(process: string): Promise<ProcessLife>;
  /** @throws Error when the process is gone */
  lift(process: string, point: FaultPoint): Promise<void>;
}

/** A fault that nobody renews is gone after so long. */
const LEASE_MS = 5000;
const CALL_TIMEOUT_MS = 2000;
const SOCKET_NAME = /^((?:gateway|worker|console)-\d+)\.sock$/;

async function call(socketPath: string, method: string, path: string, body?: unknown): Promise<string> {
  const sent = request({ socketPath, method, path, timeout: CALL_TIMEOUT_MS });
  sent.once('timeout', () => sent.destroy(new Error(`${method} ${path} was not answered`)));
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const answer = await text(response);
  if ((response.statusCode ?? 500) >= 300) {
    throw new Error(`${method} ${path} was answered ${response.statusCode}`);
  }
  return answer;
}

/** @param directory of the sockets, see contract/fault_sockets.ts */
export function openFaultDoors(directory: string): FaultDoors {
  const socketOf = (process: string): string => join(directory, `${process}.sock`);
  return {
    async processes() {
      const files = await readdir(directory).catch(() => []);
      const names = files.flatMap((file) => SOCKET_NAME.exec(file)?.[1] ?? []).sort();
      const answers = await Promise.all(
        names.map((name) =>
          call(socketOf(name), 'GET', '/faults').then(
            () => true,
            () => false,
          ),
        ),
      );
      return names.filter((_, index) => answers[index]);
    },
    async set(process, point, fault) {
      await call(socketOf(process), 'PUT', `/faults/${point}`, { ...fault, leaseMs: LEASE_MS });
    },
    life: async (process) => JSON.parse(await call(socketOf(process), 'GET', '/faults')).life,
    async lift(process, point) {
      await call(socketOf(process), 'DELETE', `/faults/${point}`);
    },
  };
}

/**
 * The workers of the service that take faults.
 * @throws VitrineError `forbidden` when there are none: drills were not allowed, or the folder is another
 */
export async function workersOf(doors: FaultDoors, directory: string): Promise<string[]> {
  const workers = (await doors.processes()).filter((name) => name.startsWith('worker-'));
  if (workers.length > 0) return workers;
  throw new VitrineError(
    'forbidden',
    `no worker takes faults in ${directory}: start the service with VITRINE_DRILL_ALLOWED=true, and give both the same VITRINE_DRILL_SOCKET_DIRECTORY`,
  );
}
