import { describe, expect, test } from 'vitest';
import { type ArrivalKind, createArrivals } from './arrivals.ts';
import { createRandom } from './random.ts';

function gapsMs(kind: ArrivalKind, ratePerS: number, seed: number, count: number): number[] {
  const arrivals = createArrivals(kind, ratePerS, createRandom(seed));
  let lastMs = 0;
  return Array.from({ length: count }, () => {
    const peekedMs = arrivals.peekMs();
    const atMs = arrivals.takeMs();
    expect(atMs).toBe(peekedMs);
    const gapMs = atMs - lastMs;
    lastMs = atMs;
    return gapMs;
  });
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('poisson arrivals', () => {
  test.each([1, 7, 4_000_000_000])('seed %d: gaps have mean 1/rate and variance 1/rate^2', (seed) => {
    const gaps = gapsMs('poisson', 200, seed, 50_000);
    const meanMs = meanOf(gaps);
    const variance = meanOf(gaps.map((gap) => (gap - meanMs) ** 2));
    // Standard errors at this count are 0.45 % and 1.3 %.
    expect(meanMs).toBeGreaterThan(5 * 0.98);
    expect(meanMs).toBeLessThan(5 * 1.02);
    expect(variance).toBeGreaterThan(25 * 0.94);
    expect(variance).toBeLessThan(25 * 1.06);
  });

  test('counts per window scatter as a Poisson count does: variance equals mean', () => {
    const arrivals = createArrivals('poisson', 1000, createRandom(3));
    const counts = Array.from({ length: 5_000 }, (_, window) => {
      let count = 0;
      for (; arrivals.peekMs() < (window + 1) * 10; arrivals.takeMs()) count += 1;
      return count;
    });
    const mean = meanOf(counts);
    const variance = meanOf(counts.map((count) => (count - mean) ** 2));
    expect(mean).toBeCloseTo(10, 0);
    expect(variance / mean).toBeGreaterThan(0.9);
    expect(variance / mean).toBeLessThan(1.1);
  });

  test('the seed decides', () => {
    expect(gapsMs('poisson', 50, 9, 100)).toEqual(gapsMs('poisson', 50, 9, 100));
    expect(gapsMs('poisson', 50, 9, 100)).not.toEqual(gapsMs('poisson', 50, 10, 100));
  });
});

test.each(['poisson', 'uniform'] as const)('%s arrivals on a ramp: counts follow its square', (kind) => {
  const arrivals = createArrivals(kind, 10, createRandom(5), 40);
  let count = 0;
  const until = (seconds: number): number => {
    for (; arrivals.peekMs() < seconds * 1000; arrivals.takeMs()) count += 1;
    return count;
  };
  // 10 t + 20 t^2; four standard deviations of a Poisson count beside it.
  for (const [seconds, mean] of [
    [5, 550],
    [10, 2100],
    [20, 8200],
  ] as const) {
    expect(Math.abs(until(seconds) - mean)).toBeLessThan(4 * Math.sqrt(mean));
  }
});

test('uniform arrivals are evenly spaced', () => {
  for (const gap of gapsMs('uniform', 250, 1, 100)) expect(gap).toBeCloseTo(4, 9);
});

test('random numbers are uniform in [0, 1)', () => {
  const random = createRandom(0);
  const cells = new Array<number>(10).fill(0);
  for (let index = 0; index < 100_000; index += 1) {
    const value = random();
    expect(value >= 0 && value < 1).toBe(true);
    const cell = Math.floor(value * 10);
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
  // Ten standard deviations of a cell are 949.
  for (const cell of cells) expect(Math.abs(cell - 10_000)).toBeLessThan(949);
});
