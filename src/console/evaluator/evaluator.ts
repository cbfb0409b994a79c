/**
 * The embedded evaluator, with its timers: scrapes every process that the gateway lists, evaluates the plan at
 * every multiple of its interval, and keeps samples and alerts across a restart.
 *
 * When the clock is set, samples and alerts move with it, so that windows and holds go on as if it had not been.
 */
import type { Log } from '../../contract/log.ts';
import { circumstanceNeeds } from '../../slo/circumstances.ts';
import type { EvaluatorPlan } from '../../slo/evaluator_plan.ts';
import type { AlertArchive } from './alert_archive.ts';
import { AlertEngine } from './alert_engine.ts';
import type { SampleArchive } from './sample_archive.ts';
import { SampleStore, SERIES_LIMIT } from './sample_store.ts';
import { createScraper, SCRAPE_BODY_LIMIT_BYTES, type ScraperStats } from './scraper.ts';
import { type Clock, createJumpDetector, SYSTEM_CLOCK, startTicker } from './ticker.ts';

export interface Archives {
  readonly samples: SampleArchive;
  readonly alerts: AlertArchive;
}

export interface EvaluatorDeps {
  readonly plan: EvaluatorPlan;
  readonly log: Log;
  /** Undefined: nothing survives a restart. They have to outlive the evaluator. */
  readonly archives: Archives | undefined;
  readonly clock?: Clock;
}

export interface EvaluatorOptions {
  readonly discoveryUrls: readonly string[];
  /** Bearer tokens by job, for targets that are guarded. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface EvaluatorStats {
  readonly scraper: ScraperStats;
  readonly series: number;
  readonly droppedSamples: number;
  /** How long the last evaluation of all rules took. */
  readonly lastEvaluationMs: number;
  readonly clockJumps: number;
}

export interface Evaluator extends AsyncDisposable {
  readonly engine: AlertEngine;
  readonly samples: SampleStore;
  readonly plan: EvaluatorPlan;
  setDiscoveryUrls(urls: readonly string[]): void;
  stats(): EvaluatorStats;
}

/** Scrapes go before the evaluation by this share of their interval, so that it sees them. */
const SCRAPE_LEAD = 0.2;
/** A scrape may take this share of its interval; processes do not answer faster when time is scaled. */
const SCRAPE_TIMEOUT_SHARE = 0.6;
const SCRAPE_TIMEOUT_MIN_MS = 2000;
const SCRAPE_TIMEOUT_MAX_MS = 10_000;

export function createEvaluator(deps: EvaluatorDeps, options: EvaluatorOptions): Evaluator {
  const { plan, log, archives, clock = SYSTEM_CLOCK } = deps;
  const samples = new SampleStore({
    needs: [...plan.needs, ...circumstanceNeeds(plan.timeScale, plan.scrapeIntervalS)],
    timeScale: plan.timeScale,
    seriesLimit: SERIES_LIMIT,
  });
  const engine = new AlertEngine(plan, log, () => nowMs());
  const startedMs = clock.wallMs();
  if (archives !== undefined) {
    archives.samples.restore(samples, startedMs);
    const { active, resolved, events } = archives.alerts.load();
    engine.restore(active, resolved, events, startedMs);
    engine.onChange((instance, event) => archives.alerts.note(instance, event));
  }
  const jumped = createJumpDetector(clock);
  let clockJumps = 0;
  /** The wall clock, by which samples and alerts stand whenever it was read: it is read nowhere else. */
  const nowMs = (): number => {
    const deltaMs = jumped();
    const wallMs = clock.wallMs();
    if (deltaMs === 0) return wallMs;
    clockJumps += 1;
    samples.shift(deltaMs);
    engine.shift(deltaMs);
    archives?.samples.shift(deltaMs);
    log.warn('the clock was set; samples and alerts moved with it', { seconds: Math.round(deltaMs / 1000) });
    return wallMs;
  };

  const scrapeIntervalMs = plan.scrapeIntervalS * 1000;
  const scraper = createScraper(
    { store: samples, log, nowMs },
    {
      timeoutMs: Math.min(
        Math.max(scrapeIntervalMs * SCRAPE_TIMEOUT_SHARE, SCRAPE_TIMEOUT_MIN_MS),
        SCRAPE_TIMEOUT_MAX_MS,
      ),
      bodyLimitBytes: SCRAPE_BODY_LIMIT_BYTES,
      tokens: options.tokens,
    },
  );
  scraper.setDiscoveryUrls(options.discoveryUrls);

  let lastEvaluationMs = 0;
  let judgedJumps = 0;
  const evaluate = (dueMs: number): void => {
    const wallMs = nowMs();
    // What was due by the clock before it was set, is due no more; whoever noticed it.
    const timeMs = clockJumps === judgedJumps ? dueMs : wallMs;
    judgedJumps = clockJumps;
    const startedMs = clock.monotonicMs();
    engine.evaluate(samples, timeMs);
    lastEvaluationMs = clock.monotonicMs() - startedMs;
    archives?.alerts.saveActive(engine.kept());
  };
  /** Rounds under way: more than one only while a target is slow, and each ends with its timeouts. */
  const rounds = new Set<Promise<void>>();
  const scrape = (): void => {
    const round = scraper.scrape().then(() => {
      archives?.samples.save(samples);
      rounds.delete(round);
    });
    rounds.add(round);
  };
  const timers = new DisposableStack();
  timers.use(
    startTicker({ intervalMs: scrapeIntervalMs, phaseMs: -SCRAPE_LEAD * scrapeIntervalMs }, clock, scrape),
  );
  timers.use(startTicker({ intervalMs: plan.evaluationIntervalS * 1000, phaseMs: 0 }, clock, evaluate));

  return {
    engine,
    samples,
    plan,
    setDiscoveryUrls: (urls) => scraper.setDiscoveryUrls(urls),
    stats: () => ({
      scraper: scraper.stats(),
      series: samples.seriesCount,
      droppedSamples: samples.droppedSamples,
      lastEvaluationMs,
      clockJumps,
    }),
    async [Symbol.asyncDispose]() {
      timers.dispose();
      scraper.close();
      await Promise.all(rounds);
      archives?.alerts.saveActive(engine.kept());
    },
  };
}
