/** The tables of the overview: objectives, and models by who is hurt. */
import { HOUR_S, MINUTE_S } from '../slo/alert_labels.ts';
import type { Objective } from '../slo/objective.ts';
import { alertThreshold } from './alert_threshold.ts';
import { dashboardLink, tracesLink } from './links.ts';
import { BUDGET_STEPS, burnSteps } from './objective_steps.ts';
import { BAD, GOOD, WARN } from './palette.ts';
import type { SizedPanel } from './panel.ts';
import { perSecond, promql, quantile, recorded, summedPerSecond } from './promql.ts';
import { badShare, known, outcomesThatAre } from './query_expressions.ts';
import { table } from './table.ts';
import { CELL } from './variables.ts';

const NO_TRAFFIC = 'no traffic';
const ANSWERED = { outcome: outcomesThatAre('good') };
const TO_ANSWER = { outcome: outcomesThatAre('good', 'bad') };
const FAILING = alertThreshold('VitrineErrorSurge');

export function tables(objectives: readonly Objective[]): readonly SizedPanel[] {
  const burn = (window: '5m' | '1h') =>
    promql`max by (slo) ((${recorded(`slo:sli_error:ratio_rate${window}`)} / ${recorded('slo:error_budget:ratio')}) >= 0)`;
  const hurt = promql`sum by (model) ((${recorded('slo:sli_error:ratio_rate5m')} >= 0) * on (model) group_left () ${perSecond('inference_requests_total', { by: ['model'], where: TO_ANSWER })})`;
  return [
    table({
      title: 'Objectives',
      shows: 'Every objective: its target, what is left of its budget, and how many times too fast it burns.',
      bad: 'little left, or a burn rate above 1 on both windows.',
      alerts: ['VitrineBudgetBurnsFast', 'VitrineBudgetBurnsSlowly', 'VitrineObjectiveWithoutData'],
      row: {
        label: 'slo',
        title: 'Objective',
        links: [dashboardLink('How it burns', 'vitrine-objectives', { slo: CELL })],
      },
      columns: [
        {
          title: 'Target',
          expr: promql`max by (slo) (${recorded('slo:objective:ratio')})`,
          unit: 'percentunit',
        },
        {
          title: 'Budget left',
          expr: promql`min by (slo) (${recorded('slo:period_error_budget_remaining:ratio')})`,
          unit: 'percentunit',
          decimals: 1,
          steps: BUDGET_STEPS,
        },
        {
          title: 'Burn 5m',
          expr: burn('5m'),
          unit: 'none',
          decimals: 2,
          steps: burnSteps(objectives, 5 * MINUTE_S),
        },
        {
          title: 'Burn 1h',
          expr: burn('1h'),
          unit: 'none',
          decimals: 2,
          steps: burnSteps(objectives, HOUR_S),
        },
      ],
      sortBy: { title: 'Budget left', ascending: true },
      none: NO_TRAFFIC,
      width: 10,
      height: 7,
    }),
    table({
      title: 'Models by who is hurt',
      shows:
        'Hurt: queries a second that an objective of the model counts as bad, failed or too slow, over 5 minutes. In flight: how many are in the service at once, on average.',
      bad: 'the first row, when its first number is above 0.',
      alerts: ['VitrineErrorSurge', 'VitrineRefusals'],
      row: {
        label: 'model',
        title: 'Model',
        links: [
          dashboardLink('Model', 'vitrine-model', { model: CELL }),
          tracesLink('Traces in Jaeger', { model: CELL }),
          tracesLink('Failed traces in Jaeger', {
            model: CELL,
            tags: 'error=true',
          }),
        ],
      },
      columns: [
        { title: 'Hurt', expr: hurt, unit: 'reqps', decimals: 2, steps: [GOOD, [0.01, WARN], [1, BAD]] },
        {
          title: 'Queries',
          expr: perSecond('inference_requests_total', { by: ['model'] }),
          unit: 'reqps',
        },
        {
          title: 'Not answered',
          expr: badShare(['model']),
          unit: 'percentunit',
          decimals: 2,
          steps: [GOOD, [0.001, WARN], [FAILING, BAD]],
        },
        {
          title: 'p50',
          expr: known(
            quantile(0.5, 'inference_service_duration_seconds', { by: ['model'], where: ANSWERED }),
          ),
          unit: 's',
        },
        {
          title: 'p99',
          expr: known(
            quantile(0.99, 'inference_service_duration_seconds', { by: ['model'], where: ANSWERED }),
          ),
          unit: 's',
          steps: [GOOD, [alertThreshold('VitrineLatencyP99High'), BAD]],
        },
        {
          title: 'In flight',
          expr: summedPerSecond('inference_request_duration_seconds', { by: ['model'] }),
          unit: 'short',
          decimals: 2,
        },
        {
          title: 'Compute',
          expr: promql`${perSecond('inference_attributed_seconds_total', { by: ['model'] })} / ignoring (model) group_left () (${perSecond('inference_attributed_seconds_total')} > 0)`,
          unit: 'percentunit',
          decimals: 1,
        },
      ],
      sortBy: { title: 'Hurt' },
      none: NO_TRAFFIC,
      width: 14,
      height: 7,
    }),
  ];
}
