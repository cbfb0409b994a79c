/** The console's own metrics, brought up to date from the store while it runs. */
import type { Metrics } from '../telemetry/metrics.ts';
import type { OtlpReceiver } from '../traces/otlp_receiver.ts';
import type { StoreStats } from '../traces/store.ts';
import type { TraceStoreClient } from '../traces/store_client.ts';

/** A scrape must not wait for the store's thread: it shows the answer to the question of the scrape before. */
export function observeConsole(metrics: Metrics, store: TraceStoreClient, receiver: OtlpReceiver): void {
  const spans = metrics.counter('vitrine_console_spans_total');
  const stored = spans.series({ outcome: 'stored' });
  const rejected = spans.series({ outcome: 'rejected' });
  const failed = spans.series({ outcome: 'failed' });
  const requests = metrics.counter('vitrine_console_otlp_requests_total');
  const usage = metrics.gauge('vitrine_console_store_usage_bytes').series({});
  const limit = metrics.gauge('vitrine_console_store_limit_bytes').series({});
  const full = metrics.counter('vitrine_console_store_full_total').series({});
  const evicted = metrics.counter('vitrine_console_store_evicted_traces_total');
  const byAge = evicted.series({ reason: 'age' });
  const bySize = evicted.series({ reason: 'size' });
  const restarts = metrics.counter('vitrine_console_store_restarts_total').series({});
  const queue = metrics.gauge('vitrine_console_store_queue_bytes').series({});
  let asking = false;

  const apply = (stats: StoreStats): void => {
    stored.value = stats.insertedSpans;
    rejected.value = stats.rejectedSpans;
    failed.value = stats.failedSpans;
    usage.set(stats.usedBytes);
    limit.set(stats.limitBytes);
    full.value = stats.timesFull;
    byAge.value = stats.evictedByAge.traces;
    bySize.value = stats.evictedBySize.traces;
  };
  metrics.beforeRead(() => {
    const client = store.clientStats();
    restarts.value = client.restarts;
    queue.set(client.outstandingBytes);
    for (const [status, count] of receiver.stats().byStatus)
      requests.series({ status: String(status) }).value = count;
    if (asking) return;
    asking = true;
    store
      .stats()
      .then(apply, () => {}) // restarting: the figures stay as they were
      .finally(() => {
        asking = false;
      });
  });
}
