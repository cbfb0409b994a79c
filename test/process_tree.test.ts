/** Supervision with real processes: what a kill, a hang, a signal and a fault do to the whole tree. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import type { JsonLine } from './fixtures/json_log.ts';
import type { TreePlan, TreeService } from './fixtures/tree.ts';

const OPTIONS: TreePlan['options'] = {
  restartLimit: 3,
  restartWindowMs: 60_000,
  restartBackoffMs: 1,
  hangTimeoutMs: 60_000,
  graceMs: 10_000,
};

const console_: TreeService = {
  name: 'console',
  index: 0,
  mode: 'serve',
  after: [],
  drainPhase: 3,
  essential: false,
};
const worker = (index: number, mode = 'serve'): TreeService => ({
  name: 'worker',
  index,
  mode,
  after: ['console'],
  drainPhase: 2,
  essential: false,
});
const gateway: TreeService = {
  name: 'gateway',
  index: 0,
  mode: 'serve',
  after: ['worker'],
  drainPhase: 1,
  essential: true,
};

/** A running tree: its lines as they come, and waiting for one. */
class Tree {
  readonly process: ChildProcess;
  readonly lines: JsonLine[] = [];
  /** Resolves when the tree and every child have closed our pipe, that is, when none is left. */
  readonly gone: Promise<unknown>;
  #wake: () => void = () => {};
  /** Lines before this one were seen by `next`. */
  #seen = 0;

