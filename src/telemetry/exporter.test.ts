import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { trace } from '@opentelemetry/api';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeTraceRequest } from '../../test/otlp_request.ts';
import { loadConfig } from '../config/load.ts';
import { readOtelConfig } from '../config/otel.ts';
import { startTelemetry, type Telemetry } from './telemetry.ts';

/** An OTLP receiver that answers as told: a real collector cannot be made to fail in these ways on demand. */
async function createReceiver(answer: (request: number) => number | 'hang' = () => 200) {
  const spanIds: string[] = [];
  const names: string[] = [];
  let requests = 0;
  let held = 0;
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests += 1;
      const status = answer(requests);
      server.emit('exported');
      if (status === 'hang') {
        held += 1;
        return;
      }
      if (status === 200) {
        const body = Buffer.concat(chunks);
        for (const span of decodeTraceRequest(
          request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body,
        )) {
          spanIds.push(span.spanId);
          names.push(span.name);
        }
      }
      response.writeHead(status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spanIds,
    names,
    requests: () => requests,
    held: () => held,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

let telemetry: Telemetry | undefined;
afterEach(async () => {
  await telemetry?.close();
  telemetry = undefined;
});

async function start(url: string, env: Record<string, string> = {}): Promise<Telemetry> {
  telemetry = await startTelemetry({
    serviceName: 'vitrine-gateway',
    instanceId: 'gateway-0',
    version: '0.0.0',
    config: loadConfig(
      { VITRINE_TELEMETRY_LOG_LEVEL: 'silent', VITRINE_CONFIG: undefined },
      { telemetry: { ringBytes: 65_536 } },
    ).telemetry,
    otel: readOtelConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...env }),
  });
  return telemetry;
}

function query(of: Telemetry): string {
  const record = of.openGatewayQuery({}, '127.0.0.1', performance.now());
  record?.model('langid', '1');
  record?.finish({ status: 200, clientGone: false, finishedMs: performance.now() });
  return record?.spanId ?? '';
}

async function metric(of: Telemetry, line: string): Promise<number> {
  const { body } = await of.renderMetrics('application/openmetrics-text');
  const found = body.split('\n').find((text) => text.startsWith(`${line} `));
  return Number(found?.split(' ')[1]);
}

const SPANS = 'vitrine_telemetry_spans_total';

describe('export', () => {
  test.each([{}, { OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }])(
    'every kept record arrives once (%j)',
    async (env) => {
      await using receiver = await createReceiver();
      const of = await start(receiver.url, env as Record<string, string>);
      const sent = Array.from({ length: 50 }, () => query(of));
      expect(await of.drain(10_000)).toBe(true);
      expect(receiver.spanIds.toSorted()).toEqual(sent.toSorted());
      expect(await metric(of, `${SPANS}{outcome="exported"}`)).toBe(50);
    },
  );

  test('a crash of the export thread loses nothing that was finished', async () => {
    await using receiver = await createReceiver();
    const of = await start(receiver.url);
    const sent = [query(of)];
    await of.drain(10_000);
    await of.crashExportThread();
    for (let index = 0; index < 50; index += 1) sent.push(query(of));
    expect(await of.drain(10_000)).toBe(true);
    expect(new Set(receiver.spanIds)).toEqual(new Set(sent));
    expect(await metric(of, 'vitrine_telemetry_export_thread_restarts_total')).toBe(1);
  });

  test('a receiver that is behind (503) is tried again; one that refuses (400) is not, and the spans are counted', async () => {
    await using receiver = await createReceiver((request) =>
      request === 1 ? 503 : request === 2 ? 200 : 400,
    );
    const of = await start(receiver.url);
    const first = query(of);
    while (receiver.requests() < 2) await once(receiver.server, 'exported');
    await of.drain(10_000);
    query(of);
    await of.drain(10_000);
    expect(receiver.spanIds).toEqual([first]);
    expect(receiver.requests()).toBe(3);
    expect(await metric(of, `${SPANS}{outcome="exported"}`)).toBe(1);
    expect(await metric(of, `${SPANS}{outcome="rejected"}`)).toBe(1);
    expect(await metric(of, 'vitrine_telemetry_export_failures_total')).toBe(2);
  });

  test('a receiver that hangs blocks nothing: the ring fills, new queries are shed whole and counted', async () => {
    await using receiver = await createReceiver(() => 'hang');
    const of = await start(receiver.url);
    for (let index = 0; index < 2000; index += 1) query(of);
    const [kept, shed, dropped] = await Promise.all(
      ['kept', 'shed', 'dropped'].map((outcome) =>
        metric(of, `vitrine_telemetry_records_total{outcome="${outcome}"}`),
      ),
    );
    expect(kept).toBeGreaterThan(0);
    expect(shed).toBeGreaterThan(0);
    expect((kept as number) + (shed as number) + (dropped as number)).toBe(2000);
    expect(await metric(of, 'inference_requests_total{model="langid",version="1",outcome="ok"}')).toBe(2000);
    expect(await of.drain(50)).toBe(false);
  });

  test('spans opened through the SDK follow the verdict of their query, inside it or after it', async () => {
    await using receiver = await createReceiver();
    const of = await start(receiver.url);
    const tracer = trace.getTracer('user');
    const kept = of.openGatewayQuery({}, 'a', performance.now());
    kept?.run(() => tracer.startActiveSpan('inside kept', (span) => span.end()));
    const late = kept?.run(() => tracer.startSpan('after kept'));
    kept?.finish({ status: 200, clientGone: false, finishedMs: performance.now() });
    late?.end();
    const clear = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`;
    const notKept = of.openGatewayQuery({ traceparent: clear }, 'a', performance.now());
    notKept?.run(() => tracer.startActiveSpan('inside not kept', (span) => span.end()));
    notKept?.finish({ status: 200, clientGone: false, finishedMs: performance.now() });
    await of.drain(10_000);
    expect(receiver.names.toSorted()).toEqual(['after kept', 'infer unknown', 'inside kept']);
  });

  test('logs, context and headers: malformed ones start a new trace, B3 is read, traceparent wins', async () => {
    await using receiver = await createReceiver();
    const of = await start(receiver.url);
    const b3 = `${'c'.repeat(32)}-${'d'.repeat(16)}-1`;
    const w3c = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const traceIdOf = (headers: Record<string, string>): string => {
      const record = of.openGatewayQuery(headers, 'a', performance.now());
      const active = record?.run(() => trace.getActiveSpan()?.spanContext());
      expect(active?.spanId).toBe(record?.spanId);
      record?.finish({ status: 200, clientGone: false, finishedMs: performance.now() });
      return record?.traceId ?? '';
    };
    expect(traceIdOf({ b3 })).toBe('c'.repeat(32));
    expect(traceIdOf({ b3, traceparent: w3c })).toBe('a'.repeat(32));
    expect(traceIdOf({ traceparent: w3c, 'x-trace-id': 'e'.repeat(32) })).toBe('a'.repeat(32));
    expect(traceIdOf({ 'x-trace-id': 'e'.repeat(32) })).toBe('e'.repeat(32));
    expect(traceIdOf({ traceparent: 'rubbish', baggage: 'x'.repeat(100_000) })).toMatch(/^[0-9a-f]{32}$/);
  });
});
