/** The dashboards against the rules of grafana/dashboard-linter, and each rule against a dashboard that breaks it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { DASHBOARDS, type DashboardJson, readDashboards } from '../../test/fixtures/dashboard_files.ts';
import { type LintFault, lint, RULES, type RuleName } from '../../test/fixtures/dashboard_linter.ts';

interface LintFile {
  readonly exclusions: Readonly<
    Record<
      string,
      {
        readonly reason: string;
        readonly entries: readonly { readonly dashboard: string; readonly panel: string }[];
      }
    >
  >;
}

const dashboards = readDashboards();
const { exclusions } = parse(readFileSync(join(DASHBOARDS, '.lint'), 'utf8')) as LintFile;
const faults = dashboards.flatMap(lint);

function excluded({ rule, dashboard, panel }: LintFault): boolean {
  return (
    exclusions[rule]?.entries.some((entry) => entry.dashboard === dashboard && entry.panel === panel) ?? false
  );
}

test.each(RULES)('%s', (rule) => {
  expect(faults.filter((fault) => fault.rule === rule && !excluded(fault))).toEqual([]);
});

test('only recording rules and ALERTS are passed over, and each exclusion is needed', () => {
  for (const fault of faults) expect(fault.text).toMatch(/^(slo:|ALERTS )/);
  for (const [rule, { reason, entries }] of Object.entries(exclusions)) {
    expect(reason).not.toBe('');
    for (const entry of entries) {
      expect(
        faults.some(
          (fault) =>
            fault.rule === rule && fault.dashboard === entry.dashboard && fault.panel === entry.panel,
        ),
        `${rule}: ${entry.dashboard}, ${entry.panel}`,
      ).toBe(true);
    }
  }
});

/** A dashboard of ours, with one text in its JSON replaced. */
function broken(search: string | RegExp, replacement: string): DashboardJson {
  const text = JSON.stringify(dashboards.find(({ uid }) => uid === 'vitrine-workers'));
  const changed = text.replace(search, replacement);
  expect(changed).not.toBe(text);
  return JSON.parse(changed) as DashboardJson;
}

describe('a dashboard that breaks a rule is found', () => {
  const breaks: Readonly<Record<RuleName, readonly [string | RegExp, string]>> = {
    'template-datasource-rule': ['"name":"prometheus_datasource"', '"name":"source"'],
    'template-job-rule': ['"name":"job"', '"name":"jobs"'],
    'template-instance-rule': ['"label":"Instance"', '"label":"Process"'],
    'template-label-promql-rule': ['label_values(up{', 'label_value(up{'],
    'template-on-time-change-reload-rule': ['"refresh":2', '"refresh":1'],
    'template-unused-rule': [/"name":"instance"/, '"name":"somewhere"'],
    'uneditable-dashboard-rule': ['"editable":false', '"editable":true'],
    'panel-datasource-rule': [/("targets":\[\{"refId":"A",[^\]]*?"uid":")[^"]*/, '$1mine'],
    'panel-title-description-rule': ['"title":"Longest stall"', '"title":""'],
    'panel-units-rule': ['"unit":"s"', '"unit":"seconds"'],
    'panel-no-targets-rule': [/"targets":\[\{.*?\}\]/, '"targets":[]'],
    'target-promql-rule': ['"expr":"sum(', '"expr":"sum(('],
    'target-rate-interval-rule': [
      'rate(process_cpu_time_seconds_total{job=~\\"$job\\",instance=~\\"$instance\\",job=~\\"vitrine-.+\\"}[$__rate_interval]',
      'rate(process_cpu_time_seconds_total{job=~\\"$job\\",instance=~\\"$instance\\"}[5m]',
    ],
    'target-job-rule': ['vitrine_gateway_workers{job=~\\"$job\\",', 'vitrine_gateway_workers{'],
    'target-instance-rule': [
      'vitrine_gateway_workers{job=~\\"$job\\",instance=~\\"$instance\\"',
      'vitrine_gateway_workers{job=~\\"$job\\"',
    ],
    'target-counter-agg-rule': ['rate(inference_attempts_total', 'deriv(inference_attempts_total'],
    'target-histogram-rule': ['v8js_gc_duration_seconds_sum', 'v8js_gc_duration_seconds_bucket'],
  };
  test.each(RULES)('%s', (rule) => {
    expect(lint(broken(...breaks[rule])).map((fault) => fault.rule)).toContain(rule);
  });
});
