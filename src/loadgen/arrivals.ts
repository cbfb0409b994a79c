/**
 * When an open loop intends to send. Users do not wait for each other, so their arrivals are independent of
 * the answers: a Poisson process, whose gaps are exponential with mean 1/rate and variance 1/rate^2.
 */
import type { Random } from './random.ts';

/** `uniform` spaces arrivals evenly: for a steady drip, not as a picture of users. */
export const ARRIVAL_KINDS = ['poisson', 'uniform'] as const;
export type ArrivalKind = (typeof ARRIVAL_KINDS)[number];

/** The intended send times, in order. */
export interface Arrivals {
  /** The next intended time without taking it, in milliseconds from the start of the run. */
  peekMs(): number;
  /** Takes the next intended time and moves on. */
  takeMs(): number;
}

/**
 * An endless sequence of intended times, rising. The first stands one gap after the start.
 * @param ratePerS mean arrivals per second, more than 0
 */
export function createArrivals(kind: ArrivalKind, ratePerS: number, random: Random): Arrivals {
  const meanGapMs = 1000 / ratePerS;
  // 1 - u lies in (0, 1], so the logarithm is finite.
  const gapMs = kind === 'poisson' ? () => -Math.log(1 - random()) * meanGapMs : () => meanGapMs;
  let nextMs = gapMs();
  return {
    peekMs: () => nextMs,
    takeMs: () => {
      const takenMs = nextMs;
      nextMs += gapMs();
      return takenMs;
    },
  };
}
