/**
 * What a query costs, as measured: the figures that `vitrine plan` and docs/scaling.md reckon with. A test holds
 * series, spans and bytes to a running service; processor times are of the benches, on two cores of an Intel Xeon.
 */

/** One figure, with what it means and where it comes from. */
export interface Cost {
  readonly value: number;
  readonly unit: string;
  readonly what: string;
  readonly source: string;
}

const BENCH_1 = 'bench 1, every trace kept; the median of 12 rounds';
const TEST = 'test/system/telemetry_costs.test.ts';

export const COSTS = {
  gatewayCpuUs: {
    value: 135,
    unit: 'us',
    what: "a gateway's processor time per query; 30 of it are telemetry",
    source: BENCH_1,
  },
  workerCpuUs: {
    value: 165,
    unit: 'us',
    what: "a worker's processor time per query, batched, a very small model's own among it; 15 of it are telemetry",
    source: BENCH_1,
  },
  consoleCpuUs: {
    value: 45,
    unit: 'us',
    what: "the embedded console's processor time per query that is kept",
    source: BENCH_1,
  },
  spansPerQuery: {
    value: 7,
    unit: 'spans',
    what: 'of a query that one attempt answered: infer, attempt, work, preprocess, queue, compute, postprocess',
    source: TEST,
  },
  querySpanBytes: {
    value: 346,
    unit: 'B',
    what: 'of each of them in OTLP (protobuf, as it leaves the process)',
    source: TEST,
  },
  batchSpanBytes: {
    value: 570,
    unit: 'B',
    what: 'of the span of a batch, with its links',
    source: TEST,
  },
  gzipRatio: {
    value: 0.18,
    unit: 'x',
    what: 'what is left of it with OTEL_EXPORTER_OTLP_COMPRESSION=gzip',
    source: TEST,
  },
  gatewaySeries: { value: 84, unit: 'series', what: 'of a gateway, whatever it serves', source: TEST },
  gatewaySeriesPerModel: {
    value: 556,
    unit: 'series',
    what: 'of a gateway for each model and version',
    source: TEST,
  },
  gatewaySeriesPerWorker: {
    value: 6,
    unit: 'series',
    what: 'of a gateway for each worker that it knows',
    source: TEST,
  },
  workerSeries: { value: 74, unit: 'series', what: 'of a worker, whatever it serves', source: TEST },
  workerSeriesPerModel: {
    value: 40,
    unit: 'series',
    what: 'of a worker for each model and version',
    source: TEST,
  },
  collectorForwardCpuUs: {
    value: 7,
    unit: 'us',
    what: "a Collector's processor time per span that it receives and passes on",
    source: 'Collector 0.155, 410,000 spans at 12,000/s',
  },
  collectorSampleCpuUs: {
    value: 12,
    unit: 'us',
    what: "a Collector's processor time per span with tail sampling, a tenth kept",
    source: 'Collector 0.155, 410,000 spans at 12,000/s',
  },
  collectorSpanBytes: {
    value: 2400,
    unit: 'B',
    what: "of a Collector's memory for each span that waits for its trace's decision",
    source: 'Collector 0.155, decision_wait 10 s',
  },
  jaegerCpuUs: {
    value: 89,
    unit: 'us',
    what: "Jaeger's processor time per span that it stores on Badger",
    source: 'Jaeger 2.13, 22,500 spans/s on two cores (bench 4)',
  },
  jaegerSpanBytes: {
    value: 424,
    unit: 'B',
    what: 'on disk for each span that Jaeger stores on Badger',
    source: 'Jaeger 2.13, 512,000 spans',
  },
  prometheusSeriesBytes: {
    value: 4000,
    unit: 'B',
    what: "of Prometheus's memory for each series: twice what it took at rest, for compaction and questions",
    source: 'Prometheus 3.15, 100,000 series, 2,000 B each after two minutes',
  },
  prometheusSampleCpuUs: {
    value: 1.8,
    unit: 'us',
    what: "Prometheus's processor time per sample that it scrapes",
    source: 'Prometheus 3.15, 5.6 million samples',
  },
  prometheusSampleBytes: {
    value: 2,
    unit: 'B',
    what: 'on disk for each sample, once compacted',
    source: 'the upper end of what its documentation says',
  },
} as const satisfies Record<string, Cost>;
