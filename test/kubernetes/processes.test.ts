/**
 * The processes as the manifests start them: their commands and their environment, with nothing changed but where
 * they listen, on loopback and free ports, and where they find each other. Probes and scrapes then ask as the kubelet
 * and Prometheus would.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { environmentOf, manifestsOf, ROOT, type Workload, workloads } from './manifests.ts';

const SECRETS = {
  'worker-secret': 'a-secret-of-more-than-16-characters',
  'enricher-token': 'a-token-of-more-than-16-characters',
  'enricher-forward-urls': 'http://127.0.0.1:1/hook',
};
const LOCAL = {
  VITRINE_GATEWAY_HOST: '127.0.0.1',
  VITRINE_WORKER_HOST: '127.0.0.1',
  VITRINE_ENRICHER_HOST: '127.0.0.1',
  VITRINE_GATEWAY_HTTP_PORT: '0',
  VITRINE_GATEWAY_METRICS_PORT: '0',
  VITRINE_WORKER_HTTP_PORT: '0',
  VITRINE_WORKER_BASE_PORT: '0',
  VITRINE_ENRICHER_HTTP_PORT: '0',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
};

const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
});

/** Resolves with its ports when it says that it is ready. */
async function start(
  workload: Workload,
  podName: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Readonly<Record<string, number>>> {
  const [, entry = ''] = workload.container.command;
  const child = spawn(process.execPath, [entry], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...environmentOf(workload, podName, SECRETS), ...LOCAL, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    const { msg = '', ports } = JSON.parse(line) as { msg?: string; ports?: Record<string, number> };
    if (/ is ready$/.test(msg) && ports !== undefined) {
      child.stdout.resume();
      return ports;
    }
  }
  throw new Error(`it ended: ${said.join('\n')}`);
}

async function probe(port: number | undefined, path: string): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).status;
}

/** With the credentials of its PodMonitor. */
async function scrape(service: string, ports: Readonly<Record<string, number>>): Promise<string> {
  const monitor = manifestsOf('components/monitoring/pod-monitors.yaml').find(
    ({ metadata }) => metadata.name === service,
  );
  const [endpoint] = monitor?.spec.podMetricsEndpoints ?? [];
  const key = endpoint.authorization?.credentials.key as keyof typeof SECRETS | undefined;
  const answer = await fetch(`http://127.0.0.1:${ports[endpoint.port]}${endpoint.path}`, {
    headers: key === undefined ? {} : { authorization: `${endpoint.authorization.type} ${SECRETS[key]}` },
  });
  expect(answer.status).toBe(200);
  return answer.text();
}

test('a gateway that finds its worker by DNS serves; probes need no secret, scrapes of workers do', async () => {
  const { gateway, worker } = workloads();
  const workerPorts = await start(worker, 'vitrine-worker-1');
  expect(await probe(workerPorts.http, worker.container.livenessProbe.httpGet.path)).toBe(200);
  expect(await probe(workerPorts.http, worker.container.readinessProbe.httpGet.path)).toBe(200);
  expect(await probe(workerPorts.http, '/metrics')).toBe(403);
  expect(await scrape('vitrine-worker', workerPorts)).toContain('service_instance_id="vitrine-worker-1"');

  const gatewayPorts = await start(gateway, 'vitrine-gateway-6d8f-x2k9', {
    VITRINE_GATEWAY_WORKERS_DNS: `localhost:${workerPorts.http}`,
  });
  expect(await probe(gatewayPorts.http, gateway.container.livenessProbe.httpGet.path)).toBe(200);
  const ready = Date.now() + 20_000;
  while ((await probe(gatewayPorts.http, gateway.container.readinessProbe.httpGet.path)) !== 200) {
    expect(Date.now()).toBeLessThan(ready);
  }
  const answer = await fetch(`http://127.0.0.1:${gatewayPorts.http}/v2/models/langid/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['Where?'] }] }),
  });
  expect(answer.status).toBe(200);
  const metrics = await scrape('vitrine-gateway', gatewayPorts);
  expect(metrics).toContain('service_instance_id="vitrine-gateway-6d8f-x2k9"');
  expect(metrics).toMatch(/vitrine_gateway_dns_lookups_total\{[^}]*outcome="ok"[^}]*\} [1-9]/);
});

test('a gateway without a worker is alive and not ready', async () => {
  const { gateway } = workloads();
  const ports = await start(gateway, 'vitrine-gateway-1', { VITRINE_GATEWAY_WORKERS_DNS: 'localhost:1' });
  expect(await probe(ports.http, '/livez')).toBe(200);
  expect(await probe(ports.http, '/readyz')).toBe(503);
});

test('an enricher whose sources are away is ready', async () => {
  const { enricher } = workloads();
  const ports = await start(enricher, 'vitrine-enricher-1', {
    VITRINE_ENRICHER_PROMETHEUS_URL: 'http://127.0.0.1:1',
    VITRINE_ENRICHER_TRACES_URL: 'http://127.0.0.1:1',
  });
  expect(await probe(ports.http, enricher.container.readinessProbe.httpGet.path)).toBe(200);
  expect(await probe(ports.http, '/metrics')).toBe(403);
  expect(await scrape('vitrine-enricher', ports)).toContain('service_instance_id="vitrine-enricher-1"');
});
