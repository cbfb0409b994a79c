/**
 * Loaded with --import into a measured process: profiles every thread of it between two messages of the bench,
 * so that a profile holds the load and not the start. Threads are reached through the inspector's own protocol,
 * because nothing of ours runs in them.
 */
import { writeFile } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

/** What the bench sends, with a folder that exists; services ignore it, because it is none of their messages. */
export interface ProfileTask {
  readonly profile: 'start' | { readonly stopInto: string };
}

const SAMPLING_INTERVAL_US = 500;

type Call = (method: string, parameters?: object) => Promise<unknown>;

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
}

/** What stop() writes per thread: V8's profile, and what tells whose it is. */
export interface ThreadProfileFile {
  readonly thread: string;
  /** Processor time of the thread between start and stop. */
  readonly cpuUs: number;
  readonly profile: object;
}

interface ProfiledThread {
  readonly title: string;
  readonly call: Call;
  startCpuUs: number;
}

const session = new Session();
const threads: ProfiledThread[] = [];
let nextId = 1;

/** The calls of one thread, in messages through the main thread's session. */
function threadCalls(sessionId: string): { call: Call; receive: (text: string) => void } {
  const waiting = new Map<number, (result: unknown) => void>();
  return {
    call: (method, params = {}) => {
      const id = nextId;
      nextId += 1;
      const { promise, resolve } = Promise.withResolvers<unknown>();
      waiting.set(id, resolve);
      const message = JSON.stringify({ id, method, params });
      session.post('NodeWorker.sendMessageToWorker', { sessionId, message }).catch(() => resolve(undefined));
      return promise;
    },
    receive: (text) => {
      const { id, result } = JSON.parse(text) as Reply;
      if (id === undefined) return;
      waiting.get(id)?.(result);
      waiting.delete(id);
    },
  };
}

async function attachThreads(): Promise<void> {
  const receivers = new Map<string, (text: string) => void>();
  session.on('NodeWorker.attachedToWorker', ({ params }) => {
    const { call, receive } = threadCalls(params.sessionId);
    receivers.set(params.sessionId, receive);
    // "[worker 1] inference"
    threads.push({ title: params.workerInfo.title.replace(/^\[worker \d+\] ?/, ''), call, startCpuUs: 0 });
  });
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    receivers.get(params.sessionId)?.(params.message);
  });
  await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
}

async function start(): Promise<void> {
  session.connect();
  threads.push({
    title: 'main',
    call: (method, parameters) => session.post(method, parameters),
    startCpuUs: 0,
  });
  await attachThreads();
  // Main last: handling the others' answers is no part of the load.
  for (const thread of threads.toReversed()) {
    const { call } = thread;
    await call('Profiler.enable');
    await call('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
    await call('Profiler.start');
    thread.startCpuUs = await cpuUsOf(call);
  }
}

/** Asked in the thread itself: the profiler counts time that other processes took from it as its own. */
async function cpuUsOf(call: Call): Promise<number> {
  const expression = '(({ user, system }) => user + system)(process.threadCpuUsage())';
  const answer = (await call('Runtime.evaluate', { expression, returnByValue: true })) as
    | { readonly result?: { readonly value?: unknown } }
    | undefined;
  return Number(answer?.result?.value);
}

async function stop(folder: string): Promise<void> {
  for (const [index, { title, call, startCpuUs }] of threads.entries()) {
    const cpuUs = (await cpuUsOf(call)) - startCpuUs;
    const stopped = (await call('Profiler.stop')) as { readonly profile: object } | undefined;
    if (stopped === undefined) continue;
    const file: ThreadProfileFile = { thread: title || `thread ${index}`, cpuUs, profile: stopped.profile };
    await writeFile(join(folder, `${process.pid}.${index}.json`), JSON.stringify(file));
  }
}

if (isMainThread) {
  process.on('message', (raw: Partial<ProfileTask>) => {
    if (raw?.profile === undefined) return;
    const done = raw.profile === 'start' ? start() : stop(raw.profile.stopInto);
    done.then(
      () => process.send?.({ result: 'done' }),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  });
}
