/**
 * The OpenTelemetry SDK's part in a process: context, propagation, sampler, resource, a tracer provider for
 * user code and instrumented libraries, a meter provider for theirs. Queries do not go through it: see
 * gateway_query.ts. Composed from the SDK's parts rather than NodeSDK: docs/adr/0001.
 */
import {
  type Context,
  context,
  metrics as metricsApi,
  propagation,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
  type Span,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { type ChildHolder, holderIn, type RecordSink } from './core.ts';
import { encodeSdkSpan } from './sdk_span_codec.ts';
import type { SpanLimits } from './span_data.ts';

export interface SamplerConfig {
  readonly name: string;
  readonly ratio: number;
}

function createSampler({ name, ratio }: SamplerConfig): Sampler {
  const root = name.endsWith('always_off')
    ? new AlwaysOffSampler()
    : name.endsWith('traceidratio')
      ? new TraceIdRatioBasedSampler(ratio)
      : new AlwaysOnSampler();
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root;
}

/** `traceparent` comes last among the formats, so it wins where several are there. */
function createPropagator(names: readonly string[]): CompositePropagator {
  const made: Record<string, () => TextMapPropagator> = {
    b3: () => new B3Propagator(),
    b3multi: () => new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
    tracecontext: () => new W3CTraceContextPropagator(),
    baggage: () => new W3CBaggagePropagator(),
  };
  const order = ['b3', 'b3multi', 'tracecontext', 'baggage'].filter((name) => names.includes(name));
  return new CompositePropagator({ propagators: order.flatMap((name) => made[name]?.() ?? []) });
}

export interface ResourceOptions {
  readonly serviceName: string;
  readonly instanceId: string;
  readonly version: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Attributes of the resource, resolved once: who this process is. */
export function resourceAttributes(options: ResourceOptions): [string, string | number][] {
  return Object.entries({
    'service.namespace': 'vitrine',
    ...options.attributes,
    'service.name': options.serviceName,
    'service.instance.id': options.instanceId,
    'service.version': options.version,
    'telemetry.sdk.name': 'opentelemetry',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.distro.name': 'vitrine',
    'telemetry.distro.version': options.version,
    'process.runtime.version': process.versions.node,
    'host.arch': process.arch,
  });
}

/** A span that belongs to a query is recorded until the query's verdict is known; others follow the sampler. */
class RecordSampler implements Sampler {
  readonly #other: Sampler;
  constructor(other: Sampler) {
    this.#other = other;
  }
  shouldSample(
    ...[parent, ...rest]: Parameters<Sampler['shouldSample']>
  ): ReturnType<Sampler['shouldSample']> {
    const holder = holderIn(parent);
    if (holder === undefined) return this.#other.shouldSample(parent, ...rest);
    return {
      decision: holder.verdict === false ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED,
    };
  }
  toString(): string {
    return `RecordSampler{${this.#other.toString()}}`;
  }
}

/** Hands SDK spans to the ring: those of a query with the query, others at once. */
class RecordSpanProcessor implements SpanProcessor {
  readonly #sink: RecordSink;
  readonly #onDropped: () => void;
  readonly #holders = new WeakMap<object, ChildHolder>();

  constructor(sink: RecordSink, onDropped: () => void) {
    this.#sink = sink;
    this.#onDropped = onDropped;
  }

  onStart(span: Span, parent: Context): void {
    const holder = holderIn(parent);
    if (holder !== undefined) this.#holders.set(span, holder);
  }

  onEnding(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & 1) === 0) return;
    const record = encodeSdkSpan(span);
    const holder = this.#holders.get(span);
    const accepted =
      record !== undefined &&
      (holder === undefined || holder.verdict === true
        ? this.#deliver(record, holder)
        : holder.verdict === undefined && holder.hold(record));
    if (!accepted) this.#onDropped();
  }

  /** A child of a kept query that is still open waits for it: a trace goes out whole or not at all. */
  #deliver(record: Buffer, holder: ChildHolder | undefined): boolean {
    if (holder?.open === true) return holder.hold(record);
    return this.#sink.acceptBytes(record);
  }

  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

export interface SdkOptions {
  readonly resource: readonly (readonly [string, string | number])[];
  readonly propagators: readonly string[];
  readonly sampler: SamplerConfig | undefined;
  readonly limits: SpanLimits;
  readonly sink: RecordSink | undefined;
  readonly metricReaders: readonly MetricReader[];
  readonly onSpanDropped: () => void;
}

export interface Sdk extends AsyncDisposable {
  readonly resource: Resource;
  readonly sampler: Sampler | undefined;
  readonly meterProvider: MeterProvider;
}

/** Registers the SDK globally, once per process. */
export function startSdk(options: SdkOptions): Sdk {
  const resource = resourceFromAttributes(Object.fromEntries(options.resource));
  const contextManager = new AsyncLocalStorageContextManager();
  contextManager.enable();
  context.setGlobalContextManager(contextManager);
  propagation.setGlobalPropagator(createPropagator(options.propagators));
  const sampler = options.sampler === undefined ? undefined : createSampler(options.sampler);
  const meterProvider = new MeterProvider({ resource, readers: [...options.metricReaders] });
  metricsApi.setGlobalMeterProvider(meterProvider);
  let tracerProvider: TracerProvider | undefined;
  if (options.sink !== undefined) {
    tracerProvider = new TracerProvider({
      resource,
      sampler: new RecordSampler(sampler ?? new ParentBasedSampler({ root: new AlwaysOnSampler() })),
      spanLimits: {
        attributeCountLimit: options.limits.attributes,
        attributeValueLengthLimit: options.limits.attributeValueChars,
        eventCountLimit: options.limits.events,
        linkCountLimit: options.limits.links,
      },
      spanProcessors: [new RecordSpanProcessor(options.sink, options.onSpanDropped)],
    });
    trace.setGlobalTracerProvider(tracerProvider);
  }
  return {
    resource,
    sampler,
    meterProvider,
    async [Symbol.asyncDispose]() {
      trace.disable();
      metricsApi.disable();
      propagation.disable();
      context.disable();
      await meterProvider.shutdown().catch(() => {});
      await tracerProvider?.shutdown();
    },
  };
}
