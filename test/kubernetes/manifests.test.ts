/** The manifests say what the code does: names, ports, settings, probes, times, metrics. Schemas: test/engines. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/settings.ts';
import { SERVICE_ENRICHER, SERVICE_GATEWAY, SERVICE_WORKER } from '../../src/contract/attributes.ts';
import { STAGES } from '../../src/contract/stages.ts';
import { isLoopbackHost } from '../../src/lifecycle/http_guard.ts';
import { DRAIN_SHARE } from '../../src/lifecycle/service_process.ts';
import { CATALOG } from '../../src/telemetry/catalog.ts';
import {
  environmentOf,
  type Manifest,
  manifestsOf,
  ROOT,
  settings,
  type Workload,
  workloads,
  yamlOf,
} from './manifests.ts';

const SECRETS = {
  'worker-secret': 'a-secret-of-more-than-16-characters',
  'enricher-token': 'a-token-of-more-than-16-characters',
  'enricher-forward-urls': 'page=https://hooks.example/page,ticket=https://hooks.example/ticket',
};
const { gateway, worker, enricher } = workloads();
const ALL: readonly [string, Workload][] = Object.entries({ gateway, worker, enricher });
const { namespace } = yamlOf<{ namespace: string }>('base/kustomization.yaml');

function configOf(workload: Workload): Config {
  return loadConfig(environmentOf(workload, 'vitrine-1', SECRETS));
}

function portOf({ container }: Workload, name: string): number | undefined {
  return container.ports.find((port) => port.name === name)?.containerPort;
}

function one(file: string, kind: string, name: string): Manifest {
  const found = manifestsOf(file).find(({ kind: is, metadata }) => is === kind && metadata.name === name);
  if (found === undefined) throw new Error(`${file} has no ${kind} ${name}`);
  return found;
}

describe.each(ALL)('%s', (name, workload) => {
  const { manifest, pod, container } = workload;

  test('starts a process that is there, with settings that it takes', () => {
    expect(container.command).toEqual(['node', `src/bin/${name}.ts`]);
    expect(existsSync(join(ROOT, container.command[1] ?? ''))).toBe(true);
    const config = configOf(workload);
    expect(config.telemetry.instanceId).toBe('vitrine-1');
    const { host } = config[name as 'gateway' | 'worker' | 'enricher'];
    expect(isLoopbackHost(host)).toBe(false);
  });

  test('gets no variable that Kubernetes makes of services: VITRINE_GATEWAY_PORT would be an unknown setting', () => {
    expect(pod.enableServiceLinks).toBe(false);
    expect(() => loadConfig({ VITRINE_GATEWAY_PORT: 'tcp://10.0.0.1:8000' })).toThrow('is not a setting');
  });

  test('is asked for its health at the port that it has', () => {
    for (const probe of [container.startupProbe, container.livenessProbe]) {
      expect(probe.httpGet).toEqual({ path: '/livez', port: 'http' });
    }
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
  });

  test('has time to end every query before it is killed', () => {
    const { gateway: limits, lifecycle } = configOf(workload);
    expect(lifecycle.graceMs * DRAIN_SHARE).toBeGreaterThan(limits.maxTimeoutMs);
    expect(limits.maxTimeoutMs).toBeGreaterThanOrEqual(limits.defaultTimeoutMs);
    const pauseS = container.lifecycle.preStop.sleep.seconds;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(pauseS + lifecycle.graceMs / 1000 + 5);
  });

  test('runs as nobody who could do harm', () => {
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.resources.limits.memory).toBeDefined();
    expect(container.resources.limits.cpu).toBeUndefined();
  });

  test('is found by its own labels', () => {
    const label = { 'app.kubernetes.io/name': `vitrine-${name}` };
    expect(manifest.spec.selector.matchLabels).toEqual(label);
    expect(manifest.spec.template.metadata.labels).toEqual(label);
    const { spec } = one(`base/${name}.yaml`, 'Service', `vitrine-${name}`);
    expect(spec.selector).toEqual(label);
    for (const port of spec.ports) expect(port.port).toBe(portOf(workload, port.targetPort));
  });
});

test('ports are those of the settings', () => {
  expect(portOf(gateway, 'http')).toBe(configOf(gateway).gateway.httpPort);
  expect(portOf(gateway, 'metrics')).toBe(configOf(gateway).gateway.metricsPort);
  expect(portOf(worker, 'http')).toBe(configOf(worker).worker.httpPort);
  expect(portOf(enricher, 'http')).toBe(configOf(enricher).enricher.httpPort);
});

test('gateways ask DNS for the headless service of the workers, which lists those that restart, too', () => {
  const { metadata, spec } = one('base/worker.yaml', 'Service', 'vitrine-worker');
  expect(spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
  expect(worker.manifest.spec.serviceName).toBe(metadata.name);
  const [port] = spec.ports;
  expect(configOf(gateway).gateway.workersDns).toBe(
    `_${port.name}._tcp.${metadata.name}.${namespace}.svc.cluster.local`,
  );
});

test('services are called by names that they accept', () => {
  const { allowedHosts } = configOf(gateway).access;
  for (const name of ['vitrine-gateway', 'vitrine-enricher']) {
    for (const tail of ['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`]) {
      expect(allowedHosts).toContain(name + tail);
    }
  }
});

test('each service is scraped as what rules and dashboards call it, where it has its metrics', () => {
  const monitors = manifestsOf('components/monitoring/pod-monitors.yaml');
  const expected: Readonly<Record<string, Workload>> = {
    [SERVICE_GATEWAY]: gateway,
    [SERVICE_WORKER]: worker,
    [SERVICE_ENRICHER]: enricher,
  };
  expect(monitors.map(({ metadata }) => metadata.name)).toEqual(Object.keys(expected));
  for (const { metadata, spec } of monitors) {
    const workload = expected[metadata.name] as Workload;
    expect(spec.selector.matchLabels).toEqual(workload.manifest.spec.selector.matchLabels);
    const [endpoint] = spec.podMetricsEndpoints;
    expect(endpoint.path).toBe('/metrics');
    expect(portOf(workload, endpoint.port)).toBeDefined();
    expect(endpoint.relabelings).toEqual([
      { targetLabel: 'job', replacement: metadata.name },
      { sourceLabels: ['__meta_kubernetes_pod_name'], targetLabel: 'instance' },
    ]);
    const { credentials } = endpoint.authorization ?? {};
    const keys = workload.container.env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.key ?? []);
    if (workload === gateway) expect(credentials).toBeUndefined();
    else expect(keys).toContain(credentials.key);
  }
});

test('network policies open what the processes use, and nothing else', () => {
  const policies = Object.fromEntries(
    manifestsOf('base/network-policies.yaml').map(({ metadata, spec }) => [metadata.name, spec]),
  );
  const ports = (rules: readonly { ports: readonly { port: string | number }[] }[]) =>
    rules.flatMap((rule) => rule.ports.map(({ port }) => port));
  expect(policies['vitrine-default-deny']).toMatchObject({ policyTypes: ['Ingress', 'Egress'] });
  expect(policies['vitrine-default-deny'].ingress).toBeUndefined();
  expect(ports(policies['vitrine-gateway'].ingress)).toEqual(['http', 'metrics']);
  expect(ports(policies['vitrine-worker'].ingress)).toEqual(['http']);
  expect(ports(policies['vitrine-enricher'].ingress)).toEqual(['http']);
  // Where the settings send something, a policy lets it go there.
  const environment = settings();
  const goesTo = (policy: string, setting: string): void => {
    const { hostname, port } = new URL(environment[setting] ?? '');
    const rule = policies[policy].egress.find((each: { ports: { port: number }[] }) =>
      each.ports.some((open) => open.port === Number(port)),
    );
    expect(rule?.to[0].namespaceSelector.matchLabels['kubernetes.io/metadata.name'], setting).toBe(
      hostname.split('.')[1],
    );
  };
  goesTo('vitrine-gateway', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  goesTo('vitrine-worker', 'OTEL_EXPORTER_OTLP_ENDPOINT');
  goesTo('vitrine-enricher', 'VITRINE_ENRICHER_PROMETHEUS_URL');
  goesTo('vitrine-enricher', 'VITRINE_ENRICHER_TRACES_URL');
});

test('disruption budgets leave all but one, and do not keep what is broken', () => {
  for (const [name, workload] of ALL.slice(0, 2)) {
    const { spec } = one(`base/${name}.yaml`, 'PodDisruptionBudget', `vitrine-${name}`);
    expect(spec).toEqual({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: workload.manifest.spec.selector,
    });
  }
});

test('workers are scaled by how long queries wait for them: stages and metrics that there are', () => {
  const scalers = manifestsOf('components/autoscaling/autoscalers.yaml');
  for (const { spec } of scalers) {
    const target = ALL.map(([, { manifest }]) => manifest).find(
      ({ metadata }) => metadata.name === spec.scaleTargetRef.name,
    );
    expect(spec.scaleTargetRef.kind).toBe(target?.kind);
  }
  const { rules } = yamlOf<{
    rules: { external: { name: { as: string }; seriesQuery: string; metricsQuery: string }[] };
  }>('components/autoscaling/prometheus-adapter-values.yaml');
  const [rule] = rules.external;
  const { metrics } = scalers.find(({ metadata }) => metadata.name === 'vitrine-worker')?.spec ?? {};
  expect(metrics[0].external.metric.name).toBe(rule?.name.as);
  for (const query of [rule?.seriesQuery ?? '', rule?.metricsQuery ?? '']) {
    const [, metric = '', stages = ''] = /([a-z_]+)_sum\{.*stage=~"([a-z_|]+)"\}/.exec(query) ?? [];
    expect(Object.keys(CATALOG)).toContain(metric);
    expect(STAGES).toEqual(expect.arrayContaining(stages.split('|')));
  }
});

test('every dashboard is brought to Grafana', () => {
  const { configMapGenerator, generatorOptions } = yamlOf<{
    configMapGenerator: { files: string[] }[];
    generatorOptions: { labels: Record<string, string> };
  }>('../../dashboards/kustomization.yaml');
  const files = readdirSync(join(ROOT, 'dashboards')).filter((name) => name.endsWith('.json'));
  expect(configMapGenerator.flatMap((each) => each.files).sort()).toEqual(files.sort());
  expect(generatorOptions.labels).toEqual({ grafana_dashboard: '1' });
});

test('a worker with a GPU reads it', () => {
  const [{ spec } = { spec: undefined }] = manifestsOf('components/gpu/worker-gpu.yaml');
  const [container] = spec.template.spec.containers;
  const overlaid = {
    ...worker,
    container: { ...worker.container, env: [...worker.container.env, ...container.env] },
  };
  const config = configOf(overlaid);
  // Worker 1 of a machine reads; here every pod is one.
  expect([config.worker.gpuMetrics, config.worker.index]).toEqual(['on', 1]);
  expect(container.resources.limits).toEqual({ 'nvidia.com/gpu': '1' });
});
