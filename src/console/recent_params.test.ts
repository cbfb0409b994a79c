import { expect, test } from 'vitest';
import { readRecentParameters } from './recent_params.ts';

const read = (search: string) => readRecentParameters(new URLSearchParams(search));

test('absent and empty parameters do not restrict', () => {
  expect(read('')).toEqual({ limit: 50, filters: {} });
  expect(read('limit=&model=&error=&minDurationUs=')).toEqual({ limit: 50, filters: {} });
});

test('all of them', () => {
  expect(
    read(
      'limit=200&service=s&operation=o&model=m&outcome=ok&error=false&minDurationUs=0&startMinUs=1&startMaxUs=2',
    ),
  ).toEqual({
    limit: 200,
    filters: {
      service: 's',
      operation: 'o',
      model: 'm',
      outcome: 'ok',
      error: false,
      minDurationUs: 0,
      startMinUs: 1,
      startMaxUs: 2,
    },
  });
});

test.each([
  ['limit=201', 'limit', 'limit must be a whole number from 0 to 200'],
  ['limit=-1', 'limit', 'limit must be a whole number from 0 to 200'],
  ['limit=1.5', 'limit', 'limit must be a whole number from 0 to 200'],
  ['limit=ten', 'limit', 'limit must be a whole number from 0 to 200'],
  ['minDurationUs=1e30', 'minDurationUs', 'minDurationUs must be a whole number from 0 to 86400000000'],
  ['startMaxUs=-5', 'startMaxUs', 'startMaxUs must be a whole number from 0 to 9007199254740991'],
  ['error=yes', 'error', 'error must be true or false'],
  [`model=${'x'.repeat(257)}`, 'model', 'model may have at most 256 characters'],
])('%s is refused, by name', (search, field, message) => {
  expect(() => read(search)).toThrowError(expect.objectContaining({ status: 400, field, message }));
});
