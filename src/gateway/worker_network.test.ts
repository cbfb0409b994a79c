import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Client } from 'undici';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFaults, type Faults } from '../lifecycle/faults.ts';
import { createWorkerNetwork, type WorkerNetwork } from './worker_network.ts';

const LEASE_MS = 60_000;
let faults: Faults;
let network: WorkerNetwork;
let worker: Server;
let client: Client;
let respond: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  faults = createFaults();
  network = await createWorkerNetwork(faults);
  respond = (request, response) => void buffer(request).then((body) => response.end(body));
  worker = createServer((request, response) => respond(request, response)).listen(0, '127.0.0.1');
  await once(worker, 'listening');
  client = new Client(`http://127.0.0.1:${(worker.address() as AddressInfo).port}`, {
    connect: network.connector,
  });
});
afterEach(async () => {
  await client.destroy();
  worker.closeAllConnections();
  worker.close();
  await network[Symbol.asyncDispose]();
});

async function echo(body: Buffer): Promise<{ readonly body: Buffer; readonly ms: number }> {
  const startMs = performance.now();
  const answer = await client.request({ method: 'POST', path: '/', body });
  return { body: Buffer.from(await answer.body.arrayBuffer()), ms: performance.now() - startMs };
}

test('without a fault everything passes, and who is not there is refused as without a proxy', async () => {
  const large = Buffer.alloc(5 * 1024 * 1024, 'abc');
  expect((await echo(large)).body.equals(large)).toBe(true);
  const port = (worker.address() as AddressInfo).port;
  worker.closeAllConnections();
  worker.close();
  await once(worker, 'close');
  const other = new Client(`http://127.0.0.1:${port}`, { connect: network.connector });
  await expect(other.request({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await other.destroy();
});

test('a delay holds up answers on connections that are open already, and pieces keep their order', async () => {
  await echo(Buffer.from('first'));
  faults.set('worker_network', { delayMs: 200, leaseMs: LEASE_MS });
  const slow = await echo(Buffer.from('second'));
  expect(slow.body.toString()).toBe('second');
  // Timers may fire up to a millisecond early.
  expect(slow.ms).toBeGreaterThanOrEqual(199);
  const large = Buffer.from(Array.from({ length: 4 * 1024 * 1024 }, (_, index) => index % 251));
  faults.set('worker_network', { delayMs: 5, leaseMs: LEASE_MS });
  const answered = echo(large);
  faults.clear('worker_network');
  expect((await answered).body.equals(large)).toBe(true);
});

test('a cut breaks what is under way and lets nothing through until it is lifted', async () => {
  const reached = Promise.withResolvers<ServerResponse>();
  respond = (_, response) => reached.resolve(response);
  const underWay = client.request({ method: 'GET', path: '/' });
  const response = await reached.promise;
  faults.set('worker_network', { error: true, leaseMs: LEASE_MS });
  response.end('too late');
  await expect(underWay).rejects.toThrow();
  await expect(client.request({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'EHOSTUNREACH' });
  faults.clear('worker_network');
  respond = (_, response) => void response.end('again');
  const answer = await client.request({ method: 'GET', path: '/' });
  expect(await answer.body.text()).toBe('again');
});

test('a worker that dies breaks the connection for the gateway, too', async () => {
  respond = (request) => request.socket.resetAndDestroy();
  await expect(client.request({ method: 'GET', path: '/' })).rejects.toThrow();
});

test('a client that gives up is seen by the worker', async () => {
  const gone = Promise.withResolvers<void>();
  const giveUp = new AbortController();
  respond = (_, response) => {
    response.once('close', () => gone.resolve());
    giveUp.abort();
  };
  await expect(client.request({ method: 'GET', path: '/', signal: giveUp.signal })).rejects.toThrow();
  await gone.promise;
});
