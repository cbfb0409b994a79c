/** What the catalogue says of one metric. */
export type MetricType = 'counter' | 'gauge' | 'histogram';
/** Which processes export it; `host`: one process of each machine. */
export type MetricPlace = 'gateway' | 'worker' | 'console' | 'enricher' | 'host' | 'all';

export interface CatalogEntry {
  readonly type: MetricType;
  /** UCUM, as OpenTelemetry writes it: `s`, `By`, `1`, `{request}`. */
  readonly unit: string;
  readonly description: string;
  /** The only attributes that it may carry. */
  readonly attributes: readonly string[];
  /** Upper edges of the buckets, ascending, without +Inf; histograms only. */
  readonly buckets?: readonly number[];
  /** Carries exemplars: trace and span id of a query accepted for export. */
  readonly exemplars?: boolean;
  readonly place: MetricPlace;
  /** Name over OTLP. */
  readonly otelName: string;
}
