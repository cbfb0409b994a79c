import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { allRules } from './all_rules.ts';
import { BURN_WINDOWS_S, canBurn, pagePairs, ticketPairs } from './burn_windows.ts';
import { compileEvaluatorPlan } from './compile_evaluator.ts';
import { generatedAlerts } from './generated_alerts.ts';
import { readObjectives } from './objectives.ts';
import type { RuleGroup } from './rule_file.ts';
import { samplesOf } from './scenario.ts';
import { BASE_INTERVALS, scaledIntervals, scaledRule } from './time_scale.ts';

const { objectives } = readObjectives(readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8'), {
  path: 'slo.yaml',
  models: undefined,
});
const LINKS = { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' };
const RULES = allRules(objectives);

function groupsOf(text: string | undefined): RuleGroup[] {
  return (parse(text ?? '') as { groups: RuleGroup[] }).groups;
}

test('the windows and factors of 30 days are those of the SRE workbook', () => {
  expect(pagePairs(0.001, 30 * 86_400)).toEqual([
    { shortS: 300, longS: 3600, factor: 14.4, minimumTotal: 348 },
    { shortS: 1800, longS: 21_600, factor: 6, minimumTotal: 834 },
  ]);
  expect(ticketPairs(0.01, 30 * 86_400)).toEqual([
    { shortS: 7200, longS: 86_400, factor: 3, minimumTotal: 167 },
    { shortS: 21_600, longS: 259_200, factor: 1, minimumTotal: 500 },
  ]);
  expect(BURN_WINDOWS_S).toEqual([300, 1800, 3600, 7200, 21_600, 86_400, 259_200]);
});

test('at the minimum of traffic, five bad queries reach the factor, and four do not', () => {
  for (const budget of [0.0001, 0.001, 0.01, 0.05]) {
    for (const { factor, minimumTotal } of [
      ...pagePairs(budget, 2_592_000),
      ...ticketPairs(budget, 2_592_000),
    ]) {
      expect(minimumTotal).toBeGreaterThanOrEqual(100);
      expect(4 / minimumTotal).toBeLessThan(factor * budget);
    }
  }
});

test('a pair of windows can burn when every query bad is faster than its factor', () => {
  const [fast, slow] = pagePairs(0.1, 2_592_000);
  expect(fast && canBurn(0.1, fast)).toBe(false);
  expect(slow && canBurn(0.1, slow)).toBe(true);
  // 1 / (1 - 0.8333...) is 6, not above it.
  expect(slow && canBurn(1 / 6, slow)).toBe(false);
});

describe('generated files', () => {
  const files = generatedAlerts(objectives, { timeScale: 1, links: LINKS });

  test('are equal for equal objectives', () => {
    expect(generatedAlerts(structuredClone(objectives), { timeScale: 1, links: LINKS })).toEqual(files);
  });

  test('are all that is committed below alerts/', () => {
    const committed = readdirSync(new URL('../../alerts', import.meta.url), {
      recursive: true,
      withFileTypes: true,
    });
    const paths = committed
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) =>
        basename(parentPath) === 'alerts' ? name : `${basename(parentPath)}/${name}`,
      );
    expect(paths.sort()).toEqual(Object.keys(files).sort());
  });

  test('have one alert for each rule, with its labels, hold and texts', () => {
    const alerts = [files['vitrine.rules.yml'], files['objectives.rules.yml']]
      .flatMap(groupsOf)
      .flatMap(({ rules }) => rules.filter((rule) => 'alert' in rule));
    expect(alerts).toHaveLength(RULES.length);
    for (const rule of RULES) {
      const compiled = alerts.find(
        ({ alert, labels }) => alert === rule.name && labels.slo === rule.labels.slo,
      );
      expect(compiled?.labels).toEqual({ ...rule.labels, severity: rule.severity });
      expect(Object.keys(compiled?.annotations ?? {})).toEqual([
        'summary',
        'description',
        'runbook_url',
        'dashboard_url',
      ]);
      // The number belongs into texts: as a label it would make a new alert each time.
      expect(JSON.stringify(compiled?.labels)).not.toContain('$value');
      expect(compiled?.for).toBe(
        rule.forS === 0 ? undefined : `${rule.forS / (rule.forS % 60 ? 1 : 60)}${rule.forS % 60 ? 's' : 'm'}`,
      );
    }
  });

  test('record before they use, within one group', () => {
    for (const { name, rules } of groupsOf(files['objectives.rules.yml'])) {
      const recorded = new Set<string>();
      for (const rule of rules) {
        for (const [used] of rule.expr.matchAll(/slo:[a-z_]+:[a-z_0-9]+/g)) {
          expect(recorded.has(used), `${name}: ${used}`).toBe(true);
        }
        if ('record' in rule) recorded.add(rule.record);
      }
    }
  });

  test('give a burning budget the number of what burns now', () => {
    const text = files['objectives.rules.yml'] ?? '';
    // Of what `and` joins, the first gives the alert its number.
    const pairs = [...text.matchAll(/\(\n.*ratio_rate(\w+)\{.*\n *and\n.*ratio_rate(\w+)\{/g)];
    expect(pairs.slice(0, 4).map(([, first, second]) => [first, second])).toEqual([
      ['5m', '1h'],
      ['30m', '6h'],
      ['2h', '1d'],
      ['6h', '3d'],
    ]);
  });

  test('never show the dust of floating point', () => {
    for (const [path, text] of Object.entries(files))
      expect(text, path).not.toMatch(/\d\.\d*(0{6,}|9{6,})\d/);
  });

  test('of an alertmanager read addresses from files and carry none', () => {
    const text = files['alertmanager.yml'] ?? '';
    expect(text).not.toMatch(/https?:/);
    const { receivers, inhibit_rules: inhibits } = parse(text) as {
      receivers: { name: string; webhook_configs?: { url_file: string }[] }[];
      inhibit_rules: { equal: string[] }[];
    };
    expect(
      receivers.flatMap(({ webhook_configs: hooks = [] }) => hooks.map((hook) => hook.url_file)),
    ).toEqual([
      '/etc/alertmanager/receivers/page_url',
      '/etc/alertmanager/receivers/ticket_url',
      '/etc/alertmanager/receivers/watchdog_url',
    ]);
    for (const { equal } of inhibits) expect(equal.length).toBeGreaterThan(0);
  });

  test('are the same for the Prometheus operator', () => {
    const { kind, spec } = parse(files['kubernetes/prometheus-rule.yaml'] ?? '') as {
      kind: string;
      spec: { groups: unknown };
    };
    expect(kind).toBe('PrometheusRule');
    const both = ['vitrine.rules.yml', 'objectives.rules.yml'].flatMap((path) => groupsOf(files[path]));
    expect(spec.groups).toEqual(both);
  });

  test('have tests in real time only', () => {
    expect(Object.keys(files).filter((path) => path.startsWith('tests/')).length).toBeGreaterThan(2);
    const scaled = generatedAlerts(objectives, { timeScale: 60, links: LINKS });
    expect(Object.keys(scaled)).toEqual([
      'vitrine.rules.yml',
      'objectives.rules.yml',
      'kubernetes/kustomization.yaml',
      'kubernetes/prometheus-rule.yaml',
      'alertmanager.yml',
    ]);
    expect(groupsOf(scaled['vitrine.rules.yml'])[0]?.interval).toBe('250ms');
    expect(scaled['vitrine.rules.yml']).toContain('[5s]');
    expect(scaled['objectives.rules.yml']).toContain('slo:sli_error:ratio_rate1m');
  });
});

test('label values with quotes and newlines stay in their place', () => {
  const [objective] = objectives;
  if (objective === undefined) throw new Error('no objective');
  const model = 'a"b\\c\nd{{ $value }}';
  const odd = {
    ...objective,
    model,
    total: { ...objective.total, where: [{ label: 'model', is: 'in' as const, values: [model] }] },
  };
  const files = generatedAlerts([odd], { timeScale: 1, links: LINKS });
  const groups = groupsOf(files['objectives.rules.yml']);
  expect(groups[0]?.rules[0]?.labels?.model).toBe(model);
  expect(groups[0]?.rules[0]?.expr).toContain('model="a\\"b\\\\c\\nd{{ $value }}"');
});

describe('a time scale', () => {
  test('divides every time of a rule and nothing else', () => {
    for (const rule of RULES) {
      const scaled = scaledRule(rule, 60);
      expect(scaledRule(rule, 1)).toEqual(rule);
      expect(scaled.forS).toBe(rule.forS / 60);
      const times = /"(windowS|shortS|longS|offsetS|horizonS|lookbackS)":([\d.]+)/g;
      const before = [...JSON.stringify(rule.expression).matchAll(times)];
      const after = [...JSON.stringify(scaled.expression).matchAll(times)];
      expect(after.map(([, , value]) => Number(value))).toEqual(
        before.map(([, , value]) => Math.round((Number(value) / 60) * 1000) / 1000),
      );
      const rest = (text: string): string => text.replace(times, '');
      expect(rest(JSON.stringify(scaled.expression))).toBe(rest(JSON.stringify(rule.expression)));
    }
  });

  test('divides the intervals, down to four scrapes a second', () => {
    expect(scaledIntervals(RULES, 1)).toEqual(BASE_INTERVALS);
    expect(scaledIntervals(RULES, 15)).toEqual({ scrapeIntervalS: 1, evaluationIntervalS: 1, lookbackS: 20 });
    expect(scaledIntervals(RULES, 240)).toEqual({
      scrapeIntervalS: 0.25,
      evaluationIntervalS: 0.25,
      lookbackS: 1.25,
    });
  });

  test('is refused where the shortest window holds fewer than five scrapes, with the arithmetic', () => {
    expect(() => scaledIntervals(RULES, 241)).toThrow(
      'at a time scale of 241 the shortest window, 300 s / 241 = 1.245 s, holds 4.98 scrapes 0.25 s apart; 5 are needed: use a scale of at most 240',
    );
    expect(() => scaledIntervals(RULES, 1, { ...BASE_INTERVALS, scrapeIntervalS: 61 })).toThrow(
      'scrape more often',
    );
    for (const scale of [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => scaledIntervals(RULES, scale)).toThrow('a number from 1');
    }
  });
});

describe('the plan of the evaluator', () => {
  const plan = compileEvaluatorPlan(objectives, { timeScale: 1, links: LINKS });

  test('is plain data', () => {
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(plan.rules.map(({ id }) => id)).toContain('VitrineBudgetBurnsFast/langid-latency');
    expect(plan.rules.map(({ id }) => id)).toContain('VitrineWatchdog');
  });

  test('keeps samples as far back as anything reads, finer where windows are short', () => {
    const service = plan.needs.filter(
      ({ metric, where }) =>
        metric === 'inference_service_duration_seconds' &&
        where.some(({ values }) => values.includes('langid')),
    );
    expect(service.map(({ where, reachS, stepS }) => [where.length, reachS, stepS])).toEqual([
      [2, 300, 60],
      // Whether the model is told of at all, whatever the outcome.
      [1, 300, 60],
      [2, 2_592_000, 300],
    ]);
    // Yesterday's hour.
    expect(plan.needs).toContainEqual({
      metric: 'inference_service_duration_seconds',
      where: [{ label: 'outcome', is: 'in', values: ['ok'] }],
      reachS: 86_400 + 3600,
      stepS: 720,
    });
    for (const { stepS } of plan.needs) expect(stepS).toBeGreaterThanOrEqual(plan.scrapeIntervalS);
  });

  test('shrinks with the time scale', () => {
    const scaled = compileEvaluatorPlan(objectives, { timeScale: 60, links: LINKS });
    expect(scaled.objectives[0]?.windowsS).toEqual([5, 30, 60, 120, 360, 1440, 4320]);
    expect(scaled.objectives[0]?.periodS).toBe(43_200);
    expect(Math.max(...scaled.needs.map(({ reachS }) => reachS))).toBe(43_200);
  });
});

test("samples of a scenario follow promtool's notation", () => {
  expect(
    samplesOf(
      [
        { lastsS: 30, from: 5, perS: 1 },
        { lastsS: 45, gap: 'stale' },
        { lastsS: 15, gap: 'missing' },
        { lastsS: 30, perS: 2 },
      ],
      15,
    ),
  ).toEqual([
    { atS: 0, value: 5 },
    { atS: 15, value: 20 },
    { atS: 30, value: 'stale' },
    { atS: 45, value: undefined },
    { atS: 60, value: undefined },
    { atS: 75, value: undefined },
    { atS: 90, value: 50 },
    { atS: 105, value: 80 },
  ]);
});
