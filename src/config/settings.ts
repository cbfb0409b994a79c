/**
 * Every setting of Vitrine, in one table. docs/configuration.md is generated from it. Standard `OTEL_*`
 * variables are read in otel.ts and mean what OpenTelemetry's specification says.
 */
import { availableParallelism } from 'node:os';
import {
  baseUrl,
  choice,
  dnsName,
  flag,
  instanceId,
  integer,
  list,
  ratio,
  type Setting,
  secret,
  secretUrl,
  secretUrlsByName,
  text,
} from './setting.ts';

const MIB = 1024 * 1024;
const DAY_S = 86_400;

function isHttpUrl(value: string): boolean {
  return /^https?:\/\/[^\s/?#@]+\/?$/.test(value) && URL.canParse(value);
}

function isDiscoveryUrl(value: string): boolean {
  return /^http:\/\/[^\s?#@]+$/.test(value) && URL.canParse(value);
}

export const SETTINGS = {
  gateway: {
    host: text('localhost', 'Address to listen on. localhost listens on IPv4 and IPv6 loopback.'),
    httpPort: integer(8000, 0, 65_535, 'Port of the Open Inference Protocol. 0 takes a free one.'),
    metricsPort: integer(
      8002,
      0,
      65_535,
      'Port of /metrics and /metrics/targets; further gateway processes take the next ones. 0 takes a free one.',
    ),
    count: integer(1, 1, 64, 'Gateway processes that share the port.'),
    index: integer(0, 0, 63, 'Which of the gateway processes this is; set by the supervisor.'),
    workers: list(
      [],
      'base addresses such as http://127.0.0.1:8101',
      isHttpUrl,
      'Addresses of the workers. Empty: those that the supervisor starts.',
    ),
    workersDns: dnsName(
      'Where DNS lists the workers, asked again and again: an SRV name such as _http._tcp.vitrine-worker.vitrine.svc.cluster.local, whose targets name them, or host:port, where each address is one. Empty: VITRINE_GATEWAY_WORKERS.',
    ),
    workersDnsIntervalMs: integer(5000, 100, 600_000, 'How often DNS is asked, in milliseconds.'),
    bodyLimitBytes: integer(16 * MIB, 1024, 1024 * MIB, 'Largest body of one query; beyond it 413.'),
    answerLimitBytes: integer(64 * MIB, 1024, 1024 * MIB, 'Largest answer of a worker; beyond it 502.'),
    bodiesInFlightLimitBytes: integer(
      256 * MIB,
      1024,
      16_384 * MIB,
      'Most bytes of bodies and answers held at once; beyond it 503 before the body is read.',
    ),
    inFlightLimit: integer(1024, 1, 65_536, 'Most queries in flight at once; beyond it 503.'),
    defaultTimeoutMs: integer(
      30_000,
      1,
      3_600_000,
      'Deadline of a query whose caller and model name none, in milliseconds.',
    ),
    maxTimeoutMs: integer(600_000, 1, 3_600_000, 'Longest deadline that a caller may ask for.'),
    routeWaitMs: integer(2000, 0, 60_000, 'Longest wait for a ready worker, in milliseconds; then 503.'),
    routeWaitersLimit: integer(1024, 0, 65_536, 'Most queries that wait for a ready worker; beyond it 503.'),
    workerConnections: integer(128, 1, 1024, 'Most connections to one worker.'),
    quarantineMs: integer(
      60_000,
      0,
      3_600_000,
      'How long a body that crashed two workers is refused, in milliseconds. 0 turns quarantine off.',
    ),
    consoleUrl: text(
      'http://localhost:16686',
      'Where / sends a browser, and whose origin may call from a page.',
    ),
    allowedOrigins: list(
      [],
      'origins such as https://tools.example',
      isHttpUrl,
      'Further origins that may call from a page (CORS).',
    ),
  },
  worker: {
    count: integer(
      Math.max(1, availableParallelism() - 1),
      1,
      256,
      'Worker processes. Default: one per core less one, at least one.',
    ),
    index: integer(1, 1, 256, 'Which of the workers this is, from 1; set by the supervisor.'),
    host: text('127.0.0.1', 'Address to listen on. Beyond loopback, VITRINE_WORKER_SECRET is required.'),
    basePort: integer(8100, 0, 65_279, 'Worker i listens on this port + i. 0 takes a free one.'),
    httpPort: integer(
      0,
      0,
      65_535,
      'Port of a worker that has an address of its own, as in a container: the same for each. 0: by VITRINE_WORKER_BASE_PORT.',
    ),
    secret: secret('Shared secret of gateway and workers, sent with every call. Required beyond loopback.'),
    modelRepository: text('models', 'Folder of models: <name>/<version>/model.onnx.'),
    queueRequestsLimit: integer(1024, 1, 65_536, 'Most queries queued per model; beyond it 503.'),
    queueBytesLimit: integer(
      256 * MIB,
      1024,
      16_384 * MIB,
      'Most bytes queued over all models; beyond it 503.',
    ),
    bodyLimitBytes: integer(16 * MIB, 1024, 1024 * MIB, 'Largest body of one query; beyond it 413.'),
    maxRowsPerQuery: integer(
      1024,
      1,
      65_536,
      'Most rows of one query for a model without a batch limit; beyond it 400.',
    ),
    gpuMetrics: choice(
      'auto',
      ['auto', 'on', 'off'],
      'Whether GPUs are read, all of the machine by worker 1 and by the others those that they use: auto where there is an NVIDIA driver; on looks by all means, and warns when there is none; off never.',
    ),
  },
  console: {
    enabled: flag(
      true,
      'Start the embedded console. Off: send telemetry to a collector with OTEL_EXPORTER_OTLP_ENDPOINT.',
    ),
    host: text('localhost', 'Address to listen on. Beyond loopback, VITRINE_CONSOLE_TOKEN is required.'),
    httpPort: integer(16_686, 0, 65_535, "Port of the page and Jaeger's query API. 0 takes a free one."),
    otlpPort: integer(4318, 0, 65_535, 'Port of the OTLP/HTTP receiver. 0 takes a free one.'),
    token: secret('Token that opens the page, the query API and OTLP beyond loopback.'),
    databasePath: text('data/traces.db', 'SQLite file of the trace store.'),
    retentionS: integer(7 * DAY_S, 60, 400 * DAY_S, 'Traces older than this are evicted, in seconds.'),
    retentionBytes: integer(
      1024 * MIB,
      4 * MIB,
      1_048_576 * MIB,
      'The store evicts its oldest traces beyond this size.',
    ),
    otlpBodyLimitBytes: integer(
      16 * MIB,
      1024,
      1024 * MIB,
      'Largest OTLP body after decompression; beyond it 413.',
    ),
    gatewayUrl: text('http://localhost:8000', 'The gateway that the page tries models on.'),
    evaluatorPath: text(
      '',
      'SQLite file of the samples and alerts of the evaluator. Empty: evaluator.db beside the trace store.',
    ),
    discoveryUrls: list(
      [],
      'addresses such as http://127.0.0.1:8002/metrics/targets',
      isDiscoveryUrl,
      'Lists of the processes to scrape. Empty: those of the gateways that the supervisor starts.',
    ),
    scrapeIntervalS: integer(15, 1, 60, 'How often processes are scraped, in seconds.'),
    evaluationIntervalS: integer(15, 1, 60, 'How often alerts are evaluated, in seconds.'),
    publicUrl: text(
      '',
      'Address of the page as others reach it, for links in messages. Empty: the address that it listens on.',
    ),
    alertWebhookUrl: secretUrl('Where messages of alerts are posted. Empty: nobody is told.'),
    alertWebhookFormat: choice(
      'slack',
      ['slack', 'alertmanager'],
      "Body of these messages: Slack's, or that of Alertmanager's webhooks, version 4.",
    ),
    alertGroupWaitS: integer(
      30,
      0,
      3600,
      'How long the first alert of a group waits for others, in seconds.',
    ),
    alertGroupIntervalS: integer(300, 1, 86_400, 'Least time between two messages of one group, in seconds.'),
    alertRepeatIntervalS: integer(
      10_800,
      1,
      2_592_000,
      'After so long a group that still fires is told again, in seconds.',
    ),
    deadManUrl: secretUrl("Pinged while alerting works: a dead man's switch. Empty: none."),
    deadManIntervalS: integer(60, 1, 86_400, 'How often it is pinged, in seconds.'),
  },
  enricher: {
    enabled: flag(
      false,
      'Start the enricher with the other processes. It stands behind an Alertmanager; the console tells alerts itself.',
    ),
    host: text('localhost', 'Address to listen on. Beyond loopback, VITRINE_ENRICHER_TOKEN is required.'),
    httpPort: integer(
      9095,
      0,
      65_535,
      "Port of Alertmanager's webhooks, /livez, /readyz and /metrics. 0 takes a free one.",
    ),
    token: secret('Token that Alertmanager sends as Authorization: Bearer. Required beyond loopback.'),
    forwardUrls: secretUrlsByName(
      'Where messages go on to: those posted to /alerts to the address without a name, those posted to /alerts/page to the one named page.',
    ),
    forwardTimeoutMs: integer(
      6000,
      100,
      60_000,
      'How long a receiver may take to answer, in milliseconds; then Alertmanager is told to try again.',
    ),
    deadlineMs: integer(
      3000,
      100,
      10_000,
      'Longest wait for evidence, in milliseconds; then the message goes on without.',
    ),
    prometheusUrl: baseUrl(
      'http://localhost:9090',
      'Prometheus, or what answers its query API: exemplars, and the conditions around an alert. Empty: none.',
    ),
    prometheusToken: secret('Sent to Prometheus as Authorization: Bearer.'),
    tracesUrl: baseUrl(
      'http://localhost:16686',
      "Jaeger's query service or the console: traces, by the query API v3. Empty: none.",
    ),
    tracesToken: secret('Sent there as Authorization: Bearer.'),
    tracesPublicUrl: baseUrl(
      '',
      'Where links to traces lead: its address as people reach it. Empty: VITRINE_ENRICHER_TRACES_URL.',
    ),
    duplicateWindowS: integer(
      30,
      0,
      3600,
      'A message that was delivered is not sent again within so many seconds, whichever Alertmanager repeats it. Shorter than any repeat_interval. 0: each is sent.',
    ),
    bodyLimitBytes: integer(4 * MIB, 1024, 64 * MIB, 'Largest message of Alertmanager; beyond it 413.'),
    inFlightLimit: integer(
      64,
      1,
      1024,
      'Most messages in work at once; beyond it 503, and Alertmanager tries again.',
    ),
  },
  slo: {
    path: text(
      'slo.yaml',
      'File of the objectives (OpenSLO v1). Without it, alerts come from the catalogue alone.',
    ),
    timeScale: integer(
      1,
      1,
      1000,
      'Divides every window, hold and interval of alerts, so that drills take minutes. 1 is real time.',
    ),
    runbooksUrl: text(
      'docs/runbooks',
      'Where runbook_url of an alert leads, without a slash at the end: the folder, or where it is published.',
    ),
    dashboardsUrl: text(
      'http://localhost:3000',
      'Where dashboard_url of an alert leads: the address of Grafana; no slash at the end.',
    ),
  },
  telemetry: {
    instanceId: instanceId(
      'service.instance.id, of a process that is the only one of its kind in its container. Empty: by kind and index, such as worker-1.',
    ),
    enabled: flag(
      true,
      'Off: no records, no spans, no trace headers, no metrics. For measuring what telemetry costs.',
    ),
    mode: choice(
      'all',
      ['all', 'ratio', 'retroactive'],
      'Which traces are kept: all; a ratio; or, retroactively, those that turned out slow, failed or asked for, and a ratio.',
    ),
    ratio: ratio(0.01, 'Share of traces kept in modes ratio and retroactive.'),
    slowMs: integer(
      1000,
      1,
      3_600_000,
      'Retroactive mode keeps every query at least this slow, in milliseconds.',
    ),
    callerTracesPerSecondLimit: integer(
      1000,
      0,
      1_000_000,
      "Most traces a second that one caller's sampled flag can force beyond the mode; beyond it the mode decides.",
    ),
    ringBytes: integer(
      4 * MIB,
      64 * 1024,
      256 * MIB,
      'Shared memory between a process and its export thread. Full: new queries are not kept.',
    ),
    flushIntervalMs: integer(
      500,
      10,
      10_000,
      'Longest wait before finished records are exported, in milliseconds; what a killed process loses at most.',
    ),
    instrumentation: choice(
      'off',
      ['off', 'auto'],
      "auto adds OpenTelemetry's auto-instrumentations, at their cost.",
    ),
    logLevel: choice('info', ['debug', 'info', 'warn', 'error', 'silent'], 'Lowest level that is logged.'),
    logFormat: choice(
      'auto',
      ['auto', 'json', 'pretty'],
      'auto is readable on a terminal and JSON elsewhere.',
    ),
    logQueries: flag(false, 'Log one line per finished query, failed or not. Failures are always logged.'),
  },
  access: {
    allowedHosts: list(
      [],
      'host names without port',
      (value) => /^[A-Za-z0-9.:[\]-]{1,255}$/.test(value),
      'Host header values accepted besides loopback names and the listening address.',
    ),
  },
  lifecycle: {
    graceMs: integer(10_000, 100, 600_000, 'Longest drain after SIGINT or SIGTERM, in milliseconds.'),
    restartLimit: integer(
      5,
      0,
      1000,
      'Restarts of one process within restartWindowMs before it is given up.',
    ),
    restartWindowMs: integer(60_000, 1000, 3_600_000, 'Window of restartLimit, in milliseconds.'),
    restarts: integer(
      0,
      0,
      1000,
      'Restarts of this process within restartWindowMs when it was started; set by the supervisor.',
    ),
    restartBackoffMs: integer(100, 1, 60_000, 'First wait before a restart; doubles up to 32 times this.'),
    hangTimeoutMs: integer(
      10_000,
      1000,
      600_000,
      'A process that answers no heartbeat for this long is killed and restarted.',
    ),
  },
  drill: {
    allowed: flag(
      false,
      'Open the private socket through which faults can be injected. Never on a service port.',
    ),
    socketDirectory: text(
      '',
      'Folder of the 0600 sockets for drills. Empty: a private folder below the temporary one.',
    ),
  },
} as const;

type Settings = typeof SETTINGS;
type Value<S> = S extends Setting<infer T> ? T : never;

/** Frozen, typed, complete. Rooms get their slice as an argument. */
export type Config = {
  readonly [Room in keyof Settings]: { readonly [Name in keyof Settings[Room]]: Value<Settings[Room][Name]> };
};

export type TelemetryConfig = Config['telemetry'];

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `gateway`, `httpPort` → `VITRINE_GATEWAY_HTTP_PORT`. */
export function variableName(room: string, name: string): string {
  return `VITRINE_${room}_${snake(name)}`.toUpperCase();
}

/** `httpPort` → `http_port`, the key in vitrine.yaml. */
export function yamlKey(name: string): string {
  return snake(name);
}

/** Every setting with its place, in the order of the table. */
export function eachSetting(): { room: string; name: string; variable: string; setting: Setting<unknown> }[] {
  return Object.entries(SETTINGS).flatMap(([room, settings]) =>
    Object.entries(settings).map(([name, setting]) => ({
      room,
      name,
      variable: variableName(room, name),
      setting: setting as Setting<unknown>,
    })),
  );
}
