/** docs/telemetry.md, from the catalogue and the contract. A test holds the committed file to it. */
import { ATTR, SPAN, STAGE_ATTRIBUTE_PREFIX } from '../contract/attributes.ts';
import { OUTCOME_VERDICT, OUTCOMES, type Outcome } from '../contract/outcomes.ts';
import { STAGES } from '../contract/stages.ts';
import { CATALOG, type CatalogEntry } from './catalog.ts';

const STAGE_MEANING: Readonly<Record<string, string>> = {
  receive: 'headers parsed → last byte of the body',
  admit: '→ admitted or refused (limits)',
  cache: 'looking the answer up',
  coalesce: 'waiting for an identical query',
  route: "→ request headers written to a worker's socket: choosing, no ready worker, connecting",
  retry: "first attempt's start → the deciding attempt's start",
  network: "deciding attempt, headers written → last byte of the answer, less the worker's own total",
  unreported: 'the whole attempt, when no report came (crash, deadline, disconnect)',
  worker_receive: 'headers parsed → body parsed and validated',
  preprocess: 'inputs to tensors',
  queue: 'enqueued → an executor is free for it',
  batch_wait: 'executor free → batch closed: the price of batching, apart from saturation',
  dispatch: "closed → the executor's first instruction",
  compute: 'the model ran; each row carries the whole batch',
  postprocess: 'outputs to answers',
  worker_respond: "executor's end → headers written; the report travels in them",
  respond: '→ answer finished or closed',
};

const OUTCOME_MEANING: Readonly<Record<Outcome, string>> = {
  ok: 'answered below 400',
  client_error: "400, 404, 405, 413, 415, 422: the caller's to mend",
  throttled: '429: over a limit that the caller was given',
  rejected: '503: no room or no ready worker; nothing was computed',
  expired: '504: the deadline passed',
  cancelled: 'the caller went away',
  error: '500, 502: the service failed',
};

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');
}

const ATTRIBUTE_MEANING: Readonly<Record<keyof typeof ATTR, string>> = {
  httpRequestMethod: 'as OpenTelemetry defines it',
  httpResponseStatusCode: 'as OpenTelemetry defines it',
  httpRoute: 'as OpenTelemetry defines it; on spans of instrumented libraries',
  httpRequestResendCount: 'on the second attempt: 1',
  errorType: 'code of the error, or the status',
  serviceName: 'vitrine-gateway, vitrine-worker, vitrine-console, vitrine-enricher (resource)',
  serviceInstanceId: 'stable index such as worker-1 (resource)',
  model: 'name of the model; `unknown` when the repository has none of that name',
  version: 'version that answered; empty when refused earlier',
  outcome: 'one of the outcomes above',
  rows: "rows of this query's inputs",
  requestId: 'X-Request-Id, where the caller gave one',
  externalTraceId: 'X-Trace-Id that was no trace id, or lost to traceparent',
  errorCode: 'stable code of the error',
  worker: 'instance that the attempt went to',
  attemptOutcome: 'ok, error, lost, cancelled, deadline',
  batchSize: 'rows in the batch',
  batchQueries: 'queries in the batch',
  batchCloseReason: 'full, delay, deadline, drain',
  batchPaddingRatio: 'padding elements over all elements',
  batchHeadWaitMs: 'how long the oldest member had waited',
  computeShareMs: "executor time that this query's elements account for; an estimate",
  energyShareJoules:
    "energy of the GPU that this query's elements account for; an estimate, where it is known",
  thread: 'inference thread',
  totalMs: "the span's total by its own hook",
  unattributedMs: 'total less the sum of stages',
  eventLoopDelayMs: 'largest event-loop delay that the query met in this process',
  keptBecause: 'all, ratio, caller, sampler, slow, failed, refused, retried',
  unreported: 'the attempt brought no report',
};

/** The whole document. */
export function renderTelemetryDocs(): string {
  const metrics = Object.entries(CATALOG) as [string, CatalogEntry][];
  return `# Telemetry

Generated from \`src/telemetry/catalog.ts\` and \`src/contract/\` by \`npm run generate\`; do not edit.

Names here are what dashboards, rules and searches build on. A change is announced in the changelog, and both
names are served for a release.

## Stages

Contiguous, in this order; together they sum to the query's total. A stage that did not happen is absent. On
spans each is an attribute \`${STAGE_ATTRIBUTE_PREFIX}<stage>_ms\`; the remainder that no stage claimed is
\`${ATTR.unattributedMs}\`, at most the larger of 1 % and 50 us at p99.

${table(
  ['stage', 'from → to'],
  STAGES.map((stage) => [`\`${stage}\``, STAGE_MEANING[stage] ?? '']),
)}

## Outcomes

${table(
  ['outcome', 'when', 'for objectives'],
  OUTCOMES.map((outcome) => [`\`${outcome}\``, OUTCOME_MEANING[outcome], OUTCOME_VERDICT[outcome]]),
)}

## Spans

A query's trace: gateway \`${SPAN.query} <model>\` (SERVER) → \`${SPAN.attempt}\` (CLIENT) per attempt → worker
\`${SPAN.work} <model>\` (SERVER) → \`preprocess\`, \`queue\`, \`compute\`, \`postprocess\`. A batch is
\`${SPAN.batch} <model>\` in a trace of its own, linked both ways with its members.

${table(
  ['attribute', 'meaning'],
  (Object.keys(ATTR) as (keyof typeof ATTR)[]).map((key) => [`\`${ATTR[key]}\``, ATTRIBUTE_MEANING[key]]),
)}

## Metrics

On \`/metrics\` of every process: OpenMetrics with exemplars when the scraper accepts it, classic text otherwise.
Over OTLP (\`OTEL_METRICS_EXPORTER=otlp\`) under the name in the last column, with the same unit.

${table(
  ['metric', 'type', 'where', 'attributes', 'meaning', 'over OTLP'],
  metrics.map(([name, entry]) => [
    `\`${name}\``,
    entry.exemplars ? `${entry.type}, exemplars` : entry.type,
    entry.place,
    entry.attributes.map((attribute) => `\`${attribute}\``).join(' '),
    entry.description,
    `\`${entry.otelName}\` (${entry.unit})`,
  ]),
)}

## Traces that are kept

\`VITRINE_TELEMETRY_MODE\`: \`all\` (default), \`ratio\`, or \`retroactive\`: every query is recorded, and its trace is
exported only when it turned out slow, failed, was refused or retried, or fell into the base ratio; the gateway
decides at the end and tells the workers that took part. A caller's sampled flag keeps a trace, up to a rate per
caller; a cleared flag drops it, unless retroactive mode finds a reason. \`OTEL_TRACES_SAMPLER\` replaces all of
this by the sampler that it names.

## What is lost, and when

A killed process loses at most one flush interval (\`VITRINE_TELEMETRY_FLUSH_INTERVAL_MS\`) and what its ring held.
When the receiver is down for longer than the retries, spans are dropped and counted in
\`vitrine_telemetry_spans_total{outcome="dropped"}\`; queries are neither slowed nor changed. Inputs and outputs
are never recorded.
`;
}
