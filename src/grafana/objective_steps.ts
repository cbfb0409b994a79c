/** Colours of budgets and burn rates, from the objectives and their windows. */
import { DAY_S } from '../slo/alert_labels.ts';
import { pagePairs, ticketPairs } from '../slo/burn_windows.ts';
import type { Objective } from '../slo/objective.ts';
import { BAD, GOOD, WARN } from './palette.ts';
import type { Steps } from './panel.ts';

/** What burn factors derive from when there is no objective yet. */
export const USUAL_PERIOD_S = 30 * DAY_S;
/** A quarter of the budget: time to slow down. */
const LITTLE_LEFT = 0.25;

/** Of the share that is left: overdrawn, little, enough. */
export const BUDGET_STEPS: Steps = [BAD, [0, WARN], [LITTLE_LEFT, GOOD]];

/** The factors at which alerts on this window fire; of several periods, the lowest. */
function factorOf(
  pairsOf: typeof pagePairs,
  objectives: readonly Objective[],
  windowS: number,
): number | undefined {
  const periods = objectives.length === 0 ? [USUAL_PERIOD_S] : objectives.map(({ periodS }) => periodS);
  const factors = periods.flatMap((periodS) =>
    // Factors do not depend on the budget.
    pairsOf(1, periodS).flatMap(({ shortS, longS, factor }) =>
      shortS === windowS || longS === windowS ? [factor] : [],
    ),
  );
  return factors.length === 0 ? undefined : Math.min(...factors);
}

/** Factor of the page on this window, and of the ticket. */
export function burnFactors(
  objectives: readonly Objective[],
  windowS: number,
): { readonly page: number | undefined; readonly ticket: number | undefined } {
  return {
    page: factorOf(pagePairs, objectives, windowS),
    ticket: factorOf(ticketPairs, objectives, windowS),
  };
}

/** Green while the budget lasts, yellow once it does not, red where a page is due. */
export function burnSteps(objectives: readonly Objective[], windowS: number): Steps {
  const { page, ticket = 1 } = burnFactors(objectives, windowS);
  return page === undefined ? [GOOD, [ticket, WARN]] : [GOOD, [Math.min(1, ticket), WARN], [page, BAD]];
}
