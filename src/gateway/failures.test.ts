import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
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
  raw,
  type Script,
  type ScriptedQuery,
  type ScriptedWorker,
  startScriptedWorker,
} from '../../test/fixtures/scripted_worker.ts';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { GatewayOptions } from './options.ts';

let telemetry: Telemetry;
beforeAll(async () => {
  telemetry = await startTestTelemetry();
});
afterAll(() => telemetry.close());

/** Waits for an event that only shows from outside. */
function soon<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 10_000, interval: 5 });
}

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const opened of open.splice(0).reverse()) await opened[Symbol.asyncDispose]();
  // Whatever a test did: every query that began has ended, once, and nothing is held.
  await soon(() => metricSum(telemetry, 'inference_in_flight_requests')).toBe(0);
  expect(await metricSum(telemetry, 'inference_requests_begun_total')).toBe(
    await metricSum(telemetry, 'inference_requests_total'),
  );
  expect(await metricSum(telemetry, 'vitrine_gateway_admitted_requests')).toBe(0);
  expect(await metricSum(telemetry, 'vitrine_gateway_bodies_usage_bytes')).toBe(0);
  expect(await metricSum(telemetry, 'vitrine_ledger_violations_total{kind="network"}')).toBe(0);
});

async function start(
  scripts: readonly Script[],
  options: Partial<GatewayOptions> = {},
  index: readonly RepositoryIndexEntry[] = READY,
): Promise<{ gateway: RunningGateway; workers: ScriptedWorker[] }> {
  const workers: ScriptedWorker[] = [];
  for (const script of scripts) {
    const worker = await startScriptedWorker(script);
    worker.index = [...index];
    open.push(worker);
    workers.push(worker);
  }
  const gateway = await runGateway(telemetry, workers, options);
  open.push(gateway);
  await gateway.ready();
  await soon(() => metricSum(telemetry, 'vitrine_gateway_workers{state="not_ready"}')).toBe(0);
  return { gateway, workers };
}

function outcome(name: string): Promise<number> {
  return metricSum(telemetry, `inference_requests_total{model="echo",version="1",outcome="${name}"}`);
}

/** Resolves when the worker has the next query. */
function arrival(worker: ScriptedWorker): Promise<void> {
  const { script } = worker;
  return new Promise((resolve) => {
    worker.script = (query) => {
      worker.script = script;
      script(query);
      resolve();
    };
  });
}

const hang: Script = () => {};
const reset: Script = ({ request }) => request.socket.resetAndDestroy();
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

describe('a connection that breaks', () => {
  test('before the answer: once more, at the other worker, and the client sees nothing of it', async () => {
    const { gateway, workers } = await start([reset, answer()]);
    for (let index = 0; index < 4; index += 1) expect((await gateway.infer()).status).toBe(200);
    expect(workers[0]?.queries.length).toBeGreaterThan(0);
    expect(workers[1]?.queries.length).toBe(4);
  });

  test('in the middle of the answer: once more too, since the client has seen nothing yet', async () => {
    const cut: Script = (query) => {
      raw(`${HEAD}content-length: 100\r\n\r\n{"half":`)(query);
      query.request.socket.end();
    };
    const { gateway, workers } = await start([cut, answer()]);
    for (let index = 0; index < 4; index += 1) {
      const { status, text } = await gateway.infer();
      expect(status).toBe(200);
      expect(text).not.toContain('half');
    }
    expect(workers[0]?.queries.length).toBeGreaterThan(0);
  });

  test('at both workers: exactly two tries, then 502', async () => {
    const { gateway, workers } = await start([reset, reset]);
    const before = await metricSum(telemetry, 'inference_attempts_total');
    const { status, error } = await gateway.infer();
    expect(status).toBe(502);
    expect(error).toContain('worker');
    expect((workers[0]?.queries.length ?? 0) + (workers[1]?.queries.length ?? 0)).toBe(2);
    expect((await metricSum(telemetry, 'inference_attempts_total')) - before).toBe(2);
  });

  test('at the only worker: once more there, on a new connection', async () => {
    let calls = 0;
    const { gateway, workers } = await start([
      (query) => {
        calls += 1;
        if (calls === 1) reset(query);
        else answer()(query);
      },
    ]);
    const { status, headers } = await gateway.infer();
    expect(status).toBe(200);
    expect(workers[0]?.queries.length).toBe(2);
    expect(String(headers['server-timing'])).toContain('retry;dur=');
  });

  test('because nobody listens: the query waits while the worker restarts', async () => {
    const { gateway, workers } = await start([answer()]);
    workers[0]?.die();
    const pending = gateway.infer();
    await soon(() => metricSum(telemetry, 'vitrine_gateway_route_waiters_requests')).toBe(1);
    await workers[0]?.revive();
    const { status, headers } = await pending;
    expect(status).toBe(200);
    expect(String(headers['server-timing'])).toContain('route;dur=');
  });

  test('because the worker died with it: the query waits for the restart and is sent once more', async () => {
    const { gateway, workers } = await start([hang]);
    const [worker] = workers as [ScriptedWorker];
    const arrived = arrival(worker);
    const pending = gateway.infer();
    await arrived;
    worker.die();
    await soon(() => metricSum(telemetry, 'vitrine_gateway_route_waiters_requests')).toBe(1);
    worker.script = answer();
    await worker.revive();
    const { status, headers } = await pending;
    expect(status).toBe(200);
    expect(String(headers['server-timing'])).toContain('retry;dur=');
    expect(
      await metricSum(telemetry, 'inference_attempts_total{worker="worker-1",outcome="lost"}'),
    ).toBeGreaterThan(0);
  });
});

