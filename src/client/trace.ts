/** A trace as the client gives it, whichever of Jaeger's interfaces it came through. */

export type TraceValue = string | number | boolean | readonly TraceValue[];

export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer';

interface SpanEvent {
  readonly name: string;
  /** Milliseconds from the start of the trace. */
  readonly offsetMs: number;
  readonly attributes: ReadonlyMap<string, TraceValue>;
}

interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

export interface TraceSpan {
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Empty for a root. It may name a span that is not in the trace: a remote caller's. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** `service.name` and `service.instance.id` of the process; empty where it says none. */
  readonly service: string;
  readonly instance: string;
  /** Milliseconds from the start of the trace, which is that of its earliest span: 0 or more. */
  readonly offsetMs: number;
  readonly durationMs: number;
  readonly attributes: ReadonlyMap<string, TraceValue>;
  readonly status: 'unset' | 'ok' | 'error';
  readonly statusMessage: string;
  readonly events: readonly SpanEvent[];
  readonly links: readonly SpanLink[];
}

export interface Trace {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** Unix time of the earliest span, in milliseconds with fractions. */
  readonly startTimeMs: number;
  /** From the start of the earliest span to the end of the last. */
  readonly durationMs: number;
  /** By start; of spans that start together, the longest first. Never empty. */
  readonly spans: readonly TraceSpan[];
}

/** A span before its trace's start is known: moments in nanoseconds since 1970. */
export interface RawSpan extends Omit<TraceSpan, 'offsetMs' | 'durationMs' | 'events'> {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly events: readonly (Omit<SpanEvent, 'offsetMs'> & { readonly atNs: bigint })[];
}

/** Undefined when there are no spans. */
export function assembleTrace(traceId: string, raw: readonly RawSpan[]): Trace | undefined {
  let startNs: bigint | undefined;
  let endNs = 0n;
  for (const span of raw) {
    if (startNs === undefined || span.startNs < startNs) startNs = span.startNs;
    if (span.endNs > endNs) endNs = span.endNs;
  }
  if (startNs === undefined) return undefined;
  const originNs = startNs;
  const msFrom = (ns: bigint): number => Number(ns - originNs) / 1e6;
  const spans = raw.map(({ startNs: spanStartNs, endNs: spanEndNs, events, ...span }) => ({
    ...span,
    offsetMs: msFrom(spanStartNs),
    durationMs: Number(spanEndNs - spanStartNs) / 1e6,
    events: events.map(({ atNs, ...event }) => ({ ...event, offsetMs: msFrom(atNs) })),
  }));
  spans.sort((left, right) => left.offsetMs - right.offsetMs || right.durationMs - left.durationMs);
  return { traceId, startTimeMs: Number(originNs) / 1e6, durationMs: msFrom(endNs), spans };
}
