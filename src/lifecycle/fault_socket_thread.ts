/**
 * Entry of the thread that serves a fault socket, so that it answers while the main thread stands still. It says
 * `listening`, or why it cannot, and ends with any message from the main thread.
 */
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { FAULT_POINTS, isFaultPoint } from '../contract/fault_points.ts';
import { createFaults, type Fault } from './faults.ts';

/** What the supervisor of a process bears with: the settings of that name, and where the process stands. */
export interface ProcessLife {
  /** Within restartWindowMs, when it was started. */
  readonly restarts: number;
  readonly restartLimit: number;
  readonly restartWindowMs: number;
  readonly hangTimeoutMs: number;
}

export interface FaultSocketThreadData {
  /** Of the process's table of faults. */
  readonly buffer: SharedArrayBuffer;
  /** Of the socket; nothing stands there. */
  readonly path: string;
  readonly life: ProcessLife | undefined;
}

export type FromFaultSocketThread =
  | { readonly kind: 'listening' }
  | { readonly kind: 'unusable'; readonly reason: string };

const BODY_LIMIT_BYTES = 4096;

const port = parentPort;
if (port === null) throw new Error('fault_socket_thread.ts is an entry for worker_threads');
const { buffer, path, life } = workerData as FaultSocketThreadData;
const faults = createFaults(buffer);

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_LIMIT_BYTES) return undefined;
  }
  return text;
}

const FIELDS: Readonly<Record<keyof Fault, 'number' | 'boolean'>> = {
  delayMs: 'number',
  error: 'boolean',
  crash: 'boolean',
  bytes: 'number',
  jumpMs: 'number',
  leaseMs: 'number',
};

/** The fault, or what is wrong with it. */
function parseFault(text: string | undefined): Fault | string {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    return 'the body must be a JSON object such as {"delayMs": 50, "leaseMs": 10000}';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'the body must be a JSON object';
  for (const [key, field] of Object.entries(value)) {
    if (!Object.hasOwn(FIELDS, key)) return `${key} is no field; there are ${Object.keys(FIELDS).join(', ')}`;
    const kind = FIELDS[key as keyof Fault];
    if (typeof field !== kind) return `${key} must be a ${kind}`;
  }
  if (!('leaseMs' in value)) return 'leaseMs is missing: every fault lapses by itself';
  return value as Fault;
}

function lifeNow(life: ProcessLife): ProcessLife & { readonly upMs: number } {
  const { restarts, restartLimit, restartWindowMs, hangTimeoutMs } = life;
  return { upMs: process.uptime() * 1000, restarts, restartLimit, restartWindowMs, hangTimeoutMs };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body?: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const [, root, point, ...more] = (request.url ?? '').split('/');
  if (root !== 'faults' || more.length > 0)
    return reply(404, { error: 'there is only /faults and /faults/<point>' });
  if (point === undefined) {
    if (request.method !== 'GET') return reply(405, { error: '/faults takes GET' });
    return reply(200, { faults: faults.list(), ...(life === undefined ? {} : { life: lifeNow(life) }) });
  }
  if (!isFaultPoint(point))
    return reply(404, { error: `no such point; there are ${FAULT_POINTS.join(', ')}` });
  if (request.method === 'DELETE') {
    faults.clear(point);
    return reply(204);
  }
  if (request.method !== 'PUT') return reply(405, { error: '/faults/<point> takes PUT and DELETE' });
  const fault = parseFault(await readBody(request));
  if (typeof fault === 'string') return reply(400, { error: fault });
  try {
    faults.set(point, fault);
  } catch (error) {
    return reply(400, { error: (error as Error).message });
  }
  return reply(204);
}

const tell = (message: FromFaultSocketThread): void => port.postMessage(message);
const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
server.once('error', (error) => {
  tell({ kind: 'unusable', reason: error.message });
  port.close();
});
server.listen(path, () => {
  chmodSync(path, 0o600);
  tell({ kind: 'listening' });
});
port.once('message', () => {
  server.close(() => port.close());
  server.closeAllConnections();
});
