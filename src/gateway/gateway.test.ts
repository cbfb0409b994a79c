import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  metricSum,
  type RunningGateway,
  runGateway,
  startTestTelemetry,
} from '../../test/fixtures/running_gateway.ts';
import {
  answer,
  READY,
  REPORT,
  type ScriptedWorker,
  startScriptedWorker,
} from '../../test/fixtures/scripted_worker.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

let telemetry: Telemetry;
let worker: ScriptedWorker;
let gateway: RunningGateway;
beforeAll(async () => {
  telemetry = await startTestTelemetry();
  worker = await startScriptedWorker();
  worker.index = [
    ...READY,
    { name: 'echo', version: '2', state: 'READY', reason: '', default_timeout_ms: 5000 },
    { name: 'broken', version: '1', state: 'UNAVAILABLE', reason: 'unsupported operator Foo' },
  ];
  gateway = await runGateway(telemetry, [worker]);
  await gateway.ready();
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await worker[Symbol.asyncDispose]();
  await telemetry.close();
});

/** Sends bytes as they are; resolves with everything that came until the connection ended. */
function exchangeBytes(bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.gateway.httpPort, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      received += text;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.write(bytes, 'latin1');
  });
}

describe('a query', () => {
  test('reaches the worker and comes back, with its trace and its times', async () => {
    const result = await gateway.infer({
      body: '{"inputs":[]}',
      headers: {
        'x-request-id': 'order-17',
        'x-request-priority': '2',
        cookie: 'secret=1',
        authorization: 'x',
      },
    });
    expect(result.status).toBe(200);
    expect(result.headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/);
    expect(result.headers['x-request-id']).toBe('order-17');
    const timing = String(result.headers['server-timing']);
    for (const stage of ['receive', 'admit', 'route', 'network', 'worker_receive', 'compute', 'total']) {
      expect(timing).toContain(`${stage};dur=`);
    }
    const seen = JSON.parse(result.text) as { path: string; headers: Record<string, string>; body: string };
    expect(seen.path).toBe('/v2/models/echo/infer');
    expect(seen.body).toBe('{"inputs":[]}');
    expect(seen.headers.traceparent).toContain(String(result.headers['x-trace-id']));
    expect(seen.headers['x-request-id']).toBe('order-17');
    expect(seen.headers['x-request-priority']).toBe('2');
    expect(Number(seen.headers['x-vitrine-deadline-ms'])).toBeGreaterThan(1000);
    expect(Number(seen.headers['x-vitrine-deadline-ms'])).toBeLessThanOrEqual(5000);
    // Only what a worker needs goes on.
    expect(seen.headers.cookie).toBeUndefined();
    expect(seen.headers.authorization).toBeUndefined();
  });

  test('of a version goes to that version, with that version’s deadline', async () => {
    const { text } = await gateway.infer({ version: '1' });
    const seen = JSON.parse(text) as { path: string; headers: Record<string, string> };
    expect(seen.path).toBe('/v2/models/echo/versions/1/infer');
    expect(Number(seen.headers['x-vitrine-deadline-ms'])).toBeGreaterThan(5000);
  });

  test('with binary tensors keeps its bytes and the length of its JSON part, both ways', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    worker.script = ({ request, response, body: got }) => {
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': request.headers['inference-header-content-length'] as string,
        'x-vitrine-report': REPORT,
        'set-cookie': 'a=b',
      });
      response.end(got);
    };
    try {
      const result = await gateway.agent.request({
        origin: gateway.url,
        path: '/v2/models/echo/infer',
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': '12' },
        body,
      });
      expect(Buffer.from(await result.body.arrayBuffer()).equals(body)).toBe(true);
      expect(result.headers['content-type']).toBe('application/octet-stream');
      expect(result.headers['inference-header-content-length']).toBe('12');
      expect(result.headers['x-vitrine-report']).toBeUndefined();
      expect(result.headers['set-cookie']).toBeUndefined();
    } finally {
      worker.script = answer();
    }
  });

  test('that comes in chunks arrives whole', async () => {
    async function* chunks(): AsyncGenerator<string> {
      for (let index = 0; index < 100; index += 1) yield `${index},`;
    }
    const { text } = await gateway.infer({ body: chunks() as never });
    const { body } = JSON.parse(text) as { body: string };
    expect(body).toBe(Array.from({ length: 100 }, (_, index) => `${index},`).join(''));
  });

  test('with an error of the worker’s own is passed on as it is', async () => {
    worker.script = ({ response }) => {
      response.writeHead(503, {
        'content-type': 'application/json',
        'retry-after': '7',
        'x-vitrine-report': REPORT,
      });
      response.end('{"error":"the queue is full"}');
    };
    try {
      const result = await gateway.infer();
      expect(result.status).toBe(503);
      expect(result.error).toBe('the queue is full');
      expect(result.headers['retry-after']).toBe('7');
    } finally {
      worker.script = answer();
    }
  });
});

