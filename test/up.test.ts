/** `vitrine up` and the commands beside it, as a newcomer meets them: the real processes on free ports. */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runVitrine, startVitrine } from './fixtures/run_vitrine.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitrine-up-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function settings(database: string): Record<string, string> {
  return {
    VITRINE_GATEWAY_HTTP_PORT: '0',
    VITRINE_GATEWAY_METRICS_PORT: '0',
    VITRINE_WORKER_BASE_PORT: '0',
    VITRINE_WORKER_COUNT: '1',
    VITRINE_CONSOLE_HTTP_PORT: '0',
    VITRINE_CONSOLE_OTLP_PORT: '0',
    VITRINE_CONSOLE_DATABASE_PATH: join(folder, database),
  };
}

/** A running service: its log, its addresses, and the end of everything that holds its output. */
async function up(env: Record<string, string>) {
  const child = startVitrine(['up'], env);
  child.stdin.end();
  child.stderr.pipe(process.stderr);
  const pids: Record<string, number> = {};
  const ports: Record<string, number> = {};
  const waiting = new Map<string, () => void>();
  const gone = once(child, 'close');
  const ready = Promise.withResolvers<{ gateway: string; try: string }>();
  createInterface(child.stdout).on('line', (text) => {
    const line = JSON.parse(text);
    if (line.msg === 'vitrine is ready') ready.resolve(line);
    if (/ is ready$/.test(line.msg) && line.ports !== undefined) {
      pids[line['service.instance.id']] = line.pid;
      ports[line['service.instance.id']] = line.ports.http;
    }
    waiting.get(line.msg)?.();
  });
  void gone.then(() => ready.reject(new Error('it ended before it was ready')));
  /** The next line with this message. */
  const next = (message: string) => new Promise<void>((resolve) => waiting.set(message, resolve));
  return { child, gone, pids, ports, next, ...(await ready.promise) };
}

test('what a newcomer does: start, look, ask, stop', async () => {
  const running = await up(settings('first.db'));
  const url = ['--url', running.gateway];
  expect(running.try).toMatch(/^curl -si http:\/\/localhost:\d+\/v2\/models\/langid\/infer /);

  const models = await runVitrine(['models', ...url]);
  expect(models.stdout).toMatch(/langid +1 +READY +text: BYTES \[-1\]/);

  const asked = await runVitrine(['infer', 'langid', 'Hol van az idő, és hová lett?', ...url]);
  expect(asked.stderr).toBe('');
  expect(asked.stdout).toMatch(/^language +hu$/m);
  expect(asked.stdout).toMatch(/^compute +\d/m);
  expect(asked.stdout).toMatch(/^npx vitrine trace [0-9a-f]{32} /m);

  const piped = await runVitrine(['infer', 'langid', '-', '--json', ...url], {
    stdin: 'Куда уходит всё это время каждый день?\n',
  });
  const answer = JSON.parse(piped.stdout);
  expect(answer.outputs[0].data).toEqual(['ru']);
  expect(answer.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(answer.serverTiming.total).toBeGreaterThan(0);

  const request = join(folder, 'request.json');
  const inputs = [
    {
      name: 'text',
      shape: [2],
      datatype: 'BYTES',
      data: ['Wo ist die Zeit geblieben?', 'ora è tardi davvero'],
    },
  ];
  await writeFile(request, JSON.stringify({ inputs }));
  const file = await runVitrine(['infer', 'langid', `@${request}`, '--json', ...url]);
  expect(JSON.parse(file.stdout).outputs[0].data).toEqual(['de', 'it']);

  const load = await runVitrine(['load', 'langid', '--requests', '20', '--warmup', '0', '--json', ...url]);
  expect(JSON.parse(load.stdout)).toMatchObject({ sent: 20, ok: 20 });

  running.child.kill('SIGTERM');
  await running.gone;
  expect(running.child.exitCode).toBe(0);
});

test('when the command is killed nothing of the service stays', async () => {
  const running = await up(settings('second.db'));
  running.child.kill('SIGKILL');
  // The pipe closes when the last process that holds it has ended.
  await running.gone;
});

test('two gateways share one port, and when one is killed the other answers until it is back', async () => {
  const running = await up({ ...settings('shared.db'), VITRINE_GATEWAY_COUNT: '2' });
  const ask = async () => (await fetch(`${running.gateway}/v2/models/langid`)).status;
  const { 'gateway-0': first, 'gateway-1': second } = running.pids;
  expect(new Set([first, second, undefined]).size).toBe(3);
  expect(running.ports['gateway-0']).toBe(running.ports['gateway-1']);
  const back = running.next('gateway 0 is ready');
  process.kill(first ?? 0, 'SIGKILL');
  await running.next('gateway 0 died and is restarted');
  // Each fetch may meet the dead socket's queue once; a new connection then goes to the one that lives.
  expect(await ask().catch(ask)).toBe(200);
  await back;
  expect(await ask()).toBe(200);
  running.child.kill('SIGTERM');
  await running.gone;
  expect(running.child.exitCode).toBe(0);
});

test('a taken port ends the start with its number, its setting and code 78', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  try {
    const ran = await runVitrine(['up'], {
      env: { ...settings('third.db'), VITRINE_GATEWAY_HTTP_PORT: String(port) },
    });
    expect(ran.code).toBe(78);
    expect(ran.stdout).toContain(`port ${port} on 127.0.0.1 is taken`);
    expect(ran.stdout).toContain('VITRINE_GATEWAY_HTTP_PORT');
  } finally {
    holder.close();
  }
});

