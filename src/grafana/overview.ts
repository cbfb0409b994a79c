/** Is it all right? Answered on one screen: objectives, budget, rate, errors, duration, models by who is hurt. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { MINUTE_S } from '../slo/alert_labels.ts';
import type { Objective } from '../slo/objective.ts';
import { alertThreshold } from './alert_threshold.ts';
import { dashboardLink } from './links.ts';
import { BUDGET_STEPS, burnSteps } from './objective_steps.ts';
import { BY_MODEL, RED } from './overview_series.ts';
import { tables } from './overview_tables.ts';
import { BAD, GOOD, NEUTRAL, WARN } from './palette.ts';
import { type SizedPanel, stat } from './panel.ts';
import { alerts, level, perSecond, promql, quantile, recorded } from './promql.ts';
import { badShare, known, outcomesThatAre } from './query_expressions.ts';
import { dashboard } from './shell.ts';

const NO_TRAFFIC = 'no traffic';
const ANSWERED = { outcome: outcomesThatAre('good') };
const FAILING = alertThreshold('VitrineErrorSurge');

function firing(severity: 'page' | 'ticket') {
  const ours = alerts({ alertstate: 'firing', severity });
  // The watchdog always fires: without it no rule is evaluated, and a 0 would be a lie.
  return promql`sum(${ours}) or 0 * max(${alerts({ alertname: 'VitrineWatchdog', alertstate: 'firing' })})`;
}

function atAGlance(objectives: readonly Objective[]): readonly SizedPanel[] {
  return [
    stat({
      title: 'Alerts firing',
      shows: 'Alerts that fire now, as Prometheus evaluates them.',
      bad: 'a page above 0: act now. "rules not loaded": nothing is watched at all.',
      alerts: ['VitrineWatchdog'],
      unit: 'none',
      queries: [
        { expr: firing('page'), legend: 'pages' },
        { expr: firing('ticket'), legend: 'tickets' },
      ],
      steps: [GOOD, [1, BAD]],
      stepsOf: { tickets: [GOOD, [1, WARN]] },
      none: 'rules not loaded',
      width: 4,
    }),
    stat({
      title: 'Least budget left',
      shows: 'Of all objectives, the smallest share of the error budget that the period still has.',
      bad: 'below 25%, and worse below 0: an objective is missed.',
      unit: 'percentunit',
      queries: [{ expr: promql`min(${recorded('slo:period_error_budget_remaining:ratio')})`, legend: '' }],
      steps: BUDGET_STEPS,
      none: NO_TRAFFIC,
      decimals: 1,
      width: 3,
      links: [dashboardLink('Objectives', 'vitrine-objectives')],
    }),
    stat({
      title: 'Fastest burn',
      shows: 'Of all objectives, how many times too fast the budget burned over the last 5 minutes.',
      bad: 'above 1 the budget ends before the period; where a page is due it is red.',
      alerts: ['VitrineBudgetBurnsFast'],
      unit: 'none',
      queries: [{ expr: promql`max(${recorded('slo:current_burn_rate:ratio')} >= 0)`, legend: '' }],
      steps: burnSteps(objectives, 5 * MINUTE_S),
      none: NO_TRAFFIC,
      decimals: 2,
      width: 3,
      links: [dashboardLink('Objectives', 'vitrine-objectives')],
    }),
    stat({
      title: 'Answered',
      shows: 'Share of queries that were answered, of those that the service had to answer.',
      bad: `below ${percent(1 - FAILING)}; what callers broke or gave up does not count.`,
      unit: 'percentunit',
      queries: [{ expr: promql`1 - ${badShare([])}`, legend: '' }],
      steps: [BAD, [1 - FAILING, WARN], [0.999, GOOD]],
      none: NO_TRAFFIC,
      decimals: 2,
      width: 3,
    }),
    stat({
      title: 'Queries',
      shows: 'Queries that ended, a second.',
      bad: 'a number far from the usual one for this hour. "nothing scraped": no gateway is seen.',
      unit: 'reqps',
      queries: [{ expr: perSecond('inference_requests_total'), legend: '' }],
      steps: [NEUTRAL],
      none: 'nothing scraped',
      width: 3,
    }),
    stat({
      title: 'p99',
      shows: 'One answered query in a hundred took the service longer than this.',
      bad: 'red where one model alone would raise an alert.',
      alerts: ['VitrineLatencyP99High'],
      unit: 's',
      queries: [
        {
          expr: known(quantile(0.99, 'inference_service_duration_seconds', { where: ANSWERED })),
          legend: '',
        },
      ],
      steps: [GOOD, [alertThreshold('VitrineLatencyP99High'), BAD]],
      none: NO_TRAFFIC,
      width: 2,
    }),
    stat({
      title: 'Workers',
      shows: 'Workers that the gateway knows, by whether they serve.',
      bad: 'none ready: every query is refused. Some that do not serve: less room.',
      alerts: ['VitrineNoWorkerReady', 'VitrineWorkerDown'],
      unit: 'none',
      queries: [
        { expr: level('max', 'vitrine_gateway_workers', { where: { state: 'ready' } }), legend: 'ready' },
        {
          expr: level('max', 'vitrine_gateway_workers', { where: { state: 'not_ready' } }),
          legend: 'not ready',
        },
      ],
      steps: [BAD, [alertThreshold('VitrineNoWorkerReady'), GOOD]],
      stepsOf: { 'not ready': [GOOD, [1, WARN]] },
      none: 'nothing scraped',
      width: 4,
      links: [dashboardLink('Workers and GPU', 'vitrine-workers')],
    }),
    stat({
      title: 'Slots taken',
      shows: 'Share of the slots of the fullest gateway that hold a query.',
      bad: 'near 100%: new queries are refused with 503.',
      unit: 'percentunit',
      queries: [
        {
          expr: promql`max(${level('max', 'vitrine_gateway_admitted_requests', { by: ['instance'] })} / ${level('max', 'vitrine_gateway_admitted_limit_requests', { by: ['instance'] })})`,
          legend: '',
        },
      ],
      steps: [GOOD, [0.7, WARN], [0.9, BAD]],
      none: 'nothing scraped',
      decimals: 1,
      width: 2,
    }),
  ];
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))}%`;
}

export function overview(objectives: readonly Objective[]): Dashboard {
  return dashboard({
    uid: 'vitrine-overview',
    title: 'Vitrine / Overview',
    description: 'Is it all right, and if not: whom does it hurt? One screen.',
    from: 'now-1h',
    sections: [
      { panels: [...atAGlance(objectives), ...tables(objectives), ...RED] },
      { title: 'By model', collapsed: true, panels: BY_MODEL },
    ],
  });
}
