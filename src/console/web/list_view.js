/** The newest queries, live. */
import { ApiError, consoleJson } from './api.js';
import { announce, fill, h, setText } from './dom.js';
import { filtersSearch, isFiltered, NO_FILTERS, readFilters, recentSearch } from './filters.js';
import { OUTCOMES } from './names.js';
import { curlLine } from './oip.js';
import { repeat } from './repeat.js';
import { storeState } from './store_state.js';
import { clean, clockText, countText, dateText, durationText } from './text.js';
import { tryBox } from './try_view.js';

/** @import {Filters} from './filters.js' */
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
 * @property {boolean} error
 * @property {number} spanCount
 * @property {number} errorSpanCount
 */

const POLL_MS = 2000;
const STATUS_POLL_MS = 10_000;
const PAGE_ROWS = 50;
/** Rows asked for to count what is new while the list is paused; more is told as `50+`. */
const ROWS_LIMIT = 1000;

/** @param {RecentQuery} query */
const keyOf = (query) => `${query.traceId}-${query.spanId}`;

/** @param {RecentQuery} query */
function outcomeOf(query) {
  return query.outcome === '' ? (query.error ? 'error' : '–') : query.outcome;
}

/** @param {string} outcome */
function outcomeClass(outcome) {
  if (outcome === 'ok') return 'good';
  if (['error', 'expired', 'rejected'].includes(outcome)) return 'bad';
  return OUTCOMES.includes(outcome) ? 'warn' : 'none';
}

const COLUMNS = ['Time', 'Model', 'Outcome', 'Total', 'Spans', 'Trace'];

/** @param {RecentQuery} query @param {string} today */
function rowOf(query, today) {
  const startMs = query.startUs / 1000;
  const outcome = outcomeOf(query);
  const day = dateText(startMs);
  const failed = query.errorSpanCount > 0 ? `, ${query.errorSpanCount} failed` : '';
  const gauge = h('div', { class: 'gauge-fill' });
  const element = h(
    'tr',
    { attrs: { role: 'row' } },
    h(
      'td',
      { class: 'time', attrs: { role: 'cell' } },
      h(
        'time',
        { attrs: { datetime: new Date(startMs).toISOString(), title: new Date(startMs).toISOString() } },
        day !== today && h('span', { class: 'muted' }, `${day} `),
        clockText(startMs),
      ),
    ),
    h(
      'td',
      {
        class: 'model',
        attrs: { role: 'cell', title: `${clean(query.service)}: ${clean(query.operation)}` },
      },
      clean(query.model === '' ? query.operation : query.model, 80),
    ),
    h(
      'td',
      { class: 'outcome', attrs: { role: 'cell' } },
      h('span', { class: `badge ${outcomeClass(outcome)}` }, clean(outcome, 40)),
    ),
    h(
      'td',
      { class: 'total', attrs: { role: 'cell' } },
      h('span', { class: 'number' }, durationText(query.durationUs / 1000)),
      h('div', { class: 'gauge', attrs: { 'aria-hidden': 'true' } }, gauge),
    ),
    h(
      'td',
      { class: `spans${query.errorSpanCount > 0 ? ' failed' : ''}`, attrs: { role: 'cell' } },
      h('span', { class: 'number' }, `${query.spanCount}`),
      failed !== '' && h('span', {}, failed),
    ),
    h(
      'td',
      { class: 'trace', attrs: { role: 'cell' } },
      h(
        'a',
        {
          attrs: {
            href: `/trace/${encodeURIComponent(query.traceId)}#${encodeURIComponent(query.spanId)}`,
            'aria-label': `Trace ${query.traceId.slice(0, 8)}, ${clean(query.model, 80)}, ${outcome}, ${durationText(query.durationUs / 1000)}`,
          },
        },
        query.traceId.slice(0, 8),
      ),
    ),
  );
  return { query, element, gauge };
}

