/** docs/existing-stack.md and the README's two ways to run: every path, variable, port and name in them is there. */
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eachSetting } from '../../src/config/settings.ts';
import { COMPOSE, environmentOf, freshSecrets, isThere, textOf } from './files.ts';

const GUIDE = 'docs/existing-stack.md';
const readme = textOf('README.md');
const WAYS = readme.slice(readme.indexOf('## Two ways to run'), readme.indexOf('## Where the time went'));

describe.each([
  [GUIDE, textOf(GUIDE)],
  ['README.md', WAYS],
])('%s', (path, text) => {
  test('leads to files that are there', () => {
    const linked = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, target]) =>
      normalize(join(dirname(path), target ?? '')),
    );
    expect(linked.length).toBeGreaterThan(2);
    expect(linked.filter((target) => !isThere(target))).toEqual([]);
  });

  test('names settings that are there, and variables that a file reads', () => {
    const settings = new Set(eachSetting().map(({ variable }) => variable));
    const named = [...text.matchAll(/`(VITRINE_[A-Z0-9_]+)/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !settings.has(name))).toEqual([]);
    const files = ['otel-collector.yaml', 'deploy/jaeger/jaeger.yaml'].map(textOf).join('\n');
    for (const [, name] of text.matchAll(/`((?:JAEGER|LOKI|KEEP|QUEUE|PROMETHEUS|BADGER)_[A-Z_]+)/g)) {
      expect(files).toContain(`\${env:${name}:-`);
    }
  });
});

test('ten lines for each file', () => {
  for (const section of textOf(GUIDE).split(/^## /m).slice(1)) {
    const lines = [...section.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
    expect(lines, section.split('\n')[0]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  }
});

test('the README gives the addresses of compose', () => {
  const secrets = freshSecrets();
  const gateway = environmentOf('gateway', secrets);
  const enricher = environmentOf('enricher', secrets);
  for (const value of [
    gateway.OTEL_EXPORTER_OTLP_ENDPOINT,
    gateway.VITRINE_GATEWAY_WORKERS,
    enricher.VITRINE_ENRICHER_PROMETHEUS_URL,
    enricher.VITRINE_ENRICHER_TRACES_URL,
  ]) {
    expect(WAYS).toContain(`\`${value}\``);
  }
  const published = Object.values(COMPOSE.services).flatMap(({ ports = [] }) =>
    ports.map((port) => port.split(':')[1]),
  );
  for (const [, port] of WAYS.matchAll(/<http:\/\/localhost:(\d+)/g)) expect(published).toContain(port);
});
