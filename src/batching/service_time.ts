/**
 * How long a run of so many rows takes, and how many rows an executor gets through: moving estimates of what
 * was measured. They decide when a waiting batch must close so that its members keep their deadlines, and
 * what `Retry-After` says when a queue is full.
 */

/** Weight of a new measurement in the mean and in the deviation: RFC 6298, alpha and beta. */
const MEAN_WEIGHT = 1 / 8;
const DEVIATION_WEIGHT = 1 / 4;
/** Deviations above the mean that an expected time allows for: RFC 6298, K. */
const DEVIATIONS = 4;
/** Run sizes are told apart by powers of two: 1, 2, 3-4, 5-8, ... up to 2^16 rows. */
const SIZE_CLASSES = 17;

export class ServiceTime {
  /** By size class, in milliseconds; NaN until the first measurement. */
  readonly #meanMs = new Float64Array(SIZE_CLASSES).fill(Number.NaN);
  readonly #deviationMs = new Float64Array(SIZE_CLASSES);
  #rows = 0;
  #ms = 0;

  /** Records a run of `rows` rows that kept its executor for `ms` milliseconds. */
  observe(rows: number, ms: number): void {
    const index = sizeClass(rows);
    const mean = this.#meanMs[index] ?? Number.NaN;
    if (Number.isNaN(mean)) {
      this.#meanMs[index] = ms;
      this.#deviationMs[index] = ms / 2;
    } else {
      const deviation = this.#deviationMs[index] ?? 0;
      this.#deviationMs[index] = deviation + DEVIATION_WEIGHT * (Math.abs(ms - mean) - deviation);
      this.#meanMs[index] = mean + MEAN_WEIGHT * (ms - mean);
    }
    this.#rows += MEAN_WEIGHT * (rows - this.#rows);
    this.#ms += MEAN_WEIGHT * (ms - this.#ms);
  }

  /**
   * Milliseconds that a run of `rows` rows keeps an executor, with a margin for its spread. For a size never
   * seen: what the next larger one takes, else the next smaller; 0 before any measurement.
   */
  expectedMs(rows: number): number {
    const index = sizeClass(rows);
    for (let at = index; at < SIZE_CLASSES; at += 1) {
      const mean = this.#meanMs[at] ?? Number.NaN;
      if (!Number.isNaN(mean)) return mean + DEVIATIONS * (this.#deviationMs[at] ?? 0);
    }
    for (let at = index - 1; at >= 0; at -= 1) {
      const mean = this.#meanMs[at] ?? Number.NaN;
      if (!Number.isNaN(mean)) return mean + DEVIATIONS * (this.#deviationMs[at] ?? 0);
    }
    return 0;
  }

  /** Rows that one executor gets through in a second, in runs as large as the last ones; 0 before any. */
  rowsPerS(): number {
    return this.#ms > 0 ? (this.#rows / this.#ms) * 1000 : 0;
  }
}

function sizeClass(rows: number): number {
  return Math.min(SIZE_CLASSES - 1, 32 - Math.clz32(Math.max(1, rows) - 1));
}
