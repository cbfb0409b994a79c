/** The repository holds itself to its own rules: rooms, cycles, calls, lengths, generated files, the lockfile. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { GENERATED_FILES } from '../src/bin/generated_files.ts';
import { bannedIn } from './tidy/banned.ts';
import { cycles } from './tidy/cycles.ts';
import { IMPORT_TABLE, mayImport, PACKAGE_OWNERS } from './tidy/import_table.ts';
import { isTest, ROOT, readSource, roomOf, type SourceFile, sourceFiles } from './tidy/source_files.ts';

const files = sourceFiles();
const sources = [...files.values()];
const LINES_LIMIT = 400;
/** A test reads as a list, so it may be longer. */
const TEST_LINES_LIMIT = 500;
/** Longer files, and how long they may be: a ratchet that only goes down. */
const LONGER: Readonly<Record<string, number>> = {
  'src/console/notifier/notifier.test.ts': 520,
  'src/contract/oip_request.test.ts': 790,
  'src/loadgen/run.ts': 410,
  // A table: one entry per metric.
  'src/telemetry/catalog.ts': 410,
  'src/traces/otlp_decode.ts': 430,
};

test('every room of src is in the import table', () => {
  const rooms = readdirSync(join(ROOT, 'src'));
  expect(rooms.filter((room) => !(room in IMPORT_TABLE))).toEqual([]);
});

function importFaults(file: SourceFile): string[] {
  const room = roomOf(file.path);
  if (room === undefined || isTest(file.path)) return [];
  return file.references.flatMap(({ target, kind, line }) => {
    const at = `${file.path}:${line}`;
    const owner = PACKAGE_OWNERS[target];
    if (owner !== undefined && owner !== room) return [`${at}: ${target} belongs to ${owner}`];
    if (roomOf(target) === undefined) return target.startsWith('test/') ? [`${at}: imports ${target}`] : [];
    // The commands reach services by starting them.
    if (room === 'cli' && kind === 'entry' && roomOf(target) === 'bin') return [];
    return mayImport(room, target) ? [] : [`${at}: ${room} may not import ${target}`];
  });
}

test('rooms import only what their row of the table names', () => {
  expect(sources.flatMap(importFaults)).toEqual([]);
});

test('the table catches a type import, an import(), a thread and a re-export', () => {
  for (const text of [
    "import type { Config } from '../config/settings.ts';",
    "type Config = import('../config/settings.ts').Config;",
    "await import('../config/settings.ts');",
    "new Worker(new URL('../config/settings.ts', import.meta.url));",
    "export { loadConfig } from '../config/load.ts';",
    "import { InferenceSession } from 'onnxruntime-node';",
  ]) {
    expect(importFaults(readSource('src/gateway/x.ts', text)), text).toHaveLength(1);
  }
  expect(
    importFaults(readSource('src/slo/x.ts', "import { CATALOG } from '../telemetry/catalog.ts';")),
  ).toEqual([]);
  expect(
    importFaults(readSource('src/slo/x.ts', "import { Metrics } from '../telemetry/metrics.ts';")),
  ).toHaveLength(1);
});

test('every file that an import names is there', () => {
  const missing = sources.flatMap((file) =>
    file.references
      .filter(({ target }) => /^(src|test|bench)\//.test(target) && !existsSync(join(ROOT, target)))
      .map(({ target, line }) => `${file.path}:${line}: ${target}`),
  );
  expect(missing).toEqual([]);
});

test('no files evaluate each other in a circle', () => {
  const graph = new Map(
    sources.map((file) => [
      file.path,
      file.references
        .filter(({ kind, target }) => kind === 'value' && files.has(target))
        .map(({ target }) => target),
    ]),
  );
  expect(cycles(graph)).toEqual([]);
  expect(
    cycles(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
        ['d', ['a']],
      ]),
    ),
  ).toEqual([['b', 'c']]);
});

test('no barrels, no export *, no rooms for leftovers', () => {
  expect(
    sources.filter((file) => /^index\.(ts|js|mjs)$/.test(basename(file.path))).map((file) => file.path),
  ).toEqual([]);
  expect(sources.flatMap((file) => file.starExports.map((line) => `${file.path}:${line}`))).toEqual([]);
  const leftovers = /\/(utils?|lib|helpers?|common|types|misc|shared)(\/|\.ts$)/;
  expect(sources.filter((file) => leftovers.test(file.path)).map((file) => file.path)).toEqual([]);
});

