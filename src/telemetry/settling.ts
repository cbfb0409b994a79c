/**
 * Records that are closed and not yet written and counted. They wait a few milliseconds for each other, because
 * between two queries the processor's caches belong to the serving code: a record that is settled alone pays for
 * bringing its code, its series and the ring back in, and settling many in a row pays for that once.
 *
 * Bounded: at most SETTLING_LIMIT wait; the next one settles all. Whoever reads what they become (a scrape, a
 * drain) settles first, so nobody sees a query that ended and is not counted.
 */
const SETTLING_LIMIT = 32;

export interface Closed {
  /** Writes and counts the record. Called once. */
  settle(): void;
}

export interface Settling {
  add(record: Closed): void;
}

export interface SettlingQueue extends Settling {
  /** Settles all that wait. */
  settle(): void;
}

export function createSettling(): SettlingQueue {
  let waiting: Closed[] = [];
  const settle = (): void => {
    if (waiting.length === 0) return;
    const records = waiting;
    waiting = [];
    for (const record of records) record.settle();
  };
  return {
    add(record) {
      waiting.push(record);
      if (waiting.length >= SETTLING_LIMIT) settle();
    },
    settle,
  };
}
