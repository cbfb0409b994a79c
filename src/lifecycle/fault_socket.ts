/**
 * The door through which a drill sets faults: HTTP over a Unix socket that only the user who runs the process
 * can open, and never a service port. It is opened only when `VITRINE_DRILL_ALLOWED=true`.
 *
 *   GET    /faults           the faults that are active
 *   PUT    /faults/<point>   {"delayMs": 50, "error": false, "crash": false, "leaseMs": 10000}
 *   DELETE /faults/<point>   lifts one
 */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { FAULT_POINTS, isFaultPoint } from '../contract/fault_points.ts';
import { faultSocketDirectory } from '../contract/fault_sockets.ts';
import type { Fault, Faults } from './faults.ts';
import { StartupError } from './startup_error.ts';

export interface FaultSocketOptions {
  /** Folder of the sockets; empty for a private one below the temporary folder. */
  readonly directory: string;
  /** Of the process: `worker`. */
  readonly name: string;
  readonly index: number;
}

export interface FaultSocket extends AsyncDisposable {
  readonly path: string;
}

const DIRECTORY_SETTING = 'VITRINE_DRILL_SOCKET_DIRECTORY';
const BODY_LIMIT_BYTES = 4096;
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

async function answer(faults: Faults, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body?: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const [, root, point, ...more] = (request.url ?? '').split('/');
  if (root !== 'faults' || more.length > 0)
    return reply(404, { error: 'there is only /faults and /faults/<point>' });
  if (point === undefined) {
    if (request.method !== 'GET') return reply(405, { error: '/faults takes GET' });
    return reply(200, { faults: faults.list() });
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
  const server = createServer((request, response) => {
    answer(faults, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(unusable(`${path} cannot be opened: ${error.message}`, error)));
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return {
    path,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
