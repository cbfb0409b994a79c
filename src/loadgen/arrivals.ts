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
 *
 * With a ramp the rate rises, so that by time t there are `ratePerS` t + `rampPerS2` t^2 / 2 arrivals on average;
 * each gap is drawn in that count and turned back into time, which keeps a Poisson process one (inversion: Cinlar,
 * Introduction to Stochastic Processes, 1975).
 * @param ratePerS mean arrivals per second at the start, more than 0
 * @param rampPerS2 by how much that rises each second; 0 unless told
 */
export function createArrivals(kind: ArrivalKind, ratePerS: number, random: Random, rampPerS2 = 0): Arrivals {
  // 1 - u lies in (0, 1], so the logarithm is finite.
  const gap = kind === 'poisson' ? () => -Math.log(1 - random()) : () => 1;
  let count = gap();
  const timeMs = (): number =>
    rampPerS2 === 0
      ? (count * 1000) / ratePerS
      : ((Math.sqrt(ratePerS * ratePerS + 2 * rampPerS2 * count) - ratePerS) / rampPerS2) * 1000;
  let nextMs = timeMs();
  return {
    peekMs: () => nextMs,
    takeMs: () => {
      const takenMs = nextMs;
      count += gap();
      nextMs = timeMs();
      return takenMs;
    },
  };
}
