import { describe, expect, test } from 'vitest';
import { fromFloat16Bits, toFloat16Bits } from './float16.ts';

/** The engine's own rounding, which ES2025 adds; the types of this project are older. */
const { f16round } = Math as unknown as { f16round(value: number): number };

const ALL_BITS = Array.from({ length: 0x1_0000 }, (_, bits) => bits);

describe('FP16', () => {
  test('every pattern of bits reads as a number that the engine rounds to itself, and comes back', () => {
    const wrong = ALL_BITS.filter((bits) => {
      const value = fromFloat16Bits(bits);
      if (Number.isNaN(value)) return (bits & 0x7c00) !== 0x7c00 || (bits & 0x3ff) === 0;
      return !Object.is(f16round(value), value) || toFloat16Bits(value) !== bits;
    });
    expect(wrong).toEqual([]);
    expect(fromFloat16Bits(0x3c00)).toBe(1);
    expect(fromFloat16Bits(0xc000)).toBe(-2);
    expect(fromFloat16Bits(0x7bff)).toBe(65_504);
    expect(fromFloat16Bits(0x0001)).toBe(2 ** -24);
    expect(fromFloat16Bits(0xfc00)).toBe(Number.NEGATIVE_INFINITY);
  });

  test('rounds as the engine does, at each midpoint and one double to either side', () => {
    const float64 = new Float64Array(1);
    const integer = new BigInt64Array(float64.buffer);
    const wrong: number[] = [];
    for (let bits = 0; bits < 0x7bff; bits += 1) {
      float64[0] = (fromFloat16Bits(bits) + fromFloat16Bits(bits + 1)) / 2;
      const middle = integer[0] ?? 0n;
      for (const step of [-1n, 0n, 1n]) {
        integer[0] = middle + step;
        const value = float64[0];
        for (const signed of [value, -value]) {
          if (!Object.is(fromFloat16Bits(toFloat16Bits(signed)), f16round(signed))) wrong.push(signed);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  test('does not round twice by way of FP32', () => {
    // Just above a midpoint of FP16, but FP32 rounds it down onto that midpoint.
    const value = 1 + 2 ** -11 + 2 ** -30;
    expect(toFloat16Bits(value)).toBe(0x3c01);
    expect(toFloat16Bits(Math.fround(value))).toBe(0x3c00);
  });

  test.each([
    [65_519.99, 0x7bff],
    [65_520, 0x7c00],
    [-65_520, 0xfc00],
    [2 ** -25, 0],
    [2 ** -25 * 1.0001, 1],
    [-0, 0x8000],
    [Number.MIN_VALUE, 0],
    [Number.NaN, 0x7e00],
  ])('%d becomes %i', (value, bits) => {
    expect(toFloat16Bits(value)).toBe(bits);
  });
});
