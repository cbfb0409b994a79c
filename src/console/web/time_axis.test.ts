import { expect, test } from 'vitest';
import { ticks } from './time_axis.js';

test('marks are round, begin at 0, and are no more than asked for after it', () => {
  expect(ticks(10, 5)).toEqual([0, 2, 4, 6, 8, 10]);
  expect(ticks(4.43, 5)).toEqual([0, 1, 2, 3, 4]);
  expect(ticks(0.0009, 3)).toEqual([0, 0.0005].map((ms) => expect.closeTo(ms, 9)));
  for (const duration of [1e-6, 0.37, 1, 999, 86_400_000]) {
    for (const most of [1, 2, 5, 8]) {
      const marks = ticks(duration, most);
      expect(marks.length).toBeLessThanOrEqual(most + 1);
      expect(marks.at(-1)).toBeLessThanOrEqual(duration * 1.000001);
    }
  }
  expect(ticks(0, 5)).toEqual([0]);
  expect(ticks(Number.NaN, 5)).toEqual([0]);
});
