/**
 * What an alert can ask: a closed set of shapes, each with one meaning for two engines. The embedded evaluator
 * computes them over its own samples; promql.ts writes each as PromQL for Prometheus. There is no other
 * expression language, so what is not here cannot be alerted on, and what is here means the same in both.
 *
 * Terms. Time t is the moment of evaluation. A series is a metric with its labels, `job` and `instance` of its
 * target among them. A vector is a set of elements, each a set of labels with a number; an absent label equals
 * the empty text. Arithmetic is IEEE's: 0/0 is NaN, x/0 is an infinity, and a comparison with NaN is false.
 *
 * Samples, as Prometheus 3 has them:
 * - A window of w at t holds the samples with timestamps in (t - w, t]: open to the left.
 * - A series read at one moment has its newest sample in (t - lookback, t], lookback 5 min (EvaluatorPlan has
 *   the figure, since a time scale divides it); without one it has no value.
 * - A failed scrape, a target that vanished and a series that a scrape no longer lists end the series at that
 *   moment (a stale marker): read at one moment it has no value from then on, until its next sample. Windows
 *   skip the marker and still see the samples before it.
 * - NaN and infinities are samples like others.
 */
import type { CounterName, GaugeName, HistogramName, MetricName } from '../telemetry/catalog.ts';

export type ComparisonOperator = '>' | '>=' | '<' | '<=';

/**
 * Keeps the series whose label has one of the values (`in`), or none of them (`not_in`). A series without the
 * label has the empty text as its value. At least one value; values are exact, never patterns.
 */
export interface LabelMatcher {
  readonly label: string;
  readonly is: 'in' | 'not_in';
  readonly values: readonly string[];
}

/** All of them have to hold; empty keeps every series. */
export type Selection = readonly LabelMatcher[];

/**
 * Made by the scraper for each target at each scrape, so it stands in no process's catalogue: 1 when the
 * scrape succeeded, 0 when it failed. It is never stale while the target is listed.
 */
export type ScrapedName = 'up';

/** A metric that is read as it stands. */
export type LevelName = GaugeName | ScrapedName;

/**
 * Where an increase comes from. `counter` is a counter; `count` and `sum` are those of a histogram; `above` is
 * the observations larger than one of its edges: those of `count` less those of the bucket `le=edge`, where
 * each of the two is increased and summed on its own before one is subtracted from the other.
 */
export type CounterSource =
  | { readonly kind: 'counter'; readonly metric: CounterName; readonly where: Selection }
  | { readonly kind: 'count'; readonly metric: HistogramName; readonly where: Selection }
  | { readonly kind: 'sum'; readonly metric: HistogramName; readonly where: Selection }
  | {
      readonly kind: 'above';
      readonly metric: HistogramName;
      readonly where: Selection;
      /** One of the metric's edges, in its unit. */
      readonly edge: number;
    };

/**
 * By how much counters grew over the window: per series Prometheus's `increase`, then the sum of the series
 * that agree in the labels `by`.
 *
 * Increase of one series, from its samples in the window (fewer than two: the series adds no element):
 *   raised  = last - first + the sum of every value directly before a smaller one (a reset to 0)
 *   spanS   = time from the first to the last sample; meanS = spanS / (samples - 1)
 *   headS   = first sample less the window's start; tailS = the window's end less the last sample
 *   headS   becomes meanS / 2 when headS >= 1.1 meanS; then, when raised > 0 and first >= 0, at most
 *             spanS * first / raised (a counter was never below zero)
 *   tailS   becomes meanS / 2 when tailS >= 1.1 meanS
 *   increase = raised * (spanS + headS + tailS) / spanS; with `per: 'second'` divided by windowS
 * Source: `extrapolatedRate` in Prometheus's promql/functions.go, without start timestamps.
 *
 * No data: no series with two samples in the window gives no element. Series are created at 0 when their
 * labels become known, because the step from no series to a first value is not an increase.
 */
