/** The alerts that follow from an objective: two that its budget burns, and one that there is nothing to go by. */
import type { AlertRule, DashboardLink } from './alert.ts';
import { MINUTE_S, SYSTEM_LABEL } from './alert_labels.ts';
import { canBurn, pagePairs, ticketPairs } from './burn_windows.ts';
import { durationText } from './duration.ts';
import type { BurnPair, Expression, Selection } from './expression.ts';
import { type Objective, objectiveLabels } from './objective.ts';

const BURNS_FAST = 'VitrineBudgetBurnsFast';
const BURNS_SLOWLY = 'VitrineBudgetBurnsSlowly';
export const WITHOUT_DATA = 'VitrineObjectiveWithoutData';

const DASHBOARD: DashboardLink = { uid: 'vitrine-objectives', variables: { slo: 'slo' } };

/** `99% of langid queries within 50ms over 30d`. */
export function objectiveText({
  kind,
  target,
  thresholdS,
  model,
  version,
  tenant,
  periodS,
}: Objective): string {
  const share = `${Number((target * 100).toPrecision(10))}%`;
  const what = [
    model,
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(tenant === undefined ? [] : [`tenant ${tenant}`]),
  ].join(', ');
  const good = kind === 'latency' ? `within ${durationText(thresholdS ?? 0)}` : 'answered';
  return `${share} of ${what} queries ${good} over ${durationText(periodS)}`;
}

function burnExpression(objective: Objective, pairs: readonly BurnPair[]): Expression {
  const { bad, total, budget } = objective;
  return {
    kind: 'burn_rate',
    bad,
    total,
    by: [],
    budget,
    // A pair that no share of bad queries can satisfy would only cost time.
    pairs: pairs.filter((pair) => canBurn(budget, pair)),
  };
}

/** What has to be there for the objective to be judged: one model's series, whatever the outcome. */
function presence({ total }: Objective): Expression {
  const where: Selection = total.where.filter(({ label }) => label !== 'outcome');
  return { kind: 'absent', metric: total.metric, where };
}

/** The rules of one objective. A pair of windows that cannot fire at its target is left out. */
export function objectiveAlerts(objective: Objective): AlertRule[] {
  const { budget, periodS, kind } = objective;
  const text = objectiveText(objective);
  const common = {
    keepFiringForS: 0,
    labels: { ...SYSTEM_LABEL, ...objectiveLabels(objective) },
    dashboard: DASHBOARD,
    place: 'gateway',
  } as const;
  const fast = burnExpression(objective, pagePairs(budget, periodS));
  const slow = burnExpression(objective, ticketPairs(budget, periodS));
  const rules: AlertRule[] = [
    {
      ...common,
      name: BURNS_FAST,
      severity: 'page',
      expression: fast,
      forS: 0,
      summary: '{slo}: the error budget burns {value} too fast',
      description: `The objective is ${text}. Its budget burns {value} as fast as it may now; at 14.4x a 30-day budget is gone in 2 days.`,
      valueUnit: 'factor',
      runbook: 'budget-burns-fast',
      drill: { drill: kind === 'latency' ? 'slow-compute' : 'errors' },
      inhibits: [{ silences: [BURNS_SLOWLY], equal: ['slo'] }],
    },
    {
      ...common,
      name: BURNS_SLOWLY,
      severity: 'ticket',
      expression: slow,
      forS: 0,
      summary: '{slo}: the error budget burns {value} as fast as it may',
      description: `The objective is ${text}. Its budget has been burning for hours, {value} as fast as it may of late; at 1x it is gone exactly at the end of the period.`,
      valueUnit: 'factor',
      runbook: 'budget-burns-slowly',
      drill: { noDrill: 'its windows reach over days; the same shape is drilled with the short ones' },
      inhibits: [],
    },
    {
      ...common,
      name: WITHOUT_DATA,
      severity: 'ticket',
      expression: presence(objective),
      forS: 10 * MINUTE_S,
      summary: '{slo}: there is nothing to judge it by',
      description: `The objective is ${text}. No gateway has told of ${objective.model} for 10 minutes, so the objective can neither be met nor missed.`,
      valueUnit: 'number',
      runbook: 'objective-without-data',
      drill: { noDrill: 'it takes a gateway that does not know the model, which no fault injects' },
      inhibits: [],
    },
  ];
  return rules.filter(({ expression }) => expression.kind !== 'burn_rate' || expression.pairs.length > 0);
}
