/** The evaluator's plan from the file of objectives. */
import type { Log } from '../../contract/log.ts';
import { StartupError } from '../../lifecycle/startup_error.ts';
import type { AnnotationLinks } from '../../slo/annotation.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import type { EvaluatorPlan } from '../../slo/evaluator_plan.ts';
import { loadObjectives } from '../../slo/load_objectives.ts';
import { BASE_INTERVALS } from '../../slo/time_scale.ts';

export interface PlanOptions {
  /** The file of objectives; a missing one means none. */
  readonly sloPath: string;
  readonly timeScale: number;
  /** Unscaled. */
  readonly scrapeIntervalS: number;
  readonly evaluationIntervalS: number;
  readonly links: AnnotationLinks;
}

/** @throws StartupError when the time scale leaves too few scrapes in a window */
export function loadPlan(options: PlanOptions, log: Log): EvaluatorPlan {
  const { sloPath, timeScale, scrapeIntervalS, evaluationIntervalS, links } = options;
  try {
    return compileEvaluatorPlan(loadObjectives(sloPath, log), {
      timeScale,
      links,
      intervals: { ...BASE_INTERVALS, scrapeIntervalS, evaluationIntervalS },
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new StartupError('unusable_setting', 'VITRINE_SLO_TIME_SCALE', error.message);
  }
}
