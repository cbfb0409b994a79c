/** Which samples an expression reads, and how far back: what a store has to keep for it. */
import type { MetricName } from '../telemetry/catalog.ts';
import { PERIOD_STEP_S } from './burn_windows.ts';
import type { SampleNeed } from './evaluator_plan.ts';
import type { CounterSource, Expression, Measure, ScrapedName, Selection } from './expression.ts';
import type { Objective } from './objective.ts';
import type { Intervals } from './time_scale.ts';

/** One reading: samples of a window that ends `offsetS` ago. */
export interface Reading {
  readonly metric: MetricName | ScrapedName;
  readonly where: Selection;
  /** undefined: the newest sample within the lookback. */
  readonly windowS: number | undefined;
  readonly offsetS: number;
}

function ofSource({ metric, where }: CounterSource, windowS: number, offsetS: number): Reading {
  return { metric, where, windowS, offsetS };
}

function ofMeasure(measure: Measure, offsetS: number): Reading[] {
  switch (measure.kind) {
    case 'quotient':
      return [...ofMeasure(measure.numerator, offsetS), ...ofMeasure(measure.denominator, offsetS)];
    case 'increase':
      return [ofSource(measure.of, measure.windowS, offsetS)];
    case 'level':
      return [{ metric: measure.metric, where: measure.where, windowS: measure.over?.windowS, offsetS }];
    case 'quantile':
    case 'prediction':
    case 'resets':
      return [{ metric: measure.metric, where: measure.where, windowS: measure.windowS, offsetS }];
  }
}

/** Every reading of an expression, repeated ones too. */
export function readingsOf(expression: Expression): Reading[] {
  switch (expression.kind) {
    case 'threshold':
      return [expression.measure, ...expression.guards.map(({ measure }) => measure)].flatMap((measure) =>
        ofMeasure(measure, 0),
      );
    case 'against_past': {
      const { measure, offsetS, guards, pastGuards } = expression;
      return [
        ...[measure, ...guards.map((guard) => guard.measure)].flatMap((each) => ofMeasure(each, 0)),
        ...[measure, ...pastGuards.map((guard) => guard.measure)].flatMap((each) => ofMeasure(each, offsetS)),
      ];
    }
    case 'burn_rate':
      return expression.pairs.flatMap(({ shortS, longS }) =>
        [expression.bad, expression.total].flatMap((of) => [ofSource(of, shortS, 0), ofSource(of, longS, 0)]),
      );
    case 'absent':
      return [{ metric: expression.metric, where: expression.where, windowS: undefined, offsetS: 0 }];
    case 'vanished': {
      const { metric, where, lookbackS } = expression;
      return [
        { metric, where, windowS: lookbackS, offsetS: 0 },
        { metric, where, windowS: undefined, offsetS: 0 },
      ];
    }
    case 'always':
      return [];
  }
}

/** A window is read from samples at most this share of it apart. */
const STEPS_PER_WINDOW = 5;

/** What a store has to hold, without needs that another one covers; by metric, then reach. */
export function sampleNeeds(
  expressions: readonly Expression[],
  objectives: readonly Objective[],
  { scrapeIntervalS, lookbackS }: Intervals,
  timeScale: number,
): SampleNeed[] {
  const all: SampleNeed[] = expressions.flatMap(readingsOf).map(({ metric, where, windowS, offsetS }) => ({
    metric,
    where,
    reachS: offsetS + (windowS ?? lookbackS),
    stepS: Math.max(scrapeIntervalS, (windowS ?? lookbackS) / STEPS_PER_WINDOW),
  }));
  for (const { bad, total, periodS } of objectives) {
    for (const { metric, where } of [bad, total]) {
      all.push({ metric, where, reachS: periodS / timeScale, stepS: PERIOD_STEP_S / timeScale });
    }
  }
  const bySelection = Map.groupBy(all, ({ metric, where }) => JSON.stringify([metric, where]));
  return [...bySelection.values()]
    .flatMap((needs) => {
      // Farthest first; a need is covered by one that reaches as far in steps as fine.
      const sorted = needs.sort((a, b) => b.reachS - a.reachS || a.stepS - b.stepS);
      const kept: SampleNeed[] = [];
      for (const need of sorted) {
        if (!kept.some(({ stepS }) => stepS <= need.stepS)) kept.push(need);
      }
      return kept.reverse();
    })
    .sort((a, b) => (a.metric < b.metric ? -1 : a.metric > b.metric ? 1 : a.reachS - b.reachS));
}
