/**
 * Metrics of the OpenTelemetry SDK and of instrumented libraries, read through a MetricReader and turned into
 * the families that /metrics serializes; and the way back: the catalogue's metrics as a producer, so that
 * `OTEL_METRICS_EXPORTER` exports them under the same names.
 */
import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  InstrumentType,
  type MetricData,
  type MetricProducer,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import { type MetricFamily, openMetricsEdge, type Sample } from './exposition.ts';
import { CounterSeries, GaugeSeries, HistogramSeries, type Metrics } from './metrics.ts';

/** Reads on demand and never by itself. */
export class PullReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** UCUM units that become a suffix, as OpenTelemetry's Prometheus compatibility specification names them. */
const UNIT_SUFFIX: Readonly<Record<string, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  By: 'bytes',
  '1': 'ratio',
  '%': 'percent',
  J: 'joules',
  W: 'watts',
  Cel: 'celsius',
};

/** `nodejs.eventloop.delay.p50` in `s` → `nodejs_eventloop_delay_p50_seconds`. Counters' `_total` is a sample's suffix. */
export function prometheusName(name: string, unit: string, isGauge: boolean): string {
  const base = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(\d)/, '_$1');
  const suffix = unit === '1' && !isGauge ? undefined : UNIT_SUFFIX[unit];
  return suffix === undefined || base.endsWith(`_${suffix}`) ? base : `${base}_${suffix}`;
}

function labelsOf(attributes: Attributes): [string, string][] {
  return Object.entries(attributes).map(([key, value]) => [
    key.replace(/[^A-Za-z0-9_]/g, '_'),
    String(value),
  ]);
}

function familyOf(metric: MetricData): MetricFamily | undefined {
  const { descriptor } = metric;
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) return undefined; // no classic form
  if (metric.dataPointType === DataPointType.HISTOGRAM) {
    const samples = metric.dataPoints.flatMap(({ attributes, value }): Sample[] => {
      const labels = labelsOf(attributes);
      let cumulative = 0;
      const buckets = value.buckets.counts.map((count, index): Sample => {
        cumulative += count;
        const edge = value.buckets.boundaries[index];
        return {
          suffix: '_bucket',
          labels: [...labels, ['le', edge === undefined ? '+Inf' : openMetricsEdge(edge)]],
          value: cumulative,
        };
      });
      return [
        ...buckets,
        { suffix: '_sum', labels, value: value.sum ?? 0 },
        { suffix: '_count', labels, value: value.count },
      ];
    });
    return {
      name: prometheusName(descriptor.name, descriptor.unit, false),
      type: 'histogram',
      help: descriptor.description,
      samples,
    };
  }
  const counter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
  return {
    name: prometheusName(descriptor.name, descriptor.unit, !counter),
    type: counter ? 'counter' : 'gauge',
    help: descriptor.description,
    samples: metric.dataPoints.map(({ attributes, value }) => ({
      suffix: counter ? '_total' : '',
      labels: labelsOf(attributes),
      value,
    })),
  };
}

/** Families of what the reader collected; a name that the catalogue has is the catalogue's. */
export function sdkFamilies(collected: CollectionResult, taken: ReadonlySet<string>): MetricFamily[] {
  const families = new Map<string, MetricFamily>();
  for (const scope of collected.resourceMetrics.scopeMetrics) {
    for (const metric of scope.metrics) {
      const family = familyOf(metric);
      if (family === undefined || taken.has(family.name)) continue;
      const before = families.get(family.name);
      if (before === undefined) families.set(family.name, family);
      else if (before.type === family.type) {
        families.set(family.name, { ...before, samples: [...before.samples, ...family.samples] });
      }
    }
  }
  return [...families.values()];
}

/** The catalogue's metrics as OpenTelemetry data, cumulative since the process started. */
export function createCatalogProducer(metrics: Metrics, resource: Resource): MetricProducer {
  const startTime: HrTime = hrTime(performance.timeOrigin);
  return {
    async collect() {
      const endTime = hrTime(Date.now());
      const data: MetricData[] = metrics.read().map((instrument) => {
        const { entry } = instrument;
        const points = [...instrument.all()].map((series) => ({
          startTime,
          endTime,
          attributes: Object.fromEntries(
            entry.attributes.map((key, index) => [key, series.labels[index] ?? '']),
          ),
          series,
        }));
        const descriptor = {
          name: entry.otelName,
          description: entry.description,
          unit: entry.unit,
          valueType: ValueType.DOUBLE,
          type:
            entry.type === 'counter'
              ? InstrumentType.COUNTER
              : entry.type === 'gauge'
                ? InstrumentType.GAUGE
                : InstrumentType.HISTOGRAM,
          advice: {},
        };
        if (entry.type === 'histogram') {
          return {
            descriptor,
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            dataPointType: DataPointType.HISTOGRAM,
            dataPoints: points.flatMap(({ series, ...point }) =>
              series instanceof HistogramSeries
                ? [
                    {
                      ...point,
                      value: {
                        buckets: { boundaries: [...series.edges], counts: [...series.counts] },
                        sum: series.sum,
                        count: series.count,
                      },
                    },
                  ]
                : [],
            ),
          };
        }
        const dataPoints = points.flatMap(({ series, ...point }) =>
          series instanceof CounterSeries || series instanceof GaugeSeries
            ? [{ ...point, value: series.value }]
            : [],
        );
        return entry.type === 'counter'
          ? {
              descriptor,
              aggregationTemporality: AggregationTemporality.CUMULATIVE,
              dataPointType: DataPointType.SUM,
              isMonotonic: true,
              dataPoints,
            }
          : {
              descriptor,
              aggregationTemporality: AggregationTemporality.CUMULATIVE,
              dataPointType: DataPointType.GAUGE,
              dataPoints,
            };
      });
      return {
        resourceMetrics: { resource, scopeMetrics: [{ scope: { name: 'vitrine' }, metrics: data }] },
        errors: [],
      };
    },
  };
}

function hrTime(unixMs: number): HrTime {
  const seconds = Math.floor(unixMs / 1000);
  return [seconds, Math.round((unixMs - seconds * 1000) * 1e6)];
}
