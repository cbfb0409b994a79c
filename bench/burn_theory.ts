/** The soonest that windows let a burning budget be told and be over, under steady traffic. All times in seconds. */
import type { BurnRateExpression } from '../src/slo/expression.ts';

/** What the counters have seen. */
export interface BurnHistory {
  /** Traffic without a bad query before the fault. */
  readonly calmS: number;
  /** How long the fault lasted; what follows is good again. */
  readonly faultS: number;
}

type Burn = Pick<BurnRateExpression, 'pairs' | 'budget'>;

/** Bad share of a window that ends so long after the fault began; a window that reaches back further holds what there is. */
function badShare(windowS: number, { calmS, faultS }: BurnHistory, sinceFaultS: number): number {
  const fromS = Math.max(-calmS, sinceFaultS - windowS);
  const bad = Math.max(0, Math.min(faultS, sinceFaultS) - Math.max(0, fromS));
  return bad / (sinceFaultS - fromS);
}

function holds({ pairs, budget }: Burn, history: BurnHistory, sinceFaultS: number): boolean {
  return pairs.some(({ shortS, longS, factor }) =>
    [shortS, longS].every((windowS) => badShare(windowS, history, sinceFaultS) > factor * budget),
  );
}

const STEP_S = 0.001;
const LIMIT_S = 86_400;

/** From the fault to the moment at which the alert may fire, with every query of the fault bad. */
export function soonestFiringS(burn: Burn, calmS: number): number {
  const history = { calmS, faultS: LIMIT_S };
  for (let atS = STEP_S; atS < LIMIT_S; atS += STEP_S) if (holds(burn, history, atS)) return atS;
  return Number.POSITIVE_INFINITY;
}

/** From the end of the fault to the moment at which the alert may be over. */
export function soonestClearS(burn: Burn, history: BurnHistory): number {
  for (let afterS = STEP_S; afterS < LIMIT_S; afterS += STEP_S) {
    if (!holds(burn, history, history.faultS + afterS)) return afterS;
  }
  return Number.POSITIVE_INFINITY;
}
