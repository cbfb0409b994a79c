/** Holds every alert to what an alert has to have: data that exists, labels, texts, a runbook, proofs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DRILL_NAMES } from '../contract/drill_names.ts';
import { OUTCOMES } from '../contract/outcomes.ts';
import { CATALOG, type CatalogEntry } from '../telemetry/catalog.ts';
import { ALERT_CATALOG } from './alert_catalog.ts';
import { ALERT_SCENARIOS } from './alert_scenarios.ts';
import { allRules, ruleId, ruleLabels } from './all_rules.ts';
import { placeholders } from './annotation.ts';
import { type Expression, expressionLabels, type Measure, measureBy } from './expression.ts';
import { objectiveScenarios } from './objective_scenarios.ts';
import { readObjectives } from './objectives.ts';
import { signalPromql } from './promql.ts';
import { readingsOf } from './sample_needs.ts';
import { BASE_INTERVALS, windowsOf } from './time_scale.ts';

const ROOT = new URL('../../', import.meta.url);
const { objectives } = readObjectives(readFileSync(new URL('slo.yaml', ROOT), 'utf8'), {
  path: 'slo.yaml',
  models: undefined,
});
const RULES = allRules(objectives);
const SCENARIOS = [...ALERT_SCENARIOS, ...objectives.flatMap(objectiveScenarios)];
/** Labels that every scraped series carries. */
const TARGET_LABELS = ['job', 'instance'];

