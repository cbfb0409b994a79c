/**
 * The spans of a trace over time: a tree on the left, bars on the right. Only the rows in sight are in the
 * document, so a trace of many thousand spans scrolls as one of ten does.
 */
import { fill, h } from './dom.js';
import { STAGES } from './names.js';
import { treeRows, visibleRows } from './span_tree.js';
import { clean, durationText } from './text.js';
import { ticks } from './time_axis.js';

/** @import {Span, Trace} from './otlp_trace.js' */
/** @import {TreeRow} from './span_tree.js' */

const INDENT_LEVELS = 14;
/** Rows above and below the window that are kept ready. */
const OVERSCAN = 8;
const SERVICE_COLORS = 6;
/** Between two marks of the axis, at least. */
const TICK_PX = 120;

/**
 * @param {Trace} trace
 * @param {{onOpen: (span: Span) => void, onClose: () => void, signal: AbortSignal}} options
 */
export function waterfall(trace, { onOpen, onClose, signal }) {
  const all = treeRows(trace.spans);
  /** @type {Set<TreeRow>} */
  const folded = new Set();
  let rows = visibleRows(all, folded);
  let active = 0;
  const rangeMs = trace.durationMs > 0 ? trace.durationMs : 1;
  const narrow = matchMedia('(max-width: 40rem)');
  const services = [...new Set(trace.spans.map((span) => `${span.service} ${span.instance}`))];

  const spacer = h('div', { class: 'wf-rows' });
  const grid = h('div', { class: 'wf-grid', attrs: { 'aria-hidden': 'true' } });
  const axis = h('div', { class: 'wf-axis', attrs: { 'aria-hidden': 'true' } });
  const scroller = h(
    'div',
    {
      class: 'wf',
      attrs: {
        role: 'tree',
        tabindex: '0',
        'aria-label': `Spans of the trace, ${trace.spans.length} in all. Up and down move, left and right fold, Enter opens details.`,
      },
    },
    h(
      'div',
      { class: 'wf-head', attrs: { 'aria-hidden': 'true' } },
      h('div', { class: 'wf-head-name' }, 'Span'),
      axis,
    ),
    h('div', { class: 'wf-body' }, grid, spacer),
  );

  const rowHeightPx = () => (narrow.matches ? 44 : 28);

  const drawAxis = () => {
    const marks = ticks(rangeMs, Math.max(2, Math.min(8, Math.floor(axis.clientWidth / TICK_PX))));
    const at = (/** @type {number} */ ms) => `${(ms / rangeMs) * 100}%`;
    fill(
      axis,
      ...marks.map((ms) => {
        const isEnd = ms / rangeMs > 0.93;
        return h(
          'span',
          { class: isEnd ? 'wf-tick end' : 'wf-tick', style: { left: at(ms) } },
          ms === 0 ? '0' : durationText(ms),
        );
      }),
    );
    fill(grid, ...marks.map((ms) => h('span', { style: { left: at(ms) } })));
  };

  /** @param {Span} span */
  const barKind = (span) => {
    if (STAGES.includes(span.name)) return { 'data-stage': span.name };
    return { 'data-service': services.indexOf(`${span.service} ${span.instance}`) % SERVICE_COLORS };
  };

  /** @param {TreeRow} row @param {number} index */
  const rowElement = (row, index) => {
    const { span } = row;
    const isFolded = folded.has(row);
    const isError = span.status === 'error';
    const from = span.offsetMs / rangeMs;
    const to = Math.min(1, (span.offsetMs + span.durationMs) / rangeMs);
    const duration = durationText(span.durationMs);
    const who = [span.service, span.instance]
      .filter((part) => part !== '')
      .map((part) => clean(part, 60))
      .join(' ');
    const name = clean(span.name === '' ? '(no name)' : span.name, 200);
    /** @type {'after' | 'before' | 'inside'} */
    const place = to < (narrow.matches ? 0.7 : 0.82) ? 'after' : from > 0.18 ? 'before' : 'inside';
    /** @type {Record<string, string>} */
    const labelStyle =
      place === 'after'
        ? { left: `${to * 100}%` }
        : place === 'before'
          ? { right: `${(1 - from) * 100}%` }
          : { right: `${(1 - to) * 100}%` };
    const element = h(
      'div',
      {
        class: `wf-row${index === active ? ' active' : ''}${isError ? ' error' : ''}`,
        attrs: {
          role: 'treeitem',
          id: `wf-${index}`,
          'aria-level': row.depth + 1,
          'aria-posinset': row.position,
          'aria-setsize': row.siblings,
          'aria-selected': index === active ? 'true' : 'false',
          'aria-expanded': row.descendants > 0 ? (isFolded ? 'false' : 'true') : undefined,
          'aria-label': `${name}, ${who}, ${duration}${isError ? ', error' : ''}${row.isOrphan ? ', its parent is not in the trace' : ''}`,
        },
        style: { transform: `translateY(${index * rowHeightPx()}px)` },
      },
      h(
        'div',
        {
          class: 'wf-name',
          style: { '--depth': String(Math.min(row.depth, INDENT_LEVELS)) },
          attrs: { title: name },
        },
        h(
          'span',
          { class: 'wf-fold', attrs: { 'data-fold': row.descendants > 0 } },
          row.descendants > 0 ? (isFolded ? '▸' : '▾') : '',
        ),
        isError && h('span', { class: 'wf-error' }, '!'),
        row.isOrphan &&
          h(
            'span',
            {
              class: 'wf-orphan',
              attrs: {
                title: 'Its parent is not in the trace: a caller elsewhere, or a span that did not arrive.',
              },
            },
            '⤷',
          ),
        h('span', { class: 'wf-label' }, name),
        h(
          'span',
          { class: 'wf-who', attrs: { title: who } },
          clean(span.instance === '' ? span.service : span.instance, 60),
        ),
        isFolded && h('span', { class: 'wf-hidden' }, `+${row.descendants}`),
      ),
      h(
        'div',
        { class: 'wf-time' },
        h('div', {
          class: 'wf-bar',
          attrs: barKind(span),
          style: { left: `${from * 100}%`, width: `${(to - from) * 100}%` },
        }),
        h('span', { class: `wf-duration ${place}`, style: labelStyle }, duration),
      ),
    );
    return element;
  };

  let drawn = '';
  const draw = () => {
    const height = rowHeightPx();
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - OVERSCAN);
    const last = Math.min(
      rows.length,
      Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + OVERSCAN,
    );
    // A screen reader follows to the active row, so it is there even when it is out of sight.
    const key = `${first} ${last} ${active} ${rows.length} ${height}`;
    if (key === drawn) return;
    drawn = key;
    const elements = [];
    for (let index = first; index < last; index += 1)
      elements.push(rowElement(/** @type {TreeRow} */ (rows[index]), index));
    const activeRow = rows[active];
    if (activeRow !== undefined && (active < first || active >= last))
      elements.push(rowElement(activeRow, active));
    fill(spacer, ...elements);
    scroller.setAttribute('aria-activedescendant', `wf-${active}`);
  };
  const layout = () => {
    spacer.style.setProperty('height', `${rows.length * rowHeightPx()}px`);
    drawn = '';
    draw();
  };

  const reveal = () => {
    const height = rowHeightPx();
    const head = /** @type {HTMLElement} */ (scroller.firstElementChild).offsetHeight;
    const top = active * height;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    const bottom = top + height + head - scroller.clientHeight;
    if (bottom > scroller.scrollTop) scroller.scrollTop = bottom;
  };
  /** @param {number} index */
  const move = (index) => {
    active = Math.max(0, Math.min(rows.length - 1, index));
    reveal();
    draw();
  };
  /** @param {TreeRow} row @param {boolean} to */
  const fold = (row, to) => {
    const activeRow = rows[active];
    if (to) folded.add(row);
    else folded.delete(row);
    rows = visibleRows(all, folded);
    const at = activeRow === undefined ? -1 : rows.indexOf(activeRow);
    active = at >= 0 ? at : Math.max(0, rows.indexOf(row));
    layout();
    reveal();
    draw();
  };
  const open = () => {
    const row = rows[active];
    if (row !== undefined) onOpen(row.span);
  };

  scroller.addEventListener('keydown', (event) => {
    const row = rows[active];
    if (row === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeightPx()) - 2);
    const parent = all[row.parent];
    switch (event.key) {
      case 'ArrowDown':
      case 'j':
        move(active + 1);
        break;
      case 'ArrowUp':
      case 'k':
        move(active - 1);
        break;
      case 'PageDown':
        move(active + page);
        break;
      case 'PageUp':
        move(active - page);
        break;
      case 'Home':
        move(0);
        break;
      case 'End':
        move(rows.length - 1);
        break;
      case 'ArrowRight':
        if (folded.has(row)) fold(row, false);
        else if (row.descendants > 0) move(active + 1);
        break;
      case 'ArrowLeft':
        if (row.descendants > 0 && !folded.has(row)) fold(row, true);
        else if (parent !== undefined) move(rows.indexOf(parent));
        break;
      case 'Enter':
      case ' ':
        open();
        break;
      case 'Escape':
        onClose();
        break;
      default:
        return;
    }
    event.preventDefault();
  });
  spacer.addEventListener('click', (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const element = target?.closest('.wf-row');
    if (element === null || element === undefined) return;
    const index = Number(element.id.slice(3));
    const row = rows[index];
    if (row === undefined) return;
    if (target?.closest('[data-fold]') != null) {
      active = index;
      fold(row, !folded.has(row));
      return;
    }
    move(index);
    open();
  });
  scroller.addEventListener('scroll', draw);
  const resized = new ResizeObserver(() => {
    drawAxis();
    layout();
  });
  resized.observe(scroller);
  signal.addEventListener('abort', () => resized.disconnect());
  drawAxis();

  return {
    element: scroller,
    /** Moves to a span's row; false when the trace has none by that id. @param {string} spanId */
    select(spanId) {
      const index = rows.findIndex(({ span }) => span.spanId === spanId);
      if (index >= 0) move(index);
      return index >= 0 ? rows[index]?.span : undefined;
    },
    focus: () => scroller.focus({ preventScroll: true }),
  };
}