test('calls that have one place stay there, and tests await events', () => {
  expect(sources.flatMap(bannedIn)).toEqual([]);
});

test('what is banned is found where it stands', () => {
  const inSource = (text: string) => bannedIn(readSource('src/gateway/x.ts', text));
  const inTest = (text: string) => bannedIn(readSource('src/gateway/x.test.ts', text));
  expect(inSource('const a = process.env.PATH;')).toHaveLength(1);
  expect(inSource('console.log(1);')).toHaveLength(1);
  expect(inSource('process.exit(1);')).toHaveLength(1);
  expect(inSource('eval("1"); new Function("1");')).toHaveLength(2);
  expect(inSource('// process.env, console.log()\nconst s = "process.env";')).toEqual([]);
  expect(inTest('await new Promise((resolve) => setTimeout(resolve, 5));')).toHaveLength(1);
  expect(inTest('await new Promise((r) => { setTimeout(r, 5); });')).toHaveLength(1);
  expect(inTest("import { setTimeout as s } from 'node:timers/promises';")).toHaveLength(1);
  expect(inTest('test.only("a", () => {});')).toHaveLength(1);
  expect(bannedIn(readSource('src/config/x.ts', 'const a = process.env.PATH;'))).toEqual([]);
});

test(`files stay near ${LINES_LIMIT} lines`, () => {
  const limit = (path: string): number => LONGER[path] ?? (isTest(path) ? TEST_LINES_LIMIT : LINES_LIMIT);
  const long = sources.filter((file) => file.lines > limit(file.path));
  expect(long.map((file) => `${file.path}: ${file.lines}`)).toEqual([]);
  const shrunk = Object.entries(LONGER).filter(([path, most]) => (files.get(path)?.lines ?? 0) < most - 40);
  expect(shrunk.map(([path]) => `lower the limit of ${path}`)).toEqual([]);
});

test('generated files are what the code makes', () => {
  for (const [path, make] of Object.entries(GENERATED_FILES)) {
    const committed = existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), 'utf8') : '';
    expect(committed === make(), `${path}: run npm run generate`).toBe(true);
  }
});

/** Files under version control, or about to be. */
function ownFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return list.split('\0').filter((path) => path !== '' && existsSync(join(ROOT, path)));
}

test('nothing names a folder of one machine, or is left for later', () => {
  // In pieces, so that this file does not find itself.
  const machine = new RegExp(['/wo' + 'rk/', '/ho' + 'me/[a-z]', '/Us' + 'ers/', '/ro' + 'ot/'].join('|'));
  const later = new RegExp(`\\b(TO${'DO'}|FIX${'ME'}|X${'XX'})\\b`);
  const found = ownFiles().flatMap((path) => {
    const bytes = readFileSync(join(ROOT, path));
    if (bytes.includes(0) || path === 'package-lock.json') return [];
    return bytes
      .toString('utf8')
      .split('\n')
      .flatMap((line, index) => (machine.test(line) || later.test(line) ? [`${path}:${index + 1}`] : []));
  });
  expect(found).toEqual([]);
});

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly version: string;
        readonly resolved?: string;
        readonly integrity?: string;
        readonly hasInstallScript?: boolean;
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}

test('the lockfile is complete for every platform, pinned by hash, and names no registry of one machine', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  for (const [path, entry] of Object.entries(packages)) {
    // npm leaves packages of other platforms out when it cannot fetch them, and npm ci then refuses the file.
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      expect(
        `${path}/node_modules/${name}` in packages || `node_modules/${name}` in packages,
        `${path}: ${name}`,
      ).toBe(true);
    }
    if (path === '') continue;
    expect(entry.integrity, path).toMatch(/^sha512-/);
    // Names no host: whoever installs uses the registry that they are set up for.
    expect(entry.resolved, path).toBeUndefined();
  }
});

test('no package runs a script at install that is not known and switched off', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const { allowScripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    allowScripts: Readonly<Record<string, boolean>>;
  };
  const scripted = Object.entries(packages)
    .filter(([, entry]) => entry.hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ''));
  expect(scripted.filter((name) => allowScripts[name] !== false)).toEqual([]);
  // npm 10 knows no allowScripts; this is what the runtime's own script reads.
  expect(readFileSync(join(ROOT, '.npmrc'), 'utf8')).toMatch(/^onnxruntime-node-install=skip$/m);
});
