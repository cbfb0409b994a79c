/**
 * The windows of burn-rate alerts, from the share of the budget that they let pass: chapter 5 of Google's SRE
 * workbook, https://sre.google/workbook/alerting-on-slos/. For 30 days: 14.4x on 5m and 1h, 6x on 30m and 6h
 * (page), 3x on 2h and 1d, 1x on 6h and 3d (ticket).
 */
import { DAY_S, HOUR_S, MINUTE_S } from './alert_labels.ts';
import type { BurnPair } from './expression.ts';

interface BurnWindow {
  readonly shortS: number;
  readonly longS: number;
  /** Share of the budget that is gone when the long window has burned at the factor. */
  readonly budgetShare: number;
}

const PAGE_WINDOWS: readonly BurnWindow[] = [
  { shortS: 5 * MINUTE_S, longS: HOUR_S, budgetShare: 0.02 },
  { shortS: 30 * MINUTE_S, longS: 6 * HOUR_S, budgetShare: 0.05 },
];
const TICKET_WINDOWS: readonly BurnWindow[] = [
  { shortS: 2 * HOUR_S, longS: DAY_S, budgetShare: 0.1 },
  { shortS: 6 * HOUR_S, longS: 3 * DAY_S, budgetShare: 0.1 },
];

/** Of shorter periods the slow pair would fire below 1x, of longer ones no sample is kept. */
export const PERIOD_MIN_S = 28 * DAY_S;
export const PERIOD_MAX_S = 35 * DAY_S;

/** No burn-rate alert rests on fewer queries than this in its long window, */
const MINIMUM_TOTAL = 100;
/** nor on fewer bad ones than this at the edge of its factor. */
const MINIMUM_BAD = 5;

/** The step of the period's sum. */
export const PERIOD_STEP_S = 5 * MINUTE_S;

/** Without the dust of floating point: 0.1 of 0.01 is 0.001. */
export function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

function pairs(windows: readonly BurnWindow[], budget: number, periodS: number): BurnPair[] {
  return windows.map(({ shortS, longS, budgetShare }) => {
    const factor = rounded((budgetShare * periodS) / longS);
    return {
      shortS,
      longS,
      factor,
      minimumTotal: Math.max(MINIMUM_TOTAL, Math.ceil(rounded(MINIMUM_BAD / (factor * budget)))),
    };
  });
}

export function pagePairs(budget: number, periodS: number): BurnPair[] {
  return pairs(PAGE_WINDOWS, budget, periodS);
}

export function ticketPairs(budget: number, periodS: number): BurnPair[] {
  return pairs(TICKET_WINDOWS, budget, periodS);
}

/** Every window for which a burn rate is recorded, ascending, in seconds. */
export const BURN_WINDOWS_S: readonly number[] = [
  ...new Set([...PAGE_WINDOWS, ...TICKET_WINDOWS].flatMap(({ shortS, longS }) => [shortS, longS])),
].sort((a, b) => a - b);

/** Whether a pair can hold at all: with every query bad, the budget burns 1 / budget times too fast. */
export function canBurn(budget: number, { factor }: BurnPair): boolean {
  return rounded(1 / budget) > factor;
}
