/**
 * The whole service under load as a real Prometheus sees it: two gateways, of which one keeps traces
 * retroactively, two workers, console and enricher as processes, and a third worker whose GPU is a recording.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setInterval as everySecond } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SERVICE_GATEWAY, SERVICE_WORKER } from '../../src/contract/attributes.ts';
import { yamlText } from '../../src/slo/rule_file.ts';
import { type Service, startService } from '../system/service.ts';
import { freePort, launchPrometheus, type RunningPrometheus } from './prometheus.ts';
import { type RecordedGpuWorker, startRecordedGpuWorker } from './recorded_gpu_worker.ts';
import { type SteadyLoad, startLoad } from './steady_load.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ALERTS = new URL('../../alerts/', import.meta.url);
const SCRAPE_INTERVAL = '1s';
const DAY_MS = 86_400_000;

export interface ObservedService extends AsyncDisposable {
  readonly service: Service;
  readonly prometheus: RunningPrometheus;
  readonly load: SteadyLoad;
}

/** The committed rules, evaluated every second; nothing else of them is changed. */
function ruleFile(name: string): string {
  return readFileSync(new URL(name, ALERTS), 'utf8').replaceAll(
    /^( +interval:) \S+$/gm,
    `$1 ${SCRAPE_INTERVAL}`,
  );
}

interface StaticTarget {
  readonly url: string;
  readonly job: string;
  readonly instance: string;
}

function configuration(discoveryUrl: string, others: readonly StaticTarget[]): string {
  return yamlText([], {
    global: { scrape_interval: SCRAPE_INTERVAL, evaluation_interval: SCRAPE_INTERVAL },
    rule_files: ['vitrine.rules.yml', 'objectives.rules.yml'],
    scrape_configs: [
      {
        job_name: 'discovered',
        http_sd_configs: [{ url: discoveryUrl, refresh_interval: SCRAPE_INTERVAL }],
      },
      {
        job_name: 'named',
        static_configs: others.map(({ url, job, instance }) => ({
          targets: [new URL(url).host],
          labels: { job, instance },
        })),
      },
    ],
  });
}

