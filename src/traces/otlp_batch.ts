/** What ingest hands to the store: a request's bytes, with the places of its spans and what is indexed of them. */
export interface OtlpLimits {
  /** Spans of one request; the rest are rejected. */
  readonly spansPerRequest: number;
  /** Attributes of one span, one event or one link; a span with more is rejected. */
  readonly attributesPerSpan: number;
  /** Bytes of one string or bytes value, name or key; a span with a longer one is rejected. */
  readonly valueBytes: number;
  /** Bytes of one span with all of its attributes, events and links; a larger one is rejected. */
  readonly spanBytes: number;
}

export const DEFAULT_OTLP_LIMITS: OtlpLimits = {
  spansPerRequest: 16_384,
  attributesPerSpan: 512,
  valueBytes: 64 * 1024,
  spanBytes: 1024 * 1024,
};

/** Lists and maps inside values may nest this deep; a request with deeper ones is refused. */
export const VALUE_DEPTH_LIMIT = 16;

/** Resource and scope of a run of spans, as they came. */
export interface BatchOrigin {
  /** Equal keys mean equal bytes. */
  readonly key: string;
  readonly resource: Buffer;
  readonly resourceSchemaUrl: string;
  readonly scope: Buffer;
  readonly scopeSchemaUrl: string;
}

/** The key of an origin: equal keys mean equal bytes. */
export function originKey(raw: Omit<BatchOrigin, 'key'>): string {
  const { resource, resourceSchemaUrl, scope, scopeSchemaUrl } = raw;
  const lengths = `${resource.length}|${scope.length}|${resourceSchemaUrl.length}|`;
  return (
    lengths + resourceSchemaUrl + scopeSchemaUrl + resource.toString('latin1') + scope.toString('latin1')
  );
}

/** One span of a batch, in the flat form that the store inserts. */
export interface BatchSpan {
  /** Where its message lies in the batch's bytes. */
  readonly start: number;
  readonly end: number;
  /** 16 characters, one per byte (latin1). */
  readonly traceId: string;
  readonly originIndex: number;
  /**
   * What its series is made of, as bytes in latin1: see series_key.ts. Empty when name or an indexed value is
   * too long to be part of a key.
   */
  readonly seriesKey: string;
  readonly startUs: number;
  readonly durationUs: number;
  /** Hashes of its lookup tags; undefined when it has none. */
  readonly lookups: readonly number[] | undefined;
}

export interface DecodedBatch {
  readonly bytes: Buffer;
  readonly origins: readonly BatchOrigin[];
  readonly spans: readonly BatchSpan[];
  /** Spans that broke a limit or lack a valid id, and why. */
  readonly rejectedSpans: number;
  readonly rejections: ReadonlyMap<string, number>;
}

/** What OTLP's partial_success says of a batch; empty when nothing was rejected. */
export function rejectionMessage(rejections: ReadonlyMap<string, number>): string {
  return [...rejections].map(([reason, count]) => `${count} rejected: ${reason}`).join('; ');
}
