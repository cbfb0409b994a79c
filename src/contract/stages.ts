/**
 * The stages of a query, in the order in which they happen. Stages of one query are contiguous: each
 * begins where the one before it ended, and together they sum to the query's total. A stage that did not
 * happen is absent, not zero.
 */

/** Stages that the gateway marks itself. */
export const GATEWAY_STAGES = [
  'receive',
  'admit',
  'cache',
  'coalesce',
  'route',
  'retry',
  'network',
  'unreported',
  'respond',
] as const;

/** Stages inside the deciding attempt, marked by the worker and carried back in its report. */
export const WORKER_STAGES = [
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
] as const;

/** What no mark claimed: total less the sum of all stages. Not a stage; shown beside them. */
export const UNATTRIBUTED = 'unattributed';

export type GatewayStage = (typeof GATEWAY_STAGES)[number];
export type WorkerStage = (typeof WORKER_STAGES)[number];
export type Stage = GatewayStage | WorkerStage;

/** Every stage in the order in which a query meets them: the worker's stand where `network` wraps them. */
export const STAGES: readonly Stage[] = [
  'receive',
  'admit',
  'cache',
  'coalesce',
  'route',
  'retry',
  'network',
  'unreported',
  ...WORKER_STAGES,
  'respond',
];
