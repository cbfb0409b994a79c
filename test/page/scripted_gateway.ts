/** A gateway as the console sees one: its list of targets and its metrics, which a test moves. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SentSpan, spanId, traceId } from './console_process.ts';

/** The edge that the objective of langid promises. */
const EDGE_S = 0.05;

export interface ScriptedGateway extends AsyncDisposable {
  readonly targetsUrl: string;
  /** From now on, queries of langid a second: within the objective, and beyond it. */
  traffic(fastPerS: number, slowPerS: number): void;
}

export async function startScriptedGateway(): Promise<ScriptedGateway> {
  let [fastPerS, slowPerS] = [0, 0];
  let [fast, slow] = [0, 0];
  let countedMs = performance.now();
  const count = (): void => {
    const nowMs = performance.now();
    const passedS = (nowMs - countedMs) / 1000;
    countedMs = nowMs;
    fast += passedS * fastPerS;
    slow += passedS * slowPerS;
  };
  const startedMs = performance.now();
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo;
    if (request.url !== '/metrics') {
      const labels = { job: 'vitrine-gateway', instance: 'gateway-0' };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify([{ targets: [`127.0.0.1:${port}`], labels }]));
      return;
    }
    count();
    const answered = 'model="langid",version="1",outcome="ok"';
    const [within, all] = [Math.floor(fast), Math.floor(fast) + Math.floor(slow)];
    response.end(
      [
        `inference_service_duration_seconds_bucket{${answered},le="${EDGE_S}"} ${within}`,
        `inference_service_duration_seconds_bucket{${answered},le="+Inf"} ${all}`,
        `inference_service_duration_seconds_count{${answered}} ${all}`,
        `inference_requests_total{${answered}} ${all}`,
        'vitrine_gateway_workers{state="ready"} 2',
        `process_uptime_seconds ${(performance.now() - startedMs) / 1000}`,
        '',
      ].join('\n'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    targetsUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics/targets`,
    traffic(fastEach, slowEach) {
      count();
      [fastPerS, slowPerS] = [fastEach, slowEach];
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The spans of one query with its ledger: a gateway's, and its attempt at a worker. */
export function ledgerSpans(
  number: number,
  {
    startMs,
    computeMs,
    worker,
  }: { readonly startMs: number; readonly computeMs: number; readonly worker: string },
): SentSpan[] {
  const own = { service: 'vitrine-gateway', instance: 'gateway-0', traceId: traceId(number), startMs };
  const totalMs = computeMs + 3;
  const model = { 'inference.model.name': 'langid', 'inference.model.version': '1' };
  return [
    {
      ...own,
      spanId: spanId(2 * number),
      name: 'infer langid',
      kind: 2,
      durationMs: totalMs,
      attributes: {
        ...model,
        'inference.outcome': 'ok',
        'vitrine.total_ms': totalMs,
        'vitrine.unattributed_ms': 0.01,
        'vitrine.stage.receive_ms': 0.5,
        'vitrine.stage.queue_ms': 1,
        'vitrine.stage.compute_ms': computeMs,
        'vitrine.stage.respond_ms': 0.5,
      },
    },
    {
      ...own,
      spanId: spanId(2 * number + 1),
      parentSpanId: spanId(2 * number),
      name: 'attempt',
      kind: 3,
      durationMs: totalMs - 1,
      attributes: { ...model, 'inference.worker': worker, 'inference.attempt.outcome': 'ok' },
    },
  ];
}
