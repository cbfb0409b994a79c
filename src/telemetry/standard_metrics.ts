/** Metric readers that `OTEL_METRICS_EXPORTER` names, with the catalogue's metrics among what they export. */
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  ConsoleMetricExporter,
  type MetricProducer,
  type MetricReader,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';

/** The exporters read their own standard variables (endpoint, headers, interval, host, port). */
export async function createStandardMetricReaders(
  names: readonly string[],
  produce: (resource: Resource) => MetricProducer,
  resource: readonly (readonly [string, string | number])[],
): Promise<MetricReader[]> {
  const readers: MetricReader[] = [];
  for (const name of names) {
    const metricProducers = [produce(resourceFromAttributes(Object.fromEntries(resource)))];
    if (name === 'prometheus') {
      const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');
      readers.push(new PrometheusExporter({ metricProducers }));
    } else if (name === 'otlp') {
      const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
      readers.push(
        new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), metricProducers }),
      );
    } else {
      readers.push(
        new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter(), metricProducers }),
      );
    }
  }
  return readers;
}
