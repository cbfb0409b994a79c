/** One trace: the ledger of its query, and its spans over time. */
import { ApiError, consoleJson } from './api.js';
import { announce, fill, h } from './dom.js';
import { isBatch, isComplete, ledgerOf, queriesOf, textOf } from './ledger.js';
import { ATTR } from './names.js';
import { readTrace } from './otlp_trace.js';
import { batchFacts, fact, queryFacts } from './query_facts.js';
import { spanDetails, spanLink } from './span_details.js';
import { linkStages, stageBar, stageTable } from './stage_bar.js';
import { clean, clockText, countText, dateText, durationText } from './text.js';
import { waterfall } from './waterfall.js';

/** @import {Query} from './ledger.js' */
/** @import {Span, Trace} from './otlp_trace.js' */

/** Spans come some moments after their answer, each process's on its own: so often the page asks again soon, */
const ASK_SOON = 12;
const ASK_SOON_MS = 250;
/** and then now and again, in case that somebody is still waiting. */
const ASK_LATER = 10;
const ASK_LATER_MS = 3000;
/** What is older than the exporters' intervals will not grow any more. */
const SETTLED_MS = 10_000;
const MEMBERS_SHOWN = 128;

const NO_SUCH_TRACE =
  'The store has no trace with this id. It may not have been kept, may have been evicted (the list of queries ' +
  'says what the store holds), or the id may be mistyped: it is the x-trace-id header of the answer.';

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

/**
 * @param {Query} query
 * @param {AbortSignal} signal
 */
function ledgerSection(query, signal) {
  const ledger = ledgerOf(query.span);
  const facts = queryFacts(query, signal);
  if (ledger === undefined) {
    return h(
      'section',
      { class: 'ledger-section' },
      h('p', { class: 'muted' }, 'This query’s span carries no stages.'),
      facts,
    );
  }
  const model = clean(textOf(query.span, ATTR.model), 120);
  const section = h(
    'section',
    { class: 'ledger-section', attrs: { 'aria-label': 'Where the time went' } },
    h('h2', {}, 'Where the time went'),
    !query.isWhole &&
      h(
        'p',
        { class: 'notice' },
        'Only the worker’s part of this query is here; the gateway’s has not arrived, or its process was killed.',
      ),
    !ledger.closes &&
      h(
        'p',
        { class: 'notice' },
        'This ledger does not close: what no stage claimed is more than 1 % and 50 µs.',
      ),
    stageBar(ledger),
    h('div', { class: 'ledger-columns' }, stageTable(ledger, `Stages of the query to ${model}`), facts),
  );
  linkStages(section);
  return section;
}

/** @param {Trace} trace @param {Span} batch */
function batchSection(trace, batch) {
  const members = batch.links.slice(0, MEMBERS_SHOWN);
  return h(
    'section',
    { class: 'ledger-section' },
    h('h2', {}, 'A batch'),
    h(
      'dl',
      { class: 'facts' },
      fact('Model', clean(textOf(batch, ATTR.model), 120)),
      fact('Batch', batchFacts(batch)),
      fact('Thread', clean(textOf(batch, ATTR.thread), 20)),
    ),
    members.length > 0 && h('h3', {}, `Its queries (${batch.links.length})`),
    h(
      'ul',
      { class: 'members' },
      ...members.map((link) => h('li', {}, spanLink(trace, link.traceId, link.spanId))),
    ),
    batch.dropped > 0 && h('p', { class: 'muted' }, `${batch.dropped} more are not linked.`),
  );
}

/**
 * @param {HTMLElement} main
 * @param {string} givenId 1 to 32 hex digits
 * @param {AbortSignal} signal
 */
