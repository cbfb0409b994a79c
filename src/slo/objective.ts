/** An objective as everything that derives from slo.yaml uses it. Read by objectives.ts; plain data. */
import type { CounterSource } from './expression.ts';

export interface Objective {
  /** Unique; the label `slo` of everything that derives from it. `[a-z0-9-]`, at most 63 characters. */
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  /** The OpenSLO service that it belongs to; the label `service`. */
  readonly service: string;
  readonly kind: 'latency' | 'availability';
  readonly model: string;
  /** All versions together when undefined. */
  readonly version: string | undefined;
  /** All tenants together when undefined. */
  readonly tenant: string | undefined;
  /** Share of queries that have to be good, above 0 and below 1. */
  readonly target: number;
  /** 1 - target, without the dust of floating point. */
  readonly budget: number;
  readonly periodS: number;
  /** latency: a query is good when inference_service_duration_seconds is at most this; an edge of its buckets. */
  readonly thresholdS: number | undefined;
  /**
   * Queries that burn the budget, and all that count; both summed over everything that they select.
   * latency: of answered queries (outcomes with the verdict good), those above the threshold.
   * availability: outcomes with the verdict bad, of good and bad; excluded ones are in neither.
   */
  readonly bad: CounterSource;
  readonly total: CounterSource;
  /** 1-based line of its document in the file. */
  readonly line: number;
}

/** Labels that every series and alert of an objective carries. */
export function objectiveLabels(objective: Objective): Record<string, string> {
  return {
    model: objective.model,
    ...(objective.version === undefined ? {} : { version: objective.version }),
    ...(objective.tenant === undefined ? {} : { tenant: objective.tenant }),
    service: objective.service,
    slo: objective.name,
  };
}
