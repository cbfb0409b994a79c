/** What DESIGN promises when processes die, the console fails, or a query is poison; on the running service. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ATTR, stageAttribute } from '../../src/contract/attributes.ts';
import { type Service, startService } from './service.ts';

function ask(service: Service, text = 'Where is the station?') {
  // Longer than a restart takes on a busy machine: a deadline is not what is tested here.
  return service.client.text('langid', text, { timeoutMs: 40_000 });
}

/** Asks without pause from so many clients until told to stop. Every failure is kept. */
function load(service: Service, concurrency: number) {
  let running = true;
  const failures: unknown[] = [];
  const traceIds: string[] = [];
  const lanes = Array.from({ length: concurrency }, async () => {
    for (let index = 0; running; index += 1) {
      try {
        traceIds.push((await ask(service, `sentence number ${index}`)).traceId ?? '');
      } catch (error) {
        failures.push(error);
        await nextTurn();
      }
    }
  });
  return {
    failures,
    traceIds,
    async reach(count: number): Promise<void> {
      while (traceIds.length < count && failures.length < 1000) await nextTurn();
    },
    async stop(): Promise<void> {
      running = false;
      await Promise.all(lanes);
    },
  };
}

/** Whether a process still exists. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when a process is gone; the test's own timeout is the bound. */
async function gone(pid: number): Promise<void> {
  while (exists(pid)) await nextTurn();
}

async function metric(service: Service, sample: string): Promise<number> {
  return (await service.scrape()).get(sample) ?? 0;
}

describe('processes killed under load', () => {
  test('kill -9 of a worker with two workers: no query fails, and the lost attempt is in its trace', async () => {
    await using service = await startService({ workers: 2 });
    for (let index = 0; index < 10; index += 1) await ask(service);
    const running = load(service, 8);
    await running.reach(200);
    const lostBefore = await metric(service, 'inference_attempts_total{worker="worker-1",outcome="lost"}');
    process.kill(service.pid('worker', 1), 'SIGKILL');
    await service.ready('worker', 1, 2);
    await running.reach(running.traceIds.length + 200);
    await running.stop();
    expect(running.failures).toEqual([]);
    const lost =
      (await metric(service, 'inference_attempts_total{worker="worker-1",outcome="lost"}')) - lostBefore;
    expect(lost).toBeGreaterThan(0);
    const found = await fetch(
      `${service.consoleUrl}/api/traces?service=vitrine-gateway&operation=attempt&limit=20&lookback=1h` +
        `&tags=${encodeURIComponent(JSON.stringify({ [ATTR.attemptOutcome]: 'lost' }))}`,
    );
    const { data } = (await found.json()) as { data: { traceID: string }[] };
    expect(data.length).toBeGreaterThan(0);
    const trace = await service.client.trace(data[0]?.traceID ?? '', service.consoleUrl);
    const attempts = trace.spans.filter((span) => span.name === 'attempt');
    const first = attempts.find((span) => span.attributes.get(ATTR.attemptOutcome) === 'lost');
    expect(first?.attributes.get(ATTR.worker)).toBe('worker-1');
    expect(attempts.some((span) => span.attributes.get(ATTR.attemptOutcome) === 'ok')).toBe(true);
    const query = trace.spans.find((span) => span.kind === 'server' && span.service === 'vitrine-gateway');
    expect(query?.attributes.get(ATTR.outcome)).toBe('ok');
    if (first?.attributes.get(ATTR.unreported) === true) {
      expect(Number(query?.attributes.get(stageAttribute('retry')))).toBeGreaterThan(0);
    }
  }, 60_000);

  test('the only worker dies: queries wait in route for its successor, and none fails', async () => {
    await using service = await startService({ workers: 1, env: { VITRINE_GATEWAY_ROUTE_WAIT_MS: '30000' } });
    await ask(service);
    process.kill(service.pid('worker', 1), 'SIGKILL');
    await service.line(({ msg }) => /worker 1/.test(msg) && /restart|ended|exited|died|killed/i.test(msg));
    const answer = await ask(service);
    const trace = await service.client.trace(answer.traceId ?? '', service.consoleUrl, {
      waitMs: 10_000,
      until: ({ spans }) => spans.some((span) => span.service === 'vitrine-gateway'),
    });
    const query = trace.spans.find((span) => span.service === 'vitrine-gateway' && span.kind === 'server');
    expect(query?.attributes.get(ATTR.outcome)).toBe('ok');
    const { route = 0 } = answer.serverTiming;
    expect(route).toBeGreaterThan(answer.serverTiming.compute ?? 0);
  }, 60_000);

  test('kill -9 of the console: no query fails, and its successor takes traces again', async () => {
    await using service = await startService({
      env: {
        VITRINE_CONSOLE_HTTP_PORT: String(await freePort()),
        VITRINE_CONSOLE_OTLP_PORT: String(await freePort()),
      },
    });
    const running = load(service, 4);
    await running.reach(50);
    process.kill(service.pid('console', 0), 'SIGKILL');
    await service.ready('console', 0, 2);
    await running.reach(running.traceIds.length + 50);
    await running.stop();
    expect(running.failures).toEqual([]);
    const answer = await ask(service);
    await service.client.trace(answer.traceId ?? '', service.consoleUrl, { waitMs: 15_000 });
  }, 60_000);

  test('kill -9 of the gateway: it is started again on its port, and counts begin anew', async () => {
    await using service = await startService({
      env: { VITRINE_GATEWAY_HTTP_PORT: String(await freePort()) },
    });
    await ask(service);
    const worker = service.pid('worker', 1);
    process.kill(service.pid('gateway', 0), 'SIGKILL');
    await service.ready('gateway', 0, 2);
    const answer = await ask(service);
    expect(answer.status).toBe(200);
    expect(service.pid('worker', 1)).toBe(worker);
  }, 60_000);

  test('kill -9 of the supervisor: every process drains and exits, none is orphaned', async () => {
    await using service = await startService({ workers: 2, gateways: 2 });
    await ask(service);
    const pids = [
      service.pid('console', 0),
      service.pid('worker', 1),
      service.pid('worker', 2),
      service.pid('gateway', 0),
      (await service.ready('gateway', 1)).pid as number,
    ];
    expect(pids.every(exists)).toBe(true);
    service.supervisor.kill('SIGKILL');
    await Promise.all(pids.map(gone));
  }, 60_000);

  test('SIGTERM drains: a query in flight is answered, and everything exits 0', async () => {
    await using service = await startService();
    await ask(service);
    await service.fault('worker-1', 'compute', { delayMs: 500, leaseMs: 10_000 });
    const inFlight = ask(service);
    while ((await metric(service, 'inference_in_flight_requests{model="langid"}')) === 0) await nextTurn();
    service.supervisor.kill('SIGTERM');
    expect((await inFlight).status).toBe(200);
    const [code] =
      service.supervisor.exitCode === null
        ? await once(service.supervisor, 'exit')
        : [service.supervisor.exitCode];
    expect(code).toBe(0);
  }, 60_000);
});

