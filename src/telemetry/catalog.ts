/**
 * The metric catalogue: every metric of Vitrine, once. Instruments, /metrics, docs/telemetry.md, dashboards,
 * rules and the console derive from it, so a name that is not here cannot be recorded or queried.
 *
 * Names are as Prometheus scrapes them. The same metric travels over OTLP under `otelName`, with the same
 * unit, so that a collector translates it to the same name.
 */

import { CONSOLE_METRICS } from './catalog_console.ts';
import { ENRICHER_METRICS } from './catalog_enricher.ts';
import type { CatalogEntry, MetricType } from './catalog_entry.ts';
import { EVALUATOR_METRICS } from './catalog_evaluator.ts';
import { HOST_METRICS } from './catalog_host.ts';

export type { CatalogEntry, MetricPlace } from './catalog_entry.ts';

/** Seconds; end to end and compute. An objective's threshold must be one of these edges. */
const DURATION_BUCKETS_S = [
  0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5, 10.5,
] as const;
/** Seconds; stages reach from microseconds of routing to seconds of queueing. */
const STAGE_BUCKETS_S = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 5.5, 10.5,
] as const;
const BATCH_ROW_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256] as const;
const LOAD_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1.5, 5.5, 15.5, 60.5] as const;

export const CATALOG = {
  inference_requests_begun_total: {
    type: 'counter',
    unit: '{request}',
    description: 'Queries whose headers were parsed. Begun = sum of outcomes + in flight.',
    attributes: ['model'],
    place: 'gateway',
    otelName: 'inference.requests.begun',
  },
  inference_requests_total: {
    type: 'counter',
    unit: '{request}',
    description: 'Queries that ended, by how; from the closed record.',
    attributes: ['model', 'version', 'outcome'],
    place: 'gateway',
    otelName: 'inference.requests',
  },
  inference_refusals_total: {
    type: 'counter',
    unit: '{request}',
    description: 'Queries answered with an error, by its code.',
    attributes: ['model', 'reason'],
    place: 'gateway',
    otelName: 'inference.refusals',
  },
  inference_request_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: 'Headers parsed to answer finished or closed.',
    attributes: ['model', 'version', 'outcome'],
    buckets: DURATION_BUCKETS_S,
    exemplars: true,
    place: 'gateway',
    otelName: 'inference.request.duration',
  },
  inference_service_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: 'Total less receive and respond: what the service itself took, and what objectives use.',
    attributes: ['model', 'version', 'outcome'],
    buckets: DURATION_BUCKETS_S,
    exemplars: true,
    place: 'gateway',
    otelName: 'inference.service.duration',
  },
  inference_stage_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description:
      'One stage of a query; the sums over stages, unattributed among them, add up to the sum of inference_request_duration_seconds.',
    attributes: ['model', 'stage'],
    buckets: STAGE_BUCKETS_S,
    exemplars: true,
    place: 'gateway',
    otelName: 'inference.stage.duration',
  },
  inference_unattributed_seconds_total: {
    type: 'counter',
    unit: 's',
    description: 'Absolute remainder of totals that no stage claimed.',
    attributes: ['model'],
    place: 'gateway',
    otelName: 'inference.unattributed',
  },
  inference_attempts_total: {
    type: 'counter',
    unit: '{attempt}',
    description:
      'Attempts at workers: ok, error (an answer that is one), lost (no answer), cancelled, deadline.',
    attributes: ['worker', 'outcome'],
    place: 'gateway',
    otelName: 'inference.attempts',
  },
  inference_in_flight_requests: {
    type: 'gauge',
    unit: '{request}',
    description: 'Queries begun and not ended.',
    attributes: ['model'],
    place: 'gateway',
    otelName: 'inference.in_flight.requests',
  },
  inference_batches_total: {
    type: 'counter',
    unit: '{batch}',
    description: 'Batches run, by why they closed.',
    attributes: ['model', 'close_reason'],
    place: 'worker',
    otelName: 'inference.batches',
  },
  inference_batch_rows: {
    type: 'histogram',
    unit: '{row}',
    description: 'Rows in a batch.',
    attributes: ['model'],
    buckets: BATCH_ROW_BUCKETS,
    place: 'worker',
    otelName: 'inference.batch.rows',
  },
  inference_batch_elements_total: {
    type: 'counter',
    unit: '{element}',
    description: 'Elements fed to the model: real ones, and padding that made rows equally long.',
    attributes: ['model', 'kind'],
    place: 'worker',
    otelName: 'inference.batch.elements',
  },
  inference_queue_requests: {
    type: 'gauge',
    unit: '{request}',
    description: 'Queries that wait for an executor.',
    attributes: ['model'],
    place: 'worker',
    otelName: 'inference.queue.requests',
  },
  inference_queue_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Memory of the prepared inputs of queries that wait for an executor.',
    attributes: ['model'],
    place: 'worker',
    otelName: 'inference.queue.usage',
  },
  vitrine_queue_refusals_total: {
    type: 'counter',
    unit: '{request}',
    description: 'Queries answered 503 because the queue had its limit of requests or bytes.',
    attributes: ['model', 'limit'],
    place: 'worker',
    otelName: 'vitrine.queue.refusals',
  },
  vitrine_queue_departures_total: {
    type: 'counter',
    unit: '{request}',
    description:
      'Queries that left the queue before they ran: expired at their deadline, or cancelled by the caller.',
    attributes: ['model', 'reason'],
    place: 'worker',
    otelName: 'vitrine.queue.departures',
  },
  inference_executor_busy_seconds_total: {
    type: 'counter',
    unit: 's',
    description: 'Time that an inference thread spent on batches. Its rate is the utilization of the thread.',
    attributes: ['thread'],
    place: 'worker',
    otelName: 'inference.executor.busy',
  },
  inference_attributed_seconds_total: {
    type: 'counter',
    unit: 's',
    description: 'Executor time attributed to queries by their share of the batch.',
    attributes: ['model'],
    place: 'worker',
    otelName: 'inference.attributed',
  },
  inference_attributed_energy_joules_total: {
    type: 'counter',
    unit: 'J',
    description:
      'Energy of GPUs attributed to queries by their share of the batch: what their spans say, an estimate. Exists where the worker uses a GPU that counts its energy.',
    attributes: ['model'],
    place: 'worker',
    otelName: 'inference.attributed_energy',
  },
  inference_executor_energy_joules_total: {
    type: 'counter',
    unit: 'J',
    description:
      'Energy that GPUs took while batches of this worker ran on them; what is attributed sums to it, a look (a second) behind.',
    attributes: [],
    place: 'worker',
    otelName: 'inference.executor.energy',
  },
  inference_repository_models: {
    type: 'gauge',
    unit: '{model}',
    description:
      'Versions of models: 1 for the state that one is in (LOADING, READY, UNAVAILABLE), 0 for the others.',
    attributes: ['model', 'version', 'state'],
    place: 'worker',
    otelName: 'inference.repository.models',
  },
  inference_repository_loads_total: {
    type: 'counter',
    unit: '{load}',
    description: 'Models loaded, by outcome.',
    attributes: ['model', 'version', 'outcome'],
    place: 'worker',
    otelName: 'inference.repository.loads',
  },
  inference_repository_load_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: 'Loading and warming up a model.',
    attributes: ['model', 'version', 'outcome'],
    buckets: LOAD_BUCKETS_S,
    place: 'worker',
    otelName: 'inference.repository.load.duration',
  },
  vitrine_telemetry_records_total: {
    type: 'counter',
    unit: '{record}',
    description:
      'Records closed: kept (accepted for export), not_kept, shed (not kept under pressure), dropped (the ring was full).',
    attributes: ['outcome'],
    place: 'all',
    otelName: 'vitrine.telemetry.records',
  },
  vitrine_telemetry_spans_total: {
    type: 'counter',
    unit: '{span}',
    description: 'Spans: exported, rejected by the receiver, dropped after the last retry, malformed.',
    attributes: ['outcome'],
    place: 'all',
    otelName: 'vitrine.telemetry.spans',
  },
  vitrine_telemetry_export_failures_total: {
    type: 'counter',
    unit: '{request}',
    description: 'Export requests that failed, retried or not.',
    attributes: [],
    place: 'all',
    otelName: 'vitrine.telemetry.export.failures',
  },
  vitrine_telemetry_export_thread_restarts_total: {
    type: 'counter',
    unit: '{restart}',
    description: 'Crashes of the export thread.',
    attributes: [],
    place: 'all',
    otelName: 'vitrine.telemetry.export_thread.restarts',
  },
  vitrine_telemetry_ring_usage_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Finished records that wait for the export thread.',
    attributes: [],
    place: 'all',
    otelName: 'vitrine.telemetry.ring.usage',
  },
  vitrine_telemetry_ring_limit_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Capacity of the ring between a process and its export thread.',
    attributes: [],
    place: 'all',
    otelName: 'vitrine.telemetry.ring.limit',
  },
  vitrine_telemetry_series_overflow_total: {
    type: 'counter',
    unit: '{measurement}',
    description: 'Measurements counted under the label value other because a metric had its limit of series.',
    attributes: ['metric'],
    place: 'all',
    otelName: 'vitrine.telemetry.series.overflow',
  },
  vitrine_telemetry_log_lines_suppressed_total: {
    type: 'counter',
    unit: '{line}',
    description: 'Log lines about queries that were left out beyond the limit per second.',
    attributes: [],
    place: 'all',
    otelName: 'vitrine.telemetry.log_lines.suppressed',
  },
  vitrine_ledger_violations_total: {
    type: 'counter',
    unit: '{violation}',
    description:
      'Queries whose stages did not sum to their total (unattributed) or whose network time was negative (network).',
    attributes: ['kind'],
    place: 'gateway',
    otelName: 'vitrine.ledger.violations',
  },
  vitrine_gateway_workers: {
    type: 'gauge',
    unit: '{worker}',
    description: 'Workers that the gateway knows, by whether they serve: ready, not_ready.',
    attributes: ['state'],
    place: 'gateway',
    otelName: 'vitrine.gateway.workers',
  },
  vitrine_gateway_worker_ready: {
    type: 'gauge',
    unit: '1',
    description: 'Whether the gateway finds this worker serving: 1 or 0.',
    attributes: ['worker'],
    place: 'gateway',
    otelName: 'vitrine.gateway.worker.ready',
  },
  vitrine_gateway_dns_lookups_total: {
    type: 'counter',
    unit: '{lookup}',
    description:
      'Questions to DNS for the list of workers: ok or failed. After a failure the list stays as it was.',
    attributes: ['outcome'],
    place: 'gateway',
    otelName: 'vitrine.gateway.dns.lookups',
  },
  vitrine_gateway_admitted_requests: {
    type: 'gauge',
    unit: '{request}',
    description: 'Queries that hold a slot of the gateway. Beyond the limit new ones are refused.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.admitted.requests',
  },
  vitrine_gateway_admitted_limit_requests: {
    type: 'gauge',
    unit: '{request}',
    description: 'Slots of the gateway.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.admitted.limit.requests',
  },
  vitrine_gateway_bodies_usage_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Bodies and answers that the gateway holds. Beyond the limit new bodies are refused.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.bodies.usage',
  },
  vitrine_gateway_bodies_limit_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Most bytes of bodies that the gateway takes at once.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.bodies.limit',
  },
  vitrine_gateway_route_waiters_requests: {
    type: 'gauge',
    unit: '{request}',
    description: 'Queries that wait for a worker, or for a free connection to one.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.route.waiters.requests',
  },
  vitrine_gateway_known_bodies: {
    type: 'gauge',
    unit: '{body}',
    description: 'Bodies that were with a worker when it crashed: suspect or quarantined.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.known_bodies',
  },
  vitrine_gateway_known_bodies_forgotten_total: {
    type: 'counter',
    unit: '{body}',
    description: 'Suspect or quarantined bodies that had to be forgotten early because there were too many.',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.known_bodies.forgotten',
  },
  vitrine_gateway_late_verdicts_dropped_total: {
    type: 'counter',
    unit: '{attempt}',
    description: 'Attempts whose worker could not be told to keep its part of the trace (mode retroactive).',
    attributes: [],
    place: 'gateway',
    otelName: 'vitrine.gateway.late_verdicts.dropped',
  },
  ...CONSOLE_METRICS,
  ...ENRICHER_METRICS,
  ...EVALUATOR_METRICS,
  ...HOST_METRICS,
} as const satisfies Record<string, CatalogEntry>;

export type MetricName = keyof typeof CATALOG;
export type NameOf<T extends MetricType> = {
  [N in MetricName]: (typeof CATALOG)[N]['type'] extends T ? N : never;
}[MetricName];
export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;
/** The labels that a metric must be given: all of its attributes. */
export type LabelsOf<N extends MetricName> = Readonly<
  Record<(typeof CATALOG)[N]['attributes'][number], string>
>;
