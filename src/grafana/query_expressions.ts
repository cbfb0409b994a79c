/** What several dashboards ask of queries. */
import { OUTCOME_VERDICT, OUTCOMES, type Outcome, type Verdict } from '../contract/outcomes.ts';
import { type Expr, perSecond, promql } from './promql.ts';

export function outcomesThatAre(...verdicts: readonly Verdict[]): readonly Outcome[] {
  return OUTCOMES.filter((outcome) => verdicts.includes(OUTCOME_VERDICT[outcome]));
}

type By = 'model' | 'version';
type Where = NonNullable<NonNullable<Parameters<typeof perSecond<'inference_requests_total'>>[1]>['where']>;

/**
 * Share of queries that the service failed to answer, of those that it had to; nothing where there were none.
 */
export function badShare(by: readonly By[], where: Where = {}): Expr {
  const bad = perSecond('inference_requests_total', {
    by,
    where: { ...where, outcome: outcomesThatAre('bad') },
  });
  const toAnswer = perSecond('inference_requests_total', {
    by,
    where: { ...where, outcome: outcomesThatAre('good', 'bad') },
  });
  return promql`${bad} / (${toAnswer} > 0)`;
}

/** Without the quantiles of nothing, which are no numbers. */
export function known(expr: Expr): Expr {
  return promql`${expr} >= 0`;
}
