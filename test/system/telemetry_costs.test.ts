/**
 * Series, spans and bytes of the running service, which `vitrine plan` and docs/scaling.md reckon with: as they are
 * in src/cli/scaling_costs.ts. Ten per cent of room, so that a further metric does not fail it and a further label
 * does.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { COSTS } from '../../src/cli/scaling_costs.ts';
import { decodeTraceRequest } from '../otlp_request.ts';
import { startService } from './service.ts';

const MODELS = 3;
const WORKERS = 2;
const QUERIES = 600;
const TOGETHER = 8;
const TOLERANCE = 0.1;

/** A receiver of OTLP that keeps what it gets. */
async function startReceiver() {
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Lines of a scrape that are samples; collections of garbage are counted by kinds that happened. */
function seriesOf(scrape: string): number {
  return scrape
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('v8js_gc')).length;
}

/** Of all four kinds: ten lines and two each. */
const GC_SERIES = 48;

test('what a query and a scrape cost is what the plan says', async () => {
  const models = mkdtempSync(join(tmpdir(), 'vitrine-costs-'));
  for (let index = 0; index < MODELS; index += 1) {
    cpSync(new URL('../../models/langid/1', import.meta.url), join(models, `langid-${index}`, '1'), {
      recursive: true,
    });
  }
  await using receiver = await startReceiver();
  const scrapes: { readonly instance: string; readonly series: number }[] = [];
  {
    await using service = await startService({
      workers: WORKERS,
      models,
      env: { VITRINE_CONSOLE_ENABLED: 'false', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url },
    });
    const lane = async (first: number): Promise<void> => {
      for (let index = first; index < QUERIES; index += TOGETHER) {
        const answer = await fetch(`${service.url}/v2/models/langid-${index % MODELS}/infer`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: [`Where did ${index} ms go?`] }],
          }),
        });
        expect(answer.status).toBe(200);
        await answer.arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, (_, first) => lane(first)));
    const targets = (await (await fetch(`${service.metricsUrl}/targets`)).json()) as {
      targets: [string];
      labels: { instance: string };
    }[];
    for (const {
      targets: [address],
      labels,
    } of targets) {
      const scrape = await (await fetch(`http://${address}/metrics`)).text();
      scrapes.push({ instance: labels.instance, series: seriesOf(scrape) });
    }
    // Ending the service flushes what is still in its processes.
  }
  rmSync(models, { recursive: true });

  const near = (measured: number, { value }: { readonly value: number }, what: string): void => {
    expect(measured, what).toBeGreaterThan(value * (1 - TOLERANCE));
    expect(measured, what).toBeLessThan(value * (1 + TOLERANCE));
  };
  const gateway = COSTS.gatewaySeries.value - GC_SERIES + COSTS.gatewaySeriesPerModel.value * MODELS;
  const expected = {
    'gateway-0': gateway + COSTS.gatewaySeriesPerWorker.value * WORKERS,
    'worker-1': COSTS.workerSeries.value - GC_SERIES + COSTS.workerSeriesPerModel.value * MODELS,
    'worker-2': COSTS.workerSeries.value - GC_SERIES + COSTS.workerSeriesPerModel.value * MODELS,
  };
  expect(scrapes.map(({ instance }) => instance).sort()).toEqual(Object.keys(expected));
  for (const { instance, series } of scrapes) {
    near(series, { value: expected[instance as keyof typeof expected] }, instance);
  }

  const spans = receiver.bodies.flatMap((body) => decodeTraceRequest(body));
  const batches = spans.filter(({ name }) => name.startsWith('batch')).length;
  expect(spans.length - batches).toBe(COSTS.spansPerQuery.value * QUERIES);
  const bytes = receiver.bodies.reduce((sum, body) => sum + body.length, 0);
  const reckoned =
    QUERIES * COSTS.spansPerQuery.value * COSTS.querySpanBytes.value + batches * COSTS.batchSpanBytes.value;
  near(bytes, { value: reckoned }, 'bytes of all spans');
  const zipped = receiver.bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
  expect(zipped / bytes).toBeGreaterThan(COSTS.gzipRatio.value / 2);
  expect(zipped / bytes).toBeLessThan(COSTS.gzipRatio.value * 2);
});
