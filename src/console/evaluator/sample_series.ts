/**
 * Samples of one series, by time, in steps of time: every scrape for a while, then one per minute, then one per
 * five minutes. A step keeps the last sample of its interval with its own timestamp. Of a counter it also keeps
 * the very first sample and the last one before each reset, so that no increase is lost on the way down.
 */

/** Times in Unix milliseconds, ascending. */
export interface Samples {
  readonly times: readonly number[];
  readonly values: readonly number[];
}

export interface Tier {
  /** 0 keeps every sample. */
  readonly stepMs: number;
  readonly retentionMs: number;
}

class Column {
  readonly tier: Tier;
  readonly #isCounter: boolean;
  times: number[] = [];
  values: number[] = [];
  /** First index that is still held; the front is cut away when it has become long. */
  #start = 0;

  constructor(tier: Tier, isCounter: boolean) {
    this.tier = tier;
    this.#isCounter = isCounter;
  }

  append(timeMs: number, value: number): void {
    const last = this.times.length - 1;
    const { stepMs } = this.tier;
    if (
      stepMs > 0 &&
      last > this.#start &&
      Math.floor((this.times[last] as number) / stepMs) === Math.floor(timeMs / stepMs) &&
      (!this.#isCounter || this.#mayReplaceLast(value))
    ) {
      this.times[last] = timeMs;
      this.values[last] = value;
      return;
    }
    this.times.push(timeMs);
    this.values.push(value);
  }

  /** Without it a reset, or growth up to one, would be lost. */
  #mayReplaceLast(value: number): boolean {
    const last = this.values.at(-1) as number;
    const before = this.values.at(-2) as number;
    const followsReset = last < before;
    return !(value < last) && (!followsReset || value < before);
  }

  expire(nowMs: number): void {
    const oldestMs = nowMs - this.tier.retentionMs;
    while (this.#start < this.times.length && (this.times[this.#start] as number) <= oldestMs)
      this.#start += 1;
    if (this.#start > 64 && this.#start * 4 > this.times.length) {
      this.times = this.times.slice(this.#start);
      this.values = this.values.slice(this.#start);
      this.#start = 0;
    }
  }

  shift(deltaMs: number): void {
    this.times = this.times.map((timeMs) => timeMs + deltaMs);
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

  between(afterMs: number, toMs: number): Samples {
    const first = this.after(afterMs);
    const end = this.after(toMs);
    if (first >= end) return NO_SAMPLES;
    return { times: this.times.slice(first, end), values: this.values.slice(first, end) };
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

  /** @param tiers finest first */
  constructor(labels: Readonly<Record<string, string>>, tiers: readonly Tier[], isCounter: boolean) {
    this.labels = labels;
    this.#columns = tiers.map((tier) => new Column(tier, isCounter));
  }

  /** A sample that is not newer than the last is refused, so that nothing is counted twice. */
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

  /** The clock was set: everything moves with it. */
  shift(deltaMs: number): void {
    for (const column of this.#columns) column.shift(deltaMs);
    this.#staleMs = this.#staleMs.map((timeMs) => timeMs + deltaMs);
    this.#lastMs += deltaMs;
  }

  get empty(): boolean {
    return this.#columns.every((column) => column.count === 0);
  }

  get lastMs(): number {
    return this.#lastMs;
  }

  /** The samples in (fromMs, toMs], from the finest step that still reaches back to fromMs at nowMs. */
  window(fromMs: number, toMs: number, nowMs: number): Samples {
    const column =
      this.#columns.find(({ tier }) => fromMs >= nowMs - tier.retentionMs) ??
      (this.#columns.at(-1) as Column);
    return column.between(fromMs, toMs);
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

  /** One tier's samples in (afterMs, toMs], for keeping; none of a tier that the series lacks. */
  tierSamples(tier: number, afterMs: number, toMs: number): Samples {
    return this.#columns[tier]?.between(afterMs, toMs) ?? NO_SAMPLES;
  }

  staleAfter(timeMs: number): readonly number[] {
    return this.#staleMs.filter((staleMs) => staleMs > timeMs);
  }

  /** Puts a kept sample back at the end of its tier; coarser tiers are brought up to date by finishRestore. */
  restoreSample(tier: number, timeMs: number, value: number): void {
    const column = this.#columns[tier];
    if (column === undefined || timeMs <= (column.times.at(-1) ?? Number.NEGATIVE_INFINITY)) return;
    column.times.push(timeMs);
    column.values.push(value);
    this.#lastMs = Math.max(this.#lastMs, timeMs);
  }

  restoreStale(timeMs: number): void {
    if (timeMs > (this.#staleMs.at(-1) ?? Number.NEGATIVE_INFINITY)) this.#staleMs.push(timeMs);
  }

  /** Samples that only the finest tier was kept with go into the coarser ones as they would have. */
  finishRestore(): void {
    const [finest, ...coarser] = this.#columns;
    if (finest === undefined) return;
    for (const column of coarser) {
      const { times, values } = finest.between(column.times.at(-1) ?? Number.NEGATIVE_INFINITY, Infinity);
      for (const [index, timeMs] of times.entries()) column.append(timeMs, values[index] as number);
    }
  }
}
