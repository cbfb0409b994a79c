import { expect, test } from 'vitest';
import { readRecentParameters } from '../recent_params.ts';
import { filtersSearch, isFiltered, NO_FILTERS, readFilters, recentSearch } from './filters.js';

test('filters survive the address', () => {
  const filters = { model: 'a b&c=d', outcome: 'error', minMs: 12.5, errors: true };
  expect(readFilters(filtersSearch(filters))).toEqual(filters);
  expect(filtersSearch(NO_FILTERS)).toBe('');
  expect(isFiltered(NO_FILTERS)).toBe(false);
  expect(isFiltered(filters)).toBe(true);
});

test('what cannot be read is no filter', () => {
  expect(readFilters('?min_ms=abc&errors=1')).toEqual(NO_FILTERS);
  expect(readFilters('?min_ms=-5')).toEqual(NO_FILTERS);
  expect(readFilters('?min_ms=1e99')).toEqual(NO_FILTERS);
  expect(readFilters(`?model=${'x'.repeat(999)}`).model).toHaveLength(256);
});

test('the console takes what the page asks', () => {
  const search = recentSearch(
    { model: 'm', outcome: 'ok', minMs: 1.5, errors: true },
    50,
    1_700_000_000_000_000,
  );
  expect(readRecentParameters(new URLSearchParams(search))).toEqual({
    limit: 50,
    filters: {
      model: 'm',
      outcome: 'ok',
      minDurationUs: 1500,
      error: true,
      startMaxUs: 1_700_000_000_000_000,
    },
  });
  expect(readRecentParameters(new URLSearchParams(recentSearch(NO_FILTERS, 7)))).toEqual({
    limit: 7,
    filters: {},
  });
});
