/** The worker's metrics, bound to their series when a model is ready, so that the serving path only adds. */
import type { BatchQueue } from '../batching/queue.ts';
import { CLOSE_REASONS, type CloseReason } from '../contract/attributes.ts';
import type { CounterSeries, HistogramSeries, Metrics } from '../telemetry/metrics.ts';

/** How a query left the queue without having run. */
export type Departure = 'expired' | 'cancelled';

export interface ModelMeters {
  readonly batches: Readonly<Record<CloseReason, CounterSeries>>;
  readonly batchRows: HistogramSeries;
  readonly realElements: CounterSeries;
  readonly paddingElements: CounterSeries;
  readonly attributedSeconds: CounterSeries;
  /** Its series exists from the first time on: a machine without a GPU has none. */
  readonly attributeEnergy: (joules: number) => void;
  readonly departures: Readonly<Record<Departure, CounterSeries>>;
  readonly refusals: Readonly<Record<'requests' | 'bytes', CounterSeries>>;
}

/** @param queues the queues of all versions of this model that are ready */
export function createModelMeters(
  metrics: Metrics,
  model: string,
  queues: readonly BatchQueue<unknown>[],
): ModelMeters {
  const batches = metrics.counter('inference_batches_total');
  const elements = metrics.counter('inference_batch_elements_total');
  const departures = metrics.counter('vitrine_queue_departures_total');
  const refusals = metrics.counter('vitrine_queue_refusals_total');
  let energy: CounterSeries | undefined;
  const sum = (read: (queue: BatchQueue<unknown>) => number) => () =>
    queues.reduce((total, queue) => total + read(queue), 0);
  metrics
    .gauge('inference_queue_requests')
    .series({ model })
    .observeWith(sum((queue) => queue.entries));
  metrics
    .gauge('inference_queue_bytes')
    .series({ model })
    .observeWith(sum((queue) => queue.bytes));
  return {
    batches: Object.fromEntries(
      CLOSE_REASONS.map((reason) => [reason, batches.series({ model, close_reason: reason })]),
    ) as Record<CloseReason, CounterSeries>,
    batchRows: metrics.histogram('inference_batch_rows').series({ model }),
    realElements: elements.series({ model, kind: 'real' }),
    paddingElements: elements.series({ model, kind: 'padding' }),
    attributedSeconds: metrics.counter('inference_attributed_seconds_total').series({ model }),
    attributeEnergy(joules) {
      energy ??= metrics.counter('inference_attributed_energy_joules_total').series({ model });
      energy.add(joules);
    },
    departures: {
      expired: departures.series({ model, reason: 'expired' }),
      cancelled: departures.series({ model, reason: 'cancelled' }),
    },
    refusals: {
      requests: refusals.series({ model, limit: 'requests' }),
      bytes: refusals.series({ model, limit: 'bytes' }),
    },
  };
}
