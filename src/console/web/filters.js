/** The list's filters and their place in the page's address. */

/**
 * @typedef {object} Filters
 * @property {string} model empty: any
 * @property {string} outcome empty: any
 * @property {number} minMs 0: any
 * @property {boolean} errors only queries that failed
 */

/** @type {Filters} */
export const NO_FILTERS = { model: '', outcome: '', minMs: 0, errors: false };
const MIN_LIMIT_MS = 86_400_000;

/**
 * What cannot be read is no filter.
 * @param {string} search as in `location.search`
 * @returns {Filters}
 */
export function readFilters(search) {
  const parameters = new URLSearchParams(search);
  const minMs = Number(parameters.get('min_ms') ?? '');
  return {
    model: (parameters.get('model') ?? '').slice(0, 256),
    outcome: (parameters.get('outcome') ?? '').slice(0, 256),
    minMs: minMs > 0 && minMs <= MIN_LIMIT_MS ? minMs : 0,
    errors: parameters.get('errors') === 'true',
  };
}

/**
 * The page's query string, empty without filters.
 * @param {Filters} filters
 */
export function filtersSearch(filters) {
  const parameters = new URLSearchParams();
  if (filters.model !== '') parameters.set('model', filters.model);
  if (filters.outcome !== '') parameters.set('outcome', filters.outcome);
  if (filters.minMs > 0) parameters.set('min_ms', String(filters.minMs));
  if (filters.errors) parameters.set('errors', 'true');
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** @param {Filters} filters */
export function isFiltered(filters) {
  return filtersSearch(filters) !== '';
}

/**
 * Parameters of `/console/recent`.
 * @param {Filters} filters
 * @param {number} limit
 * @param {number} [startMaxUs] only queries that began then or before
 */
export function recentSearch(filters, limit, startMaxUs) {
  const parameters = new URLSearchParams({ limit: String(limit) });
  if (filters.model !== '') parameters.set('model', filters.model);
  if (filters.outcome !== '') parameters.set('outcome', filters.outcome);
  if (filters.minMs > 0) parameters.set('minDurationUs', String(Math.round(filters.minMs * 1000)));
  if (filters.errors) parameters.set('error', 'true');
  if (startMaxUs !== undefined) parameters.set('startMaxUs', String(startMaxUs));
  return parameters.toString();
}
