/** A real enricher before a real console, with a receiver behind it, and messages as Alertmanager sends them. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadConfig } from '../config/load.ts';
import { readOtelConfig } from '../config/otel.ts';
import { type Console, createConsole } from '../console/console.ts';
import { ATTR, SERVICE_GATEWAY, SPAN, stageAttribute } from '../contract/attributes.ts';
import { createHealth } from '../lifecycle/health.ts';
import type { QueryLedger } from '../slo/evidence_input.ts';
import { readObjectives } from '../slo/objectives.ts';
import { startTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import { createEnricher, type Enricher, type EnricherOptions } from './enricher.ts';

const OBJECTIVES = `
apiVersion: openslo/v1
kind: Service
metadata: { name: langid }
spec: {}
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: langid-latency }
spec:
  service: langid
  indicator:
    spec:
      thresholdMetric:
        metricSource:
          type: vitrine
          spec: { metric: inference_service_duration_seconds, model: langid }
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives: [{ target: 0.99, op: lte, value: 0.05 }]
`;

/** Windows of alerts are a twentieth: 15 s and not 5 min. */
const TIME_SCALE = 20;

function quietTelemetry(serviceName: string): Promise<Telemetry> {
  return startTelemetry({
    serviceName,
    instanceId: `${serviceName}-0`,
    version: '1.2.3',
    config: loadConfig({ VITRINE_TELEMETRY_LOG_LEVEL: 'silent' }).telemetry,
    otel: { ...readOtelConfig({}), tracesExporters: [] },
  });
}

export interface RunningEnricher extends AsyncDisposable {
  readonly enricher: Enricher;
  readonly url: string;
  /** What it logged, as `message {fields}`. */
  readonly logged: string[];
  /** Posts a message. */
  send(body: unknown, path?: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** `name{labels}` → value, of the enricher's own metrics. */
  metrics(): Promise<Map<string, number>>;
}

export async function startEnricher(options: Partial<EnricherOptions>): Promise<RunningEnricher> {
  const telemetry = await quietTelemetry('vitrine-enricher');
  const logged: string[] = [];
  const note = (message: string, fields?: unknown): void => {
    logged.push(
      `${message} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? String(value) : value))}`,
    );
  };
  const { objectives, problems } = readObjectives(OBJECTIVES, { path: 'slo.yaml', models: undefined });
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('\n'));
  const health = createHealth();
  health.clear('start');
  const enricher = await createEnricher(
    {
      telemetry: { ...telemetry, log: { ...telemetry.log, warn: note, error: note, info: note } },
      health,
      objectives,
    },
    {
      ...loadConfig({}).enricher,
      host: '127.0.0.1',
      httpPort: 0,
      prometheusUrl: '',
      tracesUrl: '',
      allowedHosts: [],
      timeScale: TIME_SCALE,
      // A busy machine takes its time; what is tested of the deadline sets its own.
      deadlineMs: 10_000,
      ...options,
    },
  );
  const url = `http://127.0.0.1:${enricher.httpPort}`;
  return {
    enricher,
    url,
    logged,
    send: (body, path = '/alerts', headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async metrics() {
      const { body } = await telemetry.renderMetrics(undefined);
      return new Map(
        body
          .split('\n')
          .filter((line) => line.startsWith('vitrine_enricher'))
          .map((line) => {
            const at = line.lastIndexOf(' ');
            return [line.slice(0, at), Number(line.slice(at + 1))];
          }),
      );
    },
    async [Symbol.asyncDispose]() {
      await enricher[Symbol.asyncDispose]();
      await telemetry.close();
    },
  };
}

/** A console with an empty store. */
export async function startConsole(): Promise<{ console: Console; url: string } & AsyncDisposable> {
  const telemetry = await quietTelemetry('vitrine-console');
  const health = createHealth();
  const { alertWebhookUrl: _, ...config } = loadConfig({}).console;
  const console_ = await createConsole(
    { telemetry, health, onLoginLink: () => {} },
    {
      ...config,
      host: '127.0.0.1',
      httpPort: 0,
      otlpPort: 0,
      databasePath: ':memory:',
      allowedHosts: [],
      version: '1.2.3',
    },
  );
  return {
    console: console_,
    url: `http://127.0.0.1:${console_.httpPort}`,
    async [Symbol.asyncDispose]() {
      await console_[Symbol.asyncDispose]();
      await telemetry.close();
    },
  };
}

function hex(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}

export function traceIdOf(ledger: QueryLedger, salt: string): string {
  return hex(`${salt} ${ledger.traceId}`, 32);
}

function attribute(key: string, value: string | number): unknown {
  return { key, value: typeof value === 'string' ? { stringValue: value } : { doubleValue: value } };
}

/** Two spans of each query, as gateways export them. @param salt tells the traces of two calls apart */
export function otlpOf(ledgers: readonly QueryLedger[], salt: string): string {
  const spans = ledgers.flatMap((ledger) => {
    const traceId = traceIdOf(ledger, salt);
    const spanId = hex(`${traceId} query`, 16);
    const totalMs =
      ledger.serviceMs + (ledger.stagesMs.get('receive') ?? 0) + (ledger.stagesMs.get('respond') ?? 0);
    const nanoseconds = (unixMs: number): string => String(BigInt(Math.round(unixMs * 1000)) * 1000n);
    const times = {
      startTimeUnixNano: nanoseconds(ledger.startMs),
      endTimeUnixNano: nanoseconds(ledger.startMs + totalMs),
    };
    return [
      {
        traceId,
        spanId,
        name: `${SPAN.query} ${ledger.model}`,
        kind: 2,
        ...times,
        attributes: [
          attribute(ATTR.model, ledger.model),
          attribute(ATTR.version, ledger.version),
          attribute(ATTR.outcome, ledger.outcome),
          attribute(ATTR.totalMs, totalMs),
          attribute(ATTR.unattributedMs, 0),
          ...[...ledger.stagesMs].map(([stage, ms]) => attribute(stageAttribute(stage), ms)),
        ],
      },
      {
        traceId,
        spanId: hex(`${traceId} attempt`, 16),
        parentSpanId: spanId,
        name: SPAN.attempt,
        kind: 3,
        ...times,
        attributes: [attribute(ATTR.worker, ledger.worker)],
      },
    ];
  });
  const resource = { attributes: [attribute(ATTR.serviceName, SERVICE_GATEWAY)] };
  return JSON.stringify({
    resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'vitrine' }, spans }] }],
  });
}

