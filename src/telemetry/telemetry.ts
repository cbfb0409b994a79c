/**
 * Telemetry of one process: opens records, renders /metrics, exports, logs. Started before everything else
 * and closed last.
 */
import type { IncomingHttpHeaders } from 'node:http';
import {
  type Attributes,
  type Context,
  defaultTextMapGetter,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from '@opentelemetry/api';
import { type Sampler, SamplingDecision } from '@opentelemetry/sdk-trace';
import type { OtelConfig } from '../config/otel.ts';
import type { TelemetryConfig } from '../config/settings.ts';
import { ATTR, SPAN } from '../contract/attributes.ts';
import { BAGGAGE, HOLD, REQUEST_ID, TRACE_ID, TRACEPARENT, TRACESTATE } from '../contract/headers.ts';
import { BatchRecord } from './batch_record.ts';
import { RECORD_KEY, type RecordSink } from './core.ts';
import { createEventLoopDelay } from './event_loop.ts';
import { createExporter, type Exporter } from './exporter.ts';
import { observeExporter } from './exporter_metrics.ts';
import {
  asSeries,
  CONTENT_TYPE,
  catalogFamilies,
  type MetricFamily,
  negotiate,
  renderInTurns,
} from './exposition.ts';
import { createGatewayMetrics } from './gateway_metrics.ts';
import { type GatewayCore, GatewayQuery } from './gateway_query.ts';
import { createHeldRecords } from './held_records.ts';
import { newTraceId } from './ids.ts';
import { createKeeping, type KeptBecause, type StartVerdict } from './keeping.ts';
import { createLateVerdicts } from './late_verdicts.ts';
import { createLogger, type Logger } from './logger.ts';
import { Metrics } from './metrics.ts';
import { observeProcess } from './process_metrics.ts';
import { resourceAttributes, startSdk } from './sdk.ts';
import { createCatalogProducer, PullReader, sdkFamilies } from './sdk_metrics.ts';
import { createSettling } from './settling.ts';
import { createStandardMetricReaders } from './standard_metrics.ts';
import { parseTraceparent, traceIdFromHeader } from './traceparent.ts';
import { type WorkerCore, WorkerQuery } from './worker_query.ts';

export interface Telemetry {
  /** False: no record, no span, no trace header, no metric of queries. */
  readonly enabled: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** service.instance.id: a stable index, such as `worker-1`. */
  readonly instanceId: string;
  readonly serviceName: string;
  /** @param caller whom a sampled flag's rate is counted for @param startMs when the headers were parsed */
  openGatewayQuery(headers: IncomingHttpHeaders, caller: string, startMs: number): GatewayQuery | undefined;
  openWorkerQuery(headers: IncomingHttpHeaders, startMs: number): WorkerQuery | undefined;
  openBatch(batch: {
    model: string;
    version: string;
    thread: number;
    rows: number;
    members: readonly (WorkerQuery | undefined)[];
  }): BatchRecord | undefined;
  /** Worker: the gateway kept these attempts after all. @returns how many were at hand */
  keep(attemptSpanIds: readonly string[]): number;
  /** Gateway: attempts to be kept, by worker, since the last call. */
  takeLateVerdicts(): Map<string, string[]>;
  /** Creates a model's series at 0. */
  announceModel(model: string, version: string): void;
  renderMetrics(accept: string | undefined): Promise<{ contentType: string; body: string }>;
  /** Exports what is finished. @returns false when the deadline passed first */
  drain(timeoutMs: number): Promise<boolean>;
  /** Ends the export thread as a crash would; for tests. */
  crashExportThread(): Promise<void>;
  /** Exports what is finished, within 3 s, and releases everything. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  readonly serviceName: string;
  /** Stable index within the service: `gateway-0`, `worker-1`. */
  readonly instanceId: string;
  readonly version: string;
  readonly config: TelemetryConfig;
  readonly otel: OtelConfig;
  /** VITRINE_SLO_TIME_SCALE; 1 unless told. */
  readonly timeScale?: number;
}

const SCOPE = 'vitrine';
const CLOSE_DRAIN_TIMEOUT_MS = 3000;
/** Baggage beyond this is ignored. */
const BAGGAGE_LIMIT_CHARS = 8192;
const REQUEST_ID_FORM = /^[\x21-\x7e]{1,128}$/;

interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean | undefined;
  readonly traceState: string;
  readonly context: Context;
}

