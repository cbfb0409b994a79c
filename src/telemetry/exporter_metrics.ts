import type { Exporter } from './exporter.ts';
import type { Metrics } from './metrics.ts';

/** The export's counters, brought up to date at each scrape. */
export function observeExporter(metrics: Metrics, exporter: Exporter): void {
  const spans = metrics.counter('vitrine_telemetry_spans_total');
  const exported = spans.series({ outcome: 'exported' });
  const rejected = spans.series({ outcome: 'rejected' });
  const dropped = spans.series({ outcome: 'dropped' });
  const malformed = spans.series({ outcome: 'malformed' });
  const failures = metrics.counter('vitrine_telemetry_export_failures_total').series({});
  const restarts = metrics.counter('vitrine_telemetry_export_thread_restarts_total').series({});
  const used = metrics.gauge('vitrine_telemetry_ring_usage_bytes').series({});
  const limit = metrics.gauge('vitrine_telemetry_ring_limit_bytes').series({});
  metrics.beforeRead(() => {
    const counts = exporter.counts();
    exported.value = counts.spansExported;
    rejected.value = counts.spansRejected;
    dropped.value = counts.spansDropped;
    malformed.value = counts.recordsMalformed;
    failures.value = counts.exportFailures;
    restarts.value = counts.threadRestarts;
    used.set(counts.ringUsedBytes);
    limit.set(counts.ringLimitBytes);
  });
}
