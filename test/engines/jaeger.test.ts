/**
 * deploy/jaeger/jaeger.yaml in a real Jaeger, behind the Collector's committed file and beside a Prometheus that
 * scrapes it: a trace is found again, also after a restart, and the monitor tab has something to show.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setInterval as everySecond } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ATTR } from '../../src/contract/attributes.ts';
import { endCollector, launchCollector, type Running, startCollector } from './collector.ts';
import { freePort, launchPrometheus } from './prometheus.ts';

const ROOT = join(import.meta.dirname, '../..');
const SERVICE = 'vitrine-gateway';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-jaeger-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Jaeger {
  readonly url: string;
  readonly health: string;
  readonly otlp: string;
  start(): Promise<Running>;
}

/** The committed file with other addresses. */
async function jaegerOf(prometheusUrl: string): Promise<Jaeger> {
  const ports = new Map<string, number>();
  let text = readFileSync(join(ROOT, 'deploy/jaeger/jaeger.yaml'), 'utf8');
  for (const place of ['4317', '4318', '13133', '16686', '16685']) {
    const port = await freePort();
    ports.set(place, port);
    text = text.replaceAll(`0.0.0.0:${place}`, `127.0.0.1:${port}`);
  }
  text = text.replace('host: 0.0.0.0', 'host: 127.0.0.1').replace('port: 8888', `port: ${await freePort()}`);
  const config = join(folder, 'jaeger.yaml');
  writeFileSync(config, text);
  return {
    url: `http://127.0.0.1:${ports.get('16686')}`,
    health: `http://127.0.0.1:${ports.get('13133')}/status`,
    otlp: `127.0.0.1:${ports.get('4317')}`,
    start: () =>
      launchCollector('jaeger', config, {
        PROMETHEUS_URL: prometheusUrl,
        BADGER_DIRECTORY: join(folder, 'badger'),
        JAEGER_UI_CONFIG: join(ROOT, 'deploy/jaeger/ui.json'),
      }),
  };
}

/** The answer as soon as it fits. */
async function answerWith<T>(url: string, fits: (body: T) => boolean): Promise<T> {
  for await (const _ of everySecond(1000)) {
    const answer = await fetch(url);
    if (!answer.ok) continue;
    const body = (await answer.json()) as T;
    if (fits(body)) return body;
  }
  throw new Error('never');
}

function otlp(count: number): { readonly ids: readonly string[]; readonly body: string } {
  const now = Date.now();
  const ids = Array.from({ length: count }, () => randomBytes(16).toString('hex'));
  const spans = ids.map((traceId) => ({
    traceId,
    spanId: randomBytes(8).toString('hex'),
    name: 'infer langid',
    kind: 2,
    startTimeUnixNano: `${now - 20}000000`,
    endTimeUnixNano: `${now}000000`,
    attributes: [{ key: ATTR.model, value: { stringValue: 'langid' } }],
    status: { code: 2 },
  }));
  const resource = { attributes: [{ key: ATTR.serviceName, value: { stringValue: SERVICE } }] };
  return { ids, body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }) };
}

interface Monitor {
  readonly metrics: readonly {
    readonly metricPoints: readonly { readonly gaugeValue: { doubleValue: number } }[];
  }[];
}

test('traces come through the Collector, are found, and outlive a restart; the monitor tab has figures', async () => {
  // Each has to know the other's address before it starts.
  const prometheusPort = await freePort();
  const jaeger = await jaegerOf(`http://127.0.0.1:${prometheusPort}`);
  let running = await jaeger.start();
  try {
    expect((await fetch(jaeger.health)).status).toBe(200);
    await using collector = await startCollector('otel-collector.yaml', {
      JAEGER_OTLP_ENDPOINT: jaeger.otlp,
    });
    await using prometheus = await launchPrometheus({
      port: prometheusPort,
      config: `scrape_configs: [{job_name: c, honor_labels: true, scrape_interval: 1s, static_configs: [{targets: ['127.0.0.1:${collector.ports.metrics}']}]}]\n`,
    });
    const post = async (body: string): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${collector.ports.otlpHttp}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(answer.status).toBe(200);
    };
    const { ids, body } = otlp(50);
    await post(body);

    interface Found {
      readonly result: { readonly resourceSpans: readonly unknown[] };
    }
    // One batch: when the last is there, so are the others.
    await answerWith<Found>(`${jaeger.url}/api/v3/traces/${ids.at(-1)}`, () => true);
    for (const id of ids) {
      const { result } = (await (await fetch(`${jaeger.url}/api/v3/traces/${id}`)).json()) as Found;
      expect(result.resourceSpans, id).toHaveLength(1);
    }
    // As Grafana's data source asks.
    const services = (await (await fetch(`${jaeger.url}/api/services`)).json()) as { data: string[] };
    expect(services.data).toEqual([SERVICE]);

    // A rate needs two flushes that differ: the next comes when Prometheus has seen the first.
    for await (const _ of everySecond(1000)) {
      const calls = await prometheus.query('traces_span_metrics_calls_total');
      if (calls.some(({ value }) => value > 0)) break;
    }
    await post(otlp(50).body);
    const monitor = (what: string): string =>
      `${jaeger.url}/api/metrics/${what}?service=${SERVICE}&spanKind=server&lookback=600000&step=5000&ratePer=60000&quantile=0.95`;
    const isPositive = ({ metrics }: Monitor): boolean =>
      metrics.some(({ metricPoints }) => metricPoints.some(({ gaugeValue }) => gaugeValue.doubleValue > 0));
    for (const what of ['calls', 'latencies', 'errors']) await answerWith(monitor(what), isPositive);

    await endCollector(running.child, 'SIGTERM');
    running = await jaeger.start();
    const again = await answerWith<Found>(`${jaeger.url}/api/v3/traces/${ids[0]}`, () => true);
    expect(again.result.resourceSpans).toHaveLength(1);
  } finally {
    await endCollector(running.child, 'SIGTERM');
  }
});
