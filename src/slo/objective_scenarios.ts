/** What proves the alerts of an objective, at each of its pairs of windows, and its figure for the period. */
import { HOUR_S, MINUTE_S } from './alert_labels.ts';
import { rounded } from './burn_windows.ts';
import type { BurnPair } from './expression.ts';
import { type Objective, objectiveLabels } from './objective.ts';
import { objectiveAlerts, WITHOUT_DATA } from './objective_alerts.ts';
import type { Phase, Scenario, ScenarioSeries } from './scenario.ts';

/** Queries a second; enough for every minimum of traffic. */
const TRAFFIC_PER_S = 20;
/** So much more, or less, than the factor of a pair. */
const BEYOND = 0.02;

/** A burst: so many times the factor, for this share of the long window. */
const BURST_TIMES = 1.6;
const BURST_SHARE = 0.8;

/** A stretch in which a share of the queries is bad. */
interface Stretch {
  readonly lastsS: number;
  readonly badShare: number;
  readonly perS?: number;
}

/** Series of one gateway that answers queries of which some are bad. */
function traffic(objective: Objective, stretches: readonly Stretch[]): ScenarioSeries[] {
  const { kind, model, version, tenant, thresholdS } = objective;
  const labels = {
    job: 'vitrine-gateway',
    instance: 'gateway-0',
    model,
    version: version ?? '1',
    ...(tenant === undefined ? {} : { tenant }),
  };
  const phases = (share: (stretch: Stretch) => number): Phase[] =>
    stretches.map((stretch) => ({
      lastsS: stretch.lastsS,
      perS: (stretch.perS ?? TRAFFIC_PER_S) * share(stretch),
    }));
  const good = phases(({ badShare }) => 1 - badShare);
  const bad = phases(({ badShare }) => badShare);
  const all = phases(() => 1);
  const none = phases(() => 0);
  if (kind === 'availability') {
    return [
      { name: 'inference_requests_total', labels: { ...labels, outcome: 'ok' }, phases: good },
      { name: 'inference_requests_total', labels: { ...labels, outcome: 'error' }, phases: bad },
      // Excluded: the caller's own.
      { name: 'inference_requests_total', labels: { ...labels, outcome: 'throttled' }, phases: all },
    ];
  }
  const name = 'inference_service_duration_seconds';
  const answered = { ...labels, outcome: 'ok' };
  return [
    { name: `${name}_bucket`, labels: { ...answered, le: String(thresholdS) }, phases: good },
    { name: `${name}_count`, labels: answered, phases: all },
    // Not answered: availability's business, however long it took.
    {
      name: `${name}_bucket`,
      labels: { ...labels, outcome: 'expired', le: String(thresholdS) },
      phases: none,
    },
    { name: `${name}_count`, labels: { ...labels, outcome: 'expired' }, phases: all },
  ];
}

/**
 * A pair of windows: a burn just beyond its factor for its long window fires, one just short of it does not,
 * and neither does a total failure with too little traffic.
 */
