/** Prometheus, Alertmanager, Grafana and Loki: their files say what the code, the rules and compose say. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { ATTR, SERVICE_ENRICHER } from '../../src/contract/attributes.ts';
import {
  httpServiceDiscovery,
  peerScrapeTargets,
  staticTargets,
  targetScrapes,
} from '../../src/gateway/peers.ts';
import { createHostCheck } from '../../src/lifecycle/http_guard.ts';
import { CATALOG } from '../../src/telemetry/catalog.ts';
import {
  COMPOSE,
  environmentOf,
  freshSecrets,
  isThere,
  mountOf,
  ROOT,
  serviceOf,
  textOf,
  yamlOf,
} from './files.ts';

const secrets = freshSecrets();
const gateway = loadConfig(environmentOf('gateway', secrets));

interface ScrapeConfig {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly http_sd_configs?: readonly { readonly url: string }[];
  readonly static_configs?: readonly {
    readonly targets: readonly string[];
    readonly labels?: Readonly<Record<string, string>>;
  }[];
  readonly relabel_configs?: readonly {
    readonly regex: string;
    readonly replacement: string;
    readonly target_label: string;
  }[];
  readonly authorization?: { readonly credentials_file: string };
  readonly sample_limit?: number;
}

/** Where compose puts a file of the repository or a secret into a service; undefined when it does not. */
function sourceIn(service: string, path: string): string | undefined {
  for (const { source, target } of (serviceOf(service).volumes ?? []).map(mountOf)) {
    if (path === target) return source.replace(/^\.\//, '');
    if (path.startsWith(`${target}/`)) return `${source}${path.slice(target.length)}`.replace(/^\.\//, '');
  }
  return undefined;
}

function secretIn(service: string, path: string): string | undefined {
  return secrets[sourceIn(service, path)?.replace('.secrets/', '') ?? '']?.trim();
}

describe('prometheus.yml', () => {
  const config = yamlOf<{
    storage: { exemplars: { max_exemplars: number } };
    rule_files: string[];
    alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] };
    scrape_configs: ScrapeConfig[];
  }>('deploy/prometheus/prometheus.yml');
  const job = (name: string): ScrapeConfig => {
    const found = config.scrape_configs.find(({ job_name: each }) => each === name);
    if (found === undefined) throw new Error(`no job ${name}`);
    return found;
  };

  test('finds gateway and workers where compose has them, as they call themselves', () => {
    const { http_sd_configs: discovery = [], relabel_configs: relabel = [] } = job('vitrine');
    const { hostname, port, pathname } = new URL(discovery[0]?.url ?? '');
    expect([hostname, Number(port), pathname]).toEqual([
      'gateway',
      gateway.gateway.metricsPort,
      '/metrics/targets',
    ]);
    const ports = { http: gateway.gateway.httpPort, metrics: gateway.gateway.metricsPort };
    const listed = httpServiceDiscovery([
      ...peerScrapeTargets([{ name: 'gateway', index: 0, ports }]),
      ...targetScrapes(staticTargets(gateway.gateway.workers)),
    ]);
    const [rule] = relabel;
    expect(rule?.target_label).toBe('__address__');
    const found = listed.map(({ targets: [address = ''], labels }) => {
      // Prometheus anchors its expressions.
      const replaced = address.replace(new RegExp(`^(?:${rule?.regex})$`), rule?.replacement ?? '');
      return { address: replaced, ...labels };
    });
    expect(found).toEqual([
      { address: 'gateway:8002', job: 'vitrine-gateway', instance: 'gateway-0' },
      { address: 'worker-1:8100', job: 'vitrine-worker', instance: 'worker-1' },
      { address: 'worker-2:8100', job: 'vitrine-worker', instance: 'worker-2' },
    ]);
    for (const { address } of found) {
      const { allowedHosts } = gateway.access;
      expect(createHostCheck({ allowedHosts, listenHost: '0.0.0.0' })(address), address).toBe(true);
    }
  });

  test('knows the secret of the workers and the token of the enricher', () => {
    expect(secretIn('prometheus', job('vitrine').authorization?.credentials_file ?? '')).toBe(
      gateway.worker.secret,
    );
    const { authorization, static_configs: targets = [] } = job(SERVICE_ENRICHER);
    const { enricher } = loadConfig(environmentOf('enricher', secrets));
    expect(secretIn('prometheus', authorization?.credentials_file ?? '')).toBe(enricher.token);
    expect(targets).toEqual([
      { targets: [`enricher:${enricher.httpPort}`], labels: { instance: 'enricher-0' } },
    ]);
  });

  test('loads every rule of alerts/, and keeps them through the longest window', () => {
    const [pattern = ''] = config.rule_files;
    const folder = pattern.slice(0, pattern.lastIndexOf('/'));
    const rules = readdirSync(join(ROOT, 'alerts')).filter((name) => name.endsWith('.rules.yml'));
    expect(rules.length).toBeGreaterThan(1);
    for (const name of rules) expect(sourceIn('prometheus', `${folder}/${name}`)).toBe(`alerts/${name}`);
    expect(serviceOf('prometheus').command).toContain('--storage.tsdb.retention.time=35d');
    expect(textOf('slo.yaml')).toContain('30d');
  });

  test('keeps exemplars', () => {
    expect(config.storage.exemplars.max_exemplars).toBeGreaterThan(0);
    expect(serviceOf('prometheus').command).toContain('--enable-feature=exemplar-storage');
  });

  test('scrapes and tells only services that are there', () => {
    const addresses = [
      ...config.scrape_configs.flatMap(({ static_configs: each = [] }) =>
        each.flatMap(({ targets }) => targets),
      ),
      ...config.alerting.alertmanagers.flatMap(({ static_configs: each }) =>
        each.flatMap(({ targets }) => targets),
      ),
    ];
    const hosts = addresses
      .map((address) => address.split(':')[0] ?? '')
      .filter((host) => host !== 'localhost');
    expect(hosts.filter((host) => !(host in COMPOSE.services))).toEqual([]);
    const metrics = yamlOf<{ exporters: { prometheus: { endpoint: string } } }>(
      'otel-collector.yaml',
    ).exporters;
    const port = metrics.prometheus.endpoint.split(':')[1];
    expect(job('otel-collector-metrics').static_configs?.[0]?.targets).toEqual([`otel-collector:${port}`]);
    expect(job('otel-collector-metrics').honor_labels).toBe(true);
  });
});

