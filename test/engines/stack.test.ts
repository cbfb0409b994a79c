/**
 * The committed files of the stack before the engines that read them, with nothing changed but addresses and folders:
 * the specification's own Compose loader, a Collector with the components that the files name, promtool and amtool.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEngine } from './prometheus.ts';

const ROOT = join(import.meta.dirname, '../..');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-stack-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pathOf(name: string): string {
  const path = findEngine(name);
  if (path === undefined) throw new Error(`there is no ${name}; run "npm run engines"`);
  return path;
}

function run(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { readonly status: number | null; readonly stdout: string; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(pathOf(name), args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
  return { status, stdout, said: `${stdout}${stderr}` };
}

describe('docker-compose.yml, loaded as Compose loads it', () => {
  interface Project {
    readonly services: Readonly<
      Record<string, { readonly image: string; readonly environment?: Readonly<Record<string, string>> }>
    >;
  }
  let file: string;

  function load(profiles: readonly string[], env: Readonly<Record<string, string>> = {}): Project {
    const { status, stdout, said } = run('compose', [file, ...profiles], env);
    expect(status, said).toBe(0);
    return JSON.parse(stdout) as Project;
  }

  beforeAll(() => {
    file = join(folder, 'docker-compose.yml');
    cpSync(join(ROOT, 'docker-compose.yml'), file);
    const secrets = join(folder, '.secrets');
    execFileSync('sh', [join(ROOT, 'deploy/secrets.sh'), secrets], {
      env: { PATH: process.env.PATH, PAGE_URL: 'https://hooks.example/page?a=$b,c#d' },
    });
  });

  test('starts what runs without a GPU and without reading logs of Docker', () => {
    const { services } = load([]);
    expect(Object.keys(services).sort()).toEqual(
      'alertmanager enricher gateway grafana jaeger loki otel-collector prometheus volumes worker-1 worker-2'.split(
        ' ',
      ),
    );
    expect(services.gateway?.environment?.VITRINE_GATEWAY_WORKERS).toBe(
      'http://worker-1:8100,http://worker-2:8100',
    );
    expect(services['worker-2']?.environment?.VITRINE_TELEMETRY_INSTANCE_ID).toBe('worker-2');
    expect(services['otel-collector']?.environment?.KEEP_PERCENT).toBe('100');
  });

  test('adds a worker with GPUs, and a reader of logs, by profile; variables from outside win', () => {
    const { services } = load(['gpu', 'logs'], { KEEP_PERCENT: '5', VITRINE_TELEMETRY_MODE: 'retroactive' });
    expect(Object.keys(services)).toEqual(expect.arrayContaining(['worker-gpu', 'docker-logs']));
    expect(services['otel-collector']?.environment?.KEEP_PERCENT).toBe('5');
    expect(services['worker-1']?.environment?.VITRINE_TELEMETRY_MODE).toBe('retroactive');
  });

  test('gives secrets as they were written, whatever is in an address', () => {
    const { services } = load([]);
    const enricher = services.enricher?.environment ?? {};
    expect(enricher.VITRINE_ENRICHER_FORWARD_URLS).toBe(
      'page=https://hooks.example/page?a=$b%2Cc#d,ticket=http://nobody.invalid/',
    );
    expect(services['worker-1']?.environment?.VITRINE_WORKER_SECRET).toBe(
      readFileSync(join(folder, '.secrets/prometheus/worker_secret'), 'utf8').trim(),
    );
  });

  test('is refused without secrets, and with a field that is none', () => {
    const bare = mkdtempSync(join(tmpdir(), 'vitrine-compose-'));
    try {
      const text = readFileSync(file, 'utf8');
      writeFileSync(join(bare, 'docker-compose.yml'), text);
      expect(run('compose', [join(bare, 'docker-compose.yml')]).said).toContain('.secrets');
      writeFileSync(join(bare, 'docker-compose.yml'), text.replace('read_only: true', 'readonly: true'));
      expect(run('compose', [join(bare, 'docker-compose.yml')]).status).toBe(1);
    } finally {
      rmSync(bare, { recursive: true, force: true });
    }
  });
});

describe('the Collector', () => {
  const files = ['otel-collector.yaml', 'deploy/collector/tier2.yaml'];

  test.each(files)('takes %s as it is', (path) => {
    const { status, said } = run('collector', ['validate', `--config=${join(ROOT, path)}`], {
      QUEUE_DIRECTORY: join(folder, 'queue'),
    });
    expect(said).toBe('');
    expect(status).toBe(0);
  });

  test.each([
    ['a setting that does not exist', 'num_traces', 'number_of_traces'],
    ['a component that is not there', 'exporters: [otlp_grpc/jaeger]', 'exporters: [otlp_grpc/tempo]'],
    ['a limit that limits nothing', 'check_interval: 1s', 'check_interval: 0s'],
  ])('refuses %s', (_name, from, to) => {
    const broken = join(folder, 'broken.yaml');
    const text = readFileSync(join(ROOT, 'otel-collector.yaml'), 'utf8');
    expect(text).toContain(from);
    writeFileSync(broken, text.replace(from, to));
    expect(run('collector', ['validate', `--config=${broken}`]).status).not.toBe(0);
  });
});

test('promtool takes prometheus.yml, with its rules and secrets where compose puts them', () => {
  const place = join(folder, 'prometheus');
  mkdirSync(join(place, 'rules'), { recursive: true });
  mkdirSync(join(place, 'secrets'), { recursive: true });
  for (const name of ['vitrine.rules.yml', 'objectives.rules.yml']) {
    cpSync(join(ROOT, 'alerts', name), join(place, 'rules', name));
  }
  for (const name of ['worker_secret', 'enricher_token'])
    writeFileSync(join(place, 'secrets', name), 'a-secret\n');
  const text = readFileSync(join(ROOT, 'deploy/prometheus/prometheus.yml'), 'utf8');
  writeFileSync(join(place, 'prometheus.yml'), text.replaceAll('/etc/prometheus', place));
  const { status, said } = run('promtool', ['check', 'config', join(place, 'prometheus.yml')]);
  expect(said).toContain('2 rule files found');
  expect(status, said).toBe(0);
});

describe('alertmanager.yml before the enricher', () => {
  const file = join(ROOT, 'deploy/alertmanager/alertmanager.yml');

  test('is taken by amtool', () => {
    const { status, said } = run('amtool', ['check-config', file]);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test.each([
    ['vitrine-page', ['alertname=VitrineBudgetBurnsFast', 'severity=page', 'system=vitrine']],
    ['vitrine-ticket', ['alertname=VitrineBudgetBurnsSlowly', 'severity=ticket', 'system=vitrine']],
    ['vitrine-nobody', ['alertname=VitrineTracesShed', 'severity=info', 'system=vitrine']],
    ['vitrine-watchdog', ['alertname=VitrineWatchdog', 'severity=info', 'system=vitrine']],
    // Another's alert in the same Alertmanager.
    ['vitrine-ticket', ['alertname=DiskFull', 'severity=page']],
  ])('tells %s of what is for it: %s', (receiver, labels) => {
    const { said } = run('amtool', ['config', 'routes', 'test', `--config.file=${file}`, ...labels]);
    expect(said.trim()).toBe(receiver);
  });
});
