/** Objectives: how fast each budget burns on each window of its alerts, and what is left of it. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { DAY_S, HOUR_S, MINUTE_S } from '../slo/alert_labels.ts';
import { BURN_WINDOWS_S, PERIOD_STEP_S, pagePairs, ticketPairs } from '../slo/burn_windows.ts';
import { durationText } from '../slo/duration.ts';
import type { Objective } from '../slo/objective.ts';
import { dashboardLink, tracesLink } from './links.ts';
import { BUDGET_STEPS, burnFactors, burnSteps, USUAL_PERIOD_S } from './objective_steps.ts';
import { BAD, GOOD, OUTCOME_COLORS, WARN } from './palette.ts';
import { type SizedPanel, series } from './panel.ts';
import { type Expr, perSecond, promql, quantile, recorded } from './promql.ts';
import { outcomesThatAre } from './query_expressions.ts';
import { dashboard } from './shell.ts';
import { type Column, table } from './table.ts';
import { CELL, seriesLabel } from './variables.ts';

const CHOSEN = { slo: { pattern: '$slo' } } as const;
const NO_TRAFFIC = 'no traffic';
const STEP = durationText(PERIOD_STEP_S);

/** How many times too fast over a window; no number where there was no traffic. */
function burnOf(windowS: number): Expr {
  const bad = recorded(`slo:sli_error:ratio_rate${durationText(windowS)}`, CHOSEN);
  return promql`(${bad} / ${recorded('slo:error_budget:ratio', CHOSEN)})`;
}

/** The same, and nothing where there was no traffic. */
function burn(windowS: number): Expr {
  return promql`${burnOf(windowS)} >= 0`;
}

function bySlo(take: 'min' | 'max' | 'sum', expr: Expr): Expr {
  const text = { text: take, metrics: [] };
  return promql`${text} by (slo) (${expr})`;
}

function burnColumn(objectives: readonly Objective[], windowS: number): Column {
  return {
    title: `Burn ${durationText(windowS)}`,
    expr: bySlo('max', burn(windowS)),
    unit: 'none',
    decimals: 2,
    steps: burnSteps(objectives, windowS),
  };
}

function everyObjective(objectives: readonly Objective[]): SizedPanel {
  const left = recorded('slo:period_error_budget_remaining:ratio', CHOSEN);
  const days = recorded('slo:time_period:days', CHOSEN);
  return table({
    title: 'Objectives',
    shows:
      'Target, what is left of the budget, how many times too fast it burns over each window, and when it is gone if it goes on as over the last hour.',
    bad: 'red burn on both windows of a pair: a page. Yellow for hours: a ticket. A budget below 0: the objective is missed.',
    alerts: ['VitrineBudgetBurnsFast', 'VitrineBudgetBurnsSlowly', 'VitrineObjectiveWithoutData'],
    row: {
      label: 'slo',
      title: 'Objective',
      links: [
        dashboardLink('This objective alone', 'vitrine-objectives', { slo: CELL }),
        tracesLink('Traces in Jaeger'),
      ],
    },
    columns: [
      {
        title: 'Target',
        expr: bySlo('max', recorded('slo:objective:ratio', CHOSEN)),
        unit: 'percentunit',
      },
      {
        title: 'Good',
        expr: promql`1 - ${bySlo('max', recorded('slo:period_error:ratio', CHOSEN))}`,
        unit: 'percentunit',
        decimals: 3,
      },
      {
        title: 'Budget left',
        expr: bySlo('min', left),
        unit: 'percentunit',
        decimals: 1,
        steps: BUDGET_STEPS,
      },
      {
        title: 'Gone in',
        // What is left, divided by what is spent: at a burn of 1 the whole budget lasts for the period.
        expr: bySlo('min', promql`clamp_min(${left}, 0) * ${days} * ${DAY_S} / (${burnOf(HOUR_S)} > 0)`),
        unit: 'dtdurations',
        none: 'not burning',
        steps: [BAD, [DAY_S, WARN], [7 * DAY_S, GOOD]],
      },
      ...BURN_WINDOWS_S.map((windowS) => burnColumn(objectives, windowS)),
    ],
    sortBy: { title: 'Budget left', ascending: true },
    none: NO_TRAFFIC,
    width: 24,
    height: 8,
  });
}

const PAGES = 'VitrineBudgetBurnsFast';
const TICKETS = 'VitrineBudgetBurnsSlowly';

/** One panel for each pair of windows: what its alert compares. */
function pairs(objectives: readonly Objective[]): readonly SizedPanel[] {
  // The factors of each are taken from the objectives; here it is about which windows belong together.
  const all = [
    ...pagePairs(1, USUAL_PERIOD_S).map((pair) => ({ ...pair, kind: 'page' as const })),
    ...ticketPairs(1, USUAL_PERIOD_S).map((pair) => ({ ...pair, kind: 'ticket' as const })),
  ];
  return all.map(({ shortS, longS, kind }) => {
    const factor = burnFactors(objectives, kind === 'page' ? shortS : longS)[kind] ?? 1;
    const [short, long] = [durationText(shortS), durationText(longS)];
    return series({
      title: `Burn over ${short} and ${long}: ${kind}s above ${factor}x`,
      shows: `How many times too fast the budget burns; dashed lines, over ${long}. A gap: no traffic.`,
      bad: `both lines of an objective above ${factor}: a ${kind}.`,
      alerts: [kind === 'page' ? PAGES : TICKETS],
      unit: 'none',
      queries: [
        { expr: burn(shortS), legend: `{{slo}} ${short}` },
        { expr: burn(longS), legend: `{{slo}} ${long}` },
      ],
      limits: [factor],
      dashedPattern: ` ${long}$`,
      reach: factor,
      width: 12,
    });
  });
}

