/** The file of objectives, as processes read it when they start. */
import { readFileSync } from 'node:fs';
import type { Log } from '../contract/log.ts';
import type { Objective } from './objective.ts';
import { formatObjectiveProblem, readObjectives } from './objectives.ts';

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** A file with errors gives no objectives, and every error to the log; the catalogue's alerts go on without them. */
export function loadObjectives(path: string, log: Log): readonly Objective[] {
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
