/**
 * Measures over samples, as slo/expression.ts defines them and Prometheus computes them. Pure: samples and a
 * moment in, a vector out.
 */
import type {
  Aggregate,
  CounterSource,
  IncreaseMeasure,
  LevelMeasure,
  Measure,
  PredictionMeasure,
  QuantileMeasure,
  ResetsMeasure,
} from '../../slo/expression.ts';
import type { SampleSeries, Samples } from './sample_series.ts';
import type { SampleSource } from './sample_source.ts';
import { type Element, groupBy, project, sum, type Vector } from './vector.ts';

export interface Moment {
  readonly source: SampleSource;
  readonly timeMs: number;
  readonly lookbackMs: number;
}

/**
 * By how much a counter grew over (endMs - windowMs, endMs], extrapolated to its edges.
 * Source: `extrapolatedRate` of Prometheus (promql/functions.go). @returns undefined for fewer than two samples
 */
export function increase({ times, values }: Samples, endMs: number, windowMs: number): number | undefined {
  const count = times.length;
  if (count < 2) return undefined;
  const first = values[0] as number;
  let raised = (values[count - 1] as number) - first;
  for (let index = 1; index < count; index += 1) {
    const before = values[index - 1] as number;
    if ((values[index] as number) < before) raised += before;
  }
  const firstMs = times[0] as number;
  const lastMs = times[count - 1] as number;
  const spanS = (lastMs - firstMs) / 1000;
  const meanS = spanS / (count - 1);
  let headS = (firstMs - (endMs - windowMs)) / 1000;
  let tailS = (endMs - lastMs) / 1000;
  const limitS = meanS * 1.1;
  if (headS >= limitS) headS = meanS / 2;
  if (raised > 0 && first >= 0) headS = Math.min(headS, spanS * (first / raised));
  if (tailS >= limitS) tailS = meanS / 2;
  return (raised * (spanS + headS + tailS)) / spanS;
}

function increases(
  moment: Moment,
  sampleName: string,
  where: CounterSource['where'],
  windowS: number,
): { readonly labels: Readonly<Record<string, string>>; readonly value: number }[] {
  const { source, timeMs } = moment;
  const windowMs = windowS * 1000;
  return source.select(sampleName, where).flatMap((series) => {
    const value = increase(series.window(timeMs - windowMs, timeMs, source.nowMs), timeMs, windowMs);
    return value === undefined ? [] : [{ labels: series.labels, value }];
  });
}

/** An edge as Prometheus 3 stores it in `le`. */
export function edgeLabel(edge: number): string {
  return Number.isInteger(edge) ? `${edge}.0` : String(edge);
}

export function increaseOf(
  moment: Moment,
  of: CounterSource,
  windowS: number,
  by: readonly string[],
): Vector {
  switch (of.kind) {
    case 'counter':
      return groupBy(increases(moment, of.metric, of.where, windowS), by, sum);
    case 'count':
    case 'sum':
      return groupBy(increases(moment, `${of.metric}_${of.kind}`, of.where, windowS), by, sum);
    case 'above': {
      const all = groupBy(increases(moment, `${of.metric}_count`, of.where, windowS), by, sum);
      const edge = { label: 'le', is: 'in', values: [edgeLabel(of.edge)] } as const;
      const within = groupBy(increases(moment, `${of.metric}_bucket`, [...of.where, edge], windowS), by, sum);
      return combine(all, within, (count, bucket) => count - bucket);
    }
  }
}

/** Elements with labels that both sides have. */
export function combine(left: Vector, right: Vector, join: (left: number, right: number) => number): Vector {
  const joined = new Map<string, Element>();
  for (const [key, { labels, value }] of left) {
    const other = right.get(key);
    if (other !== undefined) joined.set(key, { labels, value: join(value, other.value) });
  }
  return joined;
}

function evaluateIncrease(measure: IncreaseMeasure, moment: Moment): Vector {
  const vector = increaseOf(moment, measure.of, measure.windowS, measure.by);
  if (measure.per === 'window') return vector;
  return new Map(
    [...vector].map(([key, { labels, value }]) => [key, { labels, value: value / measure.windowS }]),
  );
}

/** Source: `BucketQuantile` of Prometheus (promql/quantile.go), for classic buckets. */
export function bucketQuantile(
  q: number,
  unsorted: readonly { readonly edge: number; readonly count: number }[],
): number {
  const buckets = unsorted.toSorted((a, b) => a.edge - b.edge);
  const last = buckets.at(-1);
  if (last === undefined || last.edge !== Number.POSITIVE_INFINITY || buckets.length < 2) return Number.NaN;
  let highest = Number.NEGATIVE_INFINITY;
  const counts = buckets.map(({ count }) => {
    highest = Math.max(highest, count);
    return highest;
  });
  const observations = counts.at(-1) as number;
  if (!(observations > 0)) return Number.NaN;
  const rank = q * observations;
  let index = counts.findIndex((count) => count >= rank);
  if (index === -1) index = counts.length - 1;
  if (index === buckets.length - 1) return (buckets[buckets.length - 2] as { edge: number }).edge;
  const end = (buckets[index] as { edge: number }).edge;
  if (index === 0 && end <= 0) return end;
  const start = index === 0 ? 0 : (buckets[index - 1] as { edge: number }).edge;
  const below = index === 0 ? 0 : (counts[index - 1] as number);
  return start + (end - start) * ((rank - below) / ((counts[index] as number) - below));
}