function budget(all: readonly Objective[]): readonly SizedPanel[] {
  const period = durationText(Math.max(...all.map(({ periodS }) => periodS), USUAL_PERIOD_S));
  return [
    series({
      title: 'Budget left',
      shows: 'Share of the error budget that the period still has, at each time for the period before it.',
      bad: 'a slope that meets 0 before the good days of the period are over. Below 0: missed.',
      unit: 'percentunit',
      queries: [{ expr: recorded('slo:period_error_budget_remaining:ratio', CHOSEN), legend: '{{slo}}' }],
      signed: true,
      limits: [0],
      most: 1,
      timeFrom: period,
      width: 12,
      height: 9,
    }),
    series({
      title: `Bad queries, per ${STEP}`,
      shows: 'Queries that spent budget: failed, or slower than the objective allows.',
      bad: 'bars that coincide with a mark for a start, a load or a release.',
      unit: 'short',
      queries: [{ expr: recorded(`slo:sli_bad:increase${STEP}`, CHOSEN), legend: '{{slo}}' }],
      bars: true,
      stacked: true,
      width: 6,
      height: 9,
      links: [tracesLink('Failed traces in Jaeger', { tags: 'error=true' })],
    }),
    series({
      title: `Queries that count, per ${STEP}`,
      shows: 'Queries that the objective is about, good and bad.',
      bad: 'few of them: a single bad query then burns much. Alerts ask for a least number.',
      unit: 'short',
      queries: [{ expr: recorded(`slo:sli_total:increase${STEP}`, CHOSEN), legend: '{{slo}}' }],
      width: 6,
      height: 9,
    }),
    series({
      title: 'Bad share over the period, and what may be',
      shows: 'Share of queries that were bad, each counting once; dashed, what the objective allows.',
      bad: 'a line above its dashed one: the objective is missed.',
      unit: 'percentunit',
      queries: [
        { expr: recorded('slo:period_error:ratio', CHOSEN), legend: '{{slo}}' },
        { expr: recorded('slo:error_budget:ratio', CHOSEN), legend: '{{slo}} may' },
      ],
      dashedPattern: ' may$',
      timeFrom: period,
      width: 12,
      height: 8,
    }),
    series({
      title: 'Burn now',
      shows: `How many times too fast each budget burns over the last ${durationText(5 * MINUTE_S)}.`,
      bad: 'above 1 the budget ends before the period.',
      unit: 'none',
      queries: [{ expr: recorded('slo:current_burn_rate:ratio', CHOSEN), legend: '{{slo}}' }],
      limits: [1],
      width: 12,
      height: 8,
    }),
  ];
}

const QUERIES: readonly SizedPanel[] = [
  series({
    title: 'Rate, by outcome',
    shows: 'Queries of all models that ended, a second, by how they ended.',
    bad: 'red, orange and yellow: they spend the budgets of availability. Blue and grey count for no objective.',
    unit: 'reqps',
    queries: [{ expr: perSecond('inference_requests_total', { by: ['outcome'] }), legend: '{{outcome}}' }],
    colors: OUTCOME_COLORS,
    stacked: true,
    width: 12,
  }),
  series({
    title: 'p99, by model',
    shows:
      'One answered query in a hundred took the service longer than this. A point is one query: open its trace.',
    bad: "above a model's objective: its budget of latency burns.",
    unit: 's',
    queries: [
      {
        expr: quantile(0.99, 'inference_service_duration_seconds', {
          by: ['model'],
          where: { outcome: outcomesThatAre('good') },
        }),
        legend: '{{model}}',
        exemplars: true,
      },
    ],
    width: 12,
    links: [dashboardLink('Model', 'vitrine-model', { model: seriesLabel('model') })],
  }),
];

export function objectives(all: readonly Objective[]): Dashboard {
  return dashboard({
    uid: 'vitrine-objectives',
    title: 'Vitrine / Objectives',
    description: 'Error budgets: what is left, and how fast they burn on the windows of their alerts.',
    from: 'now-6h',
    variables: [
      {
        name: 'slo',
        label: 'Objective',
        description: 'Objectives of slo.yaml.',
        query: 'label_values(slo:objective:ratio, slo)',
        all: '.+',
      },
    ],
    sections: [
      { panels: [everyObjective(all)] },
      { title: 'Burn per window', panels: pairs(all) },
      { title: 'Budget over time', panels: budget(all) },
      { title: 'What it is made of', panels: QUERIES },
    ],
  });
}