describe('poison', () => {
  test('a body that crashes two workers is quarantined at once; others are served', async () => {
    await using service = await startService({ workers: 2 });
    await ask(service);
    for (const worker of ['worker-1', 'worker-2'])
      await service.fault(worker, 'compute', { crash: true, leaseMs: 60_000 });
    await expect(ask(service, 'poison')).rejects.toMatchObject({ status: expect.any(Number) });
    // Their successors carry no fault: the body alone is refused now.
    await Promise.all([service.ready('worker', 1, 2), service.ready('worker', 2, 2)]);
    await expect(ask(service, 'poison')).rejects.toMatchObject({ status: 422 });
    expect((await ask(service, 'innocent')).status).toBe(200);
    expect(
      await metric(service, 'inference_refusals_total{model="langid",reason="quarantined"}'),
    ).toBeGreaterThan(0);
  }, 60_000);
});

describe('telemetry that fails disturbs no query', () => {
  test('collector down: same answers, drops counted', async () => {
    await using service = await startService({
      env: {
        VITRINE_CONSOLE_ENABLED: 'false',
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      },
    });
    for (let index = 0; index < 20; index += 1) expect((await ask(service)).status).toBe(200);
    while ((await metric(service, 'vitrine_telemetry_spans_total{outcome="dropped"}')) === 0)
      await nextTurn();
    expect(await metric(service, 'vitrine_telemetry_export_failures_total')).toBeGreaterThanOrEqual(5);
    expect((await ask(service)).status).toBe(200);
  }, 60_000);

  test('a collector that takes connections and never answers: same answers', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    {
      await using service = await startService({
        env: { VITRINE_CONSOLE_ENABLED: 'false', OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
      });
      for (let index = 0; index < 50; index += 1) expect((await ask(service)).status).toBe(200);
    }
    for (const socket of sockets) socket.destroy();
    silent.close();
  }, 60_000);

  test('a corrupt database is set aside with a notice, and a new one takes traces', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vitrine-corrupt-'));
    const databasePath = join(folder, 'traces.db');
    writeFileSync(databasePath, 'this is no database'.repeat(1000));
    {
      await using service = await startService({ env: { VITRINE_CONSOLE_DATABASE_PATH: databasePath } });
      const answer = await ask(service);
      await service.client.trace(answer.traceId ?? '', service.consoleUrl, { waitMs: 10_000 });
      await service.line(({ level, msg }) => level === 'warn' && /set aside|corrupt/i.test(msg));
    }
    await rm(folder, { recursive: true });
  }, 60_000);

  test('a locked database: queries go on, and their traces arrive once it is free', async () => {
    await using service = await startService();
    await ask(service);
    const lock = new DatabaseSync(join(service.folder, 'traces.db'));
    lock.exec('BEGIN EXCLUSIVE');
    const answers = [];
    for (let index = 0; index < 20; index += 1) answers.push(await ask(service));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    lock.exec('ROLLBACK');
    lock.close();
    await service.client.trace(answers[0]?.traceId ?? '', service.consoleUrl, { waitMs: 20_000 });
  }, 60_000);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