/** A gateway beside the supervised one. @param serves whether it finds workers, which is then waited for */
async function startGateway(env: Readonly<Record<string, string>>, serves: boolean) {
  const child = spawn(process.execPath, ['src/bin/gateway.ts'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      VITRINE_TELEMETRY_LOG_FORMAT: 'json',
      VITRINE_GATEWAY_HTTP_PORT: '0',
      VITRINE_GATEWAY_METRICS_PORT: '0',
      ...env,
    },
  });
  const exited = once(child, 'exit');
  const ready = Promise.withResolvers<{ http: number; metrics: number }>();
  let answering = () => {};
  const answers = new Promise<void>((resolve) => {
    answering = resolve;
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as { msg: string; ports?: { http: number; metrics: number } };
    if (/^gateway \d+ is ready$/.test(line.msg) && line.ports !== undefined) ready.resolve(line.ports);
    if (line.msg === 'worker is ready') answering();
  });
  void exited.then(() => ready.reject(new Error('the gateway ended before it was ready')));
  const ports = await ready.promise;
  if (serves) await answers;
  return {
    url: `http://127.0.0.1:${ports.http}`,
    metricsUrl: `http://127.0.0.1:${ports.metrics}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** A receiver of the enricher's messages. */
async function startSink() {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** What Alertmanager would post; another message each time. */
function alertMessage(): string {
  const labels = { alertname: 'VitrineErrorSurge', model: 'langid', severity: 'page', system: 'vitrine' };
  return JSON.stringify({
    version: '4',
    groupKey: '{}:{alertname="VitrineErrorSurge"}',
    truncatedAlerts: 0,
    status: 'firing',
    receiver: 'page',
    groupLabels: { alertname: labels.alertname },
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: 'http://localhost:9093',
    alerts: [
      {
        status: 'firing',
        labels,
        annotations: {},
        startsAt: new Date().toISOString(),
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: '',
        fingerprint: '1',
      },
    ],
  });
}

/** A message to the enricher every second. */
function tellAlerts(url: string): AsyncDisposable {
  const end = new AbortController();
  const told = (async () => {
    for await (const _ of everySecond(1000, undefined, { signal: end.signal })) {
      await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: alertMessage(),
        signal: end.signal,
      });
    }
  })().catch((error: unknown) => {
    if (!end.signal.aborted) throw error;
  });
  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      await told;
    },
  };
}

/**
 * Durations as this very service shows them, a day earlier: for the one rule that compares with yesterday. Two
 * scrapes of a gateway, half an hour apart.
 */
function yesterday(before: string, after: string): string[] {
  const now = Date.now();
  const moved = (text: string, atMs: number): string[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('inference_service_duration_seconds_'))
      .map((line) => {
        const [sample = ''] = line.split(' # ');
        const labelled = sample.replace('{', '{job="vitrine-gateway",instance="gateway-0",');
        return `${labelled} ${(atMs / 1000).toFixed(3)}\n`;
      });
  return [
    ...moved(before, now - DAY_MS - 40 * 60_000),
    ...moved(after, now - DAY_MS - 10 * 60_000),
    '# EOF\n',
  ];
}

export async function startObservedService(): Promise<ObservedService> {
  await using opened = new AsyncDisposableStack();
  const prometheusPort = await freePort();
  const sink = opened.use(await startSink());
  const service = opened.use(
    await startService({
      workers: 2,
      env: {
        VITRINE_ENRICHER_ENABLED: 'true',
        VITRINE_ENRICHER_HTTP_PORT: '0',
        VITRINE_ENRICHER_PROMETHEUS_URL: `http://127.0.0.1:${prometheusPort}`,
        VITRINE_ENRICHER_FORWARD_URLS: sink.url,
      },
    }),
  );
  const portsOf = async (name: string, index: number): Promise<Record<string, number>> =>
    (await service.ready(name, index)).ports as Record<string, number>;
  const gpuWorker: RecordedGpuWorker = opened.use(
    await startRecordedGpuWorker('worker-3', { recording: 'working', processId: 4711 }),
  );
  const workers = await Promise.all([1, 2].map((index) => portsOf('worker', index)));
  const retroactive = opened.use(
    await startGateway(
      {
        VITRINE_GATEWAY_INDEX: '1',
        VITRINE_TELEMETRY_MODE: 'retroactive',
        VITRINE_GATEWAY_WORKERS: [
          ...workers.map(({ http }) => `http://127.0.0.1:${http}`),
          gpuWorker.url,
        ].join(','),
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(await portsOf('console', 0)).otlp}`,
      },
      true,
    ),
  );
  // A name that no DNS has; whether this machine has one at all, it asks.
  const asking = opened.use(
    await startGateway(
      {
        VITRINE_GATEWAY_INDEX: '2',
        VITRINE_GATEWAY_WORKERS_DNS: 'workers.invalid:8101',
        VITRINE_GATEWAY_WORKERS_DNS_INTERVAL_MS: '1000',
        OTEL_TRACES_EXPORTER: 'none',
      },
      false,
    ),
  );

  const before = await service.scrapeText();
  const load = opened.use(await startLoad([service.url, retroactive.url]));
  // The first answers, by which the day before is made up.
  while (load.sent < 50) await service.scrapeText();
  const backfilled = yesterday(before, await service.scrapeText());

  const prometheus = opened.use(
    await launchPrometheus({
      port: prometheusPort,
      backfilled,
      config: configuration(`${service.metricsUrl}/targets`, [
        { url: retroactive.metricsUrl, job: SERVICE_GATEWAY, instance: 'gateway-1' },
        { url: asking.metricsUrl, job: SERVICE_GATEWAY, instance: 'gateway-2' },
        { url: gpuWorker.url, job: SERVICE_WORKER, instance: gpuWorker.instance },
      ]),
      files: {
        'vitrine.rules.yml': ruleFile('vitrine.rules.yml'),
        'objectives.rules.yml': ruleFile('objectives.rules.yml'),
      },
      flags: ['--enable-feature=exemplar-storage'],
    }),
  );
  const { http: enricherPort } = await portsOf('enricher', 0);
  opened.use(tellAlerts(`http://127.0.0.1:${enricherPort}/alerts`));
  const held = opened.move();
  return {
    service,
    prometheus,
    load,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