describe('what is refused', () => {
  test.each([
    ['a page’s form', 415, 'content-type', { headers: { 'content-type': 'text/plain' } }],
    ['a compressed body', 415, 'content-encoding', { headers: { 'content-encoding': 'gzip' } }],
    ['an unknown model', 404, 'there is broken, echo', { model: 'nothing-like-it' }],
    ['an unknown version', 404, 'it has 1, 2', { version: '9' }],
    ['a model that did not load', 503, 'unsupported operator Foo', { model: 'broken' }],
    [
      'a timeout that is no number',
      400,
      'x-request-timeout-ms',
      { headers: { 'x-request-timeout-ms': 'soon' } },
    ],
    ['a timeout of 0', 400, 'x-request-timeout-ms', { headers: { 'x-request-timeout-ms': '0' } }],
    ['a negative timeout', 400, 'x-request-timeout-ms', { headers: { 'x-request-timeout-ms': '-5' } }],
    ['a fractional timeout', 400, 'x-request-timeout-ms', { headers: { 'x-request-timeout-ms': '1.5' } }],
    ['a timeout beyond the limit', 400, '60000', { headers: { 'x-request-timeout-ms': '60001' } }],
    ['a body beyond the limit', 413, '1048576 bytes', { body: Buffer.alloc(1024 * 1024 + 1) }],
    ['a host that is not ours', 421, 'Host', { headers: { host: 'evil.example' } }],
  ])('%s: %i naming %s', async (_, status, text, call) => {
    const before = worker.queries.length;
    const result = await gateway.infer(call as never);
    expect(result.status).toBe(status);
    expect(result.error).toContain(text);
    expect(result.headers['x-trace-id']).toMatch(/^[0-9a-f]{32}$/);
    if (status === 503) expect(Number(result.headers['retry-after'])).toBeGreaterThan(0);
    expect(worker.queries.length).toBe(before);
  });

  test('a chunked body beyond the limit, while it is being read', async () => {
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let index = 0; index < 20; index += 1) yield Buffer.alloc(64 * 1024);
    }
    const result = await gateway.infer({ body: chunks() as never });
    expect(result.status).toBe(413);
  });

  test('a client that asks first is told before it sends', async () => {
    const answered = await exchangeBytes(
      'POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
        'content-length: 99999999\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n',
    );
    expect(answered).toMatch(/^HTTP\/1\.1 413 /);
    expect(answered).not.toContain('100 Continue');
  });

  test('a client that asks first and may is told to go on', async () => {
    const answered = await exchangeBytes(
      'POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
        'content-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n{}',
    );
    expect(answered).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  });

  test.each([
    ['GET', '/v2/models/echo/infer', 'POST'],
    ['DELETE', '/v2/models/echo/versions/1/infer', 'POST'],
    ['POST', '/v2/models/echo', 'GET, HEAD'],
    ['PUT', '/v2', 'GET, HEAD'],
    ['GET', '/v2/repository/index', 'POST'],
  ])('%s %s: 405 with what is allowed', async (method, path, allow) => {
    const result = await gateway.call(method, path);
    expect(result.status).toBe(405);
    expect(result.headers.allow).toBe(allow);
    expect(result.error).toContain(allow);
  });

  test.each(['/nothing', '/v2/models', '/V2', '/v2/models/a/b/c', '/v2/models/echo/'])(
    '%s: 404 naming what exists',
    async (path) => {
      const result = await gateway.call('GET', path);
      expect(result.status).toBe(404);
      expect(result.error).toContain('/v2/models/{model}/infer');
    },
  );

  test('a path that only looks like a query is a query that failed, and is counted', async () => {
    const before = await metricSum(telemetry, 'inference_refusals_total{model="unknown",reason="not_found"}');
    const result = await gateway.call('POST', '/v2/models/a/b/c/d/infer', {
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    expect(result.status).toBe(404);
    expect(await metricSum(telemetry, 'inference_refusals_total{model="unknown",reason="not_found"}')).toBe(
      before + 1,
    );
  });

  test('a path with a broken percent-encoding', async () => {
    const result = await gateway.infer({ model: '%E0%A4%A' });
    expect(result.status).toBe(400);
    expect(result.error).toContain('percent');
  });
});

