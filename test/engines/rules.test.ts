/**
 * The committed rules before the engines that read them: promtool loads them and plays every scenario, and says
 * no where a rule is broken on purpose; amtool loads alertmanager.yml and finds the receivers.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { ValueUnit } from '../../src/slo/alert.ts';
import { annotationTemplates, renderAnnotations } from '../../src/slo/annotation.ts';
import { generatedAlerts } from '../../src/slo/generated_alerts.ts';
import { readObjectives } from '../../src/slo/objectives.ts';
import { type AlertingRule, type RuleGroup, yamlText } from '../../src/slo/rule_file.ts';
import { findEngine } from './prometheus.ts';

const ROOT = join(import.meta.dirname, '../..');
const ALERTS = join(ROOT, 'alerts');
const TESTS = readdirSync(join(ALERTS, 'tests')).filter((name) => name.endsWith('.test.yml'));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-rules-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function engine(
  name: string,
  ...args: readonly string[]
): { readonly status: number | null; readonly said: string } {
  const path = findEngine(name);
  if (path === undefined) throw new Error(`there is no ${name}; run "npm run engines"`);
  const { status, stdout, stderr } = spawnSync(path, args, { encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

describe('promtool', () => {
  test('loads the rules', () => {
    const { status, said } = engine(
      'promtool',
      'check',
      'rules',
      join(ALERTS, 'vitrine.rules.yml'),
      join(ALERTS, 'objectives.rules.yml'),
    );
    expect(said).not.toContain('FAILED');
    expect(status).toBe(0);
  });

  test('loads the rules at a time scale', () => {
    const text = readFileSync(join(ROOT, 'slo.yaml'), 'utf8');
    const { objectives } = readObjectives(text, { path: 'slo.yaml', models: undefined });
    const files = generatedAlerts(objectives, {
      timeScale: 240,
      links: { runbooks: 'r', dashboards: 'd' },
    });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    const { status, said } = engine(
      'promtool',
      'check',
      'rules',
      join(folder, 'vitrine.rules.yml'),
      join(folder, 'objectives.rules.yml'),
    );
    expect(said).not.toContain('FAILED');
    expect(status).toBe(0);
  });

  test.each(TESTS)('finds every scenario of %s as it is written', (name) => {
    const { status, said } = engine('promtool', 'test', 'rules', join(ALERTS, 'tests', name));
    expect(said).not.toContain('FAILED');
    expect(status).toBe(0);
  });
});

/** Each number of the first comparison a tenth lower, or higher; whole numbers by one, where a tenth changes nothing. */
function moved(expr: string, times: number): string {
  return expr.replace(/(>=|>|<) ([\d.]+)/, (_, op: string, text: string) => {
    const value = Number(text);
    const next = Number.isInteger(value) && value < 10 ? value + (times > 1 ? 1 : -1) : value * times;
    return `${op} ${next}`;
  });
}

describe('a rule that is broken on purpose is found', () => {
  const { groups } = parse(readFileSync(join(ALERTS, 'vitrine.rules.yml'), 'utf8')) as {
    groups: RuleGroup[];
  };
  const rules = groups.flatMap(({ rules: list }) =>
    list.filter((rule): rule is AlertingRule => 'alert' in rule),
  );
  const breaks: readonly (readonly [string, (rule: AlertingRule) => AlertingRule | undefined])[] = [
    ['a lower threshold', (rule) => change(rule, moved(rule.expr, 0.9))],
    ['a higher threshold', (rule) => change(rule, moved(rule.expr, 1.1))],
    ['no hold', ({ for: hold, ...rule }) => (hold === undefined ? undefined : rule)],
    ['another severity', (rule) => ({ ...rule, labels: { ...rule.labels, severity: 'other' } })],
    ['another text', (rule) => ({ ...rule, annotations: { ...rule.annotations, summary: 'x' } })],
  ];

  function change(rule: AlertingRule, expr: string): AlertingRule | undefined {
    return expr === rule.expr ? undefined : { ...rule, expr };
  }

  test.each(breaks)('%s', (_name, breakIt) => {
    cpSync(join(ALERTS, 'tests'), join(folder, 'tests'), { recursive: true });
    const survived: string[] = [];
    for (const rule of rules) {
      const broken = breakIt(rule);
      if (broken === undefined) continue;
      writeFileSync(
        join(folder, 'vitrine.rules.yml'),
        yamlText([], { groups: [{ name: 'broken', interval: '15s', rules: [broken] }] }),
      );
      const failed = TESTS.filter((name) => name.startsWith('catalog_')).some(
        (name) =>
          engine('promtool', 'test', 'rules', '--run', `^${rule.alert} `, join(folder, 'tests', name))
            .status !== 0,
      );
      if (!failed) survived.push(rule.alert);
    }
    expect(survived).toEqual([]);
  });
});

