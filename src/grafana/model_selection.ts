/** Which queries the model's dashboard is about, and how long its objectives let them take. */
import type { Objective } from '../slo/objective.ts';
import { type Expr, labelled, presence, promql } from './promql.ts';
import { outcomesThatAre } from './query_expressions.ts';
import { variable } from './variables.ts';

/** One at a time: quantiles of several models together mean nothing. */
export const MODEL = { model: '$model' } as const;
/** Of metrics that know the version. Empty when a query was refused earlier, so all is `.*`. */
export const VERSIONED = { model: '$model', version: { pattern: '$version' } } as const;
export const ANSWERED = { ...VERSIONED, outcome: outcomesThatAre('good') };

/** Its queries in Jaeger. */
export const TRACES = { model: variable('model', 'percentencode') } as const;

export interface ObjectiveLine {
  readonly expr: Expr;
  /** The objectives' names, each a legend. */
  readonly names: readonly string[];
}

/** The thresholds of the chosen model's latency objectives, each under its name; undefined when there is none at all. */
export function objectiveLines(objectives: readonly Objective[]): ObjectiveLine | undefined {
  const lines = objectives.flatMap(({ name, thresholdS, model, version }) => {
    if (thresholdS === undefined) return [];
    // It is there only while the model is chosen that it is about.
    const shown = presence('inference_service_duration_seconds', {
      where: { model: { all: ['$model', model] }, ...(version === undefined ? {} : { version }) },
    });
    const expr = labelled(promql`${thresholdS} * ${shown}`, 'slo', name);
    return [{ name, expr }];
  });
  const [first, ...rest] = lines;
  if (first === undefined) return undefined;
  return {
    expr: rest.reduce((sum, { expr }) => promql`${sum} or ${expr}`, first.expr),
    names: lines.map(({ name }) => name),
  };
}
