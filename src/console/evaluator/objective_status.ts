/** Objectives as people ask for them: burn per window, budget left over the period, and how it went there. */
import type { ObjectiveStatus } from '../../contract/alerts.ts';
import type { EvaluatorPlan, PlannedObjective } from '../../slo/evaluator_plan.ts';
import type { CounterSource } from '../../slo/expression.ts';
import { edgeLabel, increaseOf, type Moment } from './measure.ts';
import type { SampleSeries } from './sample_series.ts';
import type { SampleSource } from './sample_source.ts';

const HISTORY_POINTS = 100;

/** Growth up to each of the grid's times since its first, summed over series; resets are growth from 0. */
function growth(series: readonly SampleSeries[], grid: readonly number[], nowMs: number): number[] {
  const sums = grid.map(() => 0);
  const startMs = grid[0] as number;
  const endMs = grid.at(-1) as number;
  for (const each of series) {
    const { times, values } = each.window(startMs, endMs, nowMs);
    let raised = 0;
    let at = 1;
    for (const [index, timeMs] of grid.entries()) {
      for (; at < times.length && (times[at] as number) <= timeMs; at += 1) {
        const [before, value] = [values[at - 1] as number, values[at] as number];
        raised += value < before ? value : value - before;
      }
      (sums[index] as number) += raised;
    }
  }
  return sums;
}

function growthOf(of: CounterSource, grid: readonly number[], source: SampleSource): number[] {
  const from = (name: string, where = of.where): number[] =>
    growth(source.select(name, where), grid, source.nowMs);
  switch (of.kind) {
    case 'counter':
      return from(of.metric);
    case 'count':
    case 'sum':
      return from(`${of.metric}_${of.kind}`);
    case 'above': {
      const edge = { label: 'le', is: 'in', values: [edgeLabel(of.edge)] } as const;
      const within = from(`${of.metric}_bucket`, [...of.where, edge]);
      return from(`${of.metric}_count`).map((count, index) => count - (within[index] as number));
    }
  }
}

/** When the first sample within the period was taken; infinitely early without one. */
function firstSampleMs(
  { kind, metric, where }: CounterSource,
  source: SampleSource,
  sinceMs: number,
): number {
  const name = kind === 'counter' ? metric : `${metric}_${kind === 'above' ? 'count' : kind}`;
  const times = source
    .select(name, where)
    .flatMap((series) => series.window(sinceMs, source.nowMs, source.nowMs).times[0] ?? []);
  return times.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...times) - 1;
}

function status({ objective, windowsS, periodS }: PlannedObjective, moment: Moment): ObjectiveStatus {
  const { source, timeMs } = moment;
  const { bad, total, budget } = objective;
  const burn = windowsS.map((windowS) => {
    const part = increaseOf(moment, bad, windowS, []).get('')?.value;
    const whole = increaseOf(moment, total, windowS, []).get('')?.value;
    // Traffic of which nothing was ever bad burns nothing.
    const rate = whole === undefined || whole === 0 ? undefined : (part ?? 0) / whole / budget;
    return { windowS, rate };
  });
  const fromMs = Math.max(timeMs - periodS * 1000, firstSampleMs(total, source, timeMs - periodS * 1000));
  const grid = Array.from(
    { length: HISTORY_POINTS + 1 },
    (_, index) => fromMs + ((timeMs - fromMs) * index) / HISTORY_POINTS,
  );
  const badUpTo = growthOf(bad, grid, source);
  const totalUpTo = growthOf(total, grid, source);
  const all = totalUpTo.at(-1) as number;
  const left = (spent: number): number => 1 - spent / (budget * all);
  return {
    name: objective.name,
    service: objective.service,
    model: objective.model,
    kind: objective.kind,
    target: objective.target,
    thresholdMs: objective.thresholdS === undefined ? undefined : objective.thresholdS * 1000,
    windowS: periodS,
    good: all > 0 ? 1 - (badUpTo.at(-1) as number) / all : undefined,
    budgetLeft: all > 0 ? left(badUpTo.at(-1) as number) : undefined,
    burn,
    // From where there are samples on: before, nothing is known.
    history:
      all > 0
        ? grid.flatMap((atMs, index) =>
            (totalUpTo[index] as number) > 0 ? [{ atMs, budgetLeft: left(badUpTo[index] as number) }] : [],
          )
        : [],
  };
}

/**
 * The period's figures weigh every query alike: they are the growth of the counters over the whole period, not a
 * mean of shares. `history` is the budget of this period as it was used up: each point is what was left of the
 * period's budget after the bad queries up to then.
 */
export function objectiveStatus(
  { plan, samples }: { readonly plan: EvaluatorPlan; readonly samples: SampleSource },
  timeMs: number,
): ObjectiveStatus[] {
  const moment: Moment = { source: samples, timeMs, lookbackMs: plan.lookbackS * 1000 };
  return plan.objectives.map((planned) => status(planned, moment));
}