function evaluateQuantile(measure: QuantileMeasure, moment: Moment): Vector {
  const { metric, where, windowS, by, quantile } = measure;
  const byEdge = groupBy(increases(moment, `${metric}_bucket`, where, windowS), [...by, 'le'], sum);
  const groups = new Map<
    string,
    { labels: Record<string, string>; buckets: { edge: number; count: number }[] }
  >();
  for (const { labels, value } of byEdge.values()) {
    const { key, labels: kept } = project(labels, by);
    const group = groups.get(key) ?? { labels: kept, buckets: [] };
    const { le = '' } = labels;
    group.buckets.push({ edge: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), count: value });
    groups.set(key, group);
  }
  return new Map(
    [...groups].map(([key, { labels, buckets }]) => [
      key,
      { labels, value: bucketQuantile(quantile, buckets) },
    ]),
  );
}

/** `max` and `min` pass over NaN beside a number. */
function best(values: readonly number[], better: (a: number, b: number) => boolean): number {
  return values.reduce(
    (kept, value) => (Number.isNaN(kept) || better(value, kept) ? value : kept),
    Number.NaN,
  );
}

export function aggregate(how: Aggregate): (values: readonly number[]) => number {
  switch (how) {
    case 'max':
      return (values) => best(values, (a, b) => a > b);
    case 'min':
      return (values) => best(values, (a, b) => a < b);
    case 'sum':
      return sum;
    case 'avg':
      return (values) => sum(values) / values.length;
  }
}

function levelOf(
  series: SampleSeries,
  measure: LevelMeasure,
  { source, timeMs, lookbackMs }: Moment,
): number | undefined {
  const { over } = measure;
  if (over === undefined) return series.at(timeMs, lookbackMs, source.nowMs);
  const { values } = series.window(timeMs - over.windowS * 1000, timeMs, source.nowMs);
  return values.length === 0 ? undefined : aggregate(over.take)(values);
}

function perSeries(
  series: readonly SampleSeries[],
  read: (series: SampleSeries) => number | undefined,
): { readonly labels: Readonly<Record<string, string>>; readonly value: number }[] {
  return series.flatMap((each) => {
    const value = read(each);
    return value === undefined ? [] : [{ labels: each.labels, value }];
  });
}

function evaluateLevel(measure: LevelMeasure, moment: Moment): Vector {
  const series = moment.source.select(measure.metric, measure.where);
  return groupBy(
    perSeries(series, (each) => levelOf(each, measure, moment)),
    measure.by,
    aggregate(measure.aggregate),
  );
}

/** The least-squares line through the samples, read horizonS after endMs. Source: `linearRegression`, promql/functions.go. */
export function predict({ times, values }: Samples, endMs: number, horizonS: number): number | undefined {
  const count = times.length;
  if (count < 2) return undefined;
  const initial = values[0] as number;
  if (values.every((value) => value === initial)) return Number.isFinite(initial) ? initial : Number.NaN;
  let sumX = 0;
  let sumY = 0;
  let sumXy = 0;
  let sumXx = 0;
  for (let index = 0; index < count; index += 1) {
    const x = ((times[index] as number) - endMs) / 1000;
    const y = values[index] as number;
    sumX += x;
    sumY += y;
    sumXy += x * y;
    sumXx += x * x;
  }
  const covariance = sumXy - (sumX * sumY) / count;
  const variance = sumXx - (sumX * sumX) / count;
  const slope = covariance / variance;
  return slope * horizonS + (sumY / count - (slope * sumX) / count);
}

function evaluatePrediction(measure: PredictionMeasure, moment: Moment): Vector {
  const { source, timeMs } = moment;
  const series = source.select(measure.metric, measure.where);
  const predicted = perSeries(series, (each) =>
    predict(each.window(timeMs - measure.windowS * 1000, timeMs, source.nowMs), timeMs, measure.horizonS),
  );
  return groupBy(predicted, measure.by, aggregate(measure.aggregate));
}

function evaluateResets(measure: ResetsMeasure, moment: Moment): Vector {
  const { source, timeMs } = moment;
  const series = source.select(measure.metric, measure.where);
  const resets = perSeries(series, (each) => {
    const { values } = each.window(timeMs - measure.windowS * 1000, timeMs, source.nowMs);
    if (values.length === 0) return undefined;
    return values.filter((value, index) => index > 0 && value < (values[index - 1] as number)).length;
  });
  return groupBy(resets, measure.by, sum);
}

export function evaluateMeasure(measure: Measure, moment: Moment): Vector {
  switch (measure.kind) {
    case 'increase':
      return evaluateIncrease(measure, moment);
    case 'quantile':
      return evaluateQuantile(measure, moment);
    case 'level':
      return evaluateLevel(measure, moment);
    case 'prediction':
      return evaluatePrediction(measure, moment);
    case 'resets':
      return evaluateResets(measure, moment);
    case 'quotient':
      return combine(
        evaluateMeasure(measure.numerator, moment),
        evaluateMeasure(measure.denominator, moment),
        (numerator, denominator) => numerator / denominator,
      );
  }
}