describe('a worker that refuses', () => {
  const refuse =
    (code: string): Script =>
    ({ response }) => {
      response.writeHead(503, { 'x-vitrine-error': code, 'x-vitrine-report': REPORT });
      response.end('{"error":"not now"}');
    };

  test('because it drains: the other one serves, and the client sees nothing of it', async () => {
    const { gateway, workers } = await start([refuse('draining'), answer()]);
    for (let index = 0; index < 4; index += 1) expect((await gateway.infer()).status).toBe(200);
    expect(workers[0]?.queries.length).toBeGreaterThan(0);
    expect(workers[1]?.queries.length).toBe(4);
  });

  test('because it drains, as the other does: its answer is passed on', async () => {
    const { gateway, workers } = await start([refuse('draining'), refuse('draining')]);
    const { status, error } = await gateway.infer();
    expect(status).toBe(503);
    expect(error).toBe('not now');
    expect((workers[0]?.queries.length ?? 0) + (workers[1]?.queries.length ?? 0)).toBe(2);
  });

  test('because it is full: its answer is passed on at once, and counted by its code', async () => {
    const { gateway, workers } = await start([refuse('queue_full'), refuse('queue_full')]);
    const series = 'inference_refusals_total{model="echo",reason="queue_full"}';
    const before = await metricSum(telemetry, series);
    expect((await gateway.infer()).status).toBe(503);
    expect((workers[0]?.queries.length ?? 0) + (workers[1]?.queries.length ?? 0)).toBe(1);
    await soon(() => metricSum(telemetry, series)).toBe(before + 1);
  });
});

describe('no worker', () => {
  test('503 with Retry-After once the wait is over', async () => {
    const { gateway, workers } = await start([answer()], { routeWaitMs: 60 });
    workers[0]?.die();
    const { status, error, headers } = await gateway.infer();
    expect(status).toBe(503);
    expect(error).toContain('no worker');
    expect(headers['retry-after']).toBe('1');
    expect((await gateway.call('GET', '/readyz')).status).toBe(503);
    expect((await gateway.call('GET', '/v2/models/echo/ready')).status).toBe(503);
    expect((await gateway.call('GET', '/v2/models/echo')).status).toBe(503);
    // Its models stay known: unknown ones are told at once.
    expect((await gateway.infer({ model: 'other' })).status).toBe(404);
  });

  test('a full room refuses at once', async () => {
    const { gateway, workers } = await start([answer()], { routeWaitersLimit: 1, routeWaitMs: 5000 });
    workers[0]?.die();
    const first = gateway.infer();
    await soon(() => metricSum(telemetry, 'vitrine_gateway_route_waiters_requests')).toBe(1);
    expect((await gateway.infer()).status).toBe(503);
    await workers[0]?.revive();
    expect((await first).status).toBe(200);
  });

  test('a worker that says that it is not ready gets nothing', async () => {
    const { gateway, workers } = await start([answer(), answer()]);
    (workers[0] as ScriptedWorker).ready = false;
    await soon(() => metricSum(telemetry, 'vitrine_gateway_workers{state="not_ready"}')).toBe(1);
    const before = workers[0]?.queries.length;
    for (let index = 0; index < 4; index += 1) expect((await gateway.infer()).status).toBe(200);
    expect(workers[0]?.queries.length).toBe(before);
  });

  test('a model that appears later is found', async () => {
    const { gateway, workers } = await start([answer()]);
    expect((await gateway.infer({ model: 'late' })).status).toBe(404);
    (workers[0] as ScriptedWorker).index = [
      ...READY,
      { name: 'late', version: '1', state: 'READY', reason: '' },
    ];
    await soon(async () => (await gateway.infer({ model: 'late' })).status).toBe(200);
  });

  test('queries beyond the connections wait for one, in order, and none fails', async () => {
    const { gateway, workers } = await start([answer()], { workerConnections: 2, routeWaitMs: 1 });
    const [worker] = workers as [ScriptedWorker];
    let most = 0;
    const here: ScriptedQuery[] = [];
    worker.script = (query) => {
      here.push(query);
      most = Math.max(most, here.length);
      if (here.length === 2) for (const waiting of here.splice(0)) answer()(waiting);
    };
    const results = await Promise.all(Array.from({ length: 50 }, () => gateway.infer()));
    expect(results.every(({ status }) => status === 200)).toBe(true);
    expect(most).toBe(2);
  });
});

