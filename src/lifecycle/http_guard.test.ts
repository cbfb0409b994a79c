import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import {
  answerRefusal,
  bearerToken,
  createCors,
  createHostCheck,
  createSecretCheck,
  hostRefusal,
  isLoopbackHost,
  originTwins,
  pageHeaders,
  requireDeliberate,
  requireTokenBeyondLoopback,
} from './http_guard.ts';
import { listenAll } from './listen.ts';

test('on loopback only loopback names and allowed hosts may address the port', () => {
  const allows = createHostCheck({ allowedHosts: ['vitrine.example'], listenHost: 'localhost' });
  for (const host of [
    'localhost',
    'localhost:8000',
    'LocalHost:8000',
    '127.0.0.1',
    '127.0.0.1:9',
    '[::1]:8000',
    '[::1]',
    'vitrine.example',
    'Vitrine.Example:443',
  ]) {
    expect(allows(host), host).toBe(true);
  }
  for (const host of [
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    'evil.example:8000',
    'localhost:8000:9',
    'localhost:',
    '::1',
    '10.0.0.7:8000',
    '[::2]',
    '*',
    'localhost, evil.example',
    'evil.example@localhost',
    'localhost'.padEnd(400, ' '),
  ]) {
    expect(allows(host), String(host)).toBe(false);
  }
});

test('beyond loopback addresses are accepted and unknown names are not', () => {
  const allows = createHostCheck({ allowedHosts: [], listenHost: '0.0.0.0' });
  expect(allows('10.0.0.7:8000')).toBe(true);
  expect(allows('[fd00::2]:8000')).toBe(true);
  expect(allows('localhost:8000')).toBe(true);
  expect(allows('evil.example')).toBe(false);
});

test('a refused host is answered 421 with a JSON error', async () => {
  const server = () => createServer((_request, response) => answerRefusal(response, hostRefusal()));
  await using listener = await listenAll(server, { host: '127.0.0.1', port: 0, setting: 'X_PORT' });
  const answer = await fetch(`http://127.0.0.1:${listener.port}/`);
  expect(answer.status).toBe(421);
  expect(await answer.json()).toEqual({ error: expect.stringContaining('VITRINE_ACCESS_ALLOWED_HOSTS') });
});

test('a loopback origin stands for all three loopback names', () => {
  expect(originTwins('http://localhost:16686/')).toEqual([
    'http://localhost:16686',
    'http://127.0.0.1:16686',
    'http://[::1]:16686',
  ]);
  expect(originTwins('https://tools.example')).toEqual(['https://tools.example']);
  expect(originTwins('nonsense')).toEqual([]);
});

test('only pages of allowed origins may call and read; never any origin', async () => {
  const cors = createCors({
    allowedOrigins: ['http://localhost:16686'],
    methods: ['GET', 'POST'],
    requestHeaders: ['content-type'],
    exposedHeaders: ['x-trace-id', 'server-timing'],
  });
  const server = () =>
    createServer((request, response) => {
      if (!cors.handle(request, response)) response.end('handled');
    });
  await using listener = await listenAll(server, { host: '127.0.0.1', port: 0, setting: 'X_PORT' });
  const call = (method: string, headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${listener.port}/`, { method, headers });
  const preflight = { 'access-control-request-method': 'POST' };

  const allowed = await call('OPTIONS', { origin: 'http://127.0.0.1:16686', ...preflight });
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get('access-control-allow-origin')).toBe('http://127.0.0.1:16686');
  expect(allowed.headers.get('access-control-allow-methods')).toBe('GET, POST');
  expect(allowed.headers.get('access-control-allow-headers')).toBe('content-type');

  const read = await call('GET', { origin: 'http://localhost:16686' });
  expect(await read.text()).toBe('handled');
  expect(read.headers.get('access-control-expose-headers')).toBe('x-trace-id, server-timing');
  expect(read.headers.get('vary')).toBe('origin');

  for (const method of ['OPTIONS', 'GET']) {
    const refused = await call(method, { origin: 'http://evil.example', ...preflight });
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    expect(refused.headers.get('access-control-allow-methods')).toBeNull();
  }
  const plain = await call('GET', {});
  expect(plain.headers.get('access-control-allow-origin')).toBeNull();
});

test('a route that changes state wants the header and an origin of ours', () => {
  const origins = new Set(['http://localhost:16686']);
  const host = 'localhost:8000';
  const refusal = expect.objectContaining({ code: 'forbidden', status: 403 });
  const attempt = (headers: Record<string, string>): unknown => {
    try {
      requireDeliberate({ host, ...headers }, origins);
    } catch (error) {
      return error;
    }
    return 'allowed';
  };
  expect(attempt({ 'x-vitrine-request': '1' })).toBe('allowed');
  expect(attempt({ 'x-vitrine-request': '1', origin: 'http://localhost:8000' })).toBe('allowed');
  expect(attempt({ 'x-vitrine-request': '1', origin: 'http://localhost:16686' })).toBe('allowed');
  expect(attempt({})).toEqual(refusal);
  expect(attempt({ origin: 'http://localhost:8000' })).toEqual(refusal);
  expect(attempt({ 'x-vitrine-request': '1', origin: 'http://evil.example' })).toEqual(refusal);
  expect(attempt({ 'x-vitrine-request': '1', origin: 'null' })).toEqual(refusal);
});

test('a secret matches itself alone, and an empty one matches nothing', () => {
  const check = createSecretCheck('correct-horse-battery');
  expect(check('correct-horse-battery')).toBe(true);
  expect(check('correct-horse-batterY')).toBe(false);
  expect(check('')).toBe(false);
  expect(check(undefined)).toBe(false);
  expect(createSecretCheck('')('')).toBe(false);
});

test('a bearer token is read from its scheme alone', () => {
  expect(bearerToken('Bearer abc')).toBe('abc');
  expect(bearerToken('bearer abc')).toBe('abc');
  expect(bearerToken('Basic abc')).toBeUndefined();
  expect(bearerToken('Bearer a b')).toBeUndefined();
  expect(bearerToken(undefined)).toBeUndefined();
});

test('loopback is told from addresses that others reach', () => {
  for (const host of ['localhost', '127.0.0.1', '127.8.0.1', '::1', 'LOCALHOST']) {
    expect(isLoopbackHost(host), host).toBe(true);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.7', 'vitrine.example', '127.evil.example']) {
    expect(isLoopbackHost(host), host).toBe(false);
  }
});

test('listening beyond loopback without a token is refused with both settings named', () => {
  const attempt = (host: string, token: string) => () =>
    requireTokenBeyondLoopback({
      host,
      token,
      hostSetting: 'VITRINE_CONSOLE_HOST',
      tokenSetting: 'VITRINE_CONSOLE_TOKEN',
    });
  expect(attempt('0.0.0.0', '')).toThrow(/VITRINE_CONSOLE_HOST is 0\.0\.0\.0.*VITRINE_CONSOLE_TOKEN/);
  expect(attempt('0.0.0.0', 'a-secret-of-some-length')).not.toThrow();
  expect(attempt('localhost', '')).not.toThrow();
});

test('a page runs nothing but our own scripts and calls nothing but what it is given', () => {
  const policy = pageHeaders(['http://localhost:8000'])['content-security-policy'];
  expect(policy).toContain("default-src 'self'");
  expect(policy).toContain("connect-src 'self' http://localhost:8000;");
  expect(policy).not.toContain('unsafe');
});
