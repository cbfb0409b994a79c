/** What a serving thread and its export thread share beside the ring: flags and counters in the ring's header. */

import { RING_SHARED_INTS } from './ring.ts';
import type { SpanAttributeValue, SpanLimits } from './span_data.ts';

/** Indexes into the ring's Int32 header. Counters wrap at 2^32; the reader adds differences. */
export const SHARED = {
  /** Raised by the serving thread: export everything and acknowledge this number. */
  flushRequested: RING_SHARED_INTS,
  flushDone: RING_SHARED_INTS + 1,
  spansExported: RING_SHARED_INTS + 2,
  /** Refused by the receiver for good (4xx, or partial success). */
  spansRejected: RING_SHARED_INTS + 3,
  /** Given up after the last retry. */
  spansDropped: RING_SHARED_INTS + 4,
  recordsMalformed: RING_SHARED_INTS + 5,
  exportFailures: RING_SHARED_INTS + 6,
} as const;

export interface ExporterTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly gzip: boolean;
  readonly protocol: 'http/protobuf' | 'http/json' | 'grpc';
}

/** Given to the export thread when it starts. */
export interface ExportThreadData {
  readonly ring: SharedArrayBuffer;
  /** `otlp`, `console`, `zipkin`. */
  readonly exporters: readonly string[];
  readonly target: ExporterTarget;
  readonly resource: readonly (readonly [string, SpanAttributeValue])[];
  readonly scopeName: string;
  readonly scopeVersion: string;
  readonly limits: SpanLimits;
  readonly flushIntervalMs: number;
}