describe('alertmanager.yml', () => {
  interface Alertmanager {
    readonly route: unknown;
    readonly inhibit_rules: unknown;
    readonly receivers: readonly {
      readonly name: string;
      readonly webhook_configs?: readonly {
        readonly url?: string;
        readonly url_file?: string;
        readonly http_config?: { readonly authorization: { readonly credentials_file: string } };
      }[];
    }[];
  }
  const config = yamlOf<Alertmanager>('deploy/alertmanager/alertmanager.yml');

  test('tells who alerts/alertmanager.yml tells, with the enricher between', () => {
    const plain = yamlOf<Alertmanager>('alerts/alertmanager.yml');
    expect(config.route).toEqual(plain.route);
    expect(config.inhibit_rules).toEqual(plain.inhibit_rules);
    expect(config.receivers.map(({ name }) => name)).toEqual(plain.receivers.map(({ name }) => name));
    const { enricher } = loadConfig(environmentOf('enricher', secrets));
    for (const receiver of ['page', 'ticket']) {
      const [hook] =
        config.receivers.find(({ name }) => name === `vitrine-${receiver}`)?.webhook_configs ?? [];
      const { host, pathname } = new URL(hook?.url ?? '');
      expect(host).toBe(`enricher:${enricher.httpPort}`);
      expect(pathname).toBe(`/alerts/${receiver}`);
      expect(Object.keys(enricher.forwardUrls)).toContain(receiver);
      expect(secretIn('alertmanager', hook?.http_config?.authorization.credentials_file ?? '')).toBe(
        enricher.token,
      );
    }
  });

  test('the watchdog goes past the enricher, to an address in a file that is there', () => {
    const [hook] = config.receivers.find(({ name }) => name === 'vitrine-watchdog')?.webhook_configs ?? [];
    expect(secretIn('alertmanager', hook?.url_file ?? '')).toBe('http://nobody.invalid/');
  });
});

