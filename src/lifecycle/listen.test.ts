import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { claimSharedPort, listenAll } from './listen.ts';
import { StartupError } from './startup_error.ts';

const SETTING = 'VITRINE_GATEWAY_HTTP_PORT';
const HAS_IPV6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);
const hello = () => createServer((_request, response) => response.end('hello'));

test('localhost answers on the same free port under IPv4 and IPv6', async () => {
  await using listener = await listenAll(hello, { host: 'localhost', port: 0, setting: SETTING });
  expect(listener.port).toBeGreaterThan(0);
  const addresses = HAS_IPV6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
  expect(listener.addresses).toEqual(addresses.map((address) => `${address}:${listener.port}`));
  for (const address of addresses) {
    const answer = await fetch(`http://${address}:${listener.port}/`);
    expect(await answer.text()).toBe('hello');
  }
});

test('a taken port is an error that names it and the setting, and leaves nothing open', async () => {
  await using taken = await listenAll(hello, { host: '127.0.0.1', port: 0, setting: SETTING });
  const failure = listenAll(hello, { host: 'localhost', port: taken.port, setting: SETTING });
  await expect(failure).rejects.toThrow(StartupError);
  await expect(failure).rejects.toMatchObject({ code: 'port_taken', setting: SETTING });
  await expect(failure).rejects.toThrow(new RegExp(`port ${taken.port} on 127.0.0.1 .* set ${SETTING}`));
});

test.runIf(HAS_IPV6)('a port that is taken under IPv6 alone does not stay open under IPv4', async () => {
  await using taken = await listenAll(hello, { host: '::1', port: 0, setting: SETTING });
  const failure = listenAll(hello, { host: 'localhost', port: taken.port, setting: SETTING });
  await expect(failure).rejects.toMatchObject({ code: 'port_taken' });
  await expect(fetch(`http://127.0.0.1:${taken.port}/`)).rejects.toThrow();
});

test('an address that the machine lacks names the host setting', async () => {
  const failure = listenAll(hello, { host: '198.51.100.7', port: 0, setting: SETTING });
  await expect(failure).rejects.toMatchObject({
    code: 'address_unavailable',
    setting: 'VITRINE_GATEWAY_HOST',
  });
});

test('closing ends idle connections at once and lets a request in flight finish', async () => {
  let release = (): void => {};
  const arrived = Promise.withResolvers<void>();
  const server = () =>
    createServer((incoming, response) => {
      if (incoming.url === '/slow') {
        arrived.resolve();
        release = () => response.end('slow');
      } else response.end('fast');
    });
  const listener = await listenAll(server, { host: '127.0.0.1', port: 0, setting: SETTING });
  const idle = connect(listener.port, '127.0.0.1');
  idle.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
  idle.resume();
  await once(idle, 'data');
  const slow = fetch(`http://127.0.0.1:${listener.port}/slow`);
  await arrived.promise;
  const idleClosed = once(idle, 'close');
  const closed = listener.close(60_000);
  await idleClosed;
  release();
  expect(await (await slow).text()).toBe('slow');
  await closed;
  await expect(fetch(`http://127.0.0.1:${listener.port}/`)).rejects.toThrow();
});

test('a request that never ends is cut when the grace is over', async () => {
  const arrived = Promise.withResolvers<void>();
  const listener = await listenAll(() => createServer(() => arrived.resolve()), {
    host: '127.0.0.1',
    port: 0,
    setting: SETTING,
  });
  const stuck = request({ port: listener.port, host: '127.0.0.1' });
  const failed = once(stuck, 'error');
  stuck.end();
  await arrived.promise;
  await listener.close(1);
  await failed;
});

test('several listeners share one port, and a claim refuses one that somebody else shares', async () => {
  const { port, sharable } = await claimSharedPort(hello, { host: 'localhost', port: 0, setting: SETTING });
  if (!sharable) return;
  const options = { host: 'localhost', port, setting: SETTING, shared: true };
  await using first = await listenAll(hello, options);
  await using second = await listenAll(hello, options);
  expect(second.port).toBe(first.port);
  await expect(claimSharedPort(hello, { host: 'localhost', port, setting: SETTING })).rejects.toMatchObject({
    code: 'port_taken',
  });
});
