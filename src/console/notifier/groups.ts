/**
 * When the messages of each group are due, as Alertmanager times them: the first alert of a group waits for others
 * (group wait), later news of the group wait for the group interval, and a group that goes on firing is told again
 * after the repeat interval. Times here are monotonic milliseconds: a clock that is set changes nothing.
 */
export interface GroupIntervals {
  readonly waitMs: number;
  readonly intervalMs: number;
  readonly repeatMs: number;
}

/** Between retries: doubles from BASE to LIMIT; the half of it at random, so that senders do not march in step. */
const BACKOFF_BASE_MS = 1000;
const BACKOFF_LIMIT_MS = 300_000;

/**
 * @param failures from 1
 * @param random from 0 to 1
 */
export function backoffMs(failures: number, random: number): number {
  const fullMs = Math.min(BACKOFF_LIMIT_MS, BACKOFF_BASE_MS * 2 ** Math.min(failures - 1, 30));
  return fullMs / 2 + (fullMs / 2) * random;
}

export interface Group {
  readonly key: string;
  /** Nothing is sent before. */
  dueMs: number;
  /** Failed attempts in a row. */
  failures: number;
}

export class Groups {
  readonly #intervals: GroupIntervals;
  readonly #groups = new Map<string, Group>();

  constructor(intervals: GroupIntervals) {
    this.#intervals = intervals;
  }

  /** There is news of a group: a new group waits for more, a known one for its turn. */
  news(key: string, nowMs: number): void {
    if (!this.#groups.has(key))
      this.#groups.set(key, { key, dueMs: nowMs + this.#intervals.waitMs, failures: 0 });
  }

  /** A group that an earlier process knew. @param waits it has news that nobody took: it has waited enough */
  restore(key: string, waits: boolean, nowMs: number): void {
    const dueMs = waits ? nowMs : nowMs + this.#intervals.intervalMs;
    const known = this.#groups.get(key);
    if (known === undefined) this.#groups.set(key, { key, dueMs, failures: 0 });
    else known.dueMs = Math.min(known.dueMs, dueMs);
  }

  /** Groups whose turn has come, the one that waited longest first. */
  due(nowMs: number): Group[] {
    return [...this.#groups.values()].filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
  }

  /** Its turn is over, whether there was something to say or not. @param more there is more, to be said at once */
  sent(group: Group, more: boolean, nowMs: number): void {
    group.failures = 0;
    group.dueMs = more ? nowMs : nowMs + this.#intervals.intervalMs;
  }

  failed(group: Group, pauseMs: number, nowMs: number): void {
    group.failures += 1;
    group.dueMs = nowMs + pauseMs;
  }

  /** Forgets groups of which nothing is left. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#groups.keys()) if (!keys.has(key)) this.#groups.delete(key);
  }
}