function runbook(slug: string): string {
  const file = new URL(`docs/runbooks/${slug}.md`, ROOT);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function labelsOf(metric: string): readonly string[] {
  const entry = (CATALOG as Readonly<Record<string, CatalogEntry>>)[metric];
  return [...TARGET_LABELS, ...(entry?.attributes ?? [])];
}

function measuresOf(expression: Expression): Measure[] {
  switch (expression.kind) {
    case 'threshold':
      return [expression.measure, ...expression.guards.map(({ measure }) => measure)];
    case 'against_past':
      return [
        expression.measure,
        ...[...expression.guards, ...expression.pastGuards].map(({ measure }) => measure),
      ];
    default:
      return [];
  }
}

test('ids are unique, and names say whose they are', () => {
  const ids = RULES.map(ruleId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { name } of RULES) expect(name).toMatch(/^Vitrine[A-Z][A-Za-z0-9]+$/);
});

describe.each(RULES.map((rule) => [ruleId(rule), rule] as const))('%s', (id, rule) => {
  const { expression } = rule;
  const labels = [...expressionLabels(expression), ...Object.keys(ruleLabels(rule))];

  test('reads metrics that exist, by labels that they carry', () => {
    for (const { metric, where } of readingsOf(expression)) {
      expect(metric === 'up' || metric in CATALOG, metric).toBe(true);
      for (const { label, values } of where) {
        expect(labelsOf(metric), metric).toContain(label);
        expect(values.length).toBeGreaterThan(0);
        if (metric.startsWith('inference_requests') && label === 'outcome') {
          for (const value of values) expect(OUTCOMES).toContain(value);
        }
      }
    }
    for (const measure of measuresOf(expression)) {
      const sides = measure.kind === 'quotient' ? [measure.numerator, measure.denominator] : [measure];
      for (const side of sides) {
        const metric = side.kind === 'increase' ? side.of.metric : side.metric;
        for (const label of side.by) expect(labelsOf(metric), metric).toContain(label);
        expect(side.by, 'both sides of a quotient, and guards, keep the same labels').toEqual(
          measureBy(measuresOf(expression)[0] as Measure),
        );
      }
    }
  });

  test('matches only edges that are written alike everywhere', () => {
    if (expression.kind !== 'burn_rate' || expression.bad.kind !== 'above') return;
    const { metric, edge } = expression.bad;
    expect(CATALOG[metric].buckets).toContain(edge);
    // Prometheus stores 1 as 1.0, and 0.00005 as 5e-05.
    expect(Number.isInteger(edge)).toBe(false);
    expect(edge).toBeGreaterThanOrEqual(0.0001);
  });

  test('has windows of five scrapes or more, and waits out a missed scrape where it looks for absence', () => {
    for (const windowS of windowsOf(expression)) {
      expect(windowS).toBeGreaterThanOrEqual(5 * BASE_INTERVALS.scrapeIntervalS);
    }
    if (expression.kind === 'absent' || expression.kind === 'vanished') {
      expect(rule.forS).toBeGreaterThanOrEqual(2 * BASE_INTERVALS.scrapeIntervalS);
    }
  });

  test('says what it says with labels that it has', () => {
    for (const template of [rule.summary, rule.description]) {
      expect(template).not.toBe('');
      for (const name of placeholders(template)) expect([...labels, 'value']).toContain(name);
    }
    expect(rule.summary.length).toBeLessThanOrEqual(100);
    expect(rule.summary).not.toMatch(/\n|\.$/);
    for (const label of Object.values(rule.dashboard.variables)) expect(labels).toContain(label);
  });

  test('silences alerts that exist, by labels that both always have', () => {
    for (const { silences, equal } of rule.inhibits) {
      expect(equal.length).toBeGreaterThan(0);
      for (const name of silences) {
        expect(name).not.toBe(rule.name);
        const symptoms = RULES.filter((other) => other.name === name);
        expect(symptoms.length, name).toBeGreaterThan(0);
        for (const symptom of symptoms) {
          const theirs = [...expressionLabels(symptom.expression), ...Object.keys(ruleLabels(symptom))];
          for (const label of equal) {
            expect(labels, id).toContain(label);
            expect(theirs, name).toContain(label);
          }
        }
      }
    }
  });

  test('has a runbook that explains it and asks its query', () => {
    const text = runbook(rule.runbook);
    expect(text.split('\n')[0]).toBe(`# ${rule.name}`);
    expect(text).toContain(`Severity: ${rule.severity}.`);
    for (const heading of ['What it means', 'How to confirm', 'What to do', 'What else it may be']) {
      expect(text).toContain(`\n## ${heading}\n`);
    }
    expect(text).toContain('```sh\n');
    // An objective's alerts share a runbook, which shows the recorded figures of one.
    if (rule.labels.slo === undefined) {
      expect(text).toContain(`\`\`\`promql\n${signalPromql(expression)}\n\`\`\``);
    } else expect(text).toContain('```promql\n');
  });

  test('has a drill, or a reason why none', () => {
    if ('drill' in rule.drill) expect(DRILL_NAMES).toContain(rule.drill.drill);
    else expect(rule.drill.noDrill.length).toBeGreaterThan(20);
  });

  test('is proven to fire, to stay silent, and to clear', () => {
    const scenarios = SCENARIOS.filter(({ rule: of }) => of === id);
    const fires = scenarios.filter(({ checks }) => checks.some(({ firing }) => firing.length > 0));
    expect(fires.length).toBeGreaterThan(0);
    if (expression.kind === 'always') return;
    expect(scenarios.some(({ checks }) => checks.every(({ firing }) => firing.length === 0))).toBe(true);
    for (const { checks } of fires) {
      expect(checks[0]?.firing, 'silent before').toEqual([]);
      expect(checks.at(-1)?.firing, 'clear after').toEqual([]);
    }
  });
});

test('every scenario is about a rule, and its expectations have the labels of the rule', () => {
  for (const scenario of SCENARIOS) {
    const rule = RULES.find((each) => ruleId(each) === scenario.rule);
    expect(rule, scenario.rule).toBeDefined();
    if (rule === undefined) continue;
    for (const { firing } of scenario.checks) {
      for (const { labels } of firing) {
        expect(Object.keys(labels).sort(), scenario.rule).toEqual(
          [...expressionLabels(rule.expression)]
            .filter((label) => !(label in rule.labels) || label in labels)
            .sort(),
        );
      }
    }
  }
});

test('every scenario plays metrics of the catalogue with all of their labels', () => {
  for (const { series, rule } of SCENARIOS) {
    for (const { name, labels } of series) {
      const metric = name in CATALOG ? name : name.replace(/_(bucket|count|sum)$/, '');
      expect(metric === 'up' || metric in CATALOG, `${rule}: ${name}`).toBe(true);
      const known = labelsOf(metric);
      for (const label of Object.keys(labels)) expect([...known, 'le'], `${rule}: ${name}`).toContain(label);
      for (const label of known) expect(Object.keys(labels), `${rule}: ${name}`).toContain(label);
    }
  }
});

describe('runbooks', () => {
  const slugs = readdirSync(new URL('docs/runbooks/', ROOT)).map((file) => file.replace(/\.md$/, ''));
  const settings = readFileSync(new URL('docs/configuration.md', ROOT), 'utf8');

  test('each belongs to an alert', () => {
    expect(slugs.filter((slug) => !RULES.some(({ runbook: of }) => of === slug))).toEqual([]);
  });

  test.each(slugs)('%s names metrics, settings and pages that exist', (slug) => {
    const text = runbook(slug);
    for (const [name] of text.matchAll(/\b(?:inference|vitrine|process|hw|nodejs)_[a-z0-9_]+/g)) {
      const known = Object.entries(CATALOG as Readonly<Record<string, CatalogEntry>>).some(
        ([metric, { attributes }]) =>
          metric.startsWith(name) || name.startsWith(`${metric}_`) || attributes.includes(name),
      );
      expect(known, name).toBe(true);
    }
    for (const [name] of text.matchAll(/\bVITRINE_[A-Z0-9_]+/g)) expect(settings).toContain(name);
    for (const [, target] of text.matchAll(/\]\(([^)]+)\.md\)/g)) expect(slugs).toContain(target);
  });
});

test('the catalogue is what the issue of alerts needs: at least one page, and one that always fires', () => {
  expect(ALERT_CATALOG.some(({ severity }) => severity === 'page')).toBe(true);
  expect(ALERT_CATALOG.filter(({ expression }) => expression.kind === 'always')).toHaveLength(1);
});