export interface SentAlert {
  readonly status?: 'firing' | 'resolved';
  readonly labels?: Readonly<Record<string, string>>;
  readonly startsAtMs?: number;
}

/** A page of the objective's; `receivedWithUs` stands for what a newer Alertmanager adds. */
export function message(alerts: readonly SentAlert[]): Record<string, unknown> {
  const full = alerts.map(({ status = 'firing', labels, startsAtMs = Date.now() }, index) => {
    const all = {
      alertname: 'VitrineBudgetBurnsFast',
      slo: 'langid-latency',
      service: 'langid',
      model: 'langid',
      severity: 'page',
      system: 'vitrine',
      ...labels,
    };
    return {
      status,
      labels: all,
      annotations: { summary: `alert ${index} of many`, runbook_url: 'docs/runbooks/budget-burns-fast.md' },
      startsAt: new Date(startsAtMs).toISOString(),
      endsAt: status === 'resolved' ? new Date(startsAtMs + 60_000).toISOString() : '0001-01-01T00:00:00Z',
      generatorURL: 'http://prometheus:9090/graph?g0.expr=1',
      fingerprint: hex(JSON.stringify(all), 16),
    };
  });
  return {
    receiver: 'vitrine-page',
    status: full.some(({ status }) => status === 'firing') ? 'firing' : 'resolved',
    alerts: full,
    groupLabels: { alertname: 'VitrineBudgetBurnsFast' },
    commonLabels: { system: 'vitrine' },
    commonAnnotations: { runbook_url: 'docs/runbooks/budget-burns-fast.md' },
    externalURL: 'http://alertmanager:9093',
    version: '4',
    groupKey: '{}:{alertname="VitrineBudgetBurnsFast"}',
    truncatedAlerts: 0,
    notification_reason: 'first notification',
  };
}

type Answering = (path: string, response: ServerResponse, request: IncomingMessage) => void;

/** A server on a free port that answers as told, and counts what it was asked. */
export async function startScripted(answer: Answering) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    request.resume();
    answer((request.url ?? '').split('?')[0] ?? '', response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
