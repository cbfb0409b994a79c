/** The Collectors' files: what they name exists, agrees with Jaeger, Prometheus and compose, and with each other. */
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../src/config/settings.ts';
import { ATTR, CLOSE_REASONS } from '../../src/contract/attributes.ts';
import { renderTelemetryDocs } from '../../src/telemetry/docs.ts';
import { environmentOf, serviceOf, textOf, withDefaults, yamlOf } from './files.ts';

interface Pipeline {
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: each component has its own form, and the Collector itself holds them
type Components = Readonly<Record<string, any>>;

interface Collector {
  readonly receivers: Components;
  readonly processors: Components;
  readonly exporters: Components;
  readonly connectors?: Components;
  readonly extensions: Components;
  readonly service: {
    readonly extensions: readonly string[];
    readonly pipelines: Readonly<Record<string, Pipeline>>;
    // biome-ignore lint/suspicious/noExplicitAny: as above
    readonly telemetry: any;
  };
}

const ONE = 'otel-collector.yaml';
const TIER1 = 'deploy/collector/tier1.yaml';
const TIER2 = 'deploy/collector/tier2.yaml';
const LOGS = 'deploy/collector/docker-logs.yaml';
const JAEGER = 'deploy/jaeger/jaeger.yaml';
const FILES = [ONE, TIER1, TIER2, LOGS, JAEGER];

const one = yamlOf<Collector>(ONE);
const tier1 = yamlOf<Collector>(TIER1);
const tier2 = yamlOf<Collector>(TIER2);
const jaeger = yamlOf<Collector>(JAEGER);

/** What test/engines builds into a Collector; TIER1 and LOGS name one component each that cannot be. */
const BUILT = {
  receivers: ['otlp'],
  processors: ['memory_limiter', 'tail_sampling'],
  exporters: ['otlp_grpc', 'otlp_http', 'prometheus'],
  connectors: ['span_metrics'],
  extensions: ['health_check', 'file_storage'],
} as const;
const KINDS = ['receivers', 'processors', 'exporters', 'connectors', 'extensions'] as const;

function portOf(endpoint: string): number {
  return Number(endpoint.split(':').at(-1));
}

describe.each(FILES)('%s', (path) => {
  const file = yamlOf<Collector>(path);
  const { pipelines, extensions } = file.service;
  const all = Object.values(pipelines);

  test('names only components that it has, and has none that it does not name', () => {
    const connectors = Object.keys(file.connectors ?? {});
    const named = {
      receivers: all.flatMap(({ receivers }) => receivers).filter((name) => !connectors.includes(name)),
      processors: all.flatMap(({ processors }) => processors),
      exporters: all.flatMap(({ exporters }) => exporters).filter((name) => !connectors.includes(name)),
      extensions,
    };
    for (const [kind, names] of Object.entries(named)) {
      expect(Object.keys(file[kind as 'receivers']).sort(), kind).toEqual([...new Set(names)].sort());
    }
    for (const connector of connectors) {
      expect(all.some(({ exporters }) => exporters.includes(connector))).toBe(true);
      expect(all.some(({ receivers }) => receivers.includes(connector))).toBe(true);
    }
  });

  test('limits its memory before anything else, in every pipeline', () => {
    for (const { processors } of all) expect(processors[0]).toBe('memory_limiter');
  });

  test('gives every queue a limit', () => {
    for (const [name, exporter] of Object.entries(file.exporters)) {
      if (name === 'prometheus' || name === 'jaeger_storage_exporter') continue;
      const { sending_queue: queue } = exporter.protocol?.otlp ?? exporter;
      expect(queue.queue_size, name).toBeGreaterThan(0);
      expect(queue.sizer, name).toBe('items');
      expect(queue.batch.max_size, name).toBeLessThan(queue.queue_size);
      if (queue.storage !== undefined) expect(extensions, name).toContain(queue.storage);
    }
  });

  test('tells of each variable, with the default that it has', () => {
    const text = textOf(path);
    const used = new Map(
      [...text.matchAll(/\$\{env:([A-Z0-9_]+):-([^}]*)\}/g)].map(([, name, value]) => [name, value]),
    );
    expect(text.match(/\$\{env:/g)?.length ?? 0).toBe(
      [...text.matchAll(/\$\{env:[A-Z0-9_]+:-[^}]+\}/g)].length,
    );
    const told = new Map(
      [...text.matchAll(/^# {3}([A-Z0-9_]+) +(\S+)/gm)].map(([, name, value]) => [name, value]),
    );
    if (path === JAEGER) used.delete('JAEGER_UI_CONFIG');
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(used));
  });
});

test.each([ONE, TIER2])('%s has only components that the tests can build', (path) => {
  const file = yamlOf<Collector>(path);
  for (const kind of KINDS) {
    const types = Object.keys(file[kind] ?? {}).map((name) => name.split('/')[0]);
    expect(
      types.filter((type) => !(BUILT[kind] as readonly string[]).includes(type ?? '')),
      kind,
    ).toEqual([]);
  }
});

test.each([
  [TIER1, 'load_balancing'],
  [LOGS, 'file_log'],
])('%s says that %s cannot be run in the tests', (path, component) => {
  const head = textOf(path).split('\n\n')[0] ?? '';
  expect(head).toContain('Not run by the tests of this repository');
  expect(textOf(path).slice(0, textOf(path).indexOf('\nreceivers:'))).toContain(component);
});

describe('sampling', () => {
  const policies = one.processors.tail_sampling.policies as readonly Components[];
  const policy = (name: string): Components => policies.find((each) => each.name === name) ?? {};

  test('keeps errors, what is slow as the gateway says it, and a share of the rest', () => {
    expect(policy('errors').status_code.status_codes).toEqual(['ERROR']);
    expect(policy('slow').latency.threshold_ms).toBe(SETTINGS.telemetry.slowMs.fallback);
    expect(withDefaults(String(policy('rest').probabilistic.sampling_percentage))).toBe('10');
    expect(policies.map(({ name }) => name as string)).toEqual([
      'errors',
      'slow',
      'chosen',
      'batches',
      'rest',
    ]);
  });

  test('keeps what the gateway chose, for every reason that there is but "all", and every batch', () => {
    const { key, values } = policy('chosen').string_attribute;
    expect(key).toBe(ATTR.keptBecause);
    const reasons =
      /`vitrine\.kept_because` \| ([^|]+) \|/.exec(renderTelemetryDocs())?.[1]?.trim().split(', ') ?? [];
    expect(reasons).toContain('all');
    expect([...values, 'all'].sort()).toEqual(reasons.sort());
    expect(policy('batches').string_attribute).toEqual({
      key: ATTR.batchCloseReason,
      values: [...CLOSE_REASONS],
    });
  });

  test('remembers decisions for ten times the traces that it waits for', () => {
    const { num_traces: traces, decision_cache: cache } = one.processors.tail_sampling;
    expect(cache.sampled_cache_size).toBeGreaterThanOrEqual(10 * traces);
    expect(cache.non_sampled_cache_size).toBeGreaterThanOrEqual(10 * traces);
  });

  test('comes after every span is counted', () => {
    expect(one.service.pipelines['traces/counted']?.processors).toEqual(['memory_limiter']);
    expect(one.service.pipelines['traces/counted']?.exporters).toEqual(['span_metrics']);
    expect(one.service.pipelines['traces/kept']?.processors).toEqual(['memory_limiter', 'tail_sampling']);
  });
});

test('what is decided waits on disk, without end', () => {
  const { retry_on_failure: retry, sending_queue: queue } = one.exporters['otlp_grpc/jaeger'];
  expect(retry.max_elapsed_time).toBe('0s');
  expect(queue.storage).toBe('file_storage');
  const { environment = {}, volumes = [] } = serviceOf('otel-collector');
  const folder = String(environment.QUEUE_DIRECTORY);
  expect(
    volumes.some((mount) => folder.startsWith(`${mount.split(':')[1]}/`) && !mount.startsWith('.')),
  ).toBe(true);
});

test('two tiers do what one does', () => {
  expect(tier2.processors).toEqual(one.processors);
  expect(tier2.connectors).toEqual(one.connectors);
  expect(tier2.extensions).toEqual(one.extensions);
  expect(tier2.exporters).toEqual({
    'otlp_grpc/jaeger': one.exporters['otlp_grpc/jaeger'],
    prometheus: one.exporters.prometheus,
  });
  for (const name of ['traces/counted', 'traces/kept']) {
    expect(tier2.service.pipelines[name]).toEqual(one.service.pipelines[name]);
  }
  expect(tier1.receivers).toEqual(one.receivers);
  expect(tier1.exporters['otlp_http/loki']).toEqual(one.exporters['otlp_http/loki']);
  const { routing_key: key, resolver } = tier1.exporters.load_balancing;
  expect(key).toBe('traceID');
  expect(resolver.dns.port).toBe(portOf(tier2.receivers.otlp.protocols.grpc.endpoint));
});

test("Jaeger's monitor tab reads what the Collector counts", () => {
  const { histogram, namespace } = one.connectors?.span_metrics ?? {};
  const {
    metric_namespace: name,
    latency_unit: unit,
    ...rest
  } = jaeger.extensions.jaeger_storage.metric_backends.span_metrics.prometheus as Components;
  // The connector's default, with what Prometheus makes of dots.
  expect(namespace).toBeUndefined();
  expect(name).toBe('traces_span_metrics');
  expect(unit).toBe(histogram.unit);
  expect(rest).toMatchObject({ normalize_calls: true, normalize_duration: true });
  const { storage } = jaeger.extensions.jaeger_query;
  expect(Object.keys(jaeger.extensions.jaeger_storage.metric_backends)).toContain(storage.metrics);
  expect(Object.keys(jaeger.extensions.jaeger_storage.backends)).toContain(storage.traces);
  expect(jaeger.exporters.jaeger_storage_exporter.trace_storage).toBe(storage.traces);
  for (const { name: dimension } of one.connectors?.span_metrics.dimensions ?? []) {
    expect(Object.values(ATTR)).toContain(dimension);
  }
});

test('addresses lead to services of compose, at ports that are open there', () => {
  const collector = environmentOf('otel-collector', {});
  const { grpc, http } = one.receivers.otlp.protocols;
  expect(serviceOf('otel-collector').ports).toEqual(
    [grpc, http].map(({ endpoint }) => `127.0.0.1:${portOf(endpoint)}:${portOf(endpoint)}`),
  );
  const jaegerOtlp = jaeger.receivers.otlp.protocols.grpc.endpoint as string;
  expect(collector.JAEGER_OTLP_ENDPOINT).toBe(`jaeger:${portOf(jaegerOtlp)}`);
  const { server } = yamlOf<{ server: { http_listen_port: number } }>('deploy/loki/loki.yaml');
  expect(collector.LOKI_OTLP_ENDPOINT).toBe(`http://loki:${server.http_listen_port}/otlp`);
  expect(environmentOf('docker-logs', {}).COLLECTOR_OTLP_ENDPOINT).toBe(
    `otel-collector:${portOf(grpc.endpoint)}`,
  );
  expect(serviceOf('jaeger').healthcheck?.test.at(-1)).toBe(
    `http://127.0.0.1:${portOf(jaeger.extensions.healthcheckv2.http.endpoint)}/status`,
  );
  expect(environmentOf('jaeger', {}).PROMETHEUS_URL).toBe('http://prometheus:9090');
});

test.each([
  ['otel-collector', ONE, '/etc/otelcol/'],
  ['docker-logs', LOGS, '/etc/otelcol/'],
  ['jaeger', JAEGER, '/etc/jaeger/'],
])('%s starts with %s, and gets every variable that it names', (name, path, folder) => {
  const { command, volumes = [], environment = {} } = serviceOf(name);
  const file = path.split('/').at(-1);
  expect(command).toEqual([`--config=${folder}${file}`]);
  const isMounted = volumes.some(
    (mount) => mount === `./${path}:${folder}${file}:ro` || `./${path}`.startsWith(`${mount.split(':')[0]}/`),
  );
  expect(isMounted).toBe(true);
  const named = [...textOf(path).matchAll(/\$\{env:([A-Z0-9_]+)/g)].map(([, variable]) => variable);
  expect(named.filter((variable) => !((variable ?? '') in environment))).toEqual([]);
});

test("the page's links lead to dashboards that are there, by attributes that spans have", () => {
  const ui = JSON.parse(textOf('deploy/jaeger/ui.json')) as {
    monitor: { menuEnabled: boolean };
    linkPatterns: { key: string; url: string }[];
  };
  expect(ui.monitor.menuEnabled).toBe(true);
  for (const { key, url } of ui.linkPatterns) {
    expect(Object.values(ATTR)).toContain(key);
    expect(url).toContain(`#{${key}}`);
    const [, uid, variable] = /\/d\/([a-z-]+)\?var-([a-z]+)=/.exec(url) ?? [];
    const board = JSON.parse(textOf(`dashboards/${uid}.json`)) as {
      templating: { list: { name: string }[] };
    };
    expect(board.templating.list.map(({ name }) => name)).toContain(variable);
  }
});