export interface IncreaseMeasure {
  readonly kind: 'increase';
  readonly of: CounterSource;
  readonly windowS: number;
  readonly per: 'window' | 'second';
  /** Labels of the result; the others are summed away. */
  readonly by: readonly string[];
}

/**
 * A quantile from the buckets of a histogram: the increases of its buckets over the window, summed by `by` and
 * `le`, interpolated in a straight line inside the bucket that holds the rank, from 0 in the first one. In the
 * last (+Inf) it is the highest finite edge. Before, a count below that of a lower bucket is raised to it.
 * Source: `BucketQuantile` in Prometheus's promql/quantile.go.
 *
 * No data: as an increase; no observation in the window gives NaN, which no comparison accepts.
 */
export interface QuantileMeasure {
  readonly kind: 'quantile';
  readonly metric: HistogramName;
  readonly where: Selection;
  /** Above 0, below 1. */
  readonly quantile: number;
  readonly windowS: number;
  readonly by: readonly string[];
}

export type Aggregate = 'max' | 'min' | 'sum' | 'avg';

/**
 * A level: each series read at t, or summarised over the samples of its window (`over`), then aggregated over
 * the series that agree in `by`. `max` and `min` pass over NaN beside a number, `sum` and `avg` become NaN.
 *
 * No data: without `over`, a series that has no value at t adds no element; with it, one that has no sample in
 * the window.
 */
export interface LevelMeasure {
  readonly kind: 'level';
  readonly metric: LevelName;
  readonly where: Selection;
  readonly over: { readonly take: 'avg' | 'min' | 'max'; readonly windowS: number } | undefined;
  readonly aggregate: Aggregate;
  readonly by: readonly string[];
}

/**
 * Where a level will stand at t + horizonS if it goes on as it went over the window: the least-squares line
 * through the samples (x = seconds after t), read at x = horizonS; samples that are all equal give that value.
 * Then aggregated as a level is. Source: `predict_linear`, promql/functions.go.
 *
 * No data: a series with fewer than two samples in the window adds no element.
 */
export interface PredictionMeasure {
  readonly kind: 'prediction';
  readonly metric: GaugeName;
  readonly where: Selection;
  readonly windowS: number;
  readonly horizonS: number;
  readonly aggregate: Aggregate;
  readonly by: readonly string[];
}

/**
 * How often a value was smaller than the one before it, among the samples of the window; summed by `by`. Of a
 * process's uptime it counts the restarts that fell between two scrapes. One sample gives 0.
 *
 * No data: a series without a sample in the window adds no element.
 */
export interface ResetsMeasure {
  readonly kind: 'resets';
  readonly metric: GaugeName;
  readonly where: Selection;
  readonly windowS: number;
  readonly by: readonly string[];
}

export type PlainMeasure =
  | IncreaseMeasure
  | QuantileMeasure
  | LevelMeasure
  | PredictionMeasure
  | ResetsMeasure;

/**
 * One measure divided by another, element by element with equal labels: both have the same `by`.
 *
 * No data: labels that one side lacks give no element. A denominator of 0 gives NaN or an infinity; a guard
 * on the denominator keeps those out.
 */
export interface QuotientMeasure {
  readonly kind: 'quotient';
  readonly numerator: PlainMeasure;
  readonly denominator: PlainMeasure;
}

export type Measure = PlainMeasure | QuotientMeasure;

/** A further condition: an element stays only when the guard has an element with equal labels that holds. */
export interface Guard {
  readonly measure: Measure;
  readonly op: ComparisonOperator;
  readonly threshold: number;
}

/**
 * The elements of the measure that compare, each with the measure's number. A minimum of traffic is a guard.
 * Guards have the measure's `by`.
 */
export interface ThresholdExpression {
  readonly kind: 'threshold';
  readonly measure: Measure;
  readonly op: ComparisonOperator;
  readonly threshold: number;
  readonly guards: readonly Guard[];
}

