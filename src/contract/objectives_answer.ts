/** What the console answers to GET /console/objectives, and what `vitrine slo status` reads. */
import type { ObjectiveStatus } from './alerts.ts';

export interface ObjectivesAnswer {
  /** In the order of slo.yaml. */
  readonly objectives: readonly ObjectiveStatus[];
}

function isNumberOrNothing(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'number';
}

function isStatus(value: unknown): value is ObjectiveStatus {
  if (typeof value !== 'object' || value === null) return false;
  const { name, service, model, kind, target, windowS, good, budgetLeft, burn } = value as Record<
    string,
    unknown
  >;
  return (
    [name, service, model].every((text) => typeof text === 'string') &&
    (kind === 'latency' || kind === 'availability') &&
    typeof target === 'number' &&
    typeof windowS === 'number' &&
    isNumberOrNothing(good) &&
    isNumberOrNothing(budgetLeft) &&
    Array.isArray(burn)
  );
}

/** The answer of another process; what is no objective is left out. undefined when it is no such answer at all. */
export function parseObjectivesAnswer(value: unknown): ObjectivesAnswer | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { objectives } = value as Record<string, unknown>;
  if (!Array.isArray(objectives)) return undefined;
  return { objectives: (objectives as unknown[]).filter(isStatus) };
}
