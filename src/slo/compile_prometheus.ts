/**
 * Objectives and the alert catalogue as Prometheus rule files.
 *
 * Of each objective these are recorded, under the names that SLO dashboards know, all with the labels `slo`,
 * `service` and `model` (and `version`, `tenant` where it has them):
 *   slo:sli_error:ratio_rate<window>               bad share of a window of the alerts
 *   slo:sli_total:increase<window>                 queries in a long window
 *   slo:objective:ratio, slo:error_budget:ratio, slo:time_period:days
 *   slo:current_burn_rate:ratio                    over the shortest window; 1 is as fast as it may
 *   slo:sli_bad:increase<step>, slo:sli_total:increase<step>      steps of the period's sum
 *   slo:period_error:ratio                         bad share of the period, each query counting once
 *   slo:period_error_budget_remaining:ratio        1 is all of it, below 0 is overdrawn
 */
import type { AlertRule } from './alert.ts';
import { ALERT_CATALOG } from './alert_catalog.ts';
import { DAY_S } from './alert_labels.ts';
import { ruleLabels } from './all_rules.ts';
import { type AnnotationLinks, annotationTemplates } from './annotation.ts';
import { BURN_WINDOWS_S, PERIOD_STEP_S, pagePairs, ticketPairs } from './burn_windows.ts';
import { durationText } from './duration.ts';
import type { BurnRateExpression } from './expression.ts';
import { type Objective, objectiveLabels } from './objective.ts';
import { objectiveAlerts } from './objective_alerts.ts';
import { PROCESS_ALERTS } from './process_alerts.ts';
import { burnMeasure, expressionPromql, measurePromql, numberText, quoted } from './promql.ts';
import { QUERY_ALERTS } from './query_alerts.ts';
import type { AlertingRule, RecordingRule, RuleGroup } from './rule_file.ts';
import { TELEMETRY_ALERTS } from './telemetry_alerts.ts';
import { BASE_INTERVALS, type Intervals, scaledIntervals, scaledRule } from './time_scale.ts';

export interface PrometheusOptions {
  readonly timeScale: number;
  readonly links: AnnotationLinks;
}

function alertingRule(rule: AlertRule, expr: string, links: AnnotationLinks): AlertingRule {
  const { alertname: _, ...labels } = ruleLabels(rule);
  return {
    alert: rule.name,
    expr,
    ...(rule.forS === 0 ? {} : { for: durationText(rule.forS) }),
    ...(rule.keepFiringForS === 0 ? {} : { keep_firing_for: durationText(rule.keepFiringForS) }),
    labels,
    annotations: annotationTemplates(rule, links),
  };
}

/** The alert catalogue. @throws RangeError when the time scale leaves too few scrapes in a window */
export function compileCatalogRules({ timeScale, links }: PrometheusOptions): RuleGroup[] {
  const { evaluationIntervalS } = scaledIntervals(ALERT_CATALOG, timeScale);
  const group = (name: string, rules: readonly AlertRule[]): RuleGroup => ({
    name,
    interval: durationText(evaluationIntervalS),
    rules: rules
      .map((rule) => scaledRule(rule, timeScale))
      .map((rule) => alertingRule(rule, expressionPromql(rule.expression), links)),
  });
  return [
    group('vitrine-queries', QUERY_ALERTS),
    group('vitrine-processes', PROCESS_ALERTS),
    group('vitrine-telemetry', TELEMETRY_ALERTS),
  ];
}

/** The alert of a burn rate over what the group has recorded before it. */
function burnFromRecords({ budget, pairs }: BurnRateExpression, selector: string): string {
  const burning = (windowS: number, factor: number): string =>
    `slo:sli_error:ratio_rate${durationText(windowS)}${selector} / ${numberText(budget)} > ${numberText(factor)}`;
  return pairs
    .map(
      ({ shortS, longS, factor, minimumTotal }) =>
        `(\n${[
          burning(shortS, factor),
          burning(longS, factor),
          `slo:sli_total:increase${durationText(longS)}${selector} >= ${numberText(minimumTotal)}`,
        ].join('\nand\n')}\n)`,
    )
    .join('\nor\n');
}

function objectiveGroups(
  objective: Objective,
  { timeScale, links }: PrometheusOptions,
  intervals: Intervals,
): RuleGroup[] {
  const { bad, total, budget, target, periodS } = objective;
  const labels = objectiveLabels(objective);
  const selector = `{slo=${quoted(objective.name)}}`;
  const record = (name: string, expr: string): RecordingRule => ({ record: name, expr, labels });
  const scaled = (seconds: number): number => seconds / timeScale;
  const windowText = (seconds: number): string => durationText(scaled(seconds));
  const over = (windowS: number) => burnMeasure({ bad, total, by: [] }, scaled(windowS));
  const longWindows = [...pagePairs(budget, periodS), ...ticketPairs(budget, periodS)].map(
    ({ longS }) => longS,
  );
  const step = windowText(PERIOD_STEP_S);
  const period = windowText(periodS);
  const shortest = windowText(BURN_WINDOWS_S[0] ?? PERIOD_STEP_S);
  const rules = objectiveAlerts(objective).map((rule) => scaledRule(rule, timeScale));
  return [
    {
      name: `vitrine-slo-${objective.name}`,
      interval: durationText(intervals.evaluationIntervalS),
      rules: [
        ...BURN_WINDOWS_S.map((windowS) =>
          record(`slo:sli_error:ratio_rate${windowText(windowS)}`, measurePromql(over(windowS))),
        ),
        ...longWindows.map((windowS) =>
          record(`slo:sli_total:increase${windowText(windowS)}`, measurePromql(over(windowS).denominator)),
        ),
        record('slo:objective:ratio', `vector(${numberText(target)})`),
        record('slo:error_budget:ratio', `vector(${numberText(budget)})`),
        record('slo:time_period:days', `vector(${numberText(scaled(periodS) / DAY_S)})`),
        record(
          'slo:current_burn_rate:ratio',
          `slo:sli_error:ratio_rate${shortest}${selector} / ${numberText(budget)}`,
        ),
        ...rules.map((rule) =>
          alertingRule(
            rule,
            rule.expression.kind === 'burn_rate'
              ? burnFromRecords(rule.expression, selector)
              : expressionPromql(rule.expression),
            links,
          ),
        ),
      ],
    },
    {
      name: `vitrine-slo-${objective.name}-period`,
      // Its windows lie end to end: each query falls into exactly one step.
      interval: step,
      rules: [
        record(`slo:sli_bad:increase${step}`, measurePromql(over(PERIOD_STEP_S).numerator)),
        record(`slo:sli_total:increase${step}`, measurePromql(over(PERIOD_STEP_S).denominator)),
        record(
          'slo:period_error:ratio',
          `sum_over_time(slo:sli_bad:increase${step}${selector}[${period}]) / sum_over_time(slo:sli_total:increase${step}${selector}[${period}])`,
        ),
        record(
          'slo:period_error_budget_remaining:ratio',
          `1 - slo:period_error:ratio${selector} / ${numberText(budget)}`,
        ),
      ],
    },
  ];
}

/** Recording rules and alerts of the objectives. @throws RangeError as compileCatalogRules */
export function compileObjectiveRules(
  objectives: readonly Objective[],
  options: PrometheusOptions,
): RuleGroup[] {
  const rules = [...ALERT_CATALOG, ...objectives.flatMap(objectiveAlerts)];
  const intervals = scaledIntervals(rules, options.timeScale, BASE_INTERVALS);
  return objectives.flatMap((objective) => objectiveGroups(objective, options, intervals));
}
