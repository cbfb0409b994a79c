import { afterEach, expect, test, vi } from 'vitest';
import { manifestsOf } from '../../test/kubernetes/manifests.ts';
import { eachSetting } from '../config/settings.ts';
import { OUTCOMES } from '../contract/outcomes.ts';
import { STAGES } from '../contract/stages.ts';
import { CATALOG } from '../telemetry/catalog.ts';
import { SERIES_LIMIT } from '../telemetry/metrics.ts';
import { UsageError } from './command.ts';
import { defaultInput, run } from './plan.ts';
import { scalingDocs } from './scaling_docs.ts';
import {
  CELL_GATEWAYS,
  CELL_WORKERS,
  OUTCOMES_PER_MODEL,
  type Plan,
  planFor,
  SERIES_PER_METRIC,
  STAGES_PER_MODEL,
} from './scaling_plan.ts';

const out: string[] = [];
vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
afterEach(() => {
  out.length = 0;
});

function part(plan: Plan, name: string) {
  const found = plan.parts.find((each) => each.part.trim() === name);
  if (found === undefined) throw new Error(`no ${name} in ${plan.parts.map((each) => each.part).join(', ')}`);
  return found;
}

test('ten queries a second run on one machine, with the console', () => {
  const plan = planFor(defaultInput(10));
  expect(plan.parts.map((each) => each.part)).toEqual([
    'machines',
    'gateways',
    'workers',
    'traces',
    'metrics',
  ]);
  expect(part(plan, 'machines').run).toContain('npm start');
  // 84 + 556 + 6 of the gateway, 74 + 40 of the worker.
  expect(part(plan, 'metrics').because).toMatch(/^760 series/);
  expect(plan.warnings).toEqual([]);
});

test('numbers by hand: 1,000 queries a second of five models', () => {
  const plan = planFor({ ...defaultInput(1000), models: 5 });
  // 1,000 x 2 ms = 2 threads, 60 % of each: 3.3.
  expect(part(plan, 'workers').run).toMatch(/^4 processes/);
  expect(part(plan, 'gateways').run).toBe('2 processes');
  // A tenth of 1,000 x 7.25 spans; 7 x 346 + 570 / 4 bytes each query.
  expect(part(plan, 'OTLP')).toMatchObject({ run: '256 kB/s, 46 kB/s with gzip' });
  expect(part(plan, 'Collector').because).toMatch(/^725 spans\/s x 12 us/);
  expect(part(plan, 'or instead').because).toContain('7,250 spans/s');
  // 725 x 86,400 x 424 B = 26.6 GB a day.
  expect(part(plan, 'Jaeger')).toMatchObject({
    run: 'one, on Badger',
    because: expect.stringContaining('27 GB a day'),
  });
  // 2 x (84 + 2,780 + 24) + 4 x (74 + 200).
  expect(part(plan, 'series').run).toBe('6,872');
});

test('a hundred thousand need cells, tiers and another store', () => {
  const plan = planFor({ ...defaultInput(100_000), models: 20 });
  expect(part(plan, 'gateways').run).toBe('23 processes');
  expect(part(plan, 'workers').run).toMatch(/^334 processes/);
  expect(part(plan, 'cells').run).toMatch(/^6, each of 4 gateways and 56 workers/);
  expect(part(plan, 'or instead').run).toMatch(/^two tiers/);
  expect(part(plan, 'Jaeger').run).toMatch(/OpenSearch or ClickHouse/);
});

test('more of anything never needs less', () => {
  let before = 0;
  for (const rate of [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]) {
    const workers = Number(
      /^[\d,]+/.exec(part(planFor(defaultInput(rate)), 'workers').run)?.[0].replaceAll(',', ''),
    );
    expect(workers).toBeGreaterThanOrEqual(before);
    before = workers;
  }
});

test('too few workers, too many models and every trace are told', () => {
  const busy = { ...defaultInput(1000), workers: 3 };
  expect(planFor(busy).warnings).toEqual(['3 workers would be 67 % busy: 4 leave room']);
  expect(planFor({ ...busy, workers: 1 }).warnings[0]).toContain('cannot do it');
  expect(planFor({ ...defaultInput(10), models: 112 }).warnings[0]).toContain('enough for 111 models');
  expect(planFor({ ...defaultInput(20_000), keep: 1 }).warnings[0]).toContain(
    'VITRINE_TELEMETRY_MODE=retroactive',
  );
});

test('limits are those of the code and of the manifests', () => {
  expect(SERIES_PER_METRIC).toBe(SERIES_LIMIT);
  expect(OUTCOMES_PER_MODEL).toBe(OUTCOMES.length);
  expect(STAGES_PER_MODEL).toBe(STAGES.length + 1);
  const most = Object.fromEntries(
    manifestsOf('components/autoscaling/autoscalers.yaml').map(({ metadata, spec }) => [
      metadata.name,
      spec.maxReplicas,
    ]),
  );
  expect(most['vitrine-worker']).toBe(CELL_WORKERS);
  expect(most['vitrine-gateway']).toBeLessThanOrEqual(CELL_GATEWAYS);
});

test('the page names metrics and settings that there are', () => {
  const page = scalingDocs();
  const metrics = [...page.matchAll(/\b(?:vitrine|inference|nodejs)_[a-z_]+\b/g)].map(([name]) => name);
  expect(metrics.length).toBeGreaterThan(8);
  expect(metrics.filter((name) => !Object.hasOwn(CATALOG, name))).toEqual([]);
  const variables = [...page.matchAll(/\bVITRINE_[A-Z_]+\b/g)].map(([name]) => name);
  const known = new Set(eachSetting().map(({ variable }) => variable));
  expect(variables.filter((name) => !known.has(name))).toEqual([]);
  expect(page).not.toMatch(/\d\.\d*,\d|NaN|undefined|Infinity/);
});

test('the command prints the plan, as a table and as JSON', async () => {
  expect(await run(['--rate', '1000', '--models', '5', '--workers', '8'])).toBe(0);
  expect(out.join('')).toMatch(/^1,000 queries\/s of 5 models.*\n\n.*machines .*/);
  expect(out.join('')).toContain('8 processes with 1 inference thread');
  out.length = 0;
  expect(await run(['--rate', '1000', '--keep', '0.5', '--json'])).toBe(0);
  expect(JSON.parse(out.join(''))).toMatchObject({ input: { ratePerS: 1000, keep: 0.5 }, warnings: [] });
});

test.each([
  [[], '--rate is missing'],
  [['--rate', 'many'], '--rate takes a number'],
  [['--rate', '10', '--models', '1.5'], '--models takes a whole number'],
  [['--rate', '10', '--keep', '2'], '--keep takes a number from 0 to 1'],
])('%j is refused: %s', async (argv, message) => {
  const refused = run(argv);
  await expect(refused).rejects.toThrow(UsageError);
  await expect(refused).rejects.toThrow(message);
});
