/** The processes that a bench measures and those that it needs for it, as children that cannot outlive it. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ports, parseChildMessage, seal } from '../src/contract/messages.ts';
import { SUPERVISED_FLAG } from '../src/lifecycle/service_process.ts';
import { coreOf, type Machine } from './machine.ts';

const READY_LIMIT_MS = 60_000;
const DRAIN_MS = 5000;
const LOG_TAIL_CHARS = 2000;

export interface ProcessPlan {
  /** For messages and the name of the log file. */
  readonly name: string;
  /** `bin/gateway.ts` and the like below src, or a file of the bench. */
  readonly module: URL;
  /** For files of the bench. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Core to pin it to, see coreOf(); undefined leaves it to the scheduler. */
  readonly role?: number;
  readonly nodeOptions?: readonly string[];
}

export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  readonly ports: Ports;
  /** For the bench's own children: sends a task and resolves with its answer. One at a time. */
  ask(task: unknown): Promise<unknown>;
  /** Drains it; killed when it takes too long. */
  stop(): Promise<void>;
}

/** An entry file of the service. */
export function entry(name: 'gateway' | 'worker' | 'console' | 'supervisor'): URL {
  return new URL(`../src/bin/${name}.ts`, import.meta.url);
}

/** What a child needs of our environment; nothing that would configure it. */
export function plainEnvironment(): Record<string, string> {
  const env: Record<string, string> = { VITRINE_TELEMETRY_LOG_FORMAT: 'json' };
  for (const name of ['PATH', 'HOME', 'TMPDIR', 'LANG']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/**
 * Starts a child and waits until it is ready.
 * @param folder where it runs and where its log goes; without a vitrine.yaml that could configure it
 * @throws Error with the end of the child's log when it did not become ready
 */
export async function startProcess(
  machine: Machine,
  folder: string,
  plan: ProcessPlan,
): Promise<RunningProcess> {
  const core = plan.role === undefined ? undefined : coreOf(machine, plan.role);
  const logPath = join(folder, `${plan.name}.log`);
  const log = openSync(logPath, 'a');
  const nodeOptions = plan.nodeOptions ?? [];
  const child = fork(plan.module, [...(plan.args ?? []), SUPERVISED_FLAG], {
    cwd: folder,
    env: { ...plainEnvironment(), ...plan.env },
    ...(core === undefined
      ? { execArgv: [...nodeOptions] }
      : { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, ...nodeOptions] }),
    // Tensors travel in tasks; without this they would become objects of numbers.
    serialization: 'advanced',
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const fail = (what: string): Error =>
    new Error(`${plan.name} ${what}:\n${readFileSync(logPath, 'utf8').slice(-LOG_TAIL_CHARS)}`);
  try {
    const ports = await readiness(child, fail);
    return running(child, ports, fail);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function readiness(child: ChildProcess, fail: (what: string) => Error): Promise<Ports> {
  const { promise, resolve, reject } = Promise.withResolvers<Ports>();
  const late = setTimeout(() => reject(fail(`was not ready within ${READY_LIMIT_MS} ms`)), READY_LIMIT_MS);
  const onMessage = (raw: unknown): void => {
    const message = parseChildMessage(raw);
    if (message?.type === 'ready') resolve(message.ports);
    if (message?.type === 'fatal') reject(fail(`cannot start (${message.message})`));
  };
  const onExit = (): void => reject(fail('ended before it was ready'));
  child.on('message', onMessage);
  child.on('error', reject);
  child.on('exit', onExit);
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    child.off('message', onMessage);
    child.off('exit', onExit);
  }
}

function running(child: ChildProcess, ports: Ports, fail: (what: string) => Error): RunningProcess {
  const { pid } = child;
  if (pid === undefined) throw fail('was not started');
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (child.connected) child.send(seal({ type: 'drain', graceMs: DRAIN_MS }), () => {});
    const overdue = setTimeout(() => child.kill('SIGKILL'), DRAIN_MS + 2000);
    await exited;
    clearTimeout(overdue);
  };
  return {
    pid,
    ports,
    async ask(task) {
      const answered = once(child, 'message');
      child.send(task as object);
      const [answer] = (await Promise.race([
        answered,
        exited.then(() => {
          throw fail('ended in the middle of a task');
        }),
      ])) as [{ result?: unknown; error?: string }];
      if (answer.error !== undefined) throw fail(answer.error);
      return answer.result;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