function pairScenarios(objective: Objective, alert: string, pair: BurnPair): Scenario[] {
  const { budget } = objective;
  const { longS, shortS, factor, minimumTotal } = pair;
  // The short window holds five samples; the calm is long enough that no longer window of another pair burns.
  const stepS = shortS / 5;
  const calmS = 2 * longS;
  const rule = `${alert}/${objective.name}`;
  // Above a share of 1 nothing can be worse; the rule then has been left out.
  const beyond = Math.min(1 + BEYOND, rounded(1 / (factor * budget)));
  const badShare = (times: number): number => rounded(factor * times * budget);
  const end = calmS + longS - stepS;
  // Busier than what follows, so that windows that reach back to it do not burn as well.
  const calm: Stretch = { lastsS: calmS, badShare: 0, perS: 2 * TRAFFIC_PER_S };
  const burst: Stretch = { lastsS: longS * BURST_SHARE, badShare: Math.min(1, badShare(BURST_TIMES)) };
  const title = `${factor}x`;
  return [
    {
      rule,
      title: `${title}: fires beyond the edge, and clears once the short window is calm`,
      stepS,
      series: traffic(objective, [
        calm,
        { lastsS: longS, badShare: badShare(beyond) },
        { lastsS: 2 * shortS, badShare: 0 },
      ]),
      checks: [
        { atS: calmS - stepS, firing: [] },
        { atS: end, firing: [{ labels: {}, value: rounded(factor * beyond) }] },
        { atS: end + 2 * shortS, firing: [] },
      ],
    },
    {
      rule,
      title: `${title}: stays silent next to the edge`,
      stepS,
      series: traffic(objective, [calm, { lastsS: longS, badShare: badShare(1 - BEYOND) }]),
      checks: [{ atS: end, firing: [] }],
    },
    // Where the budget is large, a burst that is over cannot weigh enough on the long window.
    ...(burst.badShare * BURST_SHARE > badShare(1 + BEYOND)
      ? [
          {
            rule,
            title: `${title}: stays silent once the burst is over, though the long window still burns`,
            stepS,
            series: traffic(objective, [calm, burst, { lastsS: longS * (1 - BURST_SHARE), badShare: 0 }]),
            checks: [{ atS: end, firing: [] }],
          },
        ]
      : []),
    {
      rule,
      title: `${title}: stays silent with too little traffic`,
      stepS,
      series: traffic(objective, [{ lastsS: 2 * longS, badShare: 1, perS: (0.9 * minimumTotal) / longS }]),
      checks: [{ atS: longS, firing: [] }],
    },
  ];
}

/** Of every alert of an objective. */
export function objectiveScenarios(objective: Objective): Scenario[] {
  return objectiveAlerts(objective).flatMap(({ name, expression }) =>
    expression.kind === 'burn_rate'
      ? expression.pairs.flatMap((pair) => pairScenarios(objective, name, pair))
      : withoutData(objective),
  );
}

function withoutData(objective: Objective): Scenario[] {
  const rule = `${WITHOUT_DATA}/${objective.name}`;
  const gone = (lastsS: number): ScenarioSeries[] =>
    traffic(objective, [{ lastsS: 600, badShare: 0 }]).map((series) => ({
      ...series,
      phases: [...series.phases, { lastsS, gap: 'stale' }, { lastsS: 600, perS: TRAFFIC_PER_S }],
    }));
  const { slo: _slo, service: _service, ...labels } = objectiveLabels(objective);
  return [
    {
      rule,
      title: 'fires when nobody tells of the model, and clears',
      stepS: MINUTE_S,
      series: gone(900),
      checks: [
        { atS: 1140, firing: [] },
        { atS: 1200, firing: [{ labels, value: 1 }] },
        { atS: 1500, firing: [] },
      ],
    },
    {
      rule,
      title: 'stays silent when it is told of again within ten minutes',
      stepS: MINUTE_S,
      series: gone(600),
      checks: [
        { atS: 1140, firing: [] },
        { atS: 1200, firing: [] },
      ],
    },
  ];
}

/** A busy hour with few bad queries and a quiet one with many: what the period's figure has to make of them. */
export interface PeriodProof {
  readonly stepS: number;
  readonly series: readonly ScenarioSeries[];
  readonly atS: number;
  /** Every query counting once. */
  readonly error: number;
}

export function periodProof(objective: Objective): PeriodProof {
  const [busy, quiet] = [
    { lastsS: 2 * HOUR_S, perS: 90, badShare: rounded(objective.budget / 10) },
    { lastsS: 2 * HOUR_S, perS: 10, badShare: rounded(objective.budget * 4) },
  ];
  return {
    stepS: MINUTE_S,
    series: traffic(objective, [busy, quiet]),
    atS: 4 * HOUR_S - MINUTE_S,
    error: rounded((busy.perS * busy.badShare + quiet.perS * quiet.badShare) / (busy.perS + quiet.perS)),
  };
}