const NO_PARENT: Parent = {
  traceId: '',
  spanId: '',
  sampled: undefined,
  traceState: '',
  context: ROOT_CONTEXT,
};

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Headers that any configured propagator reads; without one of them nothing is extracted. */
function createParentReader(fields: readonly string[]): (headers: IncomingHttpHeaders) => Parent {
  return (headers) => {
    let present = false;
    for (const field of fields) {
      if (headers[field] !== undefined) {
        present = true;
        break;
      }
    }
    if (!present) return NO_PARENT;
    const baggage = single(headers[BAGGAGE]);
    const carrier =
      baggage !== undefined && baggage.length > BAGGAGE_LIMIT_CHARS
        ? { ...headers, [BAGGAGE]: undefined }
        : headers;
    let context = ROOT_CONTEXT;
    try {
      context = propagation.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
    } catch {
      return NO_PARENT; // a propagator that throws on rubbish must not disturb the query
    }
    const parent = trace.getSpanContext(context);
    if (parent === undefined) return { ...NO_PARENT, context };
    return {
      traceId: parent.traceId,
      spanId: parent.spanId,
      sampled: (parent.traceFlags & 1) === 1,
      traceState: parent.traceState?.serialize() ?? '',
      context,
    };
  };
}

function contextOf(
  parent: Context,
  traceId: string,
  spanId: string,
  sampled: boolean,
  record: object,
): Context {
  const withSpan = trace.setSpanContext(parent, { traceId, spanId, traceFlags: sampled ? 1 : 0 });
  return withSpan.setValue(RECORD_KEY, record);
}

function askSampler(
  sampler: Sampler,
  parent: Context,
  traceId: string,
  attributes: Attributes,
): StartVerdict {
  const { decision } = sampler.shouldSample(parent, traceId, SPAN.query, SpanKind.SERVER, attributes, []);
  const kept: KeptBecause | undefined =
    decision === SamplingDecision.RECORD_AND_SAMPLED ? 'sampler' : undefined;
  return { kept, undecided: false, shed: false };
}

