import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ClientError } from '../client/client_error.ts';
import type { ObjectiveStatus } from '../contract/alerts.ts';
import { VitrineError } from '../contract/errors.ts';
import { UsageError } from './command.ts';
import { run } from './slo.ts';
import { writeFiles } from './slo_build.ts';
import { modelsOf } from './slo_objectives.ts';

const REPOSITORY_FILE = new URL('../../slo.yaml', import.meta.url).pathname;

let folder: string;
let out: string[];
let err: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-slo-'));
  out = [];
  err = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => err.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

function fileWith(change: (text: string) => string): string {
  const path = join(folder, 'slo.yaml');
  writeFileSync(path, change(readFileSync(REPOSITORY_FILE, 'utf8')));
  return path;
}

test('check shows each promise and when it pages', async () => {
  expect(await run(['check', '--file', REPOSITORY_FILE])).toBe(0);
  const text = out.join('');
  expect(text).toContain('99.9% of digits queries answered over 30d');
  expect(text).toContain('page: over 1.44% bad in 1h and 5m (from 348 queries)');
  expect(err).toEqual([]);
});

test('check fails with every problem, as text and as JSON', async () => {
  const path = fileWith((text) =>
    text.replace('value: 0.05', 'value: 0.07').replace('model: digits', 'model: digit'),
  );
  expect(await run(['check', '--file', path])).toBe(1);
  expect(out).toEqual([]);
  expect(err).toHaveLength(2);
  expect(err[0]).toMatch(/slo\.yaml:43: error: spec\.objectives\[0\]\.value is 0\.07; .*0\.05 or 0\.1/);
  expect(err[1]).toMatch(/has no model "digit"; did you mean digits\?/);
  expect(await run(['check', '--file', path, '--json'])).toBe(1);
  const answer = JSON.parse(out.join('')) as { ok: boolean; objectives: []; problems: { line: number }[] };
  expect(answer.ok).toBe(false);
  expect(answer.objectives).toEqual([]);
  expect(answer.problems).toHaveLength(2);
});

test('build writes everything once, and then finds it up to date', async () => {
  const target = join(folder, 'alerts');
  expect(await run(['build', '--file', REPOSITORY_FILE, '--out', target])).toBe(0);
  expect(readdirSync(target).sort()).toEqual([
    'alertmanager.yml',
    'dashboards',
    'kubernetes',
    'objectives.rules.yml',
    'tests',
    'vitrine.rules.yml',
  ]);
  const before = statSync(join(target, 'vitrine.rules.yml')).mtimeMs;
  out.length = 0;
  expect(await run(['build', '--file', REPOSITORY_FILE, '--out', target, '--json'])).toBe(0);
  expect(JSON.parse(out.join(''))).toMatchObject({ changed: [], removed: [] });
  expect(statSync(join(target, 'vitrine.rules.yml')).mtimeMs).toBe(before);
});

test('dashboards follow the file, and rehearsals have none', async () => {
  const path = fileWith((text) => text.replace('value: 0.05', 'value: 0.25'));
  expect(await run(['build', '--file', path, '--out', folder])).toBe(0);
  expect(readFileSync(join(folder, 'dashboards', 'vitrine-model.json'), 'utf8')).toContain('0.25 * group(');
  const rehearsal = join(folder, 'rehearsal');
  await run(['build', '--file', path, '--time-scale', '60', '--out', rehearsal]);
  expect(readdirSync(rehearsal)).not.toContain('dashboards');
});

test('build removes tests of its own that no build writes any more, and nothing else', async () => {
  const target = join(folder, 'alerts');
  await run(['build', '--file', REPOSITORY_FILE, '--out', target]);
  writeFileSync(join(target, 'tests', 'objectives_7m.test.yml'), '');
  writeFileSync(join(target, 'tests', 'mine.test.yml'), '');
  await run(['build', '--file', REPOSITORY_FILE, '--out', target]);
  expect(readdirSync(join(target, 'tests'))).not.toContain('objectives_7m.test.yml');
  expect(readdirSync(join(target, 'tests'))).toContain('mine.test.yml');
});

test('with an error in the file, build writes nothing', async () => {
  const target = join(folder, 'alerts');
  const path = fileWith((text) => text.replace('target: 0.99', 'target: 0.5'));
  expect(await run(['build', '--file', path, '--out', target])).toBe(1);
  expect(readdirSync(folder)).toEqual(['slo.yaml']);
  expect(err.at(-1)).toBe('Nothing was written.\n');
});

