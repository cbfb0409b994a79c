/**
 * Names of span attributes, spans and services: OpenTelemetry's where a convention exists, ours otherwise.
 * A change here is a change for everyone who searches traces: see docs/telemetry.md.
 */
export const SERVICE_GATEWAY = 'vitrine-gateway';
export const SERVICE_WORKER = 'vitrine-worker';
export const SERVICE_CONSOLE = 'vitrine-console';
export const SERVICE_ENRICHER = 'vitrine-enricher';

export const ATTR = {
  // OpenTelemetry semantic conventions, stable
  httpRequestMethod: 'http.request.method',
  httpResponseStatusCode: 'http.response.status_code',
  httpRoute: 'http.route',
  httpRequestResendCount: 'http.request.resend_count',
  errorType: 'error.type',
  serviceName: 'service.name',
  serviceInstanceId: 'service.instance.id',
  // Vitrine's own
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
  energyShareJoules: 'inference.energy.share_joules',
  thread: 'inference.thread',
  totalMs: 'vitrine.total_ms',
  unattributedMs: 'vitrine.unattributed_ms',
  eventLoopDelayMs: 'vitrine.event_loop_delay_ms',
  keptBecause: 'vitrine.kept_because',
  unreported: 'vitrine.unreported',
} as const;

/** Prefix of the attribute that carries one stage's milliseconds on a gateway or worker span: `vitrine.stage.<stage>_ms`. */
export const STAGE_ATTRIBUTE_PREFIX = 'vitrine.stage.';

/** The attribute that carries one stage's duration in milliseconds. */
export function stageAttribute(stage: string): string {
  return `${STAGE_ATTRIBUTE_PREFIX}${stage}_ms`;
}

/** Names of spans. The gateway's and worker's server spans are `<prefix> <model>`. */
export const SPAN = {
  query: 'infer',
  attempt: 'attempt',
  work: 'work',
  batch: 'batch',
} as const;

/** Why a batch closed. */
export const CLOSE_REASONS = ['full', 'delay', 'deadline', 'drain'] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];
