/** The evaluator's plan from the file of objectives. */
import { readFileSync } from 'node:fs';
import type { Log } from '../../contract/log.ts';
import { StartupError } from '../../lifecycle/startup_error.ts';
import type { AnnotationLinks } from '../../slo/annotation.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import type { EvaluatorPlan } from '../../slo/evaluator_plan.ts';
import type { Objective } from '../../slo/objective.ts';
import { formatObjectiveProblem, readObjectives } from '../../slo/objectives.ts';
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

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** A file with errors gives no objectives, and every error to the log; the catalogue's alerts go on without them. */
function loadObjectives(path: string, log: Log): readonly Objective[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) log.info('there are no objectives; alerts come from the catalogue alone', { path });
    else log.error('the objectives could not be read; alerts come from the catalogue alone', { path, error });
    return [];
  }
  const { objectives, problems } = readObjectives(text, { path, models: undefined });
  for (const problem of problems) {
    if (problem.severity === 'error') log.error(formatObjectiveProblem(problem));
    else log.warn(formatObjectiveProblem(problem));
  }
  return objectives;
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