/** Starts telemetry and registers the SDK globally: once per process. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { config, otel } = options;
  const enabled = config.enabled && !otel.disabled;
  const serviceName = otel.serviceName ?? options.serviceName;
  const instanceId = otel.resourceAttributes['service.instance.id'] ?? options.instanceId;
  const metrics = new Metrics();
  const suppressed = metrics.counter('vitrine_telemetry_log_lines_suppressed_total').series({});
  const log = await createLogger({
    level: config.logLevel,
    format: config.logFormat,
    serviceName,
    instanceId,
    onSuppressed: () => suppressed.add(1),
  });
  for (const warning of otel.warnings) log.warn(warning);

  const resource = resourceAttributes({
    serviceName,
    instanceId,
    version: options.version,
    attributes: otel.resourceAttributes,
  });
  const records = metrics.counter('vitrine_telemetry_records_total');
  const recordSeries = {
    kept: records.series({ outcome: 'kept' }),
    not_kept: records.series({ outcome: 'not_kept' }),
    shed: records.series({ outcome: 'shed' }),
    dropped: records.series({ outcome: 'dropped' }),
  };
  const spans = metrics.counter('vitrine_telemetry_spans_total');
  const childDropped = spans.series({ outcome: 'dropped_child' });
  const exporting = enabled && otel.tracesExporters.length > 0;
  const exporter: Exporter | undefined = exporting
    ? createExporter(
        {
          exporters: otel.tracesExporters,
          target: otel.otlp,
          resource,
          scopeName: SCOPE,
          scopeVersion: options.version,
          limits: otel.limits,
          flushIntervalMs: config.flushIntervalMs,
          ringBytes: config.ringBytes,
        },
        log,
      )
    : undefined;

  const pull = new PullReader();
  const standard = enabled
    ? await createStandardMetricReaders(
        otel.metricsExporters,
        (catalogResource) => createCatalogProducer(metrics, catalogResource),
        resource,
      )
    : [];
  const sdk = startSdk({
    resource,
    propagators: otel.propagators,
    sampler: otel.sampler,
    limits: otel.limits,
    sink: exporter,
    metricReaders: [pull, ...standard],
    onSpanDropped: () => childDropped.add(1),
  });
  const settling = createSettling();
  const eventLoop = createEventLoopDelay(settling.settle);
  const processMetrics = observeProcess(metrics, eventLoop, options.timeScale);
  metrics.beforeRead(settling.settle);
  if (exporter !== undefined) observeExporter(metrics, exporter);

  const readParent = createParentReader(propagation.fields());
  const keeping = createKeeping(config);
  const lateVerdicts = createLateVerdicts();
  const { sampler } = sdk;
  const sink: RecordSink | undefined = exporter;
  const count = (outcome: keyof typeof recordSeries): void => recordSeries[outcome].add(1);
  const gatewayCore: GatewayCore = {
    sink: sink as RecordSink,
    eventLoop,
    settling,
    log,
    count,
    metrics: createGatewayMetrics(metrics),
    keeping,
    logQueries: config.logQueries,
    lateVerdict: lateVerdicts.add,
  };
  const workerCore: WorkerCore = {
    sink: sink as RecordSink,
    eventLoop,
    settling,
    log,
    count,
    instanceId,
    held: createHeldRecords({ accept: (record) => exporter?.acceptBytes(record) ?? false, count }),
  };

  return {
    enabled,
    log,
    metrics,
    instanceId,
    serviceName,
    openGatewayQuery(headers, caller, startMs) {
      if (!enabled) return undefined;
      const parent = readParent(headers);
      const asked = single(headers[TRACE_ID]);
      const traceId = parent.traceId !== '' ? parent.traceId : (traceIdFromHeader(asked) ?? newTraceId());
      let verdict: StartVerdict;
      if (exporter === undefined) verdict = { kept: undefined, undecided: false, shed: false };
      else if (exporter.underPressure()) verdict = { kept: undefined, undecided: false, shed: true };
      else if (sampler !== undefined) {
        verdict = askSampler(sampler, parent.context, traceId, { [ATTR.httpRequestMethod]: 'POST' });
      } else verdict = keeping.start({ callerSampled: parent.sampled, caller, nowMs: startMs });
      if (verdict.shed) count('shed');
      const givenId = single(headers[REQUEST_ID]);
      return new GatewayQuery(
        gatewayCore,
        {
          traceId,
          parentSpanId: parent.spanId,
          parentIsRemote: parent.spanId !== '',
          traceState: parent.traceState,
          startMs,
          kept: verdict.kept,
          undecided: verdict.undecided,
          shed: verdict.shed,
          requestId: givenId !== undefined && REQUEST_ID_FORM.test(givenId) ? givenId : '',
          externalTraceId:
            asked !== undefined && asked.length <= 256 && asked.toLowerCase().replaceAll('-', '') !== traceId
              ? asked
              : '',
        },
        (query) =>
          contextOf(parent.context, query.traceId, query.spanId, query.kept || query.undecided, query),
      );
    },
    openWorkerQuery(headers, startMs) {
      if (!enabled) return undefined;
      const parent = parseTraceparent(single(headers[TRACEPARENT]), single(headers[TRACESTATE]));
      const sampled = parent !== undefined && (parent.flags & 1) === 1;
      const direct = parent === undefined;
      const canKeep = exporter !== undefined && !exporter.underPressure();
      return new WorkerQuery(
        workerCore,
        {
          traceId: parent?.traceId ?? newTraceId(),
          parentSpanId: parent?.spanId ?? '',
          traceState: parent?.traceState ?? '',
          startMs,
          // A query that came past the gateway is nobody's child: the mode alone decides.
          kept: exporter !== undefined && (sampled || (direct && canKeep && config.mode === 'all')),
          undecided: !sampled && canKeep && headers[HOLD] !== undefined,
        },
        (query) => contextOf(ROOT_CONTEXT, query.traceId, query.spanId, query.kept || query.undecided, query),
      );
    },
    openBatch(batch) {
      if (!enabled) return undefined;
      const members = batch.members.filter((member) => member !== undefined);
      return new BatchRecord(workerCore, { ...batch, members });
    },
    keep(attemptSpanIds) {
      settling.settle();
      return workerCore.held.keep(attemptSpanIds);
    },
    takeLateVerdicts: lateVerdicts.take,
    announceModel: (model, version) => {
      if (enabled) gatewayCore.metrics.announce(model, version);
    },
    async renderMetrics(accept) {
      const format = negotiate(accept);
      const families = enabled ? catalogFamilies(metrics) : [];
      const collected = await pull.collect();
      const taken = new Set(families.map((family) => family.name));
      const target: MetricFamily = {
        name: 'target',
        type: 'info',
        help: 'Target metadata',
        samples: [
          {
            suffix: '_info',
            labels: resource
              .filter(([key]) => key !== 'telemetry.sdk.language')
              .map(([key, value]) => [key.replaceAll('.', '_'), String(value)] as const),
            value: 1,
          },
        ],
      };
      return {
        contentType: CONTENT_TYPE[format],
        body: await renderInTurns(
          [asSeries(target), ...families, ...sdkFamilies(collected, taken).map(asSeries)],
          format,
        ),
      };
    },
    async drain(timeoutMs) {
      settling.settle();
      return exporter === undefined ? true : exporter.drain(timeoutMs);
    },
    crashExportThread: async () => exporter?.crashThread(),
    async close() {
      settling.settle();
      if (exporter !== undefined && !(await exporter.drain(CLOSE_DRAIN_TIMEOUT_MS))) {
        log.warn('finished records were not exported in time and are lost', {
          timeoutMs: CLOSE_DRAIN_TIMEOUT_MS,
        });
      }
      eventLoop[Symbol.dispose]();
      processMetrics[Symbol.dispose]();
      await sdk[Symbol.asyncDispose]();
      await exporter?.[Symbol.asyncDispose]();
    },
  };
}
