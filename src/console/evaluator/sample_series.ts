/**
 * Samples of one series, by time, in three steps: every scrape for a while, then one per minute, then one per
 * five minutes. A step keeps the last sample of its interval with its own timestamp, and the one before each
 * reset, so that no increase is lost on the way down.
 */

/** Times in Unix milliseconds, ascending. */
export interface Samples {
  readonly times: readonly number[];
  readonly values: readonly number[];
}

export interface Tier {
  readonly stepMs: number;
  readonly retentionMs: number;
}

class Column {
  readonly tier: Tier;
  times: number[] = [];
  values: number[] = [];
  /** First index that is still held; the front is cut away when it has become long. */
  #start = 0;

  constructor(tier: Tier) {
    this.tier = tier;
  }

  append(timeMs: number, value: number): void {
    const last = this.times.length - 1;
    const { stepMs } = this.tier;
    const sameStep =
      stepMs > 0 &&
      last > this.#start &&
      Math.floor((this.times[last] as number) / stepMs) === Math.floor(timeMs / stepMs) &&
      // The sample before a reset stays: the increase up to it would be lost.
      !(value < (this.values[last] as number));
    if (sameStep) {
      this.times[last] = timeMs;
      this.values[last] = value;
      return;
    }
    this.times.push(timeMs);
    this.values.push(value);
  }

  expire(nowMs: number): void {
    const oldestMs = nowMs - this.tier.retentionMs;
    while (this.#start < this.times.length && (this.times[this.#start] as number) <= oldestMs)
      this.#start += 1;
    if (this.#start > 256 && this.#start * 2 > this.times.length) {
      this.times = this.times.slice(this.#start);
      this.values = this.values.slice(this.#start);
      this.#start = 0;
    }
  }

  get count(): number {
    return this.times.length - this.#start;
  }

  /** Index of the first sample after timeMs. */
  after(timeMs: number): number {
    let low = this.#start;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.times[middle] as number) > timeMs) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

const NO_SAMPLES: Samples = { times: [], values: [] };
/** Stale markers kept; older ones lie before everything that is read. */
const STALE_LIMIT = 64;

export class SampleSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly #columns: readonly Column[];
  /** Times at which the series ended (failed scrape, vanished target, no longer listed). */
  #staleMs: number[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(labels: Readonly<Record<string, string>>, tiers: readonly Tier[]) {
    this.labels = labels;
    this.#columns = tiers.map((tier) => new Column(tier));
  }

  /** A sample that is not newer than the last is refused: a clock that jumped back adds nothing twice. */
  append(timeMs: number, value: number): boolean {
    if (timeMs <= this.#lastMs) return false;
    this.#lastMs = timeMs;
    for (const column of this.#columns) column.append(timeMs, value);
    return true;
  }

  markStale(timeMs: number): void {
    if (this.#lastMs === Number.NEGATIVE_INFINITY) return;
    const last = this.#staleMs.at(-1);
    if (last !== undefined && last >= this.#lastMs) return;
    this.#staleMs.push(timeMs);
    if (this.#staleMs.length > STALE_LIMIT) this.#staleMs = this.#staleMs.slice(-STALE_LIMIT);
  }

  expire(nowMs: number): void {
    for (const column of this.#columns) column.expire(nowMs);
  }

  get empty(): boolean {
    return this.#columns.every((column) => column.count === 0);
  }

  get lastMs(): number {
    return this.#lastMs;
  }

  get sampleCount(): number {
    return this.#columns.reduce((sum, column) => sum + column.count, 0);
  }

  /** The samples in (fromMs, toMs], from the finest step that still reaches back to fromMs at nowMs. */
  window(fromMs: number, toMs: number, nowMs: number): Samples {
    const column =
      this.#columns.find(({ tier }) => fromMs >= nowMs - tier.retentionMs) ??
      (this.#columns.at(-1) as Column);
    const first = column.after(fromMs);
    const end = column.after(toMs);
    if (first >= end) return NO_SAMPLES;
    return { times: column.times.slice(first, end), values: column.values.slice(first, end) };
  }

  /** The newest value in (timeMs - lookbackMs, timeMs], unless the series ended after it. */
  at(timeMs: number, lookbackMs: number, nowMs: number): number | undefined {
    const { times, values } = this.window(timeMs - lookbackMs, timeMs, nowMs);
    const sampleMs = times.at(-1);
    if (sampleMs === undefined) return undefined;
    return this.#staleMs.some((staleMs) => staleMs > sampleMs && staleMs <= timeMs)
      ? undefined
      : values.at(-1);
  }

  /** For keeping: each tier's samples, and when it ended. */
  dump(): { readonly columns: readonly Samples[]; readonly staleMs: readonly number[] } {
    return {
      columns: this.#columns.map((column) => {
        const first = column.after(Number.NEGATIVE_INFINITY);
        return { times: column.times.slice(first), values: column.values.slice(first) };
      }),
      staleMs: this.#staleMs,
    };
  }

  restore(dump: { readonly columns: readonly Samples[]; readonly staleMs: readonly number[] }): void {
    for (const [index, column] of this.#columns.entries()) {
      const samples = dump.columns[index];
      if (samples === undefined) continue;
      column.times = [...samples.times];
      column.values = [...samples.values];
      this.#lastMs = Math.max(this.#lastMs, samples.times.at(-1) ?? Number.NEGATIVE_INFINITY);
    }
    this.#staleMs = [...dump.staleMs];
  }
}