test('when one file cannot be written, none is changed', () => {
  writeFiles(folder, { 'a.yml': 'old', 'b/c.yml': 'old' });
  // A file stands where a folder is needed.
  expect(() => writeFiles(folder, { 'a.yml': 'new', 'b/c.yml': 'new', 'a.yml/d.yml': 'new' })).toThrow();
  expect(readFileSync(join(folder, 'a.yml'), 'utf8')).toBe('old');
  expect(readFileSync(join(folder, 'b/c.yml'), 'utf8')).toBe('old');
  expect(readdirSync(folder).sort()).toEqual(['a.yml', 'b']);
  expect(readdirSync(join(folder, 'b'))).toEqual(['c.yml']);
});

test('a time scale needs a folder of its own, and is refused where windows are too short', async () => {
  await expect(run(['build', '--time-scale', '60'])).rejects.toThrow('--time-scale needs --out');
  const target = join(folder, 'rehearsal');
  await expect(
    run(['build', '--file', REPOSITORY_FILE, '--time-scale', '300', '--out', target]),
  ).rejects.toThrow(/holds 4 scrapes .* use a scale of at most 240/);
  expect(readdirSync(folder)).toEqual([]);
  expect(await run(['build', '--file', REPOSITORY_FILE, '--time-scale', '60', '--out', target])).toBe(0);
  expect(readFileSync(join(target, 'vitrine.rules.yml'), 'utf8')).toContain('[5s]');
});

test('a file that is not there is told, with what to do', async () => {
  await expect(run(['check', '--file', join(folder, 'none.yaml')])).rejects.toThrow(
    /cannot be read \(ENOENT\); name the file with --file, or set VITRINE_SLO_PATH/,
  );
  await expect(run(['check', '--file', folder])).rejects.toBeInstanceOf(VitrineError);
});

test('a wrong command line names the fix', async () => {
  await expect(run([])).rejects.toThrow('slo takes one of check, build and status');
  await expect(run(['chekc'])).rejects.toBeInstanceOf(UsageError);
  await expect(run(['status', '--file', 'x'])).rejects.toThrow('slo status does not take --file');
  await expect(run(['build', '--time-scale', 'x', '--out', folder])).rejects.toThrow(
    '--time-scale takes a number',
  );
});

test('models are folders with versions', () => {
  expect(modelsOf(new URL('../../models', import.meta.url).pathname)?.map(({ name }) => name)).toEqual([
    'digits',
    'langid',
  ]);
  expect(modelsOf(join(folder, 'none'))).toBeUndefined();
  chmodSync(folder, 0o700);
  expect(modelsOf(folder)).toEqual([]);
});

const STATUS: ObjectiveStatus = {
  name: 'langid-latency',
  service: 'langid',
  model: 'langid',
  kind: 'latency',
  target: 0.99,
  thresholdMs: 50,
  windowS: 2_592_000,
  good: 0.9951234,
  budgetLeft: 0.5,
  burn: [
    { windowS: 300, rate: 14.44 },
    { windowS: 3600, rate: undefined },
  ],
  history: [],
};

async function consoleThatAnswers(body: unknown) {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/console/objectives' ? body : {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

test('status shows what is left and how fast it burns', async () => {
  const quiet = { ...STATUS, name: 'digits-latency', good: undefined, budgetLeft: undefined, burn: [] };
  const over = { ...STATUS, name: 'overdrawn', budgetLeft: -0.25 };
  await using console = await consoleThatAnswers({ objectives: [STATUS, quiet, over] });
  expect(await run(['status', '--console', console.url])).toBe(0);
  const lines = out.join('').trimEnd().split('\n');
  expect(lines[1]).toMatch(/^langid-latency +99% +99\.512% +██████ +50% +5m 14\.4x {2}1h -$/);
  expect(lines[2]).toMatch(/^digits-latency +99% +no traffic +-$/);
  expect(lines[3]).toMatch(/^overdrawn .* -25% /);
});

test('a console that answers something else is told', async () => {
  await using console = await consoleThatAnswers({ alerts: [] });
  await expect(run(['status', '--console', console.url])).rejects.toBeInstanceOf(ClientError);
});