describe('an answer that is none', () => {
  test.each([
    ['rubbish', raw('this is no HTTP\r\n\r\n')],
    ['a broken chunk', raw(`${HEAD}transfer-encoding: chunked\r\n\r\nXYZ\r\n`)],
    ['headers without end', raw(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}`)],
    ['more bytes than the limit', ({ response }) => void response.end(Buffer.alloc(3 * 1024 * 1024))],
  ] as [string, Script][])('%s: 502, and not a second time', async (_, script) => {
    const { gateway, workers } = await start([script]);
    const { status } = await gateway.infer();
    expect(status).toBe(502);
    expect(workers[0]?.queries.length).toBe(1);
    (workers[0] as ScriptedWorker).script = answer();
    expect((await gateway.infer()).status).toBe(200);
  });

  test.each([
    ['missing', undefined],
    ['negative', REPORT.replace('t=100', 't=-100')],
    ['rubbish', 'what;is=this'],
    ['of another version', REPORT.replace(/^2;/, '1;')],
    ['longer than any', `${REPORT}${'x'.repeat(5000)}`],
  ])('a report that is %s: the answer is passed on, its time is unreported', async (_, report) => {
    const { gateway } = await start([answer(report === undefined ? {} : { 'x-vitrine-report': report })]);
    const { status, headers } = await gateway.infer();
    expect(status).toBe(200);
    expect(String(headers['server-timing'])).toContain('unreported;dur=');
    expect(String(headers['server-timing'])).not.toContain('network;dur=');
  });
});

describe('the deadline', () => {
  test('a worker that hangs: 504 when it passes, and its call is cut', async () => {
    const { gateway, workers } = await start([hang]);
    const [worker] = workers as [ScriptedWorker];
    const arrived = arrival(worker);
    const pending = gateway.infer({ headers: { 'x-request-timeout-ms': '80' } });
    await arrived;
    const cut = once(worker.queries[0]?.request.socket as NodeJS.EventEmitter, 'close');
    const { status, error, headers } = await pending;
    expect(status).toBe(504);
    expect(error).toContain('80 ms');
    expect(String(headers['server-timing'])).toContain('unreported;dur=');
    await cut;
    expect(
      await metricSum(telemetry, 'inference_attempts_total{worker="worker-1",outcome="deadline"}'),
    ).toBeGreaterThan(0);
  });

  test('a body that does not arrive: 504', async () => {
    const { gateway } = await start([answer()]);
    const socket = connect(gateway.gateway.httpPort, '127.0.0.1');
    socket.write(
      'POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
        'x-request-timeout-ms: 50\r\ncontent-length: 100\r\n\r\n{',
    );
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1\.1 504 /);
    // And whoever goes on sending is cut.
    await once(socket, 'close');
  });

  test('no worker for longer than the deadline: 504', async () => {
    const { gateway, workers } = await start([answer()], { routeWaitMs: 5000 });
    workers[0]?.die();
    const { status } = await gateway.infer({ headers: { 'x-request-timeout-ms': '60' } });
    expect(status).toBe(504);
  });

  test('the model’s own, from the worker’s index', async () => {
    const { gateway } = await start([hang], {}, [
      { name: 'echo', version: '1', state: 'READY', reason: '', default_timeout_ms: 70 },
    ]);
    expect((await gateway.infer()).error).toContain('70 ms');
  });
});

describe('a client that goes away', () => {
  test('while a worker has its query: the call is cut, the outcome is cancelled', async () => {
    const { gateway, workers } = await start([hang]);
    const [worker] = workers as [ScriptedWorker];
    const before = await outcome('cancelled');
    const arrived = arrival(worker);
    const abort = new AbortController();
    const pending = gateway.infer({ signal: abort.signal });
    await arrived;
    const cut = once(worker.queries[0]?.request.socket as NodeJS.EventEmitter, 'close');
    abort.abort();
    await expect(pending).rejects.toThrow();
    await cut;
    await soon(() =>
      metricSum(telemetry, 'inference_requests_total{model="echo",version="",outcome="cancelled"}'),
    ).toBeGreaterThan(0);
    expect(await outcome('cancelled')).toBe(before);
    expect(
      await metricSum(telemetry, 'inference_attempts_total{worker="worker-1",outcome="cancelled"}'),
    ).toBeGreaterThan(0);
  });

  test('while it waits for a worker: no worker gets it', async () => {
    const { gateway, workers } = await start([answer()], { routeWaitMs: 5000 });
    const [worker] = workers as [ScriptedWorker];
    worker.die();
    const abort = new AbortController();
    const pending = gateway.infer({ signal: abort.signal });
    await soon(() => metricSum(telemetry, 'vitrine_gateway_route_waiters_requests')).toBe(1);
    abort.abort();
    await expect(pending).rejects.toThrow();
    await soon(() => metricSum(telemetry, 'vitrine_gateway_route_waiters_requests')).toBe(0);
    await worker.revive();
    await gateway.ready();
    expect(worker.queries).toHaveLength(0);
  });

  test('while its body arrives: nothing is held', async () => {
    const { gateway, workers } = await start([answer()]);
    const socket = connect(gateway.gateway.httpPort, '127.0.0.1');
    socket.write(
      'POST /v2/models/echo/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{',
    );
    await soon(() => metricSum(telemetry, 'vitrine_gateway_bodies_usage_bytes')).toBe(5000);
    socket.destroy();
    await soon(() => metricSum(telemetry, 'vitrine_gateway_bodies_usage_bytes')).toBe(0);
    expect(workers[0]?.queries).toHaveLength(0);
  });
});

describe('overload', () => {
  test('beyond the queries in flight: 503 with Retry-After before the body is read', async () => {
    const { gateway, workers } = await start([hang], { inFlightLimit: 2 });
    const [worker] = workers as [ScriptedWorker];
    const abort = new AbortController();
    const held = [1, 2].map(() => gateway.infer({ signal: abort.signal }).catch(() => {}));
    await soon(() => worker.queries.length).toBe(2);
    const before = await metricSum(telemetry, 'inference_refusals_total{model="echo",reason="overloaded"}');
    const { status, headers, error } = await gateway.infer();
    expect(status).toBe(503);
    expect(headers['retry-after']).toBe('1');
    expect(error).toContain('2 queries');
    expect(await metricSum(telemetry, 'inference_refusals_total{model="echo",reason="overloaded"}')).toBe(
      before + 1,
    );
    abort.abort();
    await Promise.all(held);
    await soon(() => metricSum(telemetry, 'vitrine_gateway_admitted_requests')).toBe(0);
    worker.script = answer();
    expect((await gateway.infer()).status).toBe(200);
  });

  test('beyond the bytes in flight: 503, announced or chunked; answers count too', async () => {
    const { gateway, workers } = await start([hang], { bodiesInFlightLimitBytes: 10_000 });
    const [worker] = workers as [ScriptedWorker];
    const abort = new AbortController();
    const held = gateway.infer({ body: Buffer.alloc(9000), signal: abort.signal }).catch(() => {});
    await soon(() => worker.queries.length).toBe(1);
    expect((await gateway.infer({ body: Buffer.alloc(2000) })).status).toBe(503);
    async function* chunks(): AsyncGenerator<Buffer> {
      for (let index = 0; index < 4; index += 1) yield Buffer.alloc(500);
    }
    expect((await gateway.infer({ body: chunks() as never })).status).toBe(503);
    abort.abort();
    await held;
  });
});
