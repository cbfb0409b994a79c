import { expect, test } from 'vitest';
import { childEnvironment } from './child_environment.ts';
import { loadConfig } from './load.ts';

const CONSOLE = { otlpPort: 4319, token: '' };

test('a child reads what the supervisor knows as its own settings', () => {
  const env = childEnvironment(
    { gateway: { index: 1, httpPort: 9000 }, worker: { basePort: -3 + 8104 } },
    undefined,
    {
      VITRINE_GATEWAY_HTTP_PORT: '0',
      PATH: '/bin',
    },
  );
  expect(env.PATH).toBe('/bin');
  const config = loadConfig(env);
  expect([config.gateway.index, config.gateway.httpPort, config.worker.basePort]).toEqual([1, 9000, 8101]);
});

test('spans go to the embedded console unless a standard variable names another place', () => {
  expect(childEnvironment({}, CONSOLE, {}).OTEL_EXPORTER_OTLP_ENDPOINT).toBe('http://localhost:4319');
  expect(childEnvironment({}, undefined, {}).OTEL_EXPORTER_OTLP_ENDPOINT).toBeUndefined();
  for (const name of ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) {
    const env = childEnvironment(
      {},
      { ...CONSOLE, token: 'a-token-of-some-length' },
      { [name]: 'http://collector:4318' },
    );
    expect(env[name]).toBe('http://collector:4318');
    expect(env.OTEL_EXPORTER_OTLP_HEADERS).toBeUndefined();
  }
});

test('a console with a token gets it from the other processes, and from nobody else', () => {
  const token = 'a-token-of-some-length';
  expect(childEnvironment({}, { ...CONSOLE, token }, {}).OTEL_EXPORTER_OTLP_HEADERS).toBe(
    'authorization=Bearer%20a-token-of-some-length',
  );
  const own = childEnvironment({}, { ...CONSOLE, token }, { OTEL_EXPORTER_OTLP_HEADERS: 'x=y' });
  expect(own.OTEL_EXPORTER_OTLP_HEADERS).toBe('x=y');
});
