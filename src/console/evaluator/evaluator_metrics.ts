/** The evaluator's own metrics, brought up to date when they are read. */
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Evaluator } from './evaluator.ts';

/** @param failedWrites of its database */
export function observeEvaluator(
  metrics: Metrics,
  evaluator: Pick<Evaluator, 'engine' | 'stats'>,
  failedWrites: () => number,
): void {
  const evaluations = metrics.counter('vitrine_evaluator_evaluations_total').series({});
  const failures = metrics.counter('vitrine_evaluator_rule_failures_total').series({});
  const durationS = metrics.gauge('vitrine_evaluator_duration_seconds').series({});
  const scrapes = metrics.counter('vitrine_evaluator_scrapes_total');
  const ok = scrapes.series({ outcome: 'ok' });
  const failed = scrapes.series({ outcome: 'failed' });
  const skipped = scrapes.series({ outcome: 'skipped' });
  const series = metrics.gauge('vitrine_evaluator_series').series({});
  const dropped = metrics.counter('vitrine_evaluator_dropped_total');
  const droppedSamples = dropped.series({ what: 'samples' });
  const droppedAlerts = dropped.series({ what: 'alerts' });
  const writeFailures = metrics.counter('vitrine_evaluator_write_failures_total').series({});
  const jumps = metrics.counter('vitrine_evaluator_clock_jumps_total').series({});
  const alerts = metrics.gauge('vitrine_evaluator_alerts');
  const pending = alerts.series({ state: 'pending' });
  const firing = alerts.series({ state: 'firing' });
  metrics.beforeRead(() => {
    const engine = evaluator.engine.stats();
    const { scraper, ...own } = evaluator.stats();
    evaluations.value = engine.evaluations;
    failures.value = engine.failures;
    durationS.set(own.lastEvaluationMs / 1000);
    ok.value = scraper.scrapes - scraper.failures;
    failed.value = scraper.failures;
    skipped.value = scraper.skipped;
    series.set(own.series);
    droppedSamples.value = own.droppedSamples;
    droppedAlerts.value = engine.droppedAlerts;
    writeFailures.value = failedWrites();
    jumps.value = own.clockJumps;
    pending.set(engine.pending);
    firing.set(engine.firing);
  });
}
