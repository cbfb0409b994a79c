import { expect, test } from 'vitest';
import { type DeepPartial, loadConfig } from '../config/load.ts';
import type { Config } from '../config/settings.ts';
import type { Ports } from '../contract/messages.ts';
import { processList } from './process_list.ts';

function list(overrides: DeepPartial<Config>, known: Readonly<Record<string, Ports>> = {}) {
  const config = loadConfig({}, overrides);
  const specs = processList(config, {
    gatewayPort: config.gateway.httpPort,
    gatewayCount: config.gateway.count,
  });
  return specs.map((spec) => ({
    label: `${spec.name} ${spec.index}`,
    after: spec.after,
    phase: spec.drainPhase,
    env: spec.program((name, index) => known[`${name} ${index}`], 0).env,
  }));
}

test('one console, as many workers and gateways as asked for, all at once', () => {
  const specs = list({ worker: { count: 2 }, gateway: { count: 2 } });
  expect(specs.map(({ label }) => label)).toEqual([
    'console 0',
    'worker 1',
    'worker 2',
    'gateway 0',
    'gateway 1',
  ]);
  expect(specs.every(({ after }) => after.length === 0)).toBe(true);
  expect(specs.map(({ env }) => env.VITRINE_GATEWAY_INDEX).slice(-2)).toEqual(['0', '1']);
  expect(specs.map(({ env }) => env.VITRINE_WORKER_INDEX).slice(1, 3)).toEqual(['1', '2']);
});

test('a worker that is started again learns how often it has been', () => {
  const config = loadConfig({}, { worker: { count: 1 } });
  const [, worker] = processList(config, { gatewayPort: 8000, gatewayCount: 1 });
  expect(worker?.program(() => undefined, 3).env.VITRINE_LIFECYCLE_RESTARTS).toBe('3');
});

test('queries drain before the workers that answer them, and those before the console', () => {
  const phases = Object.fromEntries(list({ worker: { count: 1 } }).map(({ label, phase }) => [label, phase]));
  expect(phases['gateway 0']).toBeLessThan(phases['worker 1'] ?? 0);
  expect(phases['worker 1']).toBeLessThan(phases['console 0'] ?? 0);
});

test('workers elsewhere are not started here, nor a console that is off', () => {
  const specs = list({ gateway: { workers: ['http://10.0.0.7:8101'] }, console: { enabled: false } });
  expect(specs.map(({ label }) => label)).toEqual(['gateway 0']);
  expect(specs[0]?.env.OTEL_EXPORTER_OTLP_ENDPOINT).toBe(process.env.OTEL_EXPORTER_OTLP_ENDPOINT);
});

test('an enricher where it is asked for, with the traces of the console', () => {
  const enabled = { enricher: { enabled: true }, worker: { count: 1 } };
  const [, enricher] = list({ ...enabled, console: { httpPort: 9001 } });
  expect([enricher?.label, enricher?.env.VITRINE_ENRICHER_TRACES_URL]).toEqual([
    'enricher 0',
    'http://localhost:9001',
  ]);
  const elsewhere = { ...enabled, enricher: { enabled: true, tracesUrl: 'http://jaeger:16686' } };
  expect(list(elsewhere)[1]?.env.VITRINE_ENRICHER_TRACES_URL).toBe('http://jaeger:16686');
  const [again] = list({ ...enabled, console: { enabled: false } }, { 'enricher 0': { http: 31_000 } });
  expect(again?.env.VITRINE_ENRICHER_HTTP_PORT).toBe('31000');
});

test('where the console takes a free port the others wait for it, and learn it', () => {
  const free = { console: { httpPort: 0, otlpPort: 0 }, worker: { count: 1 } };
  expect(list(free).map(({ after }) => after)).toEqual([[], ['console'], ['console']]);
  const [, worker] = list(free, { 'console 0': { http: 31_000, otlp: 31_001 } });
  expect(worker?.env.OTEL_EXPORTER_OTLP_ENDPOINT).toBe('http://localhost:31001');
});

test('page and gateway find each other on other ports, too, and where they are configured', () => {
  const addresses = (overrides: DeepPartial<Config>, known?: Readonly<Record<string, Ports>>) => {
    const specs = list({ worker: { count: 1 }, ...overrides }, known);
    const [console_, , gateway] = specs.map(({ env }) => env);
    return [console_?.VITRINE_CONSOLE_GATEWAY_URL, gateway?.VITRINE_GATEWAY_CONSOLE_URL];
  };
  expect(addresses({})).toEqual(['http://localhost:8000', 'http://localhost:16686']);
  expect(addresses({ gateway: { httpPort: 9000 }, console: { httpPort: 9001 } })).toEqual([
    'http://localhost:9000',
    'http://localhost:9001',
  ]);
  const known = { 'console 0': { http: 31_000, otlp: 31_001 }, 'gateway 0': { http: 31_002 } };
  expect(addresses({ gateway: { httpPort: 0 }, console: { httpPort: 0 } }, known)).toEqual([
    'http://localhost:31002',
    'http://localhost:31000',
  ]);
  const configured = {
    gateway: { httpPort: 9000, consoleUrl: 'https://page.example' },
    console: { gatewayUrl: 'https://api.example' },
  };
  expect(addresses(configured)).toEqual(['https://api.example', 'https://page.example']);
});

test('a restarted process takes the ports that it had', () => {
  const known = {
    'console 0': { http: 31_000, otlp: 31_001 },
    'worker 2': { http: 31_002 },
    'gateway 1': { http: 31_003, metrics: 31_005 },
  };
  const specs = list(
    {
      console: { httpPort: 0, otlpPort: 0 },
      worker: { basePort: 0, count: 2 },
      gateway: { count: 2, metricsPort: 0 },
    },
    known,
  );
  const env = Object.fromEntries(specs.map((spec) => [spec.label, spec.env]));
  expect(env['console 0']?.VITRINE_CONSOLE_OTLP_PORT).toBe('31001');
  expect(env['worker 2']?.VITRINE_WORKER_BASE_PORT).toBe('31000');
  expect(env['worker 1']?.VITRINE_WORKER_BASE_PORT).toBe('0');
  expect(env['gateway 1']?.VITRINE_GATEWAY_HTTP_PORT).toBe('31003');
  expect(env['gateway 1']?.VITRINE_GATEWAY_METRICS_PORT).toBe('31004');
});
