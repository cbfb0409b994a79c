/** Objectives and the alert catalogue as the plan of the embedded evaluator. */
import { allRules, ruleId, ruleLabels } from './all_rules.ts';
import type { AnnotationLinks } from './annotation.ts';
import { BURN_WINDOWS_S, PERIOD_STEP_S } from './burn_windows.ts';
import type { EvaluatorPlan } from './evaluator_plan.ts';
import type { Objective } from './objective.ts';
import { expressionPromql } from './promql.ts';
import { sampleNeeds } from './sample_needs.ts';
import { BASE_INTERVALS, type Intervals, scaledIntervals, scaledRule } from './time_scale.ts';

export interface EvaluatorOptions {
  /** 1 for real time. */
  readonly timeScale: number;
  readonly links: AnnotationLinks;
  /** Unscaled; Prometheus's usual ones unless given. */
  readonly intervals?: Intervals;
}

/**
 * The plan; the same objectives and options give the same plan.
 * @throws RangeError when the time scale leaves too few scrapes in a window
 */
export function compileEvaluatorPlan(
  objectives: readonly Objective[],
  { timeScale, links, intervals = BASE_INTERVALS }: EvaluatorOptions,
): EvaluatorPlan {
  const unscaled = allRules(objectives);
  const scaled = scaledIntervals(unscaled, timeScale, intervals);
  const rules = unscaled.map((rule) => scaledRule(rule, timeScale));
  return {
    planVersion: 1,
    timeScale,
    ...scaled,
    links,
    rules: rules.map((rule) => ({
      id: ruleId(rule),
      rule,
      labels: ruleLabels(rule),
      promql: expressionPromql(rule.expression),
    })),
    objectives: objectives.map((objective) => ({
      objective,
      windowsS: BURN_WINDOWS_S.map((windowS) => windowS / timeScale),
      periodS: objective.periodS / timeScale,
      periodStepS: PERIOD_STEP_S / timeScale,
    })),
    needs: sampleNeeds(
      rules.map(({ expression }) => expression),
      objectives,
      scaled,
      timeScale,
    ),
  };
}