test('promtool expands texts to the characters that we write', () => {
  const units: readonly ValueUnit[] = ['ratio', 'seconds', 'bytes', 'factor', 'number'];
  const values = [
    0, 1, 0.5, 0.061, 1.0833333333, 14.4, 59.999, 61.9, 999.95, 999.96, 1000.5, 1001.5, 1234, 9999.5, 3725,
    90_061, 12_345.6, 1_610_612_736, 0.0123, 0.00012345, 5e-7, 1e-12, 123_456_789_012,
  ];
  // A seeded walk over many magnitudes.
  let seed = 1;
  for (let index = 0; index < 100; index += 1) {
    seed = (seed * 48_271) % 2_147_483_647;
    values.push((seed / 2_147_483_647) * 10 ** ((seed % 19) - 8));
  }
  const links = { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' };
  const model = `a b&c'"(é)/{x}`;
  const rules = units.flatMap((valueUnit) =>
    values.map((value, index) => {
      const rule = {
        summary: '{value}',
        description: '{model}: {value}',
        valueUnit,
        runbook: 'r',
        dashboard: { uid: 'vitrine-model', variables: { model: 'model' } },
      } as const;
      return { name: `V_${valueUnit}_${index}`, rule, value };
    }),
  );
  writeFileSync(
    join(folder, 'texts.rules.yml'),
    yamlText([], {
      groups: [
        {
          name: 'texts',
          rules: rules.map(({ name, rule, value }) => ({
            alert: name,
            expr: `label_replace(vector(${value}), "model", ${JSON.stringify(model)}, "", "")`,
            annotations: annotationTemplates(rule, links),
          })),
        },
      ],
    }),
  );
  writeFileSync(
    join(folder, 'texts.test.yml'),
    yamlText([], {
      rule_files: ['texts.rules.yml'],
      evaluation_interval: '1m',
      tests: [
        {
          interval: '1m',
          input_series: [{ series: 'x', values: '0' }],
          alert_rule_test: rules.map(({ name, rule, value }) => ({
            eval_time: '0s',
            alertname: name,
            exp_alerts: [
              {
                exp_labels: { model },
                exp_annotations: renderAnnotations(rule, links, { value, labels: { model } }),
              },
            ],
          })),
        },
      ],
    }),
  );
  const { status, said } = engine('promtool', 'test', 'rules', join(folder, 'texts.test.yml'));
  expect(said).not.toContain('FAILED');
  expect(status).toBe(0);
});

describe('amtool', () => {
  const file = join(ALERTS, 'alertmanager.yml');

  test('loads alertmanager.yml', () => {
    const { status, said } = engine('amtool', 'check-config', file);
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test.each([
    ['vitrine-page', ['alertname=VitrineErrorSurge', 'severity=page', 'system=vitrine']],
    ['vitrine-ticket', ['alertname=VitrineRefusals', 'severity=ticket', 'system=vitrine']],
    ['vitrine-nobody', ['alertname=VitrineTracesShed', 'severity=info', 'system=vitrine']],
    ['vitrine-watchdog', ['alertname=VitrineWatchdog', 'severity=info', 'system=vitrine']],
  ])('tells %s of what is for it', (receiver, labels) => {
    const { status, said } = engine('amtool', 'config', 'routes', 'test', `--config.file=${file}`, ...labels);
    expect(said.trim()).toBe(receiver);
    expect(status).toBe(0);
  });
});
