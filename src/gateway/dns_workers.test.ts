/** Workers from DNS: a real resolver against a real server, and a gateway that finds its workers that way. */
import { Resolver } from 'node:dns/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DnsServer, startDnsServer } from '../../test/fixtures/dns_server.ts';
import { runGateway, startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import { startScriptedWorker } from '../../test/fixtures/scripted_worker.ts';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { DnsWorkerList, followDnsWorkers } from './dns_workers.ts';
import type { WorkerTarget } from './worker_link.ts';

const NAME = '_http._tcp.vitrine-worker.vitrine.svc.cluster.local';
const DOMAIN = 'vitrine-worker.vitrine.svc.cluster.local';
const HOLD_MS = 30_000;
const ADDRESS_MS = 60_000;

let opened: AsyncDisposableStack;
let server: DnsServer;
let resolver: Resolver;
let nowMs: number;
let ready: Set<string>;
let log: ReturnType<typeof toldLog>;
let lists: string[][];
let lookups: string[];

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  server = opened.use(await startDnsServer({ srv: {}, a: {} }));
  resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([server.address]);
  nowMs = 0;
  ready = new Set();
  log = toldLog();
  lists = [];
  lookups = [];
});
afterEach(() => opened.disposeAsync());

/** Replicas of a StatefulSet, by ordinal, with the last part of their address. */
function list(replicas: Readonly<Record<number, number>>, port = 8101): void {
  const hosts = Object.entries(replicas).map(
    ([ordinal, last]) => [`vitrine-worker-${ordinal}.${DOMAIN}`, last] as const,
  );
  server.zone = {
    srv: hosts.length === 0 ? {} : { [NAME]: hosts.map(([host]) => [host, port] as const) },
    a: Object.fromEntries(hosts.map(([host, last]) => [host, `10.0.0.${last}`])),
  };
}

const deps = {
  get resolver() {
    return resolver;
  },
  get log() {
    return log;
  },
  onTargets: (targets: readonly WorkerTarget[]) =>
    lists.push(targets.map(({ name, url }) => `${name} ${url}`)),
  isReady: ({ name }: WorkerTarget) => ready.has(name),
  onLookup: (outcome: string) => lookups.push(outcome),
  nowMs: () => nowMs,
};

test('replicas come and go, named by their place, told once for each change', async () => {
  const workers = new DnsWorkerList(deps, NAME);
  list({ 2: 12, 1: 11 });
  await workers.refresh();
  await workers.refresh();
  expect(lists).toEqual([
    ['vitrine-worker-1 http://10.0.0.11:8101', 'vitrine-worker-2 http://10.0.0.12:8101'],
  ]);
  list({ 1: 11, 2: 12, 3: 13 });
  await workers.refresh();
  expect(lists.at(-1)).toHaveLength(3);
  expect(lookups).toEqual(['ok', 'ok', 'ok']);
});

test('one that restarts keeps its place, and its name at a new address; one that is gone for long does not', async () => {
  const workers = new DnsWorkerList(deps, NAME);
  list({ 1: 11, 2: 12 });
  await workers.refresh();
  list({ 1: 11 });
  nowMs += HOLD_MS - 1;
  await workers.refresh();
  expect(lists).toHaveLength(1);
  list({ 1: 11, 2: 99 });
  await workers.refresh();
  expect(lists.at(-1)).toContain('vitrine-worker-2 http://10.0.0.99:8101');
  list({ 1: 11 });
  nowMs += HOLD_MS;
  ready.add('vitrine-worker-2');
  await workers.refresh();
  expect(lists.at(-1)).toEqual(['vitrine-worker-1 http://10.0.0.11:8101']);
});

test('the address of a worker that serves is asked for once a minute, that of another each time', async () => {
  const workers = new DnsWorkerList(deps, NAME);
  list({ 1: 11, 2: 12 });
  await workers.refresh();
  ready.add('vitrine-worker-1');
  server.asked.length = 0;
  await workers.refresh();
  expect(server.asked).toEqual([`SRV ${NAME}`, `A vitrine-worker-2.${DOMAIN}`]);
  nowMs += ADDRESS_MS;
  server.asked.length = 0;
  await workers.refresh();
  expect(server.asked.sort()).toEqual([
    `A vitrine-worker-1.${DOMAIN}`,
    `A vitrine-worker-2.${DOMAIN}`,
    `SRV ${NAME}`,
  ]);
});

test('a DNS server that fails changes nothing, and is told once', async () => {
  const workers = new DnsWorkerList(deps, NAME);
  list({ 1: 11 });
  await workers.refresh();
  server.failing = true;
  nowMs += 10 * HOLD_MS;
  await workers.refresh();
  await workers.refresh();
  expect(lists).toHaveLength(1);
  expect(log.told).toEqual([
    'warn: DNS does not list the workers; the gateway goes on with those that it knows',
  ]);
  server.failing = false;
  await workers.refresh();
  expect(log.told.at(-1)).toBe('info: DNS lists the workers again');
  expect(lookups).toEqual(['ok', 'failed', 'failed', 'ok']);
});

test('when nobody is listed any more, those that answer stay for as long as they do', async () => {
  const workers = new DnsWorkerList(deps, NAME);
  list({ 1: 11, 2: 12 });
  await workers.refresh();
  list({});
  nowMs += HOLD_MS;
  ready.add('vitrine-worker-1');
  await workers.refresh();
  expect(lists.at(-1)).toEqual(['vitrine-worker-1 http://10.0.0.11:8101']);
  ready.clear();
  await workers.refresh();
  expect(lists.at(-1)).toEqual([]);
});

test('more workers than a gateway takes are told, and left out', async () => {
  const workers = new DnsWorkerList(
    {
      ...deps,
      resolver: {
        resolveSrv: async () =>
          Array.from({ length: 1030 }, (_, index) => ({ name: `w-${index}.x`, port: 1 })),
        resolve4: async () => ['10.0.0.1'],
        resolve6: async () => [],
      },
    },
    NAME,
  );
  await workers.refresh();
  expect(lists[0]).toHaveLength(1024);
  expect(log.fields[0]).toEqual({ listed: 1030, limit: 1024 });
});

test('every address of host:port is a worker', async () => {
  const workers = new DnsWorkerList(deps, 'localhost:8101');
  await workers.refresh();
  expect(lists[0]).toContain('127.0.0.1:8101 http://127.0.0.1:8101');
});

test('a gateway serves from workers that only DNS knows, and learns of further ones', async () => {
  const telemetry = await startTestTelemetry();
  opened.defer(() => telemetry.close());
  await using worker = await startScriptedWorker();
  await using running = await runGateway(telemetry, []);
  list({}, worker.port);
  const following = {
    ...deps,
    nowMs: () => performance.now(),
    isReady: (target: WorkerTarget) => running.gateway.isReady(target),
    onTargets: (targets: readonly WorkerTarget[]) => running.gateway.setWorkers(targets),
  };
  await using _ = await followDnsWorkers(following, { name: NAME, intervalMs: 20 });
  const before = await running.call('GET', '/readyz');
  expect(before.status).toBe(503);
  server.zone = {
    srv: { [NAME]: [[`vitrine-worker-1.${DOMAIN}`, worker.port]] },
    a: { [`vitrine-worker-1.${DOMAIN}`]: '127.0.0.1' },
  };
  await running.ready();
  expect((await running.infer({ model: 'echo' })).status).toBe(200);
  expect(worker.queries).toHaveLength(1);
});
