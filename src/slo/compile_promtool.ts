/**
 * Scenarios as unit tests for `promtool test rules`. Alerts of the catalogue are compared with their labels and
 * their annotations as a person reads them; those of objectives by the series ALERTS, because all objectives
 * share their names. https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
 */
import type { AlertRule } from './alert.ts';
import { ALERT_SCENARIOS } from './alert_scenarios.ts';
import { allRules, ruleId, ruleLabels } from './all_rules.ts';
import { type AnnotationLinks, renderAnnotations } from './annotation.ts';
import { PERIOD_STEP_S } from './burn_windows.ts';
import { durationText } from './duration.ts';
import { type Objective, objectiveLabels } from './objective.ts';
import { objectiveScenarios, periodProof } from './objective_scenarios.ts';
import { numberText, quoted } from './promql.ts';
import type { Check, Phase, Scenario, ScenarioSeries } from './scenario.ts';

interface PromtoolTest {
  readonly name: string;
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly alert_rule_test?: readonly unknown[];
  readonly promql_expr_test?: readonly unknown[];
}

export interface PromtoolFile {
  readonly rule_files: readonly string[];
  readonly evaluation_interval: string;
  readonly tests: readonly PromtoolTest[];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${quoted(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/**
 * A counter's next value, rounded up: rounded down it would be a hair less than promtool has added up, which is
 * a reset to Prometheus.
 */
function roundedUp(value: number): number {
  return Math.ceil(value * 1e6) / 1e6;
}

/** The samples in promtool's notation: `0+150x39 6000+148x20 _x5 stale`. */
function valuesText(phases: readonly Phase[], stepS: number): string {
  let value = 0;
  return phases
    .map(({ lastsS, from, perS = 0, gap }) => {
      const count = Math.round(lastsS / stepS);
      if (gap === 'missing') return `_x${count - 1}`;
      if (gap === 'stale') return `stale${count > 1 ? ` _x${count - 2}` : ''}`;
      const first = from ?? roundedUp(value + perS * stepS);
      value = first + perS * stepS * (count - 1);
      return `${numberText(first)}+${numberText(perS * stepS)}x${count - 1}`;
    })
    .join(' ');
}

function inputSeries(series: readonly ScenarioSeries[], stepS: number): PromtoolTest['input_series'] {
  return series.map(({ name, labels, phases }) => ({
    series: `${name}${labelText(labels)}`,
    values: valuesText(phases, stepS),
  }));
}

function catalogCheck(rule: AlertRule, { atS, firing }: Check, links: AnnotationLinks): unknown {
  const { alertname: _, ...fixed } = ruleLabels(rule);
  return {
    eval_time: durationText(atS),
    alertname: rule.name,
    exp_alerts: firing.map(({ labels, value }) => ({
      exp_labels: { ...labels, ...fixed },
      exp_annotations: renderAnnotations(rule, links, { value, labels: { ...labels, ...fixed } }),
    })),
  };
}

function objectiveCheck(rule: AlertRule, { atS, firing }: Check): unknown {
  const { alertname, ...fixed } = ruleLabels(rule);
  const selector = `ALERTS{alertname=${quoted(rule.name)},slo=${quoted(rule.labels.slo ?? '')},alertstate="firing"}`;
  return {
    eval_time: durationText(atS),
    expr: selector,
    exp_samples: firing.map(({ labels }) => ({
      labels: `ALERTS${labelText({ alertname: alertname ?? '', alertstate: 'firing', ...labels, ...fixed })}`,
      value: 1,
    })),
  };
}

function scenarioTest(scenario: Scenario, rule: AlertRule, links: AnnotationLinks): PromtoolTest {
  const { stepS, series, checks, title } = scenario;
  return {
    name: `${ruleId(rule)} ${title}`,
    interval: durationText(stepS),
    input_series: inputSeries(series, stepS),
    ...(rule.labels.slo === undefined
      ? { alert_rule_test: checks.map((check) => catalogCheck(rule, check, links)) }
      : { promql_expr_test: checks.map((check) => objectiveCheck(rule, check)) }),
  };
}

function periodTest(objective: Objective): PromtoolTest {
  const { stepS, series, atS, error } = periodProof(objective);
  const labels = labelText(objectiveLabels(objective));
  const selector = `{slo=${quoted(objective.name)}}`;
  // The steps' sums are near the exact figure, as far as increases are extrapolated.
  const near = (name: string, value: number): unknown => ({
    eval_time: durationText(atS),
    expr: `abs(${name}${selector} - ${numberText(value)}) < bool ${numberText(Math.max(0.02 * Math.abs(value), 1e-9))}`,
    exp_samples: [{ labels, value: 1 }],
  });
  return {
    name: `${objective.name}: the period's figure weighs each query once`,
    interval: durationText(stepS),
    input_series: inputSeries(series, stepS),
    promql_expr_test: [
      near('slo:period_error:ratio', error),
      near('slo:period_error_budget_remaining:ratio', 1 - error / objective.budget),
    ],
  };
}

/** Tests by their interval of evaluation in seconds, ascending. */
function testsByStep(
  rules: readonly AlertRule[],
  scenarios: readonly Scenario[],
  links: AnnotationLinks,
): Map<number, PromtoolTest[]> {
  const byId = new Map(rules.map((rule) => [ruleId(rule), rule]));
  const tests = new Map<number, PromtoolTest[]>();
  for (const scenario of [...scenarios].sort((a, b) => a.stepS - b.stepS)) {
    const rule = byId.get(scenario.rule);
    // A test holds every scenario to a rule that exists.
    if (rule === undefined) continue;
    const ofStep = tests.get(scenario.stepS) ?? [];
    ofStep.push(scenarioTest(scenario, rule, links));
    tests.set(scenario.stepS, ofStep);
  }
  return tests;
}

function asFiles(
  ruleFile: string,
  tests: ReadonlyMap<number, readonly PromtoolTest[]>,
): Map<number, PromtoolFile> {
  return new Map(
    [...tests].map(([stepS, list]) => [
      stepS,
      { rule_files: [ruleFile], evaluation_interval: durationText(stepS), tests: list },
    ]),
  );
}

/** Tests of the catalogue, one file for each interval of evaluation; by that interval in seconds. */
export function compileCatalogTests(ruleFile: string, links: AnnotationLinks): Map<number, PromtoolFile> {
  return asFiles(ruleFile, testsByStep(allRules([]), ALERT_SCENARIOS, links));
}

/** Tests of the objectives, as compileCatalogTests. */
export function compileObjectiveTests(
  ruleFile: string,
  objectives: readonly Objective[],
  links: AnnotationLinks,
): Map<number, PromtoolFile> {
  const tests = testsByStep(allRules(objectives), objectives.flatMap(objectiveScenarios), links);
  const ofPeriod = objectives.map(periodTest);
  // Evaluated as often as the period's sum has steps, or each query would be counted more than once.
  return asFiles(
    ruleFile,
    new Map([...tests, [PERIOD_STEP_S, [...(tests.get(PERIOD_STEP_S) ?? []), ...ofPeriod]]]),
  );
}
