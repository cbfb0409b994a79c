/** The console's ports, over real connections, with a real store behind them. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../config/load.ts';
import { readOtelConfig } from '../config/otel.ts';
import { createFaults, type FaultReader } from '../lifecycle/faults.ts';
import { createHealth, type Health } from '../lifecycle/health.ts';
import { startTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import { type Console, type ConsoleOptions, createConsole } from './console.ts';

const TOKEN = 'a-token-of-more-than-16-characters';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const OPTIONS: ConsoleOptions = {
  host: '127.0.0.1',
  httpPort: 0,
  otlpPort: 0,
  token: '',
  databasePath: ':memory:',
  retentionS: 3600,
  retentionBytes: 16 * 1024 ** 2,
  otlpBodyLimitBytes: 1024 ** 2,
  gatewayUrl: 'http://localhost:8000',
  allowedHosts: ['console.example'],
  publicUrl: '',
  version: '1.2.3',
};

let telemetry: Telemetry;
let health: Health;
let links: string[];

beforeAll(async () => {
  telemetry = await startTelemetry({
    serviceName: 'vitrine-console',
    instanceId: 'console-0',
    version: '1.2.3',
    config: loadConfig({ VITRINE_TELEMETRY_LOG_LEVEL: 'silent' }).telemetry,
    otel: { ...readOtelConfig({}), tracesExporters: [] },
  });
});
afterAll(() => telemetry.close());

function start(options: Partial<ConsoleOptions> = {}, faults?: FaultReader): Promise<Console> {
  links = [];
  health = createHealth();
  health.clear('start');
  return createConsole(
    { telemetry, health, onLoginLink: (url) => links.push(url), faults },
    { ...OPTIONS, ...options },
  );
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpRequest(
    {
      host: '127.0.0.1',
      port,
      path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    },
    (response) =>
      void text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        reject,
      ),
  );
  request.on('error', reject);
  request.end(options.body);
  return promise;
}

function errorOf({ body }: Answer): string {
  return (JSON.parse(body) as { error: string }).error;
}

const SPANS = JSON.stringify({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'vitrine-gateway' } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: TRACE,
              spanId: 'b7ad6b7169203331',
              name: 'infer langid',
              kind: 2,
              startTimeUnixNano: '1700000000000000000',
              endTimeUnixNano: '1700000000012000000',
              attributes: [
                { key: 'inference.model.name', value: { stringValue: 'langid' } },
                { key: 'inference.outcome', value: { stringValue: 'ok' } },
              ],
            },
          ],
        },
      ],
    },
  ],
});

function send(port: number, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(port, '/v1/traces', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: SPANS,
  });
}

describe('on loopback', () => {
  let embedded: Console;
  beforeAll(async () => {
    embedded = await start();
    expect((await send(embedded.otlpPort)).status).toBe(200);
  });
  afterAll(() => embedded[Symbol.asyncDispose]());
  const get = (path: string, headers: Record<string, string> = {}) =>
    ask(embedded.httpPort, path, { headers });

  test('the page stands at every address of its own, under a policy that lets nothing else in', async () => {
    for (const path of ['/', '/?model=a', '/search', '/trace/1', `/trace/${TRACE}`]) {
      const { status, headers, body } = await get(path);
      expect(status, path).toBe(200);
      expect(headers['content-type']).toBe('text/html; charset=utf-8');
      expect(headers['content-security-policy']).toBe(
        "default-src 'self'; connect-src 'self' http://localhost:8000 http://127.0.0.1:8000; img-src 'self' data:; " +
          "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      );
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(body).not.toMatch(/<script(?![^>]*src=)|<style| style=| on[a-z]+=/);
    }
  });

  test('everything that the page names is there, and nothing beside it', async () => {
    const { body } = await get('/');
    const files = [...body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, file]) => file ?? '');
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) expect((await get(file)).status, file).toBe(200);
    for (const path of [
      '/assets/tsconfig.json',
      '/assets/text.test.ts',
      '/assets/',
      '/assets/../console.ts',
      '/assets/%2e%2e/console.ts',
      '/assets/..%2fconsole.ts',
      '/index.html',
      '/trace/',
      '/trace/xyz',
      `/trace/${TRACE}0`,
      '//',
    ]) {
      const answer = await get(path);
      expect(answer.status, path).toBe(404);
      expect(errorOf(answer)).toContain('no such page');
    }
  });

  test('a file that the browser has is not sent again', async () => {
    const { headers } = await get('/assets/app.js');
    expect(headers['cache-control']).toBe('no-cache');
    expect(headers['content-type']).toBe('text/javascript; charset=utf-8');
    const etag = headers.etag ?? '';
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    const again = await get('/assets/app.js', { 'if-none-match': etag });
    expect([again.status, again.body, again.headers.etag]).toEqual([304, '', etag]);
    expect((await get('/assets/app.js', { 'if-none-match': '"other"' })).status).toBe(200);
  });

  test('a Host that is not ours gets nothing, on both ports', async () => {
    for (const path of ['/', '/livez', '/metrics', '/console/recent', `/api/v3/traces/${TRACE}`]) {
      for (const host of ['evil.example', 'localhost.evil.example:80', 'localhost:1:2']) {
        const answer = await get(path, { host });
        expect(answer.status, `${path} ${host}`).toBe(421);
        expect(answer.body).not.toContain('langid');
      }
    }
    expect((await send(embedded.otlpPort, { host: 'evil.example' })).status).toBe(421);
    for (const host of ['localhost', 'localhost:1', '127.0.0.1:16686', '[::1]:5', 'console.example']) {
      expect((await get('/', { host })).status, host).toBe(200);
    }
  });

  test('only reading, and HEAD as GET without its body', async () => {
    for (const path of ['/', '/assets/app.js', '/console/recent', '/console/status', '/metrics']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
        const answer = await ask(embedded.httpPort, path, { method });
        expect([answer.status, answer.headers.allow], `${method} ${path}`).toEqual([405, 'GET, HEAD']);
      }
    }
    expect((await ask(embedded.httpPort, '/api/services', { method: 'POST' })).status).toBe(405);
    const head = await ask(embedded.httpPort, '/', { method: 'HEAD' });
    const page = await get('/');
    expect([head.status, head.body, head.headers['content-length']]).toEqual([
      200,
      '',
      String(Buffer.byteLength(page.body)),
    ]);
  });

  test('no other site may read it', async () => {
    for (const path of ['/console/recent', `/api/v3/traces/${TRACE}`, '/']) {
      const { headers } = await get(path, { origin: 'https://evil.example' });
      expect(headers['access-control-allow-origin'], path).toBeUndefined();
    }
  });

  test('the newest queries, and what is wrong with a question', async () => {
    const { body, headers } = await get('/console/recent?model=langid&limit=5');
    expect(headers['cache-control']).toBe('no-store');
    expect(JSON.parse(body)).toMatchObject({
      queries: [
        { traceId: TRACE, spanId: 'b7ad6b7169203331', durationUs: 12_000, model: 'langid', outcome: 'ok' },
      ],
    });
    expect(JSON.parse((await get('/console/recent?model=other')).body)).toMatchObject({ queries: [] });
    const refused = await get('/console/recent?limit=1000');
    expect([refused.status, errorOf(refused)]).toEqual([400, 'limit must be a whole number from 0 to 200']);
  });

  test('the status says what is held', async () => {
    const status = JSON.parse((await get('/console/status')).body);
    expect(status).toMatchObject({
      version: '1.2.3',
      gatewayUrl: 'http://localhost:8000',
      store: { insertedSpans: 1, limitBytes: OPTIONS.retentionBytes, limitAgeMs: 3_600_000 },
      client: { state: 'ready', restarts: 0 },
    });
    expect(status.store.oldestReceivedMs).toBeGreaterThan(1_700_000_000_000);
  });

  test('the query API, v1 and v3', async () => {
    expect(JSON.parse((await get('/api/services')).body)).toMatchObject({ data: ['vitrine-gateway'] });
    expect(JSON.parse((await get(`/api/v3/traces/${TRACE}`)).body)).toHaveProperty('result.resourceSpans');
    expect((await get('/api/v3/traces/1')).status).toBe(404);
    expect((await get('/api/v3/traces/zz')).status).toBe(400);
    expect((await get('/api/nothing')).status).toBe(404);
  });

  test('metrics, in the form that is asked for', async () => {
    // A scrape brings the figures up to date for the next one.
    await get('/metrics');
    await get('/console/status');
    const open = await get('/metrics', { accept: 'application/openmetrics-text' });
    expect(open.headers['content-type']).toContain('application/openmetrics-text');
    expect(open.body).toMatch(/^vitrine_console_spans_total\{outcome="stored"\} 1$/m);
    expect(open.body).toMatch(/^vitrine_console_otlp_requests_total\{status="200"\} 1$/m);
    expect(open.body).toMatch(/^vitrine_console_store_limit_bytes 16777216$/m);
    expect(open.body.endsWith('# EOF\n')).toBe(true);
    expect((await get('/metrics')).headers['content-type']).toContain('text/plain');
  });

  test('health', async () => {
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/readyz')).status).toBe(200);
    health.obstruct('test', 'on purpose');
    const unready = await get('/readyz');
    expect(unready.status).toBe(503);
    expect(unready.body).toContain('on purpose');
    expect((await get('/livez')).status).toBe(200);
    health.clear('test');
  });

  test('nobody logs in, and a login link is refused', async () => {
    expect(links).toEqual([]);
    expect((await get('/login?code=x')).status).toBe(403);
    expect(links).toEqual([]);
  });
});

describe('beyond loopback', () => {
  test('it does not start without a token', async () => {
    await expect(start({ host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'token_required',
      setting: 'VITRINE_CONSOLE_TOKEN',
    });
  });

  test('a machine sends the token; nothing but health answers without it', async () => {
    await using embedded = await start({ host: '0.0.0.0', token: TOKEN });
    const bearer = { authorization: `Bearer ${TOKEN}` };
    for (const path of [
      '/',
      '/assets/app.js',
      '/metrics',
      '/console/recent',
      '/console/status',
      '/api/services',
    ]) {
      const refused = await ask(embedded.httpPort, path);
      expect(refused.status, path).toBe(403);
      expect(errorOf(refused)).toContain('VITRINE_CONSOLE_TOKEN');
      expect((await ask(embedded.httpPort, path, { headers: bearer })).status, path).toBe(200);
      expect((await ask(embedded.httpPort, `${path}?token=${TOKEN}`)).status, path).toBe(403);
    }
    expect((await ask(embedded.httpPort, '/livez')).status).toBe(200);
    expect((await send(embedded.otlpPort)).status).toBe(403);
    expect((await send(embedded.otlpPort, bearer)).status).toBe(200);
    expect((await send(embedded.otlpPort, { authorization: 'Bearer wrong' })).status).toBe(403);
  });

  test('a browser logs in once by a link, and then has a cookie', async () => {
    await using embedded = await start({ host: '0.0.0.0', token: TOKEN });
    const { httpPort } = embedded;
    expect(links).toHaveLength(1);
    const link = new URL(links[0] ?? '');
    expect(link.origin).toBe(`http://localhost:${httpPort}`);
    expect(link.href).not.toContain(TOKEN);
    // A wrong guess neither uses the link up nor makes another.
    expect((await ask(httpPort, '/login?code=guess')).status).toBe(403);
    expect(links).toHaveLength(1);
    const login = await ask(httpPort, link.pathname + link.search);
    expect([login.status, login.headers.location]).toEqual([303, '/']);
    const [setCookie = ''] = login.headers['set-cookie'] ?? [];
    expect(setCookie).toMatch(/HttpOnly; SameSite=Strict/);
    const cookie = setCookie.split(';')[0] ?? '';
    expect((await ask(httpPort, '/', { headers: { cookie } })).status).toBe(200);
    expect((await ask(httpPort, '/console/recent', { headers: { cookie } })).status).toBe(200);
    // The same link again does nothing, but the log has another then.
    const again = await ask(httpPort, link.pathname + link.search);
    expect([again.status, again.headers['set-cookie']]).toEqual([403, undefined]);
    expect(links).toHaveLength(2);
    const second = new URL(links[1] ?? '');
    expect((await ask(httpPort, second.pathname + second.search)).status).toBe(303);
  });

  test('names of other sites are refused there, too', async () => {
    await using embedded = await start({ host: '0.0.0.0', token: TOKEN });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const get = (host: string) => ask(embedded.httpPort, '/', { headers: { ...headers, host } });
    expect((await get('evil.example')).status).toBe(421);
    expect((await get('10.1.2.3:16686')).status).toBe(200);
  });
});

test('draining ends the ports and keeps what was accepted', async () => {
  await using embedded = await start();
  expect((await send(embedded.otlpPort)).status).toBe(200);
  await embedded.drain(2000);
  await expect(ask(embedded.httpPort, '/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(send(embedded.otlpPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a taken port is an error that names its setting', async () => {
  await using embedded = await start();
  await expect(start({ otlpPort: embedded.otlpPort })).rejects.toMatchObject({
    setting: 'VITRINE_CONSOLE_OTLP_PORT',
  });
});

test('a drill closes the port of the receiver and nothing else, until its lease is over', async () => {
  const faults = createFaults();
  await using embedded = await start({}, faults);
  const send = (): Promise<number> =>
    ask(embedded.otlpPort, '/v1/traces', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: SPANS,
    }).then(
      ({ status }) => status,
      () => 0,
    );
  expect(await send()).toBe(200);
  faults.set('otlp_receiver', { error: true, leaseMs: 500 });
  while ((await send()) !== 0);
  expect((await ask(embedded.httpPort, `/api/traces/${TRACE}`)).status).toBe(200);
  while ((await send()) !== 200);
  expect(faults.list()).toEqual([]);
});

test('a console that is closed while a drill holds its receiver leaves no port open', async () => {
  const faults = createFaults();
  const embedded = await start({}, faults);
  const { otlpPort } = embedded;
  const isOpen = (): Promise<boolean> =>
    ask(otlpPort, '/v1/traces').then(
      () => true,
      () => false,
    );
  faults.set('otlp_receiver', { error: true, leaseMs: 60_000 });
  while (await isOpen());
  await embedded.drain(1000);
  await embedded[Symbol.asyncDispose]();
  expect(await isOpen()).toBe(false);
});