  constructor(services: readonly TreeService[], options: Partial<TreePlan['options']> = {}) {
    const plan: TreePlan = { services, options: { ...OPTIONS, ...options } };
    this.process = spawn(
      process.execPath,
      [new URL('./fixtures/tree.ts', import.meta.url).pathname, JSON.stringify(plan)],
      // A process group of its own, as a terminal gives to each command.
      { stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    );
    const stdout = this.process.stdout;
    if (stdout === null) throw new Error('no stdout');
    createInterface(stdout).on('line', (line) => {
      this.lines.push(JSON.parse(line));
      this.#wake();
    });
    this.gone = once(stdout, 'close');
  }

  get pid(): number {
    return this.process.pid ?? Number.NaN;
  }

  /** The next line, after those seen before, that has these fields. */
  async next(fields: Record<string, unknown>): Promise<JsonLine> {
    for (;;) {
      for (; this.#seen < this.lines.length; this.#seen += 1) {
        const line = this.lines[this.#seen];
        if (line && Object.entries(fields).every(([key, value]) => line[key] === value)) {
          this.#seen += 1;
          return line;
        }
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async url(line: JsonLine, path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${(line.ports as { http: number }).http}${path}`);
  }

  positions(message: string): readonly string[] {
    return this.lines.filter((line) => line.message === message).map((line) => line.by);
  }
}

let tree: Tree | undefined;
afterEach(async () => {
  if (tree === undefined) return;
  try {
    process.kill(-tree.pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left, as it should be.
  }
  await tree.gone;
  tree = undefined;
});

async function exitCode(of: ChildProcess): Promise<number | null> {
  if (of.exitCode === null && of.signalCode === null) await once(of, 'exit');
  return of.exitCode;
}

test('processes start when what they need is ready, and each learns who is there', async () => {
  tree = new Tree([gateway, worker(1), worker(2), console_]);
  await tree.next({ label: 'gateway 0', state: 'ready' });
  const order = tree.lines
    .filter((line) => line.message === 'state' && (line.state === 'starting' || line.state === 'ready'))
    .map((line) => `${line.label} ${line.state}`);
  expect(order.slice(0, 2)).toEqual(['console 0 starting', 'console 0 ready']);
  expect(order.slice(2, 4)).toEqual(['worker 1 starting', 'worker 2 starting']);
  expect(order.slice(-2)).toEqual(['gateway 0 starting', 'gateway 0 ready']);
  const { peers } = await tree.next({ by: 'gateway 0', message: 'peers' });
  expect(peers).toEqual(['gateway 0', 'worker 1', 'worker 2', 'console 0']);
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s to the whole process group drains gateways, workers and console in this order, and exits 0',
  async (signal) => {
    tree = new Tree([console_, worker(1), worker(2), gateway]);
    const ready = await tree.next({ label: 'gateway 0', state: 'ready' });
    const waiting = tree.url(ready, '/wait');
    await tree.next({ by: 'gateway 0', message: 'waiting' });
    process.kill(-tree.pid, signal);
    expect(await (await waiting).text()).toBe('at last');
    expect(await exitCode(tree.process)).toBe(0);
    await tree.gone;
    const drained = tree.positions('drained');
    expect([drained[0], drained.slice(1, 3).toSorted(), drained[3]]).toEqual([
      'gateway 0',
      ['worker 1', 'worker 2'],
      'console 0',
    ]);
    expect(tree.positions('closed')).toHaveLength(4);
  },
);

test('when the supervisor is killed every child drains and exits', async () => {
  tree = new Tree([console_, worker(1), gateway]);
  await tree.next({ label: 'gateway 0', state: 'ready' });
  process.kill(tree.pid, 'SIGKILL');
  await tree.gone;
  expect(tree.positions('closed').toSorted()).toEqual(['console 0', 'gateway 0', 'worker 1']);
});

test('when the supervisor is killed while children start, none stays', async () => {
  tree = new Tree([console_, worker(1), worker(2)]);
  await tree.next({ label: 'worker 2', state: 'starting' });
  process.kill(tree.pid, 'SIGKILL');
  await tree.gone;
});

test('a killed child comes back under its index and port, and the others learn both', async () => {
  tree = new Tree([console_, worker(1), gateway]);
  const before = await tree.next({ label: 'worker 1', state: 'ready' });
  await tree.next({ label: 'gateway 0', state: 'ready' });
  expect((await tree.next({ by: 'gateway 0', message: 'peers' })).peers).toContain('worker 1');
  process.kill(before.pid as number, 'SIGKILL');
  await tree.next({ label: 'worker 1', state: 'backoff' });
  const without = await tree.next({ by: 'gateway 0', message: 'peers' });
  expect(without.peers).not.toContain('worker 1');
  const after = await tree.next({ label: 'worker 1', state: 'ready' });
  expect(after.pid).not.toBe(before.pid);
  expect(after.ports).toEqual(before.ports);
  expect(await (await tree.url(after, '/')).text()).toBe('worker');
  const again = await tree.next({ by: 'gateway 0', message: 'peers' });
  expect(again.peers).toContain('worker 1');
});

test('a crash in a handler is logged and the process restarted', async () => {
  tree = new Tree([{ ...gateway, after: [] }]);
  const before = await tree.next({ label: 'gateway 0', state: 'ready' });
  await expect(tree.url(before, '/throw')).rejects.toThrow();
  expect(await tree.next({ by: 'gateway 0', message: 'gateway 0 crashed' })).toMatchObject({
    error: 'thrown in a handler',
  });
  await tree.next({ label: 'gateway 0', state: 'ready' });
});

test('a child that dies at once is given up after the limit, and the rest goes on', async () => {
  tree = new Tree([console_, worker(1, 'die'), gateway]);
  expect(await tree.next({ label: 'worker 1', state: 'given_up' })).toBeDefined();
  const ready = await tree.next({ label: 'gateway 0', state: 'ready' });
  expect(await (await tree.url(ready, '/')).text()).toBe('gateway');
  const message = tree.lines.find((line) => String(line.message).includes('given up'));
  expect(message).toMatchObject({ exitCode: 3, restarts: 3, setting: 'VITRINE_LIFECYCLE_RESTART_LIMIT' });
  process.kill(tree.pid, 'SIGTERM');
  expect(await exitCode(tree.process)).toBe(0);
});

test('without its last essential process the tree ends with an error', async () => {
  tree = new Tree([console_, { ...gateway, mode: 'die', after: [] }]);
  expect(await exitCode(tree.process)).toBe(1);
  expect(tree.lines.at(-1)?.message).toMatch(/no gateway is left/);
});

test('a child whose event loop hangs is killed and restarted', async () => {
  tree = new Tree([{ ...gateway, after: [] }], { hangTimeoutMs: 1000 });
  const before = await tree.next({ label: 'gateway 0', state: 'ready' });
  await expect(tree.url(before, '/hang')).rejects.toThrow();
  await tree.next({ message: 'gateway 0 hangs and is killed', pid: before.pid });
  await tree.next({ label: 'gateway 0', state: 'ready' });
});

test('a child that cannot start ends the tree with its message and code 78', async () => {
  tree = new Tree([console_, { ...gateway, mode: 'fatal', after: ['console'] }]);
  expect(await exitCode(tree.process)).toBe(78);
  expect(tree.lines.at(-1)?.message).toBe('port 1 is taken');
  expect(tree.positions('closed')).toEqual(['console 0']);
});

test('a child that does not drain is killed when the grace is over', async () => {
  tree = new Tree([console_, { ...gateway, mode: 'stuck', after: [] }], { graceMs: 400 });
  await tree.next({ label: 'gateway 0', state: 'ready' });
  process.kill(tree.pid, 'SIGTERM');
  expect(await exitCode(tree.process)).toBe(1);
  expect(tree.positions('closed')).toEqual(['console 0']);
});

test('a signal that comes again later forces, and nothing is restarted meanwhile', async () => {
  tree = new Tree([console_, { ...gateway, mode: 'stuck', after: [] }], { graceMs: 600_000 });
  await tree.next({ label: 'gateway 0', state: 'ready' });
  process.kill(tree.pid, 'SIGTERM');
  await tree.next({ label: 'gateway 0', state: 'draining' });
  const repeat = setInterval(() => process.kill(tree?.pid ?? 0, 'SIGTERM'), 100);
  await tree.next({ message: 'stopping by force' });
  clearInterval(repeat);
  expect(tree.positions('draining')).toEqual(['tree']);
  expect(tree.lines.filter((line) => line.state === 'backoff')).toEqual([]);
  expect(await exitCode(tree.process)).toBe(1);
  await tree.gone;
});

test.each(['SIGTERM', 'SIGINT'] as const)('alone, a service drains on %s and exits 0', async (signal) => {
  const service = spawn(
    process.execPath,
    [new URL('./fixtures/service.ts', import.meta.url).pathname, 'worker', '1', 'serve'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const messages: string[] = [];
  for await (const line of createInterface(service.stdout)) {
    const { message } = JSON.parse(line);
    messages.push(message);
    if (message === 'worker 1 is ready') service.kill(signal);
  }
  expect(messages.slice(-2)).toEqual(['drained', 'closed']);
  expect(await exitCode(service)).toBe(0);
});
