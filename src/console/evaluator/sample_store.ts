/**
 * The evaluator's samples: every series of every target, in three steps of time (2 h of every scrape, 2 days by
 * the minute, 35 days by five minutes for the metrics that objectives and long windows need). In memory for
 * evaluation; sample_archive.ts keeps it across a restart.
 *
 * Bounded: SERIES_LIMIT series; samples of further ones are counted and left out.
 */
import type { SampleNeed } from '../../slo/evaluator_plan.ts';
import type { Selection } from '../../slo/expression.ts';
import type { ParsedSample } from './exposition_parser.ts';
import { SampleSeries, type Samples, type Tier } from './sample_series.ts';
import { matches, type SampleSource } from './sample_source.ts';

export interface SampleStoreOptions {
  readonly needs: readonly SampleNeed[];
  /** Divides retention and steps, as it divides windows. */
  readonly timeScale: number;
  readonly seriesLimit: number;
}

export const SERIES_LIMIT = 50_000;

const HOUR_MS = 3_600_000;
const RAW: Tier = { stepMs: 0, retentionMs: 2 * HOUR_MS };
const MINUTE: Tier = { stepMs: 60_000, retentionMs: 48 * HOUR_MS };
const FIVE_MINUTES: Tier = { stepMs: 300_000, retentionMs: 35 * 24 * HOUR_MS };

export interface Target {
  readonly job: string;
  readonly instance: string;
}

export interface KeptSeries {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly columns: readonly Samples[];
  readonly staleMs: readonly number[];
}

/** Histograms are needed whole: a need of `x` reaches `x_bucket`, `x_sum` and `x_count`. */
function baseName(sampleName: string): string {
  return sampleName.replace(/_(?:bucket|sum|count)$/, '');
}

export class SampleStore implements SampleSource {
  nowMs = Number.NEGATIVE_INFINITY;
  droppedSamples = 0;
  readonly #options: SampleStoreOptions;
  readonly #byName = new Map<string, Map<string, SampleSeries>>();
  /** Series of each target's last good scrape, so that those it no longer lists can end. */
  readonly #listed = new Map<string, Set<SampleSeries>>();
  readonly #reachMs = new Map<string, number>();
  #count = 0;

  constructor(options: SampleStoreOptions) {
    this.#options = options;
    for (const { metric, reachS } of options.needs) {
      this.#reachMs.set(metric, Math.max(this.#reachMs.get(metric) ?? 0, reachS * 1000));
    }
  }

  get seriesCount(): number {
    return this.#count;
  }

  select(sampleName: string, where: Selection): readonly SampleSeries[] {
    const series = this.#byName.get(sampleName);
    if (series === undefined) return [];
    return [...series.values()].filter(({ labels }) => matches(labels, where));
  }

  /** A good scrape: `up` is 1, and what the target listed before and lists no more has ended. */
  record(target: Target, samples: readonly ParsedSample[], timeMs: number): void {
    this.#advance(timeMs);
    const listed = new Set<SampleSeries>();
    for (const { name, labels, value } of samples) {
      const series = this.#seriesOf(name, { ...labels, job: target.job, instance: target.instance });
      if (series === undefined) {
        this.droppedSamples += 1;
        continue;
      }
      series.append(timeMs, value);
      listed.add(series);
    }
    this.#end(target, timeMs, listed);
    this.#listed.set(targetKey(target), listed);
    this.#up(target, 1, timeMs);
  }

  /** A failed scrape: `up` is 0, and every series of the target has ended. */
  recordFailure(target: Target, timeMs: number): void {
    this.#advance(timeMs);
    this.#end(target, timeMs, new Set());
    this.#listed.delete(targetKey(target));
    this.#up(target, 0, timeMs);
  }

  /** The target is no longer listed: `up` has ended too. */
  forget(target: Target, timeMs: number): void {
    this.#end(target, timeMs, new Set());
    this.#listed.delete(targetKey(target));
    this.#seriesOf('up', { ...target })?.markStale(timeMs);
  }

  /** Drops samples beyond retention, and series that have none left. */
  expire(): void {
    for (const [name, byLabels] of this.#byName) {
      for (const [key, series] of byLabels) {
        series.expire(this.nowMs);
        if (!series.empty) continue;
        byLabels.delete(key);
        this.#count -= 1;
      }
      if (byLabels.size === 0) this.#byName.delete(name);
    }
  }

  *dump(): IterableIterator<KeptSeries> {
    for (const [name, byLabels] of this.#byName) {
      for (const series of byLabels.values()) yield { name, labels: series.labels, ...series.dump() };
    }
  }

  restore(kept: Iterable<KeptSeries>): void {
    for (const { name, labels, columns, staleMs } of kept) {
      const series = this.#seriesOf(name, labels);
      series?.restore({ columns, staleMs });
      this.nowMs = Math.max(this.nowMs, series?.lastMs ?? Number.NEGATIVE_INFINITY);
    }
  }

  #advance(timeMs: number): void {
    this.nowMs = Math.max(this.nowMs, timeMs);
  }

  #up(target: Target, value: number, timeMs: number): void {
    this.#seriesOf('up', { ...target })?.append(timeMs, value);
  }

  #end(target: Target, timeMs: number, listed: ReadonlySet<SampleSeries>): void {
    for (const series of this.#listed.get(targetKey(target)) ?? []) {
      if (!listed.has(series)) series.markStale(timeMs);
    }
  }

  #tiers(name: string): readonly Tier[] {
    const { timeScale } = this.#options;
    const scaled = ({ stepMs, retentionMs }: Tier): Tier => ({
      stepMs: stepMs / timeScale,
      retentionMs: retentionMs / timeScale,
    });
    const reachMs = this.#reachMs.get(name) ?? this.#reachMs.get(baseName(name)) ?? 0;
    const tiers = [scaled(RAW)];
    // Every metric by the minute for two days, so that a person can look back; further only what is asked.
    tiers.push(scaled(MINUTE));
    if (reachMs > MINUTE.retentionMs / timeScale) tiers.push(scaled(FIVE_MINUTES));
    return tiers;
  }

  #seriesOf(name: string, labels: Readonly<Record<string, string>>): SampleSeries | undefined {
    let byLabels = this.#byName.get(name);
    if (byLabels === undefined) {
      byLabels = new Map();
      this.#byName.set(name, byLabels);
    }
    const key = labelsKey(labels);
    let series = byLabels.get(key);
    if (series === undefined) {
      if (this.#count >= this.#options.seriesLimit) return undefined;
      series = new SampleSeries(labels, this.#tiers(name));
      byLabels.set(key, series);
      this.#count += 1;
    }
    return series;
  }
}

function targetKey({ job, instance }: Target): string {
  return `${job.length}:${job}${instance}`;
}

function labelsKey(labels: Readonly<Record<string, string>>): string {
  let key = '';
  for (const name of Object.keys(labels).sort()) {
    const value = labels[name] as string;
    if (value !== '') key += `${name}=${value.length}:${value};`;
  }
  return key;
}
