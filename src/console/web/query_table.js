/** The table of queries: rows by query, newest first, kept in place while they are refreshed. */
import { h } from './dom.js';
import { OUTCOMES } from './names.js';
import { clean, clockText, dateText, durationText } from './text.js';

/**
 * @typedef {object} RecentQuery as `/console/recent` tells it
 * @property {string} traceId
 * @property {string} spanId
 * @property {number} startUs
 * @property {number} durationUs
 * @property {string} service
 * @property {string} operation
 * @property {string} outcome
 * @property {string} model
 * @property {string} httpStatus
 * @property {string} errorCode
 * @property {boolean} error
 * @property {number} spanCount
 * @property {number} errorSpanCount
 */
/** @typedef {{query: RecentQuery, element: HTMLTableRowElement, gauge: HTMLElement}} Row */

const COLUMNS = ['Time', 'Model', 'Outcome', 'Total', 'Spans', 'Trace'];
const FAILURES = ['error', 'expired', 'rejected'];

/** @param {RecentQuery} query */
const keyOf = (query) => `${query.traceId}-${query.spanId}`;

/** @param {RecentQuery} query */
function outcomeOf(query) {
  return query.outcome === '' ? (query.error ? 'error' : '–') : query.outcome;
}

/** @param {string} outcome */
export function outcomeClass(outcome) {
  if (outcome === 'ok') return 'good';
  if (FAILURES.includes(outcome)) return 'bad';
  return OUTCOMES.includes(outcome) ? 'warn' : 'none';
}

/** @param {string} name @param {...(Node | string | false)} children */
function cell(name, ...children) {
  return h('td', { class: name, attrs: { role: 'cell' } }, ...children);
}

/** @param {RecentQuery} query @param {string} today @returns {Row} */
function rowOf(query, today) {
  const startMs = query.startUs / 1000;
  const start = new Date(startMs).toISOString();
  const day = dateText(startMs);
  const outcome = outcomeOf(query);
  const model = clean(query.model === '' ? query.operation : query.model, 80);
  const duration = durationText(query.durationUs / 1000);
  const gauge = h('div', { class: 'gauge-fill' });
  const isWhy = outcome !== 'ok' && query.httpStatus !== '';
  const isFailed = query.errorSpanCount > 0;
  const id = query.traceId.slice(0, 8);
  const href = `/trace/${encodeURIComponent(query.traceId)}#${encodeURIComponent(query.spanId)}`;
  const modelCell = cell('model', model);
  modelCell.title = `${clean(query.service, 120)}: ${clean(query.operation, 200)}`;
  const element = h(
    'tr',
    { attrs: { role: 'row' } },
    cell(
      'time',
      h(
        'time',
        { attrs: { datetime: start, title: start } },
        day !== today && h('span', { class: 'muted' }, `${day} `),
        clockText(startMs),
      ),
    ),
    modelCell,
    cell(
      'outcome',
      h('span', { class: `badge ${outcomeClass(outcome)}` }, clean(outcome, 40)),
      isWhy && h('span', { class: 'why' }, ` ${clean(query.httpStatus, 8)}`),
      isWhy && h('span', { class: 'why code' }, ` ${clean(query.errorCode, 60)}`),
    ),
    cell(
      'total',
      h(
        'div',
        { class: 'total-line' },
        h('span', { class: 'number' }, duration),
        h('div', { class: 'gauge', attrs: { 'aria-hidden': 'true' } }, gauge),
      ),
    ),
    cell(
      `spans${isFailed ? ' failed' : ''}`,
      h('span', { class: 'number' }, String(query.spanCount)),
      isFailed && `, ${query.errorSpanCount} ✕`,
      isFailed && h('span', { class: 'hidden' }, ' failed'),
    ),
    cell(
      'trace',
      h(
        'a',
        { attrs: { href, 'aria-label': `Trace ${id}, ${model}, ${clean(outcome, 40)}, ${duration}` } },
        id,
      ),
    ),
  );
  return { query, element, gauge };
}

/** @param {RecentQuery} a @param {RecentQuery} b whether two answers about one query tell the same */
function isSame(a, b) {
  return a.spanCount === b.spanCount && a.errorSpanCount === b.errorSpanCount;
}

export function queryTable() {
  /** @type {Map<string, Row>} */
  let rows = new Map();
  const body = h('tbody', { attrs: { role: 'rowgroup' } });
  const header = COLUMNS.map((name) =>
    h('th', { class: name.toLowerCase(), attrs: { scope: 'col', role: 'columnheader' } }, name),
  );
  // Narrow windows show a row as a card, which would take the meaning of a table away without the roles.
  const element = h(
    'table',
    { class: 'queries', attrs: { role: 'table', 'aria-label': 'Newest queries' } },
    h('thead', { attrs: { role: 'rowgroup' } }, h('tr', { attrs: { role: 'row' } }, ...header)),
    body,
  );

  const draw = () => {
    const sorted = [...rows.values()].sort((a, b) => b.query.startUs - a.query.startUs);
    const longestUs = Math.max(...sorted.map(({ query }) => query.durationUs), 1);
    /** @type {Element | null} */
    let at = body.firstElementChild;
    for (const row of sorted) {
      row.gauge.style.setProperty('width', `${Math.max(1, (row.query.durationUs / longestUs) * 100)}%`);
      if (at === row.element) at = at.nextElementSibling;
      else body.insertBefore(row.element, at);
    }
    while (at !== null) {
      const gone = at;
      at = at.nextElementSibling;
      gone.remove();
    }
    element.hidden = rows.size === 0;
  };
  draw();

  return {
    element,
    size: () => rows.size,
    /** Start of the oldest query that is shown. */
    oldestUs: () => Math.min(...[...rows.values()].map(({ query }) => query.startUs)),
    /** @param {RecentQuery} query */
    has: (query) => rows.has(keyOf(query)),
    /**
     * @param {readonly RecentQuery[]} queries
     * @param {boolean} isAll whether every other row goes
     */
    take(queries, isAll) {
      const today = dateText(Date.now());
      /** @type {Map<string, Row>} */
      const kept = isAll ? new Map() : new Map(rows);
      for (const query of queries) {
        const held = rows.get(keyOf(query));
        if (held === undefined || isSame(held.query, query)) {
          kept.set(keyOf(query), held ?? rowOf(query, today));
          continue;
        }
        // A query of which more spans arrived keeps its row's place, and the focus.
        const row = rowOf(query, today);
        const isFocused = held.element.contains(document.activeElement);
        held.element.replaceWith(row.element);
        if (isFocused) row.element.querySelector('a')?.focus();
        kept.set(keyOf(query), row);
      }
      rows = kept;
      draw();
    },
  };
}
