/**
 * The names that spans carry, as the service writes them. The page cannot import the service's own modules; a
 * test holds the two together.
 */

/** Every stage, in the order in which a query meets them. */
export const STAGES = [
  'receive',
  'admit',
  'cache',
  'coalesce',
  'route',
  'retry',
  'network',
  'unreported',
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
  'respond',
];

/** Stages that the worker measures, inside the attempt that `network` wraps. */
export const WORKER_STAGES = [
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
];

export const UNATTRIBUTED = 'unattributed';

/** What each stage is, in a few words. @type {Readonly<Record<string, string>>} */
export const STAGE_MEANING = {
  receive: 'headers parsed to last byte of the body',
  admit: 'to the slot granted or refused',
  cache: 'looking the answer up',
  coalesce: 'waiting for an identical query',
  route: 'choosing and reaching a worker',
  retry: 'attempts before the deciding one',
  network: 'to the worker and back, less its own time',
  unreported: 'an attempt that brought no report',
  worker_receive: 'body parsed and validated',
  preprocess: 'input to tensors',
  queue: 'waiting for a free executor',
  batch_wait: 'waiting for the batch to close',
  dispatch: 'handing the batch to the executor',
  compute: 'the model runs',
  postprocess: 'tensors to output',
  worker_respond: 'executor’s end to headers written',
  respond: 'writing the answer to the client',
  unattributed: 'what no mark claimed',
};

export const OUTCOMES = ['ok', 'client_error', 'throttled', 'rejected', 'expired', 'cancelled', 'error'];

export const SERVICE_GATEWAY = 'vitrine-gateway';
export const SERVICE_WORKER = 'vitrine-worker';
export const SPAN_BATCH = 'batch';
export const SPAN_ATTEMPT = 'attempt';

export const ATTR = {
  serviceName: 'service.name',
  serviceInstanceId: 'service.instance.id',
  httpResponseStatusCode: 'http.response.status_code',
  model: 'inference.model.name',
  version: 'inference.model.version',
  outcome: 'inference.outcome',
  rows: 'inference.rows',
  requestId: 'inference.request.id',
  externalTraceId: 'inference.external_trace_id',
  errorCode: 'inference.error.code',
  worker: 'inference.worker',
  attemptOutcome: 'inference.attempt.outcome',
  batchSize: 'inference.batch.rows',
  batchQueries: 'inference.batch.queries',
  batchCloseReason: 'inference.batch.close_reason',
  batchPaddingRatio: 'inference.batch.padding_ratio',
  batchHeadWaitMs: 'inference.batch.head_of_line_wait_ms',
  computeShareMs: 'inference.compute.share_ms',
  thread: 'inference.thread',
  totalMs: 'vitrine.total_ms',
  unattributedMs: 'vitrine.unattributed_ms',
  eventLoopDelayMs: 'vitrine.event_loop_delay_ms',
  keptBecause: 'vitrine.kept_because',
};

/** @param {string} stage */
export function stageAttribute(stage) {
  return `vitrine.stage.${stage}_ms`;
}
