/** Expressions over samples, as slo/expression.ts defines them. Pure. */
import type {
  BurnRateExpression,
  ComparisonOperator,
  Expression,
  Guard,
  VanishedExpression,
} from '../../slo/expression.ts';
import { CATALOG, type MetricName } from '../../telemetry/catalog.ts';
import { aggregate, combine, evaluateMeasure, increaseOf, type Moment } from './measure.ts';
import { EMPTY_VECTOR, groupBy, type Vector } from './vector.ts';

export function compare(value: number, op: ComparisonOperator, threshold: number): boolean {
  switch (op) {
    case '>':
      return value > threshold;
    case '>=':
      return value >= threshold;
    case '<':
      return value < threshold;
    case '<=':
      return value <= threshold;
  }
}

function filter(vector: Vector, keep: (value: number, key: string) => boolean): Vector {
  return new Map([...vector].filter(([key, { value }]) => keep(value, key)));
}

function guarded(vector: Vector, guards: readonly Guard[], moment: Moment): Vector {
  return guards.reduce((kept, { measure, op, threshold }) => {
    if (kept.size === 0) return kept;
    const guard = evaluateMeasure(measure, moment);
    return filter(kept, (_, key) => {
      const element = guard.get(key);
      return element !== undefined && compare(element.value, op, threshold);
    });
  }, vector);
}

function burnRate({ bad, total, by, budget, pairs }: BurnRateExpression, moment: Moment): Vector {
  const totals = new Map<number, Vector>();
  const burns = new Map<number, Vector>();
  const totalOver = (windowS: number): Vector => {
    const known = totals.get(windowS) ?? increaseOf(moment, total, windowS, by);
    totals.set(windowS, known);
    return known;
  };
  const burnOver = (windowS: number): Vector => {
    const known =
      burns.get(windowS) ??
      combine(
        increaseOf(moment, bad, windowS, by),
        totalOver(windowS),
        (part, whole) => part / whole / budget,
      );
    burns.set(windowS, known);
    return known;
  };
  const result = new Map(EMPTY_VECTOR);
  for (const { shortS, longS, factor, minimumTotal } of pairs) {
    for (const [key, element] of burnOver(shortS)) {
      const long = burnOver(longS).get(key)?.value ?? Number.NaN;
      const enough = (totalOver(longS).get(key)?.value ?? 0) >= minimumTotal;
      if (!result.has(key) && enough && element.value > factor && long > factor) result.set(key, element);
    }
  }
  return result;
}

/** The sample that tells whether a metric is there. */
function presenceSample(metric: MetricName | 'up'): string {
  return metric !== 'up' && CATALOG[metric].type === 'histogram' ? `${metric}_count` : metric;
}

function vanished({ metric, where, lookbackS, by }: VanishedExpression, moment: Moment): Vector {
  const { source, timeMs, lookbackMs } = moment;
  const series = source.select(metric, where);
  const were = series.flatMap((each) => {
    const { values } = each.window(timeMs - lookbackS * 1000, timeMs, source.nowMs);
    return values.length === 0 ? [] : [{ labels: each.labels, value: aggregate('max')(values) }];
  });
  const are = series.flatMap((each) => {
    const value = each.at(timeMs, lookbackMs, source.nowMs);
    return value === undefined ? [] : [{ labels: each.labels, value }];
  });
  const present = groupBy(are, by, aggregate('max'));
  return filter(groupBy(were, by, aggregate('max')), (_, key) => !present.has(key));
}

/** The elements for which the expression holds at the moment: each is one alert. */
export function evaluateExpression(expression: Expression, moment: Moment): Vector {
  switch (expression.kind) {
    case 'threshold': {
      const { measure, op, threshold, guards } = expression;
      return guarded(
        filter(evaluateMeasure(measure, moment), (value) => compare(value, op, threshold)),
        guards,
        moment,
      );
    }
    case 'against_past': {
      const { measure, offsetS, op, factor, guards, pastGuards } = expression;
      const past: Moment = { ...moment, timeMs: moment.timeMs - offsetS * 1000 };
      const then = guarded(evaluateMeasure(measure, past), pastGuards, past);
      const quotient = combine(evaluateMeasure(measure, moment), then, (now, before) => now / before);
      return guarded(
        filter(quotient, (value) => compare(value, op, factor)),
        guards,
        moment,
      );
    }
    case 'burn_rate':
      return burnRate(expression, moment);
    case 'absent': {
      const series = moment.source.select(presenceSample(expression.metric), expression.where);
      const there = series.some(
        (each) => each.at(moment.timeMs, moment.lookbackMs, moment.source.nowMs) !== undefined,
      );
      if (there) return EMPTY_VECTOR;
      const labels = Object.fromEntries(
        expression.where.flatMap(({ label, is, values }) =>
          is === 'in' && values.length === 1 ? [[label, values[0] as string]] : [],
        ),
      );
      return new Map([['', { labels, value: 1 }]]);
    }
    case 'vanished':
      return vanished(expression, moment);
    case 'always':
      return new Map([['', { labels: {}, value: 1 }]]);
  }
}