/**
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 */
export function showList(main, signal) {
  document.title = 'Queries · Vitrine';
  let filters = readFilters(location.search);
  /** @type {Map<string, ReturnType<typeof rowOf>>} */
  let rows = new Map();
  let paused = false;
  let loaded = false;
  let hasOlder = false;
  /** @type {RecentQuery[]} */
  let waiting = [];
  let generation = 0;
  let gatewayUrl = '';
  /** @type {Set<string>} */
  const models = new Set();

  const body = h('tbody', { attrs: { role: 'rowgroup' } });
  const table = h(
    'table',
    { class: 'queries', attrs: { role: 'table', 'aria-label': 'Newest queries' } },
    h(
      'thead',
      { attrs: { role: 'rowgroup' } },
      h(
        'tr',
        { attrs: { role: 'row' } },
        ...COLUMNS.map((name) =>
          h('th', { class: name.toLowerCase(), attrs: { scope: 'col', role: 'columnheader' } }, name),
        ),
      ),
    ),
    body,
  );
  const empty = h('div', { class: 'empty', attrs: { hidden: true } });
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const pause = h('button', { class: 'pause', attrs: { type: 'button', 'aria-pressed': 'false' } }, 'Pause');
  const newer = h('button', { class: 'newer', attrs: { type: 'button', hidden: true } });
  const older = h('button', { attrs: { type: 'button', hidden: true } }, 'Show older');
  const state = h('div', { class: 'store-state', attrs: { 'aria-label': 'Trace store' } });
  const live = h('span', { class: 'live' }, 'live');

  const model = h('select', { attrs: { id: 'filter-model' } });
  const outcome = h(
    'select',
    { attrs: { id: 'filter-outcome' } },
    h('option', { attrs: { value: '' } }, 'any'),
    ...OUTCOMES.map((each) => h('option', { attrs: { value: each } }, each)),
  );
  const least = h('input', {
    attrs: {
      id: 'filter-min',
      type: 'number',
      min: 0,
      max: 86_400_000,
      step: 'any',
      placeholder: '0',
      inputmode: 'decimal',
    },
  });
  const errors = h('input', { attrs: { id: 'filter-errors', type: 'checkbox' } });
  const clear = h('button', { attrs: { type: 'button', hidden: true } }, 'Clear filters');

  /** @param {string} name */
  const knowModel = (name) => {
    if (name === '' || models.has(name) || models.size >= 500) return;
    models.add(name);
    showModels();
  };
  const showModels = () => {
    const names = [...new Set([...models, ...(filters.model === '' ? [] : [filters.model])])].sort();
    fill(
      model,
      h('option', { attrs: { value: '' } }, 'any'),
      ...names.map((each) => h('option', { attrs: { value: each } }, clean(each, 80))),
    );
    model.value = filters.model;
  };
  const showFilters = () => {
    showModels();
    if (filters.outcome !== '' && !OUTCOMES.includes(filters.outcome)) {
      outcome.append(h('option', { attrs: { value: filters.outcome } }, clean(filters.outcome, 40)));
    }
    outcome.value = filters.outcome;
    least.value = filters.minMs > 0 ? String(filters.minMs) : '';
    errors.checked = filters.errors;
    clear.hidden = !isFiltered(filters);
  };

  const showEmpty = () => {
    empty.hidden = !loaded || rows.size > 0;
    table.hidden = rows.size === 0;
    older.hidden = !hasOlder;
    if (empty.hidden) return;
    if (isFiltered(filters)) {
      fill(
        empty,
        h('h2', {}, 'No query matches'),
        h('p', {}, 'The newest queries that the store holds do not match these filters.'),
      );
      return;
    }
    const line = curlLine(gatewayUrl === '' ? 'http://localhost:8000' : gatewayUrl, 'langid', {
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['Where did the time go?'] }],
    });
    fill(
      empty,
      h('h2', {}, 'No queries yet'),
      h('p', {}, 'Send one from the box on this page, or from a shell; it shows here within a moment:'),
      h('pre', { attrs: { tabindex: '0' } }, h('code', {}, line)),
    );
  };

  const showRows = () => {
    const sorted = [...rows.values()].sort((a, b) => b.query.startUs - a.query.startUs);
    const longestUs = Math.max(...sorted.map(({ query }) => query.durationUs), 1);
    /** @type {Element | null} */
    let at = body.firstElementChild;
    for (const { element, gauge, query } of sorted) {
      gauge.style.setProperty('width', `${Math.max(1, (query.durationUs / longestUs) * 100)}%`);
      if (at === element) at = at.nextElementSibling;
      else body.insertBefore(element, at);
    }
    while (at !== null) {
      const gone = at;
      at = at.nextElementSibling;
      gone.remove();
    }
    showEmpty();
  };

  /** @param {readonly RecentQuery[]} queries @param {boolean} isAll */
  const take = (queries, isAll) => {
    const today = dateText(Date.now());
    const kept = isAll ? new Map() : new Map(rows);
    for (const query of queries) {
      const key = keyOf(query);
      const held = rows.get(key);
      const same =
        held !== undefined &&
        held.query.spanCount === query.spanCount &&
        held.query.errorSpanCount === query.errorSpanCount;
      const row = same ? held : rowOf(query, today);
      // A row that grew keeps its place under the focus.
      if (held !== undefined && !same) {
        const focused = held.element.contains(document.activeElement);
        held.element.replaceWith(row.element);
        if (focused) row.element.querySelector('a')?.focus();
      }
      kept.set(key, row);
      knowModel(query.model);
    }
    rows = kept;
    showRows();
  };

  const showPaused = () => {
    pause.setAttribute('aria-pressed', String(paused));
    setText(pause, paused ? 'Resume' : 'Pause');
    setText(live, paused ? 'paused' : 'live');
    live.classList.toggle('off', paused);
    const count = waiting.length;
    newer.hidden = !paused || count === 0;
    setText(newer, `${count >= PAGE_ROWS ? `${PAGE_ROWS}+` : count} new`);
  };

  /** @param {unknown} error */
  const complain = (error) => {
    const message = error instanceof ApiError ? error.message : String(error);
    const status = error instanceof ApiError ? error.status : 0;
    problem.hidden = false;
    setText(problem, clean(status === 503 || status === 0 ? `${message} Asking again.` : message));
    live.classList.add('off');
    if (!paused) setText(live, 'not live');
  };

  const refresh = repeat(
    async () => {
      const asked = generation;
      try {
        const answer = await consoleJson(`/console/recent?${recentSearch(filters, PAGE_ROWS)}`, signal);
        if (asked !== generation) return;
        problem.hidden = true;
        const queries = /** @type {RecentQuery[]} */ (answer.queries);
        if (!paused || !loaded) {
          const isFirst = !loaded;
          loaded = true;
          waiting = [];
          hasOlder = queries.length >= PAGE_ROWS;
          take(queries, true);
          if (isFirst) announce(countText(queries.length, 'query', 'queries'));
        } else waiting = queries.filter((query) => !rows.has(keyOf(query)));
        showPaused();
      } catch (error) {
        if (signal.aborted) return;
        complain(error);
        throw error;
      }
    },
    POLL_MS,
    signal,
  );

  /** @param {Filters} changed */
  const filter = (changed) => {
    filters = changed;
    generation += 1;
    loaded = false;
    history.replaceState(null, '', `/${filtersSearch(filters)}`);
    clear.hidden = !isFiltered(filters);
    refresh();
  };
  const readForm = () => {
    const minMs = Number(least.value);
    filter({
      model: model.value,
      outcome: outcome.value,
      minMs: minMs > 0 ? minMs : 0,
      errors: errors.checked,
    });
  };

  /** @param {boolean} to */
  const setPaused = (to) => {
    paused = to;
    if (!paused) refresh();
    showPaused();
    announce(paused ? 'The list is paused.' : 'The list is live.');
  };

  const showOlder = async () => {
    const oldestUs = Math.min(...[...rows.values()].map(({ query }) => query.startUs));
    if (!paused) setPaused(true);
    older.disabled = true;
    try {
      const answer = await consoleJson(
        `/console/recent?${recentSearch(filters, PAGE_ROWS, oldestUs)}`,
        signal,
      );
      const queries = /** @type {RecentQuery[]} */ (answer.queries);
      const fresh = queries.filter((query) => !rows.has(keyOf(query)));
      hasOlder = fresh.length > 0 && queries.length >= PAGE_ROWS && rows.size + fresh.length < ROWS_LIMIT;
      take(fresh, false);
      announce(`${countText(fresh.length, 'older query', 'older queries')}`);
    } catch (error) {
      if (!signal.aborted) complain(error);
    }
    older.disabled = false;
  };

  for (const control of [model, outcome, errors]) control.addEventListener('change', readForm);
  least.addEventListener('change', readForm);
  clear.addEventListener('click', () => {
    filter(NO_FILTERS);
    showFilters();
    model.focus();
  });
  pause.addEventListener('click', () => setPaused(!paused));
  newer.addEventListener('click', () => {
    const found = waiting;
    waiting = [];
    // Between a full page of new ones and what is shown, others may be missing.
    take(found, found.length >= PAGE_ROWS);
    showPaused();
    pause.focus();
  });
  older.addEventListener('click', () => void showOlder());

  const tryHere = h('div', { class: 'try-here' });
  /** @param {any} status as `/console/status` tells it */
  const showStatus = (status) => {
    fill(state, ...storeState(status, Date.now()));
    if (gatewayUrl !== '' || typeof status.gatewayUrl !== 'string') return;
    gatewayUrl = status.gatewayUrl;
    fill(
      tryHere,
      tryBox(gatewayUrl, signal, { onModels: (names) => names.forEach(knowModel), onAnswer: refresh }),
    );
    showEmpty();
  };
  repeat(
    async () => {
      try {
        showStatus(await consoleJson('/console/status', signal));
      } catch (error) {
        if (signal.aborted) return;
        fill(
          state,
          h('span', { class: 'bad' }, clean(error instanceof ApiError ? error.message : String(error))),
        );
        throw error;
      }
    },
    STATUS_POLL_MS,
    signal,
  );

  /** @param {string} label @param {HTMLElement} control */
  const field = (label, control) =>
    h('div', { class: 'field' }, h('label', { attrs: { for: control.id } }, label), control);
  const isWide = matchMedia('(min-width: 70rem)').matches;
  main.append(
    h(
      'div',
      { class: 'list-page' },
      h(
        'section',
        { class: 'list', attrs: { 'aria-labelledby': 'list-title' } },
        h(
          'div',
          { class: 'title-row' },
          h('h1', { attrs: { id: 'list-title' } }, 'Queries'),
          live,
          newer,
          pause,
        ),
        h(
          'form',
          {
            class: 'filters',
            attrs: { 'aria-label': 'Filters' },
            on: { submit: (event) => event.preventDefault() },
          },
          field('Model', model),
          field('Outcome', outcome),
          field('At least, ms', least),
          h(
            'div',
            { class: 'field check' },
            errors,
            h('label', { attrs: { for: 'filter-errors' } }, 'Errors only'),
          ),
          clear,
        ),
        problem,
        table,
        empty,
        older,
        state,
      ),
      h(
        'details',
        { class: 'side', attrs: { open: isWide } },
        h('summary', {}, h('h2', {}, 'Try a model')),
        tryHere,
      ),
    ),
  );
  showFilters();
  showEmpty();
}
