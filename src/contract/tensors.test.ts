import { describe, expect, test } from 'vitest';
import { VitrineError } from './errors.ts';
import { countElements } from './tensors.ts';

const LIMITS = { maxRank: 4, maxElements: 1_000 };

function refusal(shape: unknown): VitrineError {
  try {
    countElements(shape, 'inputs[0].shape', LIMITS);
  } catch (error) {
    if (error instanceof VitrineError) return error;
    throw error;
  }
  throw new Error('the shape was accepted');
}

describe('countElements', () => {
  test.each([
    [[], 1],
    [[0], 0],
    [[1_000], 1_000],
    [[10, 10, 10], 1_000],
    [[500, 0, 2], 0],
    [[1, 1, 1, 1], 1],
  ])('%j holds %i', (shape, count) => {
    expect(countElements(shape, 'inputs[0].shape', LIMITS)).toBe(count);
  });

  test.each([
    ['no array', 3, 'inputs[0].shape', 'array of dimensions'],
    ['an object', { length: 1, 0: 1 }, 'inputs[0].shape', 'array of dimensions'],
    ['rank', [1, 1, 1, 1, 1], 'inputs[0].shape', 'at most 4'],
    ['negative', [2, -1], 'inputs[0].shape[1]', 'is -1'],
    ['fractional', [1.5], 'inputs[0].shape[0]', 'is 1.5'],
    ['infinite', [Number.POSITIVE_INFINITY], 'inputs[0].shape[0]', 'whole number'],
    ['a string', ['2'], 'inputs[0].shape[0]', 'JSON string'],
    ['null', [null], 'inputs[0].shape[0]', 'null'],
    ['huge', [1_001], 'inputs[0].shape[0]', 'limit of 1000'],
    ['beyond 2^53', [2 ** 60], 'inputs[0].shape[0]', 'limit of 1000'],
    ['product', [500, 2, 2], 'inputs[0].shape[2]', 'limit of 1000'],
    // 2^32 * 2^32 wraps to 0 in 64 bits.
    ['overflow', [2 ** 32, 2 ** 32], 'inputs[0].shape[0]', 'limit of 1000'],
    ['a zero does not hide an overflow', [0, 900, 900], 'inputs[0].shape[2]', 'limit of 1000'],
  ])('refuses %s', (_name, shape, field, text) => {
    const error = refusal(shape);
    expect(error.code).toBe('invalid_tensor');
    expect(error.field).toBe(field);
    expect(error.message).toContain(field);
    expect(error.message).toContain(text);
  });
});
