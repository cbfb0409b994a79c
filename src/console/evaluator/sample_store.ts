/**
 * The evaluator's samples: the series that rules, objectives and evidence ask for, of every target, in up to
 * three steps of time (2 h of every scrape, 2 days by the minute, 35 days by five minutes, as far back as a
 * series is asked for). In memory for evaluation; sample_archive.ts keeps them across a restart.
 *
 * Bounded: what nobody asks for is passed over; beyond SERIES_LIMIT series, samples of further ones are counted
 * and left out.
 */
import type { SampleNeed } from '../../slo/evaluator_plan.ts';
import type { Selection } from '../../slo/expression.ts';
import type { ParsedSample } from './exposition_parser.ts';
import { SampleSeries, type Tier } from './sample_series.ts';
import { matches, type SampleSource } from './sample_source.ts';

export interface SampleStoreOptions {
  readonly needs: readonly SampleNeed[];
  /** Divides retention and steps, as it divides windows. */
  readonly timeScale: number;
  readonly seriesLimit: number;
}

export const SERIES_LIMIT = 20_000;

const HOUR_MS = 3_600_000;
/** A little more than two hours, so that a window of two hours that ends a moment ago is read from it. */
const RAW: Tier = { stepMs: 0, retentionMs: 2 * HOUR_MS + 300_000 };
const MINUTE: Tier = { stepMs: 60_000, retentionMs: 48 * HOUR_MS };
const FIVE_MINUTES: Tier = { stepMs: 300_000, retentionMs: 35 * 24 * HOUR_MS };

/** The tiers at a time scale, finest first. */
function scaledTiers(timeScale: number): readonly Tier[] {
  return [RAW, MINUTE, FIVE_MINUTES].map(({ stepMs, retentionMs }) => ({
    stepMs: stepMs / timeScale,
    retentionMs: retentionMs / timeScale,
  }));
}

export interface Target {
  readonly job: string;
  readonly instance: string;
}

export interface NamedSeries {
  readonly name: string;
  readonly series: SampleSeries;
}

/** Histograms are needed whole: a need of `x` reaches `x_bucket`, `x_sum` and `x_count`. */
function baseName(sampleName: string): string {
  return sampleName.replace(/_(?:bucket|sum|count)$/, '');
}

function isCounterName(sampleName: string): boolean {
  return /_(?:total|bucket|sum|count)$/.test(sampleName);
}

export class SampleStore implements SampleSource {
  nowMs = Number.NEGATIVE_INFINITY;
  /** Samples of series beyond the limit. */
  droppedSamples = 0;
  readonly tiers: readonly Tier[];
  readonly #seriesLimit: number;
  readonly #byName = new Map<string, Map<string, SampleSeries>>();
  /** Series of each target's last good scrape, so that those it no longer lists can end. */
  readonly #listed = new Map<string, Set<SampleSeries>>();
  readonly #needs: ReadonlyMap<string, readonly SampleNeed[]>;
  #count = 0;

  constructor(options: SampleStoreOptions) {
    this.#seriesLimit = options.seriesLimit;
    this.tiers = scaledTiers(options.timeScale);
    this.#needs = Map.groupBy(options.needs, ({ metric }) => metric);
  }

  get seriesCount(): number {
    return this.#count;
  }

  select(sampleName: string, where: Selection): readonly SampleSeries[] {
    const series = this.#byName.get(sampleName);
    if (series === undefined) return [];
    return [...series.values()].filter(({ labels }) => matches(labels, where));
  }

  *all(): IterableIterator<NamedSeries> {
    for (const [name, byLabels] of this.#byName) {
      for (const series of byLabels.values()) yield { name, series };
    }
  }

  /** A good scrape: `up` is 1, and what the target listed before and lists no more has ended. */
  record(target: Target, samples: readonly ParsedSample[], timeMs: number): void {
    this.nowMs = Math.max(this.nowMs, timeMs);
    const listed = new Set<SampleSeries>();
    for (const { name, labels, value } of samples) {
      if (!this.#needs.has(name) && !this.#needs.has(baseName(name))) continue;
      const series = this.seriesOf(name, { ...labels, job: target.job, instance: target.instance });
      if (series === undefined) continue;
      series.append(timeMs, value);
      listed.add(series);
    }
    this.#end(target, timeMs, listed);
    this.#listed.set(targetKey(target), listed);
    this.#up(target, 1, timeMs);
  }

  /** A failed scrape: `up` is 0, and every series of the target has ended. */
  recordFailure(target: Target, timeMs: number): void {
    this.nowMs = Math.max(this.nowMs, timeMs);
    this.#end(target, timeMs, new Set());
    this.#listed.delete(targetKey(target));
    this.#up(target, 0, timeMs);
  }

  /** The target is no longer listed: `up` has ended too. */
  forget(target: Target, timeMs: number): void {
    this.#end(target, timeMs, new Set());
    this.#listed.delete(targetKey(target));
    this.seriesOf('up', { ...target })?.markStale(timeMs);
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

  /** The clock was set by so much: what was, was that much earlier or later on it. */
  shift(deltaMs: number): void {
    this.nowMs += deltaMs;
    for (const { series } of this.all()) series.shift(deltaMs);
  }

  /** The series, created when it is new; undefined when nobody asks for it, or beyond the limit. */
  seriesOf(name: string, labels: Readonly<Record<string, string>>): SampleSeries | undefined {
    let byLabels = this.#byName.get(name);
    const key = labelsKey(labels);
    const known = byLabels?.get(key);
    if (known !== undefined) return known;
    const reachMs = this.#reachMs(name, labels);
    if (reachMs === undefined) return undefined;
    if (this.#count >= this.#seriesLimit) {
      this.droppedSamples += 1;
      return undefined;
    }
    const series = new SampleSeries(labels, this.#tiersFor(reachMs), isCounterName(name));
    byLabels ??= new Map();
    this.#byName.set(name, byLabels);
    byLabels.set(key, series);
    this.#count += 1;
    return series;
  }

  #up(target: Target, value: number, timeMs: number): void {
    this.seriesOf('up', { ...target })?.append(timeMs, value);
  }

  #end(target: Target, timeMs: number, listed: ReadonlySet<SampleSeries>): void {
    for (const series of this.#listed.get(targetKey(target)) ?? []) {
      if (!listed.has(series)) series.markStale(timeMs);
    }
  }

  /** How far back the series is asked for; undefined when it is not. `up` always is. */
  #reachMs(name: string, labels: Readonly<Record<string, string>>): number | undefined {
    const needs = this.#needs.get(name) ?? this.#needs.get(baseName(name)) ?? [];
    const asked = needs.filter(({ where }) => matches(labels, where));
    if (asked.length === 0) return name === 'up' ? 0 : undefined;
    return Math.max(...asked.map(({ reachS }) => reachS * 1000));
  }

  #tiersFor(reachMs: number): readonly Tier[] {
    const [raw, minute, fiveMinutes] = this.tiers as readonly [Tier, Tier, Tier];
    if (reachMs <= raw.retentionMs) return [raw];
    return reachMs <= minute.retentionMs ? [raw, minute] : [raw, minute, fiveMinutes];
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
