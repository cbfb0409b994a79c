/** Samples in few words, for tests. */
import type { SampleNeed } from '../../slo/evaluator_plan.ts';
import type { MetricName } from '../../telemetry/catalog.ts';
import type { Moment } from './measure.ts';
import { SampleStore } from './sample_store.ts';

export const T0_MS = Date.UTC(2026, 2, 1);

/** A store that keeps every metric that is named. */
export function storeOf(
  metrics: readonly (MetricName | 'up')[],
  reachS = 7200,
  seriesLimit = 1000,
): SampleStore {
  const needs: SampleNeed[] = metrics.map((metric) => ({ metric, where: [], reachS, stepS: 15 }));
  return new SampleStore({ needs, timeScale: 1, seriesLimit });
}

/**
 * Adds samples at T0 + 0, stepS, 2 stepS, ...; undefined leaves one out.
 * @param endsS the series ends there
 */
export function fill(
  store: SampleStore,
  name: string,
  labels: Readonly<Record<string, string>>,
  values: readonly (number | undefined)[],
  { stepS = 60, fromS = 0, endsS }: { stepS?: number; fromS?: number; endsS?: number } = {},
): void {
  const series = store.seriesOf(name, labels);
  for (const [index, value] of values.entries()) {
    const timeMs = T0_MS + (fromS + index * stepS) * 1000;
    if (value === undefined) continue;
    series?.append(timeMs, value);
    store.nowMs = Math.max(store.nowMs, timeMs);
  }
  if (endsS !== undefined) series?.markStale(T0_MS + endsS * 1000);
}

export function momentOf(store: SampleStore, atS: number): Moment {
  return { source: store, timeMs: T0_MS + atS * 1000, lookbackMs: 300_000 };
}
