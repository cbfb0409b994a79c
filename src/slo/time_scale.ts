/**
 * A time scale makes hours pass in minutes, for drills and tests: every window, hold, offset and horizon is
 * divided by it, and with them the intervals of scraping and evaluating, so that as many samples fall into a
 * window as ever. Thresholds, minima of traffic and factors stay.
 */
import type { AlertRule } from './alert.ts';
import type { Expression, Guard, Measure, PlainMeasure } from './expression.ts';

export interface Intervals {
  readonly scrapeIntervalS: number;
  readonly evaluationIntervalS: number;
  /** Staleness, see expression.ts. */
  readonly lookbackS: number;
}

/** Without a time scale. */
export const BASE_INTERVALS: Intervals = { scrapeIntervalS: 15, evaluationIntervalS: 15, lookbackS: 300 };

/** Processes are not scraped more often than this, whatever the scale. */
const SCRAPE_INTERVAL_MIN_S = 0.25;
/** Fewer samples in a window make its increase a guess. */
const SCRAPES_PER_WINDOW_MIN = 5;

function ms(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/** Every window that an expression reads, in seconds. */
export function windowsOf(expression: Expression): number[] {
  const ofPlain = (measure: PlainMeasure): number[] =>
    measure.kind === 'level' ? (measure.over === undefined ? [] : [measure.over.windowS]) : [measure.windowS];
  const of = (measure: Measure): number[] =>
    measure.kind === 'quotient'
      ? [...ofPlain(measure.numerator), ...ofPlain(measure.denominator)]
      : ofPlain(measure);
  switch (expression.kind) {
    case 'threshold':
      return [expression.measure, ...expression.guards.map(({ measure }) => measure)].flatMap(of);
    case 'against_past':
      return [
        expression.measure,
        ...[...expression.guards, ...expression.pastGuards].map(({ measure }) => measure),
      ].flatMap(of);
    case 'burn_rate':
      return expression.pairs.flatMap(({ shortS, longS }) => [shortS, longS]);
    case 'vanished':
      return [expression.lookbackS];
    case 'absent':
    case 'always':
      return [];
  }
}

/**
 * The intervals at a scale.
 * @param rules for the shortest window among them
 * @param base the unscaled intervals
 * @throws RangeError when the scale is below 1, or the shortest window would hold fewer than five scrapes,
 *   because processes are scraped every 250 ms at most; the message has the arithmetic and the largest scale
 */
export function scaledIntervals(
  rules: readonly AlertRule[],
  timeScale: number,
  base: Intervals = BASE_INTERVALS,
): Intervals {
  if (!(timeScale >= 1) || !Number.isFinite(timeScale)) {
    throw new RangeError(`a time scale of ${timeScale} is not accepted; it takes a number from 1`);
  }
  const shortestS = Math.min(...rules.flatMap(({ expression }) => windowsOf(expression)));
  const scrapeIntervalS = ms(
    Math.max(base.scrapeIntervalS / timeScale, Math.min(base.scrapeIntervalS, SCRAPE_INTERVAL_MIN_S)),
  );
  const scrapes = shortestS / timeScale / scrapeIntervalS;
  if (scrapes < SCRAPES_PER_WINDOW_MIN) {
    const largest =
      base.scrapeIntervalS * SCRAPES_PER_WINDOW_MIN > shortestS
        ? undefined
        : Math.floor(
            shortestS / (SCRAPES_PER_WINDOW_MIN * Math.min(base.scrapeIntervalS, SCRAPE_INTERVAL_MIN_S)),
          );
    throw new RangeError(
      `at a time scale of ${timeScale} the shortest window, ${shortestS} s / ${timeScale} = ${ms(shortestS / timeScale)} s, holds ${Number(scrapes.toPrecision(3))} scrapes ${scrapeIntervalS} s apart; ${SCRAPES_PER_WINDOW_MIN} are needed: ${largest === undefined ? 'scrape more often' : `use a scale of at most ${largest}`}`,
    );
  }
  return {
    scrapeIntervalS,
    evaluationIntervalS: ms(Math.max(base.evaluationIntervalS / timeScale, scrapeIntervalS)),
    lookbackS: ms(base.lookbackS / timeScale),
  };
}

function scaledPlain<M extends PlainMeasure>(measure: M, by: (seconds: number) => number): M {
  if (measure.kind === 'level') {
    const { over } = measure;
    return over === undefined ? measure : { ...measure, over: { ...over, windowS: by(over.windowS) } };
  }
  const scaled = { ...measure, windowS: by(measure.windowS) };
  return measure.kind === 'prediction' ? { ...scaled, horizonS: by(measure.horizonS) } : scaled;
}

function scaledMeasure(measure: Measure, by: (seconds: number) => number): Measure {
  return measure.kind === 'quotient'
    ? {
        kind: 'quotient',
        numerator: scaledPlain(measure.numerator, by),
        denominator: scaledPlain(measure.denominator, by),
      }
    : scaledPlain(measure, by);
}

function scaledExpression(expression: Expression, by: (seconds: number) => number): Expression {
  const guards = (list: readonly Guard[]): Guard[] =>
    list.map((guard) => ({ ...guard, measure: scaledMeasure(guard.measure, by) }));
  switch (expression.kind) {
    case 'threshold':
      return {
        ...expression,
        measure: scaledMeasure(expression.measure, by),
        guards: guards(expression.guards),
      };
    case 'against_past':
      return {
        ...expression,
        measure: scaledMeasure(expression.measure, by),
        offsetS: by(expression.offsetS),
        guards: guards(expression.guards),
        pastGuards: guards(expression.pastGuards),
      };
    case 'burn_rate':
      return {
        ...expression,
        pairs: expression.pairs.map((pair) => ({
          ...pair,
          shortS: by(pair.shortS),
          longS: by(pair.longS),
        })),
      };
    case 'vanished':
      return { ...expression, lookbackS: by(expression.lookbackS) };
    case 'absent':
    case 'always':
      return expression;
  }
}

/** The rule with its times divided, to the millisecond. A scale of 1 gives an equal rule. */
export function scaledRule(rule: AlertRule, timeScale: number): AlertRule {
  const by = (seconds: number): number => ms(seconds / timeScale);
  return {
    ...rule,
    expression: scaledExpression(rule.expression, by),
    forS: by(rule.forS),
    keepFiringForS: by(rule.keepFiringForS),
  };
}
