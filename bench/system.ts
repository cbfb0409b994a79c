/** The whole system as a user starts it, on free ports and with a database of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entry, plainEnvironment } from './processes.ts';
import type { TemporaryFolder } from './temporary.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const STOP_MS = 15_000;
const LOG_TAIL_CHARS = 2000;

export interface SystemPlan {
  /** `npm`: as `npm start` does it, npm's own time included. */
  readonly by: 'npm' | 'node';
  /** Undefined serves the models of the repository. */
  readonly modelRepository: string | undefined;
  /** Settings besides. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One process of the system. */
export interface SystemProcess {
  /** `supervisor`, `gateway`, `worker`, `console`, or the command that it is. */
  readonly name: string;
  readonly pid: number;
}

export interface System extends AsyncDisposable {
  readonly url: string;
  readonly gatewayMetricsUrl: string;
  readonly workerMetricsUrl: string;
  readonly consoleUrl: string;
  /** All processes that run now. */
  processes(): readonly SystemProcess[];
  /** @throws Error when the system has ended, with the end of its log */
  checkAlive(): void;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts the system and returns at once; nothing is ready yet. */
export async function startSystem(folder: TemporaryFolder, plan: SystemPlan): Promise<System> {
  const [http, metrics, worker, query, otlp] = await Promise.all(Array.from({ length: 5 }, freePort));
  const env = {
    ...plainEnvironment(),
    VITRINE_GATEWAY_HTTP_PORT: String(http),
    VITRINE_GATEWAY_METRICS_PORT: String(metrics),
    VITRINE_WORKER_COUNT: '1',
    VITRINE_WORKER_BASE_PORT: String((worker ?? 1) - 1),
    VITRINE_CONSOLE_HTTP_PORT: String(query),
    VITRINE_CONSOLE_OTLP_PORT: String(otlp),
    VITRINE_CONSOLE_DATABASE_PATH: folder.path(`traces-${http}.db`),
    ...(plan.modelRepository === undefined ? {} : { VITRINE_WORKER_MODEL_REPOSITORY: plan.modelRepository }),
    ...plan.env,
  };
  const [command, args] =
    plan.by === 'npm' ? ['npm', ['start']] : [process.execPath, [fileURLToPath(entry('supervisor'))]];
  const logPath = folder.path(`system-${http}.log`);
  const log = openSync(logPath, 'a');
  const child = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', log, log] });
  closeSync(log);
  child.on('error', () => {
    // Told by checkAlive().
  });
  return {
    url: `http://127.0.0.1:${http}`,
    gatewayMetricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    workerMetricsUrl: `http://127.0.0.1:${worker}/metrics`,
    consoleUrl: `http://127.0.0.1:${query}`,
    processes: () => (child.pid === undefined ? [] : processTree(child.pid)),
    checkAlive() {
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) return;
      throw new Error(`the system ended:\n${readFileSync(logPath, 'utf8').slice(-LOG_TAIL_CHARS)}`);
    },
    [Symbol.asyncDispose]: () => stop(child),
  };
}

/** npm hands a signal on to what it runs, but only after a while, so the supervisor is told itself. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const supervisor = processTree(child.pid).find(({ name }) => name === 'supervisor');
  signal(supervisor?.pid ?? child.pid, 'SIGTERM');
  const overdue = setTimeout(() => {
    if (child.pid !== undefined) for (const { pid } of processTree(child.pid)) signal(pid, 'SIGKILL');
  }, STOP_MS);
  await exited;
  clearTimeout(overdue);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** A process and everything below it. */
function processTree(root: number): SystemProcess[] {
  const childrenOf = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const found: SystemProcess[] = [];
  const add = (pid: number): void => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const module = args.find((arg) => arg.endsWith('.ts'));
      found.push({ pid, name: basename(module ?? args[0] ?? '', '.ts') });
    } catch {
      return;
    }
    for (const child of childrenOf.get(pid) ?? []) add(child);
  };
  add(root);
  return found;
}