describe('grafana', () => {
  interface DataSource {
    readonly uid: string;
    readonly type: string;
    readonly url: string;
    // biome-ignore lint/suspicious/noExplicitAny: each type has its own form
    readonly jsonData: any;
  }
  const { datasources } = yamlOf<{ datasources: DataSource[] }>(
    'deploy/grafana/provisioning/datasources/vitrine.yaml',
  );
  const source = (type: string): DataSource => {
    const found = datasources.find((each) => each.type === type);
    if (found === undefined) throw new Error(`no ${type}`);
    return found;
  };

  test('asks services that are there', () => {
    for (const { url } of datasources) expect(Object.keys(COMPOSE.services)).toContain(new URL(url).hostname);
    expect(new Set(datasources.map(({ uid }) => uid)).size).toBe(datasources.length);
  });

  test('every link between data sources leads to one that is there', () => {
    const uids = datasources.map(({ uid }) => uid);
    const linked = [...JSON.stringify(datasources).matchAll(/"datasourceUid":"([^"]+)"/g)].map(
      ([, uid]) => uid,
    );
    expect(linked).toHaveLength(4);
    expect(linked.filter((uid) => !uids.includes(uid ?? ''))).toEqual([]);
  });

  test('an exemplar leads to its trace by the label that it has', () => {
    const [destination] = source('prometheus').jsonData.exemplarTraceIdDestinations;
    expect(destination).toMatchObject({ name: 'trace_id', datasourceUid: source('jaeger').uid });
    expect(textOf('src/telemetry/exposition.ts')).toContain(`# {${destination.name}="`);
  });

  test('a span leads to metrics of the catalogue, by attributes and labels that are there', () => {
    const { tags, queries } = source('jaeger').jsonData.tracesToMetrics as {
      tags: { key: string; value: string }[];
      queries: { query: string }[];
    };
    const attributes: readonly string[] = Object.values(ATTR);
    expect(tags.filter(({ key }) => !attributes.includes(key))).toEqual([]);
    for (const { query } of queries) {
      const [name = ''] = /(?<![a-z_])(?:inference|nodejs|process|vitrine)_[a-z0-9_]+/.exec(query) ?? [];
      const base = name.replace(/_(bucket|sum|count)$/, '');
      expect(Object.keys(CATALOG), query).toContain(base);
      for (const [, attribute] of query.matchAll(/tags\["([^"]+)"\]/g))
        expect(attributes).toContain(attribute);
      // "$" is Grafana's own here unless it is doubled.
      expect(query.replaceAll('$$', '')).not.toContain('$');
    }
  });

  test('shows the committed dashboards, from the folder where compose puts them', () => {
    const { providers } = yamlOf<{ providers: { options: { path: string }; folderUid: string }[] }>(
      'deploy/grafana/provisioning/dashboards/vitrine.yaml',
    );
    const [provider] = providers;
    expect(sourceIn('grafana', `${provider?.options.path}/vitrine-overview.json`)).toBe(
      'dashboards/vitrine-overview.json',
    );
    const home = String(serviceOf('grafana').environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH);
    expect(isThere(sourceIn('grafana', home) ?? 'nothing')).toBe(true);
    const password = String(serviceOf('grafana').environment?.GF_SECURITY_ADMIN_PASSWORD__FILE);
    expect(secretIn('grafana', password)).toBe(secrets.grafana_password?.trim());
  });

  test('has a data source of each type that a variable of a dashboard asks for', () => {
    const types = new Set(datasources.map(({ type }) => type));
    for (const name of readdirSync(join(ROOT, 'dashboards')).filter((file) => file.endsWith('.json'))) {
      const { templating } = JSON.parse(textOf(`dashboards/${name}`)) as {
        templating: { list: { type: string; query: string }[] };
      };
      for (const { type, query } of templating.list)
        if (type === 'datasource') expect(types, name).toContain(query);
    }
  });
});

test('engines start with the files that compose gives them', () => {
  for (const [service, prefix] of [
    ['prometheus', '--config.file='],
    ['alertmanager', '--config.file='],
    ['loki', '-config.file='],
  ] as const) {
    const flag = serviceOf(service).command.find((each) => each.startsWith(prefix)) ?? '';
    const path = sourceIn(service, flag.slice(prefix.length));
    expect(isThere(path ?? 'nothing'), service).toBe(true);
  }
});

test('nothing of the stack runs "latest", in any file', () => {
  for (const path of ['docker-compose.yml', 'deploy/Dockerfile'])
    expect(textOf(path)).not.toMatch(/:latest\b/);
});
