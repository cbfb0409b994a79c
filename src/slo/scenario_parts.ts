/** What the scenarios of the catalogue share: targets, and series in three states. */
import type { Raised } from './scenario.ts';

/** As far apart as scrapes are. */
export const STEP_S = 15;
export const GATEWAY = { job: 'vitrine-gateway', instance: 'gateway-0' };
export const WORKER = { job: 'vitrine-worker', instance: 'worker-1' };
export const OTHER_WORKER = { job: 'vitrine-worker', instance: 'worker-2' };
export const CONSOLE = { job: 'vitrine-console', instance: 'console-0' };
export const GPU = { ...WORKER, hw_id: 'GPU-0', hw_type: 'gpu', hw_model: 'L4' };
export const MIB = 1024 * 1024;

/** A counter that grows by so much a second in each state. */
export function counting(
  name: string,
  labels: Readonly<Record<string, string>>,
  [calm, above, below]: readonly [number, number, number],
): Raised {
  return { name, labels, calm: { perS: calm }, above: { perS: above }, below: { perS: below } };
}

/** A gauge that stands at a value in each state. */
export function standing(
  name: string,
  labels: Readonly<Record<string, string>>,
  [calm, above, below]: readonly [number, number, number],
): Raised {
  return { name, labels, calm: { from: calm }, above: { from: above }, below: { from: below } };
}

/** Queries of one model that ended with an outcome. */
export function requests(outcome: string, perS: readonly [number, number, number]): Raised {
  return counting('inference_requests_total', { ...GATEWAY, model: 'langid', version: '1', outcome }, perS);
}