describe('bytes that are no proper HTTP', () => {
  const HEAD = 'POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';
  test.each([
    ['two lengths that differ', `${HEAD}content-length: 2\r\ncontent-length: 5\r\n\r\n{}`, 400],
    ['a length and chunks', `${HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['an encoding hidden behind another', `${HEAD}transfer-encoding: chunked, identity\r\n\r\n{}`, 400],
    ['a space before the colon', `${HEAD}content-length : 2\r\n\r\n{}`, 400],
    ['a bare line feed in a header', `${HEAD}x: a\nb: c\r\n\r\n`, 400],
    ['a negative length', `${HEAD}content-length: -1\r\n\r\n`, 400],
    ['a length with a plus', `${HEAD}content-length: +2\r\n\r\n{}`, 400],
    ['no host', 'POST /v2/models/echo/infer HTTP/1.1\r\ncontent-length: 0\r\n\r\n', 400],
    ['headers of 64 KiB', `${HEAD}x: ${'a'.repeat(65_536)}\r\n\r\n`, 431],
    ['20,000 headers', `${HEAD}${'a: b\r\n'.repeat(20_000)}\r\n`, 431],
    ['rubbish', '\u0000\u0001\u0002\r\n\r\n', 400],
  ])('%s', async (_, bytes, status) => {
    const before = worker.queries.length;
    const answered = await exchangeBytes(bytes);
    expect(answered).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answered.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(worker.queries.length).toBe(before);
  });

  test('an empty host is none of ours, also after one that is', async () => {
    const withHost = (host: string): string =>
      `GET /v2 HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    expect(await exchangeBytes(withHost(''))).toMatch(/^HTTP\/1\.1 421 /);
    expect(await exchangeBytes(withHost('localhost:1'))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await exchangeBytes(withHost(''))).toMatch(/^HTTP\/1\.1 421 /);
    expect(await exchangeBytes(withHost('evil.example'))).toMatch(/^HTTP\/1\.1 421 /);
  });

  test('a chunk of a broken size ends the connection and reaches no worker', async () => {
    const before = worker.queries.length;
    await exchangeBytes(`${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nXYZ\r\n`);
    expect(worker.queries.length).toBe(before);
  });

  test('300 headers are no problem', async () => {
    const answered = await exchangeBytes(
      `${HEAD}connection: close\r\ncontent-length: 2\r\n${'a: b\r\n'.repeat(300)}\r\n{}`,
    );
    expect(answered).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('two queries in one write get two answers, in order', async () => {
    const answered = await exchangeBytes(
      `${HEAD}x-request-id: first\r\ncontent-length: 2\r\n\r\n{}${HEAD}x-request-id: second\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
    );
    expect(answered.match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
    expect(answered.indexOf('x-request-id: first')).toBeLessThan(answered.indexOf('x-request-id: second'));
  });
});

describe('the rest of the protocol', () => {
  test('server metadata, live, ready', async () => {
    expect(JSON.parse((await gateway.call('GET', '/v2')).text)).toEqual({
      name: 'vitrine',
      version: '1.2.3',
      extensions: ['binary_tensor_data', 'schedule_policy'],
    });
    for (const path of [
      '/v2/health/live',
      '/v2/health/ready',
      '/livez',
      '/readyz',
      '/v2/models/echo/ready',
      '/v2/models/echo/versions/2/ready',
    ]) {
      expect((await gateway.call('GET', path)).status, path).toBe(200);
    }
    expect((await gateway.call('GET', '/v2/models/broken/ready')).status).toBe(503);
    expect((await gateway.call('GET', '/v2/models/none/ready')).status).toBe(404);
  });

  test('the index: every model and version, or those that are ready', async () => {
    const all = JSON.parse((await gateway.call('POST', '/v2/repository/index')).text) as unknown[];
    expect(all).toEqual([
      { name: 'broken', version: '1', state: 'UNAVAILABLE', reason: 'unsupported operator Foo' },
      { name: 'echo', version: '1', state: 'READY', reason: '' },
      { name: 'echo', version: '2', state: 'READY', reason: '' },
    ]);
    const ready = await gateway.call('POST', '/v2/repository/index', { body: '{"ready":true}' });
    expect(JSON.parse(ready.text)).toHaveLength(2);
    const broken = await gateway.call('POST', '/v2/repository/index', { body: '{' });
    expect(broken.status).toBe(400);
    const long = await gateway.call('POST', '/v2/repository/index', { body: ' '.repeat(100_000) });
    expect(long.status).toBe(413);
  });

  test('model metadata comes from a worker', async () => {
    const result = await gateway.call('GET', '/v2/models/echo/versions/1');
    expect(result.status).toBe(200);
    expect(JSON.parse(result.text)).toMatchObject({ path: '/v2/models/echo/versions/1' });
    expect((await gateway.call('GET', '/v2/models/none')).status).toBe(404);
  });

  test('/ sends a browser to the console, and tells others where they are', async () => {
    const browser = await gateway.call('GET', '/', { headers: { accept: 'text/html,*/*;q=0.8' } });
    expect(browser.status).toBe(302);
    expect(browser.headers.location).toBe('http://localhost:16686');
    const other = await gateway.call('GET', '/', { headers: { accept: '*/*' } });
    expect(JSON.parse(other.text)).toMatchObject({ name: 'vitrine', console: 'http://localhost:16686' });
  });

  test('a page of the console may call and read its times; a page of another site may not', async () => {
    for (const origin of ['http://localhost:16686', 'http://127.0.0.1:16686']) {
      const result = await gateway.infer({ headers: { origin } });
      expect(result.headers['access-control-allow-origin']).toBe(origin);
      expect(result.headers['access-control-expose-headers']).toBe('x-trace-id, x-request-id, server-timing');
      expect(result.headers['server-timing']).toBeDefined();
    }
    const other = await gateway.infer({ headers: { origin: 'https://evil.example' } });
    expect(other.headers['access-control-allow-origin']).toBeUndefined();
    const preflight = await gateway.call('OPTIONS', '/v2/models/echo/infer', {
      headers: { origin: 'http://localhost:16686', 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toBe('GET, POST');
    expect(preflight.headers['access-control-allow-headers']).toContain('x-request-timeout-ms');
    const refused = await gateway.call('OPTIONS', '/v2/models/echo/infer', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    expect(refused.headers['access-control-allow-methods']).toBeUndefined();
  });

  test('an error carries the origin’s headers too, or the page could not read it', async () => {
    const result = await gateway.infer({ model: 'none', headers: { origin: 'http://localhost:16686' } });
    expect(result.status).toBe(404);
    expect(result.headers['access-control-allow-origin']).toBe('http://localhost:16686');
  });
});

describe('the metrics port', () => {
  test('serves /metrics and the targets, and nothing else', async () => {
    const origin = `http://127.0.0.1:${gateway.gateway.metricsPort}`;
    const get = async (path: string, headers = {}) => {
      const result = await gateway.agent.request({ origin, path, method: 'GET', headers });
      return {
        status: result.statusCode,
        type: result.headers['content-type'],
        text: await result.body.text(),
      };
    };
    const classic = await get('/metrics');
    expect(classic.type).toContain('text/plain');
    expect(classic.text).toContain('inference_requests_total{model="echo"');
    expect((await get('/metrics', { accept: 'application/openmetrics-text' })).type).toContain('openmetrics');
    gateway.gateway.setScrapeTargets([
      { address: '127.0.0.1:8002', job: 'vitrine-gateway', instance: 'gateway-0' },
      { address: '127.0.0.1:8101', job: 'vitrine-worker', instance: 'worker-1' },
    ]);
    expect(JSON.parse((await get('/metrics/targets')).text)).toEqual([
      { targets: ['127.0.0.1:8002'], labels: { job: 'vitrine-gateway', instance: 'gateway-0' } },
      { targets: ['127.0.0.1:8101'], labels: { job: 'vitrine-worker', instance: 'worker-1' } },
    ]);
    expect((await get('/v2')).status).toBe(404);
    expect((await get('/metrics', { host: 'evil.example' })).status).toBe(421);
  });

  test('counts are exact: begun = sum of outcomes + in flight', async () => {
    expect(await metricSum(telemetry, 'inference_requests_begun_total')).toBe(
      (await metricSum(telemetry, 'inference_requests_total')) +
        (await metricSum(telemetry, 'inference_in_flight_requests')),
    );
    expect(await metricSum(telemetry, 'inference_in_flight_requests')).toBe(0);
    expect(await metricSum(telemetry, 'vitrine_gateway_admitted_requests')).toBe(0);
    expect(await metricSum(telemetry, 'vitrine_gateway_bodies_usage_bytes')).toBe(0);
  });
});
