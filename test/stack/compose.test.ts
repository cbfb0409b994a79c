/** docker-compose.yml: every service is pinned, limited, watched and harmless, and says what the code says. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { eachSetting } from '../../src/config/settings.ts';
import { isLoopbackHost } from '../../src/lifecycle/http_guard.ts';
import {
  COMPOSE,
  environmentOf,
  freshSecrets,
  isThere,
  mountOf,
  ROOT,
  serviceOf,
  textOf,
  withDefaults,
} from './files.ts';

const ALL = Object.entries(COMPOSE.services);
const WORKERS = ['worker-1', 'worker-2', 'worker-gpu'];
const OURS = ['gateway', ...WORKERS, 'enricher'];
const secrets = freshSecrets({
  PAGE_URL: 'https://hooks.example/page?a=1,2&b=$c',
  TICKET_URL: 'https://hooks.example/ticket',
  WATCHDOG_URL: 'https://hooks.example/watchdog',
});
const { version } = JSON.parse(textOf('package.json')) as { version: string };

function configOf(name: string) {
  return loadConfig(environmentOf(name, secrets));
}

describe.each(ALL)('%s', (name, service) => {
  test('is pinned to a version', () => {
    expect(service.image).toMatch(/^[a-z0-9/-]+:v?\d+\.\d+\.\d+$/);
    expect(service.build === undefined).toBe(service.image !== `vitrine:${version}`);
  });

  test('is watched, or says why not', () => {
    if (service.healthcheck === undefined) expect(service['x-no-healthcheck']).toMatch(/\w+ \w+/);
    else expect(service.healthcheck.test[0]).toBe('CMD');
    expect((service.healthcheck === undefined) !== (service['x-no-healthcheck'] === undefined)).toBe(true);
  });

  test('has limits of memory, processes and log', () => {
    const { memory, pids } = service.deploy.resources.limits;
    expect(memory).toMatch(/^\d+[MG]$/);
    expect(pids).toBeGreaterThan(0);
    expect(service.logging.options['max-size']).toBeDefined();
    expect(service.logging.options['max-file']).toBeDefined();
  });

  test('is nobody who could do harm, or says why', () => {
    const isRoot = service.user === undefined || service.user.startsWith('0');
    expect(isRoot).toBe(service['x-root'] !== undefined);
    if (!isRoot) expect(service.user).toMatch(/^[1-9]\d*:\d+$/);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.cap_add === undefined).toBe(!isRoot);
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.read_only).toBe(true);
  });

  test('mounts what is there, and nothing of ours to write to', () => {
    for (const mount of service.volumes ?? []) {
      const { source, target, readOnly } = mountOf(mount);
      expect(target, mount).toMatch(/^\//);
      if (source.startsWith('./.secrets/')) {
        const path = source.slice('./.secrets/'.length);
        expect(
          Object.keys(secrets).some((file) => file === path || file.startsWith(`${path}/`)),
          mount,
        ).toBe(true);
        expect(readOnly, mount).toBe(true);
      } else if (source.startsWith('.')) {
        expect(isThere(source), mount).toBe(true);
        expect(readOnly, mount).toBe(true);
      } else if (source.startsWith('/')) expect(readOnly, mount).toBe(true);
      else expect(Object.keys(COMPOSE.volumes), mount).toContain(source);
    }
  });

  test('is published on loopback alone', () => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
  });

  test('waits only for services that are there', () => {
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(serviceOf(other).restart === 'no', `${name} waits for ${other}`).toBe(
        condition === 'service_completed_successfully',
      );
    }
  });

  test('names no setting that does not exist', () => {
    const known = new Set(eachSetting().map(({ variable }) => variable));
    const named = Object.keys(service.environment ?? {}).filter((key) => key.startsWith('VITRINE_'));
    expect(named.filter((key) => !known.has(key))).toEqual([]);
  });
});

test('every volume is used, and whoever writes to one without being root has it given', () => {
  const used = new Map<string, string[]>();
  for (const [name, { volumes = [] }] of ALL) {
    for (const { source } of volumes.map(mountOf)) {
      if (source in COMPOSE.volumes) used.set(source, [...(used.get(source) ?? []), name]);
    }
  }
  expect([...used.keys()].sort()).toEqual(Object.keys(COMPOSE.volumes).sort());
  const [, owner, ...folders] = serviceOf('volumes').command;
  for (const [volume, names] of used) {
    const writers = names.filter((name) => name !== 'volumes');
    const isGiven = folders.includes(`/${volume}`);
    expect(names.includes('volumes'), volume).toBe(isGiven);
    // Images that know no such folder leave it to root; those of Prometheus, Alertmanager and Grafana bring theirs.
    if (isGiven) for (const name of writers) expect(serviceOf(name).user, volume).toBe(owner);
    if (isGiven) for (const name of writers) expect(serviceOf(name).depends_on).toHaveProperty('volumes');
  }
});

describe.each(OURS)('%s of ours', (name) => {
  const service = serviceOf(name);
  const room = name.startsWith('worker') ? 'worker' : (name as 'gateway' | 'enricher');

  test('starts a process that is there, with settings that it takes', () => {
    expect(service.command).toEqual(['node', `src/bin/${room}.ts`]);
    expect(isThere(`src/bin/${room}.ts`)).toBe(true);
    expect(isLoopbackHost(configOf(name)[room].host)).toBe(false);
  });

  test('is asked for its health where it answers', () => {
    const [, node, script, address] = service.healthcheck?.test ?? [];
    expect([node, script]).toEqual(['node', 'deploy/health_check.mjs']);
    const { hostname, port, pathname } = new URL(address ?? '');
    expect(hostname).toBe('127.0.0.1');
    expect(Number(port)).toBe(configOf(name)[room].httpPort);
    expect(['/livez', '/readyz']).toContain(pathname);
  });

  test('has longer to end than it takes', () => {
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period ?? '')?.[1]);
    expect(seconds * 1000).toBeGreaterThan(configOf(name).lifecycle.graceMs);
  });

  test('is called by a name that it accepts, and sends its spans to the Collector', () => {
    expect(configOf(name).access.allowedHosts).toContain(name);
    expect(service.environment?.OTEL_EXPORTER_OTLP_ENDPOINT).toBe('http://otel-collector:4318');
  });

  test('is limited in CPU only where that delays no query', () => {
    expect(service.deploy.resources.limits.cpus === undefined).toBe(room !== 'enricher');
  });
});

test('gateways call the workers that are there, by the names that these give themselves', () => {
  const { gateway, worker } = configOf('gateway');
  const addresses = [...gateway.workers, 'http://worker-gpu:8100'];
  expect(addresses).toHaveLength(WORKERS.length);
  for (const [index, address] of addresses.entries()) {
    const name = WORKERS[index] ?? '';
    expect(new URL(address).hostname).toBe(name);
    const config = configOf(name);
    expect(Number(new URL(address).port)).toBe(config.worker.httpPort);
    expect(config.telemetry.instanceId).toBe(`worker-${index + 1}`);
    expect(config.worker.secret).toBe(worker.secret);
  }
  expect(textOf('docker-compose.yml')).toContain(`VITRINE_GATEWAY_WORKERS=${addresses.join(',')} \\`);
});

test('the worker of the profile gpu has the GPUs and reads them; the others do not', () => {
  for (const name of WORKERS) {
    const isGpu = name === 'worker-gpu';
    expect(configOf(name).worker.gpuMetrics).toBe(isGpu ? 'on' : 'off');
    expect(serviceOf(name).profiles).toEqual(isGpu ? ['gpu'] : undefined);
    expect(serviceOf(name).deploy.resources.reservations !== undefined).toBe(isGpu);
  }
  // Worker 1 of a container records the machine's GPUs.
  expect(configOf('worker-gpu').worker.index).toBe(1);
});

test('people go to what is published: the gateway, Jaeger, Grafana', () => {
  const published = new Set(ALL.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':')[1])));
  const { gateway, enricher, slo } = { ...configOf('gateway'), enricher: configOf('enricher').enricher };
  for (const url of [gateway.consoleUrl, enricher.tracesPublicUrl, slo.dashboardsUrl]) {
    expect(published, url).toContain(new URL(url).port);
  }
  expect(published).toContain(String(gateway.httpPort));
});

test('the enricher asks Prometheus and Jaeger where they are, and sends on to every receiver', () => {
  const { enricher } = configOf('enricher');
  expect(enricher.forwardUrls).toEqual({
    page: 'https://hooks.example/page?a=1%2C2&b=$c',
    ticket: 'https://hooks.example/ticket',
  });
  for (const url of [enricher.prometheusUrl, enricher.tracesUrl]) {
    const { hostname, port } = new URL(url);
    expect(serviceOf(hostname).ports).toContain(`127.0.0.1:${port}:${port}`);
  }
});

test('secrets are long, of this installation, and the same on both sides', () => {
  const again = freshSecrets();
  expect(again['prometheus/worker_secret']).not.toBe(secrets['prometheus/worker_secret']);
  expect(again.said).toContain('alerts reach nobody yet');
  expect(secrets.said).not.toContain('alerts reach nobody yet');
  expect(secrets['prometheus/worker_secret']?.trim()).toBe(configOf('worker-1').worker.secret);
  for (const file of ['prometheus/enricher_token', 'receivers/enricher_token']) {
    expect(secrets[file]?.trim()).toBe(configOf('enricher').enricher.token);
  }
  expect(secrets['receivers/watchdog_url']?.trim()).toBe('https://hooks.example/watchdog');
  expect(secrets.grafana_password?.trim()).toHaveLength(48);
  expect(textOf('.gitignore').split('\n')).toContain('.secrets/');
});

test('defaults of variables are read as compose reads them', () => {
  expect(withDefaults(['$', '{A:-b:c}/$', '{env:D:-1}$', '{E}'].join(''))).toBe('b:c/1');
});

describe('the health check', () => {
  const run = promisify(execFile);
  const check = (address: string) =>
    run(process.execPath, [join(ROOT, 'deploy/health_check.mjs'), address]).then(
      () => 0,
      (error: { code: number }) => error.code,
    );

  test('says yes to 200, and no to 503, to nobody and to no address', async () => {
    await using server = createServer((request, response) => {
      response.writeHead(request.url === '/readyz' ? 503 : 200).end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await check(`${address}/livez`)).toBe(0);
    expect(await check(`${address}/readyz`)).toBe(1);
    expect(await check('http://127.0.0.1:9/livez')).toBe(1);
    expect(await check('')).toBe(1);
  });
});
