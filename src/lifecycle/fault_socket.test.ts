import { chmod, link, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { faultSocketPath, openFaultSocket } from './fault_socket.ts';
import { createFaults } from './faults.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vitrine-faults-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function call(socketPath: string, method: string, path: string, body?: unknown) {
  return new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const outgoing = request({ socketPath, method, path }, async (incoming) => {
      resolve({ status: incoming.statusCode, body: await text(incoming) });
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

test('a drill sets, lists and lifts a fault through a socket that is its user’s alone', async () => {
  const faults = createFaults();
  await using socket = await openFaultSocket(faults, { directory, name: 'worker', index: 1 });
  expect(socket.path).toBe(faultSocketPath({ directory, name: 'worker', index: 1 }));
  expect((await stat(socket.path)).mode & 0o777).toBe(0o600);
  expect((await call(socket.path, 'PUT', '/faults/compute', { delayMs: 50, leaseMs: 60_000 })).status).toBe(
    204,
  );
  expect(faults.delayMs('compute')).toBe(50);
  const listed = JSON.parse((await call(socket.path, 'GET', '/faults')).body);
  expect(listed.faults).toMatchObject([{ point: 'compute', delayMs: 50 }]);
  expect((await call(socket.path, 'DELETE', '/faults/compute')).status).toBe(204);
  expect(faults.delayMs('compute')).toBe(0);
});

test('what is not a fault is refused with the reason, and sets nothing', async () => {
  const faults = createFaults();
  await using socket = await openFaultSocket(faults, { directory, name: 'worker', index: 1 });
  for (const [method, path, body, status, reason] of [
    ['PUT', '/faults/nowhere', {}, 404, 'worker_receive'],
    ['PUT', '/faults/compute', '{', 400, 'JSON'],
    ['PUT', '/faults/compute', [], 400, 'object'],
    ['PUT', '/faults/compute', { delayMs: 5 }, 400, 'leaseMs'],
    ['PUT', '/faults/compute', { delayMs: '5', leaseMs: 5 }, 400, 'delayMs'],
    ['PUT', '/faults/compute', { delay: 5, leaseMs: 5 }, 400, 'delay is no field'],
    ['PUT', '/faults/compute', { delayMs: 1e9, leaseMs: 5 }, 400, 'delayMs'],
    ['PUT', '/faults/compute', ' '.repeat(10_000), 400, 'JSON'],
    ['POST', '/faults/compute', {}, 405, 'PUT'],
    ['POST', '/faults', {}, 405, 'GET'],
    ['GET', '/', undefined, 404, '/faults'],
  ] as const) {
    const answer = await call(socket.path, method, path, body);
    expect(answer.status, `${method} ${path} ${JSON.stringify(body)}`).toBe(status);
    expect(JSON.parse(answer.body).error).toContain(reason);
  }
  expect(faults.active).toBe(false);
});

test('a socket in use is refused, one that a killed process left is replaced', async () => {
  const options = { directory, name: 'worker', index: 1 };
  const first = await openFaultSocket(createFaults(), options);
  await expect(openFaultSocket(createFaults(), options)).rejects.toMatchObject({
    code: 'unusable_setting',
    setting: 'VITRINE_DRILL_SOCKET_DIRECTORY',
  });
  // A second name for the socket survives its closing, as the first does when a process is killed.
  await link(first.path, `${first.path}.left`);
  await first[Symbol.asyncDispose]();
  await rename(`${first.path}.left`, first.path);
  await using _ = await openFaultSocket(createFaults(), options);
});

test('a folder that others can enter is refused', async () => {
  await chmod(directory, 0o755);
  await expect(openFaultSocket(createFaults(), { directory, name: 'worker', index: 1 })).rejects.toThrow(
    '0700',
  );
});
