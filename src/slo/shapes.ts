/** Expressions in few words, for the lists of alerts and objectives. */
import type { CounterName, GaugeName, HistogramName } from '../telemetry/catalog.ts';
import type {
  Aggregate,
  ComparisonOperator,
  CounterSource,
  Guard,
  IncreaseMeasure,
  LevelMeasure,
  LevelName,
  Measure,
  PlainMeasure,
  QuotientMeasure,
  Selection,
} from './expression.ts';

/** `{ outcome: ['error', 'expired'] }`: only series with one of the values. */
export function having(values: Readonly<Record<string, readonly string[]>>): Selection {
  return Object.entries(values).map(([label, list]) => ({ label, is: 'in', values: list }));
}

export function counter(metric: CounterName, where: Selection = []): CounterSource {
  return { kind: 'counter', metric, where };
}

/** Observations of a histogram. */
export function observations(metric: HistogramName, where: Selection = []): CounterSource {
  return { kind: 'count', metric, where };
}

/** Growth over the window, summed by labels. */
export function increase(of: CounterSource, windowS: number, by: readonly string[]): IncreaseMeasure {
  return { kind: 'increase', of, windowS, per: 'window', by };
}

/** Growth a second. */
export function rate(of: CounterSource, windowS: number, by: readonly string[]): IncreaseMeasure {
  return { kind: 'increase', of, windowS, per: 'second', by };
}

/** A level read now. */
export function level(
  metric: LevelName,
  where: Selection,
  aggregate: Aggregate,
  by: readonly string[],
): LevelMeasure {
  return { kind: 'level', metric, where, over: undefined, aggregate, by };
}

/** A level averaged over a window. */
export function averageLevel(
  metric: LevelName,
  where: Selection,
  windowS: number,
  aggregate: Aggregate,
  by: readonly string[],
): LevelMeasure {
  return { kind: 'level', metric, where, over: { take: 'avg', windowS }, aggregate, by };
}

export function quotient(numerator: PlainMeasure, denominator: PlainMeasure): QuotientMeasure {
  return { kind: 'quotient', numerator, denominator };
}

/** Share of `total` that is `part`, over the same window. */
export function share(
  part: CounterSource,
  total: CounterSource,
  windowS: number,
  by: readonly string[],
): QuotientMeasure {
  return quotient(increase(part, windowS, by), increase(total, windowS, by));
}

export function guard(measure: Measure, op: ComparisonOperator, threshold: number): Guard {
  return { measure, op, threshold };
}

/** Usage over limit now, and on its way: the fullness that is predicted for `horizonS` ahead. */
export function fullness(
  usage: GaugeName,
  limit: GaugeName,
  {
    where,
    windowS,
    horizonS,
    by,
  }: { where: Selection; windowS: number; horizonS: number; by: readonly string[] },
): { readonly now: QuotientMeasure; readonly predicted: QuotientMeasure } {
  const capacity = level(limit, where, 'max', by);
  return {
    now: quotient(level(usage, where, 'max', by), capacity),
    predicted: quotient(
      { kind: 'prediction', metric: usage, where, windowS, horizonS, aggregate: 'max', by },
      capacity,
    ),
  };
}
