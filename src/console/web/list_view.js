/** The newest queries, live. */
import { ApiError, consoleJson } from './api.js';
import { announce, fill, h, setText } from './dom.js';
import { filterForm } from './filter_form.js';
import { filtersSearch, isFiltered, readFilters, recentSearch } from './filters.js';
import { curlLine } from './oip.js';
import { queryTable } from './query_table.js';
import { repeat } from './repeat.js';
import { storeState } from './store_state.js';
import { clean, countText } from './text.js';
import { tryBox } from './try_view.js';

/** @import {RecentQuery} from './query_table.js' */

const POLL_MS = 2000;
const STATUS_POLL_MS = 10_000;
/** Queries of one answer; what is new while the list is paused is counted up to here. */
const PAGE_ROWS = 50;
/** The list grows up to here. */
const ROWS_LIMIT = 1000;

/** @param {unknown} error */
function problemText(error) {
  if (!(error instanceof ApiError)) return String(error);
  // Nobody answered, or the store is on its way back.
  return error.status === 0 || error.status === 503 ? `${error.message} Asking again.` : error.message;
}

/** @param {boolean} filtered @param {string} gatewayUrl */
function emptyText(filtered, gatewayUrl) {
  if (filtered) {
    return [
      h('h2', {}, 'No query matches'),
      h('p', {}, 'None of the queries that the store holds matches these filters.'),
    ];
  }
  const line = curlLine(gatewayUrl, 'langid', {
    inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['Where did the time go?'] }],
  });
  return [
    h('h2', {}, 'No queries yet'),
    h('p', {}, 'Send one from the box on this page, or from a shell; it shows here within a moment:'),
    h('pre', { attrs: { tabindex: '0' } }, h('code', {}, line)),
  ];
}

/**
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 */
export function showList(main, signal) {
  document.title = 'Queries · Vitrine';
  let filters = readFilters(location.search);
  let paused = false;
  let loaded = false;
  /** Whether the store may hold older queries than are shown. */
  let hasOlder = false;
  let limitReached = false;
  /** New while the list is paused. @type {readonly RecentQuery[]} */
  let waiting = [];
  /** Counts changes of the filters, so that no late answer to the old ones shows. */
  let generation = 0;
  let gatewayUrl = '';

  const table = queryTable();
  const empty = h('div', { class: 'empty' });
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const pause = h('button', { class: 'pause', attrs: { type: 'button', 'aria-pressed': 'false' } }, 'Pause');
  const newer = h('button', { class: 'newer', attrs: { type: 'button' } });
  const older = h('button', { class: 'older', attrs: { type: 'button' } }, 'Show older');
  const limited = h(
    'p',
    { class: 'muted', attrs: { hidden: true } },
    'The search ended at its limit: older matches may be missing.',
  );
  const live = h('span', { class: 'live' });
  const state = h('div', { class: 'store-state', attrs: { role: 'group', 'aria-label': 'Trace store' } });
  const tryHere = h('div', {});

  const show = () => {
    empty.hidden = !loaded || table.size() > 0;
    if (!empty.hidden) fill(empty, ...emptyText(isFiltered(filters), gatewayUrl));
    older.hidden = !hasOlder;
    limited.hidden = !limitReached;
    newer.hidden = !paused || waiting.length === 0;
    setText(newer, `${waiting.length >= PAGE_ROWS ? `${PAGE_ROWS}+` : waiting.length} new`);
    pause.setAttribute('aria-pressed', String(paused));
    setText(pause, paused ? 'Resume' : 'Pause');
    const isLive = !paused && problem.hidden;
    setText(live, paused ? 'paused' : isLive ? 'live' : 'not live');
    live.classList.toggle('off', !isLive);
  };

  /** @param {readonly RecentQuery[]} queries @param {boolean} isAll */
  const take = (queries, isAll) => {
    table.take(queries, isAll);
    for (const { model } of queries) form.know(model);
  };

  /** @param {unknown} error nothing when the page has left */
  const complain = (error) => {
    if (signal.aborted) return;
    setText(problem, clean(problemText(error)));
    problem.hidden = false;
    show();
  };

  /** @param {number} [startMaxUs] @returns {Promise<RecentQuery[]>} */
  const ask = async (startMaxUs) => {
    const search = recentSearch(filters, PAGE_ROWS, startMaxUs);
    const { queries, scanLimitReached } = await consoleJson(`/console/recent?${search}`, signal);
    problem.hidden = true;
    limitReached = scanLimitReached === true;
    return queries;
  };

  const refresh = repeat(
    async () => {
      const asked = generation;
      try {
        const queries = await ask();
        if (asked !== generation) return;
        if (paused && loaded) waiting = queries.filter((query) => !table.has(query));
        else {
          if (!loaded) announce(countText(queries.length, 'query', 'queries'));
          loaded = true;
          waiting = [];
          hasOlder = queries.length >= PAGE_ROWS;
          take(queries, true);
        }
        show();
      } catch (error) {
        complain(error);
        throw error;
      }
    },
    POLL_MS,
    signal,
  );

  const form = filterForm(filters, (changed) => {
    filters = changed;
    generation += 1;
    loaded = false;
    waiting = [];
    history.replaceState(null, '', `/${filtersSearch(filters)}`);
    refresh();
  });

  /** @param {boolean} to */
  const setPaused = (to) => {
    paused = to;
    show();
    announce(paused ? 'The list is paused.' : 'The list is live.');
    if (!paused) refresh();
  };

  const showOlder = async () => {
    if (!paused) setPaused(true);
    const asked = generation;
    older.disabled = true;
    try {
      const queries = await ask(table.oldestUs());
      const fresh = queries.filter((query) => !table.has(query));
      if (asked === generation) {
        hasOlder =
          fresh.length > 0 && queries.length >= PAGE_ROWS && table.size() + fresh.length < ROWS_LIMIT;
        take(fresh, false);
        announce(countText(fresh.length, 'older query', 'older queries'));
        show();
      }
    } catch (error) {
      complain(error);
    }
    older.disabled = false;
  };

  pause.addEventListener('click', () => setPaused(!paused));
  newer.addEventListener('click', () => {
    // Between a full page of new ones and what is shown, others may be missing.
    take(waiting, waiting.length >= PAGE_ROWS);
    waiting = [];
    show();
    pause.focus();
  });
  older.addEventListener('click', () => void showOlder());

  repeat(
    async () => {
      try {
        const status = await consoleJson('/console/status', signal);
        fill(state, ...storeState(status, Date.now()));
        if (gatewayUrl !== '') return;
        gatewayUrl = String(status.gatewayUrl);
        fill(
          tryHere,
          tryBox(gatewayUrl, signal, { onModels: (names) => names.forEach(form.know), onAnswer: refresh }),
        );
        show();
      } catch (error) {
        if (signal.aborted) return;
        fill(state, h('span', { class: 'bad' }, clean(problemText(error))));
        throw error;
      }
    },
    STATUS_POLL_MS,
    signal,
  );

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
        form.element,
        problem,
        table.element,
        empty,
        older,
        limited,
        state,
      ),
      h(
        'details',
        { class: 'side', attrs: { open: matchMedia('(min-width: 70rem)').matches } },
        h('summary', {}, h('h2', {}, 'Try a model')),
        tryHere,
      ),
    ),
  );
  show();
}
