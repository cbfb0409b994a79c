/** Every expression shape as PromQL with the same meaning: what Prometheus evaluates, and what a runbook asks. */
import { CATALOG, type MetricName } from '../telemetry/catalog.ts';
import { durationText } from './duration.ts';
import type {
  BurnPair,
  BurnRateExpression,
  CounterSource,
  Expression,
  Guard,
  IncreaseMeasure,
  Measure,
  PlainMeasure,
  ScrapedName,
  Selection,
} from './expression.ts';

/** A label's value between double quotes, as PromQL reads it. */
export function quoted(value: string): string {
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

/** A value as a pattern that only it matches (RE2). */
function escapedPattern(value: string): string {
  return value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

function matcherText({ label, is, values }: Selection[number]): string {
  const [only] = values;
  if (values.length === 1 && only !== undefined) return `${label}${is === 'in' ? '=' : '!='}${quoted(only)}`;
  return `${label}${is === 'in' ? '=~' : '!~'}${quoted(values.map(escapedPattern).join('|'))}`;
}

function series(name: string, where: Selection, extra: readonly string[] = []): string {
  const matchers = [...where.map(matcherText), ...extra];
  return matchers.length === 0 ? name : `${name}{${matchers.join(',')}}`;
}

/** ` by (model, version)`, or nothing. */
function byText(by: readonly string[]): string {
  return by.length === 0 ? '' : ` by (${by.join(', ')}) `;
}

/** A number as PromQL reads it, without the dust of floating point. */
export function numberText(value: number): string {
  return String(Number(value.toPrecision(12)));
}

interface Range {
  readonly windowS: number;
  /** 0 for now. */
  readonly offsetS: number;
}

function offsetText(offsetS: number): string {
  return offsetS === 0 ? '' : ` offset ${durationText(offsetS)}`;
}

function rangeText({ windowS, offsetS }: Range): string {
  return `[${durationText(windowS)}]${offsetText(offsetS)}`;
}

/** `sum by (...) (increase(...))` of a source. */
function increaseText(
  of: CounterSource,
  range: Range,
  by: readonly string[],
  fn: 'increase' | 'rate' = 'increase',
): string {
  const summed = (name: string, extra: readonly string[] = []): string =>
    `sum${byText(by)}(${fn}(${series(name, of.where, extra)}${rangeText(range)}))`;
  switch (of.kind) {
    case 'counter':
      return summed(of.metric);
    case 'count':
      return summed(`${of.metric}_count`);
    case 'sum':
      return summed(`${of.metric}_sum`);
    case 'above':
      return `(${summed(`${of.metric}_count`)} - ${summed(`${of.metric}_bucket`, [`le="${numberText(of.edge)}"`])})`;
  }
}

function plainText(measure: PlainMeasure, offsetS: number): string {
  const { kind, by } = measure;
  switch (kind) {
    case 'increase':
      return increaseText(
        measure.of,
        { windowS: measure.windowS, offsetS },
        by,
        measure.per === 'second' ? 'rate' : 'increase',
      );
    case 'quantile': {
      const buckets = series(`${measure.metric}_bucket`, measure.where);
      const range = rangeText({ windowS: measure.windowS, offsetS });
      return `histogram_quantile(${numberText(measure.quantile)}, sum by (${[...by, 'le'].join(', ')}) (rate(${buckets}${range})))`;
    }
    case 'level': {
      const { metric, where, over, aggregate } = measure;
      const read =
        over === undefined
          ? `${series(metric, where)}${offsetText(offsetS)}`
          : `${over.take}_over_time(${series(metric, where)}${rangeText({ windowS: over.windowS, offsetS })})`;
      return `${aggregate}${byText(by)}(${read})`;
    }
    case 'prediction': {
      const range = rangeText({ windowS: measure.windowS, offsetS });
      const line = `predict_linear(${series(measure.metric, measure.where)}${range}, ${numberText(measure.horizonS)})`;
      return `${measure.aggregate}${byText(by)}(${line})`;
    }
    case 'resets':
      return `sum${byText(by)}(resets(${series(measure.metric, measure.where)}${rangeText({ windowS: measure.windowS, offsetS })}))`;
  }
}

/** The number that a measure is, without a comparison. @param offsetS how long ago; 0 for now */
export function measurePromql(measure: Measure, offsetS = 0): string {
  if (measure.kind !== 'quotient') return plainText(measure, offsetS);
  return `${plainText(measure.numerator, offsetS)} / ${plainText(measure.denominator, offsetS)}`;
}

/** A measure where an operator follows that binds as strongly as division does. */
function factorText(measure: Measure, offsetS: number): string {
  const text = measurePromql(measure, offsetS);
  return measure.kind === 'quotient' ? `(${text})` : text;
}

function guardText({ measure, op, threshold }: Guard, offsetS: number): string {
  return `${measurePromql(measure, offsetS)} ${op} ${numberText(threshold)}`;
}

function allOf(conditions: readonly string[]): string {
  return conditions.join('\nand\n');
}

/** bad / total over one window, as a measure. */
export function burnMeasure(
  { bad, total, by }: Pick<BurnRateExpression, 'bad' | 'total' | 'by'>,
  windowS: number,
): { readonly kind: 'quotient'; readonly numerator: IncreaseMeasure; readonly denominator: IncreaseMeasure } {
  const increase = (of: CounterSource): IncreaseMeasure => ({
    kind: 'increase',
    of,
    windowS,
    per: 'window',
    by,
  });
  return { kind: 'quotient', numerator: increase(bad), denominator: increase(total) };
}

function pairText(burn: BurnRateExpression, { shortS, longS, factor, minimumTotal }: BurnPair): string {
  const burning = (windowS: number): string =>
    `${measurePromql(burnMeasure(burn, windowS))} / ${numberText(burn.budget)} > ${numberText(factor)}`;
  const total = measurePromql(burnMeasure(burn, longS).denominator);
  // Of what `and` joins, the first gives the alert its number.
  return allOf([burning(shortS), burning(longS), `${total} >= ${numberText(minimumTotal)}`]);
}

/** The series that tells whether a metric is there: of a histogram, its `_count`. */
function presence(metric: MetricName | ScrapedName): string {
  return metric !== 'up' && CATALOG[metric].type === 'histogram' ? `${metric}_count` : metric;
}

/** The whole expression. Its result is one alert for each element. */
export function expressionPromql(expression: Expression): string {
  switch (expression.kind) {
    case 'threshold': {
      const { measure, op, threshold, guards } = expression;
      return allOf([guardText({ measure, op, threshold }, 0), ...guards.map((guard) => guardText(guard, 0))]);
    }
    case 'against_past': {
      const { measure, offsetS, op, factor, guards, pastGuards } = expression;
      return allOf([
        `${factorText(measure, 0)} / ${factorText(measure, offsetS)} ${op} ${numberText(factor)}`,
        ...guards.map((guard) => guardText(guard, 0)),
        ...pastGuards.map((guard) => guardText(guard, offsetS)),
      ]);
    }
    case 'burn_rate':
      return expression.pairs.map((pair) => `(\n${pairText(expression, pair)}\n)`).join('\nor\n');
    case 'absent':
      return `absent(${series(presence(expression.metric), expression.where)})`;
    case 'vanished': {
      const { metric, where, lookbackS, by } = expression;
      const was = `max${byText(by)}(max_over_time(${series(metric, where)}${rangeText({ windowS: lookbackS, offsetS: 0 })}))`;
      return `${was}\nunless\nmax${byText(by)}(${series(metric, where)})`;
    }
    case 'always':
      return 'vector(1)';
  }
}

/** What is compared, without the comparison: for a runbook's graph, and to see that the metrics are there. */
export function signalPromql(expression: Expression): string {
  switch (expression.kind) {
    case 'threshold':
      return measurePromql(expression.measure);
    case 'against_past':
      return `${factorText(expression.measure, 0)} / ${factorText(expression.measure, expression.offsetS)}`;
    case 'burn_rate': {
      const windowS = expression.pairs[0]?.shortS ?? 0;
      return `${measurePromql(burnMeasure(expression, windowS))} / ${numberText(expression.budget)}`;
    }
    case 'absent':
      return series(presence(expression.metric), expression.where);
    case 'vanished':
      return series(expression.metric, expression.where);
    case 'always':
      return 'vector(1)';
  }
}
