/** Where the slow (or failed) queries are: whether one value of a dimension has them, or all alike. */
import type { PlaceDimension, PlaceFinding } from '../contract/evidence.ts';
import type { QueryLedger } from './evidence_input.ts';

const DIMENSIONS: readonly PlaceDimension[] = ['model', 'version', 'worker', 'priority', 'tenant'];
/** Values with less traffic than this in the window say nothing. */
const MIN_QUERIES = 5;
/** A value is affected when its share of marked queries is at least this part of the worst value's. */
const AFFECTED_SHARE = 0.4;

/**
 * One finding per dimension that has at least one value with traffic; none for a dimension that most marked queries
 * have no value of: they ended before it.
 * @param isMarked slow, or failed
 */
export function findPlaces(
  queries: readonly QueryLedger[],
  isMarked: (query: QueryLedger) => boolean,
): PlaceFinding[] {
  const marked = queries.filter(isMarked).length;
  return DIMENSIONS.flatMap((dimension) => {
    const counts = new Map<string, { all: number; marked: number }>();
    let withoutValue = 0;
    for (const query of queries) {
      const value = query[dimension];
      if (value === undefined || value === '') {
        if (isMarked(query)) withoutValue += 1;
        continue;
      }
      const count = counts.get(value) ?? { all: 0, marked: 0 };
      count.all += 1;
      if (isMarked(query)) count.marked += 1;
      counts.set(value, count);
    }
    const shares = [...counts]
      .filter(([, { all }]) => all >= MIN_QUERIES)
      .map(([value, { all, marked }]) => ({ value, share: marked / all }));
    const worst = Math.max(0, ...shares.map(({ share }) => share));
    if (worst === 0 || withoutValue * 2 > marked) return [];
    const values = shares.filter(({ share }) => share >= AFFECTED_SHARE * worst).map(({ value }) => value);
    return [{ dimension, values: values.toSorted(), all: values.length === shares.length }];
  });
}
