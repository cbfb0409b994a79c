/**
 * Every expression of the committed dashboards, and every committed rule without its comparison, returns numbers
 * from a real Prometheus that scrapes the running service. Hardware that is not here is a recording: see HARDWARE.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { allRules, ruleId } from '../../src/slo/all_rules.ts';
import { readObjectives } from '../../src/slo/objectives.ts';
import { signalPromql } from '../../src/slo/promql.ts';
import type { RuleGroup } from '../../src/slo/rule_file.ts';
import { CATALOG, type CatalogEntry } from '../../src/telemetry/catalog.ts';
import { expressionsOf, readDashboards } from '../fixtures/dashboard_files.ts';
import { type Question, unanswered } from './answered.ts';
import { type ObservedService, startObservedService } from './observed_service.ts';
import { findEngine } from './prometheus.ts';

/** Metrics of hardware that the machine lacks. They come from a worker whose NVML answers from this recording. */
const HARDWARE = {
  recording: 'test/fixtures/nvml/working.json',
  instance: 'worker-3',
  metrics: /^(hw_|vitrine_gpu_|vitrine_worker_gpu_|inference_(executor|attributed)_energy_)/,
} as const;
/** Metrics without a series as long as nothing is wrong, and where they are seen instead. */
const ONLY_IN_TROUBLE: Readonly<Record<string, string>> = {
  vitrine_telemetry_series_overflow_total: 'src/telemetry/exposition.test.ts',
};

/** What a viewer has chosen, and windows that fit a scrape a second. */
const CHOSEN: Readonly<Record<string, string>> = {
  $__rate_interval: '15s',
  $__range: '1m',
  $job: '.+',
  $instance: '.+',
  $model: 'langid',
  $version: '.*',
  $slo: '.+',
};
const WITHIN_MS = 150_000;
/** Of the exemplars, about so many are followed. */
const TRACES_ASKED = 500;

function chosen(expr: string): string {
  return Object.entries(CHOSEN).reduce((text, [name, value]) => text.replaceAll(name, value), expr);
}

const questions: readonly Question[] = readDashboards()
  .flatMap(expressionsOf)
  .map(({ where, expr }) => ({ where, promql: chosen(expr) }));

/** Recording rules and alerts as they are committed. */
const committed = ['vitrine.rules.yml', 'objectives.rules.yml'].flatMap((name) => {
  const text = readFileSync(new URL(`../../alerts/${name}`, import.meta.url), 'utf8');
  const { groups } = parse(text) as { groups: RuleGroup[] };
  return groups.flatMap(({ rules }) => rules);
});

const engines = findEngine('prometheus') !== undefined && findEngine('promtool') !== undefined;

describe.skipIf(!engines)('a live Prometheus', () => {
  let observed: ObservedService;
  beforeAll(async () => {
    observed = await startObservedService();
  }, 120_000);
  afterAll(async () => {
    await observed?.[Symbol.asyncDispose]();
  });

  test('answers every expression of every dashboard', async () => {
    for (const { promql } of questions) expect(promql).not.toContain('$');
    expect(await unanswered(observed.prometheus, questions, WITHIN_MS)).toEqual([]);
    process.stdout.write(`${questions.length} expressions of dashboards answered\n`);
  });

  test('answers every rule without its comparison', async () => {
    const text = readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8');
    const { objectives } = readObjectives(text, { path: 'slo.yaml', models: undefined });
    const rules = allRules(objectives).map((rule) => ({
      where: ruleId(rule),
      promql: signalPromql(rule.expression),
    }));
    expect(await unanswered(observed.prometheus, rules, WITHIN_MS)).toEqual([]);
    process.stdout.write(`${rules.length} rules answered\n`);
  });

  test('evaluates every committed rule without an error', async () => {
    const answer = await fetch(`${observed.prometheus.url}/api/v1/rules`);
    const { data } = (await answer.json()) as {
      data: { groups: { rules: { name: string; health: string; lastError?: string }[] }[] };
    };
    const evaluated = data.groups.flatMap(({ rules }) => rules);
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(evaluated.map(({ name }) => name).sort()).toEqual(
      committed.map((rule) => ('record' in rule ? rule.record : rule.alert)).sort(),
    );
  });

  test('records everything that the rules record', async () => {
    const recorded = committed.flatMap((rule) =>
      'record' in rule ? [{ where: rule.record, promql: `${rule.record}{slo="${rule.labels?.slo}"}` }] : [],
    );
    expect(await unanswered(observed.prometheus, recorded, WITHIN_MS)).toEqual([]);
    process.stdout.write(`${recorded.length} recorded series answered\n`);
  });

  test('sees every metric of the catalogue', async () => {
    const all = Object.entries(CATALOG) as [string, CatalogEntry][];
    const present = all
      .filter(([name]) => !(name in ONLY_IN_TROUBLE))
      .map(([name, { type }]) => ({
        where: name,
        promql: `count({__name__="${type === 'histogram' ? `${name}_count` : name}"})`,
      }));
    expect(await unanswered(observed.prometheus, present, WITHIN_MS)).toEqual([]);
  });

  test('has metrics of hardware from the recording alone', async () => {
    for (const name of Object.keys(CATALOG).filter((each) => HARDWARE.metrics.test(each))) {
      const elements = await observed.prometheus.query(name);
      expect([...new Set(elements.map(({ labels }) => labels.instance))], name).toEqual([HARDWARE.instance]);
    }
    expect(readFileSync(new URL(`../../${HARDWARE.recording}`, import.meta.url), 'utf8')).toContain('4711');
  });

  test('scrapes every process that the gateway lists, under the names that it gives them', async () => {
    const up = await observed.prometheus.query('up');
    expect(up.every(({ value }) => value === 1)).toBe(true);
    expect(up.map(({ labels }) => `${labels.job} ${labels.instance}`).sort()).toEqual([
      'vitrine-console console-0',
      'vitrine-enricher enricher-0',
      'vitrine-gateway gateway-0',
      'vitrine-gateway gateway-1',
      'vitrine-gateway gateway-2',
      'vitrine-worker worker-1',
      'vitrine-worker worker-2',
      'vitrine-worker worker-3',
    ]);
  });

  test('keeps exemplars for every panel that asks for them, and each leads to a trace', async () => {
    const asked = readDashboards()
      .flatMap(expressionsOf)
      .filter(({ exemplar }) => exemplar);
    const ids = new Set<string>();
    for (const { where, expr } of asked) {
      // As Grafana asks: by the panel's own expression.
      const found = await observed.prometheus.exemplars(chosen(expr), 10);
      expect(found.length, where).toBeGreaterThan(0);
      for (const { labels } of found) ids.add(labels.trace_id ?? '');
    }
    const missing: string[] = [];
    const every = Math.ceil(ids.size / TRACES_ASKED);
    for (const id of [...ids].filter((_, index) => index % every === 0)) {
      const { status } = await fetch(`${observed.service.consoleUrl}/api/v3/traces/${id}`);
      if (status !== 200) missing.push(id);
    }
    expect(missing).toEqual([]);
    process.stdout.write(`${ids.size} exemplars; of every ${every}th the trace was asked for and found\n`);
  });

  test('the stages of a model sum to its total', async () => {
    const model = 'model="langid"';
    const [stages] = await observed.prometheus.query(`sum(inference_stage_duration_seconds_sum{${model}})`);
    const [total] = await observed.prometheus.query(`sum(inference_request_duration_seconds_sum{${model}})`);
    expect(stages?.value).toBeGreaterThan(0);
    expect(Math.abs((stages?.value ?? 0) / (total?.value ?? 1) - 1)).toBeLessThan(0.01);
  });
});