export function showTrace(main, givenId, signal) {
  const traceId = givenId.toLowerCase().padStart(32, '0');
  document.title = `Trace ${traceId.slice(0, 8)} · Vitrine`;
  const content = h('div', { class: 'trace-content', attrs: { 'aria-busy': 'true' } });
  const title = h('h1', {}, 'Trace ', h('span', { class: 'id' }, traceId));
  const summary = h('p', { class: 'muted' });
  main.append(
    h(
      'div',
      { class: 'trace-page' },
      h('a', { class: 'back', attrs: { href: '/' } }, '← Queries'),
      title,
      summary,
      content,
    ),
  );

  let drawing = new AbortController();

  /** @param {Trace} trace */
  const draw = (trace) => {
    drawing.abort();
    drawing = new AbortController();
    const drawn = AbortSignal.any([signal, drawing.signal]);
    const queries = queriesOf(trace);
    const batches = trace.spans.filter(isBatch);
    const asked = location.hash.slice(1);
    const errors = trace.spans.filter(({ status }) => status === 'error').length;
    const services = new Set(trace.spans.map((span) => `${span.service} ${span.instance}`)).size;
    fill(
      summary,
      `${dateText(trace.startUnixMs)} ${clockText(trace.startUnixMs)} · ${durationText(trace.durationMs)} · ` +
        `${countText(trace.spans.length, 'span')} from ${countText(services, 'process', 'processes')}`,
      errors > 0 && ' · ',
      errors > 0 && h('span', { class: 'bad' }, `${countText(errors, 'span')} failed`),
    );

    const shown = h('div', {});
    /** @param {Query} query */
    const showQuery = (query) => fill(shown, ledgerSection(query, drawn));
    const chosen = queries.find(({ span }) => span.spanId === asked) ?? queries[0];
    const [first] = queries;
    if (chosen !== undefined && first !== undefined) {
      const model = textOf(chosen.span, ATTR.model);
      document.title = `${clean(model, 60)} ${durationText(chosen.span.durationMs)} · trace ${traceId.slice(0, 8)} · Vitrine`;
      showQuery(chosen);
    }
    /** @type {HTMLElement | undefined} */
    let chooser;
    if (queries.length > 1) {
      const select = h(
        'select',
        { attrs: { id: 'query' } },
        ...queries.map(({ span }, index) =>
          h(
            'option',
            { attrs: { value: index } },
            `${index + 1}: ${clean(span.name, 80)}, +${durationText(span.offsetMs)}, ${durationText(span.durationMs)}, ${clean(textOf(span, ATTR.outcome), 40)}`,
          ),
        ),
      );
      select.value = String(chosen === undefined ? 0 : queries.indexOf(chosen));
      select.addEventListener('change', () => {
        const query = queries[Number(select.value)];
        if (query === undefined) return;
        showQuery(query);
        tree.select(query.span.spanId);
      });
      chooser = h(
        'div',
        { class: 'field chooser' },
        h('label', { attrs: { for: 'query' } }, `${queries.length} queries share this trace`),
        select,
      );
    }

    const split = h('div', { class: 'wf-split' });
    const close = () => {
      split.querySelector('.details')?.remove();
      split.classList.remove('with-details');
      history.replaceState(null, '', location.pathname);
      tree.focus();
    };
    /** @param {Span} span @param {boolean} moveFocus */
    const open = (span, moveFocus) => {
      split.querySelector('.details')?.remove();
      const { element, heading } = spanDetails(trace, span, close);
      split.append(element);
      split.classList.add('with-details');
      history.replaceState(null, '', `#${span.spanId}`);
      if (moveFocus) heading.focus({ preventScroll: true });
    };
    const tree = waterfall(trace, {
      onOpen: (span) => open(span, true),
      onClose: () => split.classList.contains('with-details') && close(),
      signal: drawn,
    });
    split.append(tree.element);
    fill(
      content,
      chooser,
      shown,
      ...(queries.length === 0 ? batches.slice(0, 4).map((batch) => batchSection(trace, batch)) : []),
      h(
        'section',
        { attrs: { 'aria-labelledby': 'spans-title' } },
        h('h2', { attrs: { id: 'spans-title' } }, 'Spans'),
        split,
        h(
          'p',
          { class: 'keys muted' },
          'Keys: ↑ ↓ move, ← → fold and unfold, Enter details, Esc closes them.',
        ),
      ),
    );
    content.removeAttribute('aria-busy');
    if (asked !== '') {
      const span = tree.select(asked);
      // The link from the list names the query's own span, whose facts stand above already.
      if (span !== undefined && !queries.some((query) => query.span === span)) open(span, false);
    }
    window.addEventListener(
      'hashchange',
      () => {
        const span = tree.select(location.hash.slice(1));
        if (span !== undefined) open(span, true);
      },
      { signal: drawn },
    );
  };

  /** @param {string} heading @param {...(Node | string)} message */
  const say = (heading, ...message) => {
    content.removeAttribute('aria-busy');
    fill(
      content,
      h('div', { class: 'empty', attrs: { role: 'alert' } }, h('h2', {}, heading), h('p', {}, ...message)),
    );
  };

  let held = 0;
  /** One question. @returns {Promise<boolean>} whether there is nothing more to ask */
  const ask = async () => {
    const trace = readTrace(await consoleJson(`/api/v3/traces/${traceId}`, signal), traceId);
    if (trace === undefined) return false;
    if (trace.spans.length !== held) {
      const isFirst = held === 0;
      held = trace.spans.length;
      // Redrawing would take away what somebody has opened meanwhile.
      if (isFirst || main.querySelector('.details') === null) draw(trace);
      if (isFirst) announce(`Trace with ${countText(held, 'span')}.`);
    }
    return isComplete(trace) || Date.now() - trace.startUnixMs - trace.durationMs > SETTLED_MS;
  };

  const load = async () => {
    for (let asked = 1; asked <= ASK_SOON + ASK_LATER && !signal.aborted; asked += 1) {
      try {
        if (await ask()) return;
      } catch (error) {
        if (signal.aborted) return;
        const status = error instanceof ApiError ? error.status : 0;
        const message = clean(error instanceof Error ? error.message : String(error));
        if (status !== 404 && status !== 503) {
          say('This trace cannot be shown', message);
          return;
        }
        if (held === 0 && asked === 1) {
          fill(
            content,
            h('p', { class: 'muted' }, 'Not here yet. Spans arrive a moment after their answer…'),
          );
        }
        if (held === 0 && asked === ASK_SOON) {
          if (status === 503) say('The trace store does not answer', message);
          else say('No such trace', NO_SUCH_TRACE);
        }
      }
      await pause(asked < ASK_SOON ? ASK_SOON_MS : ASK_LATER_MS, signal);
    }
  };
  void load();
}
