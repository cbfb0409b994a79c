/** Alternating rounds, and what their ratios say. */

/** Over rounds. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly rounds: number;
}

/** @throws RangeError without values */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) throw new RangeError('no rounds to take a spread of');
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? max;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? min) + upper) / 2;
  return { min, median, max, rounds: sorted.length };
}

/** Spread of the quotients of rounds of the same number. */
export function ratioOf(above: readonly number[], below: readonly number[]): Spread {
  return spreadOf(above.map((value, round) => value / (below[round] ?? Number.NaN)));
}

/**
 * Runs the sides in turn, A B A B ..., so that what drifts on the machine meets all of them.
 * @returns one list per side, by round
 */
export async function alternate<Side extends string, T>(
  rounds: number,
  sides: Readonly<Record<Side, () => Promise<T>>>,
  progress: (text: string) => void,
): Promise<Record<Side, T[]>> {
  const names = Object.keys(sides) as Side[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Side, T[]>;
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of names) {
      progress(`round ${round} of ${rounds}, ${name}`);
      results[name].push(await sides[name]());
    }
  }
  return results;
}
