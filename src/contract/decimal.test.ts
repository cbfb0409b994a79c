import { expect, test } from 'vitest';
import { formatThousandths } from './decimal.ts';

test('thousandths read as the runtime writes their quotient', () => {
  const values = [0, 1, 10, 100, 999, 1000, 1001, 1010, 1200, 999_999, 1_000_000, 2 ** 40, -1, -500, -1500];
  for (let value = 0; value < 20_000; value += 7) values.push(value);
  for (const value of values) expect(formatThousandths(value)).toBe(String(value / 1000));
});

test('what is no whole number is still a number as text', () => {
  expect(formatThousandths(0.5)).toBe('0.0005');
  expect(formatThousandths(Number.NaN)).toBe('NaN');
  expect(formatThousandths(Number.POSITIVE_INFINITY)).toBe('Infinity');
});
