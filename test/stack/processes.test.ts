/**
 * Gateway, workers and enricher as docker-compose.yml starts them, with nothing changed but where they listen, on
 * loopback and free ports, and where they find each other. Then they are discovered, scraped and called as the
 * services of compose do it: by their names and with the secrets of deploy/secrets.sh.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { WORKER_SECRET } from '../../src/contract/headers.ts';
import { environmentOf, freshSecrets, ROOT, serviceOf } from './files.ts';

const secrets = freshSecrets();
const LOCAL = {
  VITRINE_GATEWAY_HTTP_PORT: '0',
  VITRINE_GATEWAY_METRICS_PORT: '0',
  VITRINE_WORKER_HTTP_PORT: '0',
  VITRINE_WORKER_BASE_PORT: '0',
  VITRINE_ENRICHER_HTTP_PORT: '0',
  // Nobody is there, as long as the Collector has not started.
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
};

const running: ChildProcess[] = [];
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    // Drained, and nothing was forced.
    expect(child.exitCode).toBe(0);
  }
});

/** Resolves with its ports when it says that it is ready. */
async function start(
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Record<string, number>> {
  const [, entry = ''] = serviceOf(name).command;
  const child = spawn(process.execPath, [entry], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...environmentOf(name, secrets), ...LOCAL, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.push(child);
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    const { msg = '', ports } = JSON.parse(line) as { msg?: string; ports?: Record<string, number> };
    if (!msg.endsWith(' is ready') || ports === undefined) continue;
    child.stdout.resume();
    return ports;
  }
  throw new Error(`it ended: ${said.join('\n')}`);
}

/** As somebody who knows the service by its name in compose. */
async function get(
  port: number | undefined,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const sent = request({ host: '127.0.0.1', port, path, headers }).end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: answer.statusCode, body: await text(answer) };
}

test('they find each other, serve, and are discovered and scraped under their names', async () => {
  const [first, second] = await Promise.all([start('worker-1'), start('worker-2')]);
  const workers = [first, second].map(({ http }) => `http://127.0.0.1:${http}`);
  const gateway = await start('gateway', { VITRINE_GATEWAY_WORKERS: workers.join(',') });

  const answer = await fetch(`http://127.0.0.1:${gateway.http}/v2/models/langid/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['Where?'] }] }),
  });
  expect(answer.status).toBe(200);

  const listed = await get(gateway.metrics, '/metrics/targets', { host: 'gateway:8002' });
  expect(listed.status).toBe(200);
  const targets = JSON.parse(listed.body) as {
    targets: string[];
    labels: { job: string; instance: string };
  }[];
  expect(targets.map(({ labels }) => `${labels.job} ${labels.instance}`)).toEqual([
    'vitrine-gateway gateway-0',
    'vitrine-worker worker-1',
    'vitrine-worker worker-2',
  ]);
  const authorization = `Bearer ${secrets['prometheus/worker_secret']?.trim()}`;
  for (const { targets: addresses, labels } of targets) {
    const host = labels.job === 'vitrine-gateway' ? 'gateway:8002' : `${labels.instance}:8100`;
    const scraped = await get(Number(addresses[0]?.split(':')[1]), '/metrics', { host, authorization });
    expect(scraped.status, host).toBe(200);
    expect(scraped.body).toContain(`service_instance_id="${labels.instance}"`);
  }
  expect((await get(first?.http, '/metrics', { host: 'worker-1:8100' })).status).toBe(403);
  expect((await get(first?.http, '/metrics', { host: 'elsewhere.example', authorization })).status).toBe(421);
  // The secret is for calls between the two; a client of the gateway needs none.
  expect(answer.headers.get(WORKER_SECRET)).toBeNull();
});

test('the enricher takes messages from who knows its token, under its name', async () => {
  const { http } = await start('enricher');
  const host = 'enricher:9095';
  const authorization = `Bearer ${secrets['receivers/enricher_token']?.trim()}`;
  expect((await get(http, '/readyz', { host })).status).toBe(200);
  expect((await get(http, '/metrics', { host })).status).toBe(403);
  expect((await get(http, '/metrics', { host, authorization })).status).toBe(200);
  // There is such a path, and it takes POST.
  for (const path of ['/alerts/page', '/alerts/ticket']) {
    expect((await get(http, path, { host, authorization })).status, path).toBe(405);
  }
});