test('every fault of the configuration is told at once, with code 78', async () => {
  const ran = await runVitrine(['up'], {
    env: { VITRINE_GATEWAY_HTTP_PORT: 'eighty', VITRINE_WORKER_COUNTS: '2' },
  });
  expect(ran.code).toBe(78);
  expect(ran.stderr).toContain('VITRINE_GATEWAY_HTTP_PORT');
  expect(ran.stderr).toContain('did you mean VITRINE_WORKER_COUNT?');
});

test('the command teaches: a list, help of each command, and the nearest name', async () => {
  const help = await runVitrine(['--help']);
  expect(help.code).toBe(0);
  const commands = [...help.stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
  expect(commands).toEqual(expect.arrayContaining(['up', 'infer', 'models', 'load', 'help', 'version']));
  for (const command of commands.filter((name) => name !== 'help' && name !== 'version')) {
    const own = await runVitrine(['help', command ?? '']);
    expect(own.stdout).toMatch(new RegExp(`^Usage: vitrine ${command}`));
    expect(own.stdout).toContain('Example');
  }
  const wrong = await runVitrine(['modles']);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toContain('did you mean models?');
  const option = await runVitrine(['infer', 'langid', 'x', '--fast']);
  expect(option.code).toBe(2);
  expect(option.stderr).toContain('vitrine infer --help');
});

/** Nodes on the PATH that are too old to run the sources. */
function olderNodes(): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((path) => !path.includes('node_modules'));
  return folders
    .map((path) => join(path, 'node'))
    .filter((path) => existsSync(path))
    .filter((path) => Number(execFileSync(path, ['-p', 'process.versions.node.split(".")[0]'])) < 24);
}

const [older] = olderNodes();
test.runIf(older !== undefined)(
  'under an older Node the command runs on the one that npm brought',
  async () => {
    const entry = new URL('../src/bin/vitrine.mjs', import.meta.url).pathname;
    expect(execFileSync(older ?? '', [entry, 'version'], { encoding: 'utf8' })).toMatch(/Node 24\./);
    const wrong = spawnSync(older ?? '', [entry, 'modles'], { encoding: 'utf8' });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('models');
  },
);

test('a service that is not there is said to be so, with the fix', async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const { port } = holder.address() as { port: number };
  await new Promise((resolve) => holder.close(resolve));
  const ran = await runVitrine(['models', '--url', `http://127.0.0.1:${port}`]);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toContain('npm start');
});