/**
 * A measure against itself `offsetS` ago, for example at the same hour of the day before: the elements where
 * now / then compares with the factor, each with that quotient. The measure at t - offsetS reads only samples
 * up to then. `guards` hold at t; `pastGuards` hold at t - offsetS.
 *
 * No data: labels without an element then, or now, give none. Then = 0 gives an infinity, or NaN.
 */
export interface AgainstPastExpression {
  readonly kind: 'against_past';
  readonly measure: Measure;
  readonly offsetS: number;
  readonly op: '>' | '<';
  readonly factor: number;
  readonly guards: readonly Guard[];
  readonly pastGuards: readonly Guard[];
}

/** A pair of windows that have to burn both: the long one shows that it matters, the short one that it lasts. */
export interface BurnPair {
  readonly shortS: number;
  readonly longS: number;
  /** How many times faster than the budget lasts for the whole period. */
  readonly factor: number;
  /** Fewest queries in the long window; below it the pair does not hold. */
  readonly minimumTotal: number;
}

/**
 * Burning budget. With ratio(w) = increase(bad, w) / increase(total, w), a pair holds when
 *   ratio(longS) / budget > factor, ratio(shortS) / budget > factor and increase(total, longS) >= minimumTotal.
 * The elements for which any pair holds, each with ratio(shortS) / budget of the first pair in the list that
 * holds: how many times too fast it burns now. The long window says that it matters; while it still holds the
 * calm from before, its own number is far below what is happening.
 *
 * No data: as an increase and a quotient; no traffic is NaN and holds nothing.
 */
export interface BurnRateExpression {
  readonly kind: 'burn_rate';
  readonly bad: CounterSource;
  readonly total: CounterSource;
  readonly by: readonly string[];
  /** 1 - target; above 0. */
  readonly budget: number;
  readonly pairs: readonly BurnPair[];
}

/**
 * Nothing there: one element with the number 1 when no series that `where` keeps has a value at t (of a
 * histogram: its `_count`). Its labels are those that `where` fixes to one value; there is no other element.
 * So a target of which nothing was ever seen is told too.
 */
export interface AbsentExpression {
  readonly kind: 'absent';
  readonly metric: MetricName | ScrapedName;
  readonly where: Selection;
}

/**
 * Was there, is not there: for each set of labels `by` that some series had a sample of within the last
 * `lookbackS`, and none has a value of at t, one element with the greatest sample of that time. It ends by
 * itself once lookbackS is over, so that taking a target away on purpose is told once and not for ever.
 */
export interface VanishedExpression {
  readonly kind: 'vanished';
  readonly metric: LevelName;
  readonly where: Selection;
  readonly lookbackS: number;
  readonly by: readonly string[];
}

/** Always one element without labels, with the number 1: the dead man's switch. */
export interface AlwaysExpression {
  readonly kind: 'always';
}

/** The result of each is a vector; every element is one alert. */
export type Expression =
  | ThresholdExpression
  | AgainstPastExpression
  | BurnRateExpression
  | AbsentExpression
  | VanishedExpression
  | AlwaysExpression;

/** The labels that elements of the measure carry, less those that their series lack. */
export function measureBy(measure: Measure): readonly string[] {
  return measure.kind === 'quotient' ? measureBy(measure.numerator) : measure.by;
}

/** The labels that alerts of the expression carry, besides those of the rule. */
export function expressionLabels(expression: Expression): readonly string[] {
  switch (expression.kind) {
    case 'threshold':
    case 'against_past':
      return measureBy(expression.measure);
    case 'burn_rate':
    case 'vanished':
      return expression.by;
    case 'absent':
      return expression.where.flatMap(({ label, is, values }) =>
        is === 'in' && values.length === 1 ? [label] : [],
      );
    case 'always':
      return [];
  }
}
