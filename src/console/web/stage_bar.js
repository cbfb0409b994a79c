/** The ledger of a query: one stacked bar, and the table that it belongs to. */
import { h } from './dom.js';
import { STAGE_MEANING, UNATTRIBUTED } from './names.js';
import { durationText, millisecondsText } from './text.js';

/** @import {Ledger} from './ledger.js' */

/** A stage's label stands in its segment from this share of the bar. */
const LABEL_SHARE = 0.1;

/** @param {string} stage */
export function stageLabel(stage) {
  return stage.replaceAll('_', ' ');
}

/** @param {number} part @param {number} whole */
function percentText(part, whole) {
  return whole > 0 ? `${((part / whole) * 100).toFixed(1)} %`.replace('-', '−') : '–';
}

/** @param {Ledger} ledger */
function entriesOf(ledger) {
  return [...ledger.stages, { stage: UNATTRIBUTED, ms: ledger.unattributedMs, inWorker: false }];
}

/**
 * For eyes only: the table says the same.
 * @param {Ledger} ledger
 */
export function stageBar(ledger) {
  const bar = h('div', { class: 'stages', attrs: { 'aria-hidden': 'true' } });
  for (const { stage, ms } of entriesOf(ledger)) {
    if (ms <= 0) continue;
    const share = ms / ledger.totalMs;
    bar.append(
      h(
        'div',
        {
          class: 'stage',
          attrs: { 'data-stage': stage, title: `${stageLabel(stage)}: ${durationText(ms)}` },
          style: { 'flex-grow': String(Math.max(share, 0.0005)) },
        },
        share >= LABEL_SHARE && h('span', {}, stageLabel(stage)),
      ),
    );
  }
  return bar;
}

/**
 * @param {Ledger} ledger
 * @param {string} caption
 */
export function stageTable(ledger, caption) {
  const body = h('tbody', {});
  let workerMs = 0;
  for (const { ms, inWorker } of ledger.stages) if (inWorker) workerMs += ms;
  let inWorkerShown = false;
  const entries = entriesOf(ledger);
  const longestMs = Math.max(...entries.map(({ ms }) => ms), 0);
  for (const { stage, ms, inWorker } of entries) {
    if (inWorker && !inWorkerShown) {
      inWorkerShown = true;
      body.append(
        h(
          'tr',
          { class: 'group' },
          h('th', { attrs: { scope: 'row' } }, 'inside the worker'),
          h('td', { class: 'number' }, millisecondsText(workerMs)),
          h('td', { class: 'number' }, percentText(workerMs, ledger.totalMs)),
          h('td', { class: 'gauge' }),
        ),
      );
    }
    const share = longestMs > 0 ? Math.max(0, ms / longestMs) : 0;
    body.append(
      h(
        'tr',
        {
          class: `${inWorker ? 'in-worker' : ''}${stage === UNATTRIBUTED && !ledger.closes ? ' open-ledger' : ''}`,
          attrs: { 'data-stage': stage },
        },
        h(
          'th',
          { attrs: { scope: 'row' } },
          h('span', { class: 'swatch', attrs: { 'data-stage': stage } }),
          stageLabel(stage),
          h('span', { class: 'meaning' }, STAGE_MEANING[stage] ?? ''),
        ),
        h('td', { class: 'number' }, millisecondsText(ms)),
        h('td', { class: 'number' }, percentText(ms, ledger.totalMs)),
        h(
          'td',
          { class: 'gauge' },
          h('div', { attrs: { 'data-stage': stage }, style: { width: `${share * 100}%` } }),
        ),
      ),
    );
  }
  return h(
    'table',
    { class: 'ledger' },
    h('caption', { class: 'hidden' }, caption),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { attrs: { scope: 'col' } }, 'stage'),
        h('th', { class: 'number', attrs: { scope: 'col' } }, 'ms'),
        h('th', { class: 'number', attrs: { scope: 'col' } }, 'share'),
        h('td', { class: 'gauge' }),
      ),
    ),
    body,
    h(
      'tfoot',
      {},
      h(
        'tr',
        {},
        h('th', { attrs: { scope: 'row' } }, 'total'),
        h('td', { class: 'number' }, millisecondsText(ledger.totalMs)),
        h('td', { class: 'number' }, '100 %'),
        h('td', { class: 'gauge' }),
      ),
    ),
  );
}

/**
 * Pointing at a stage in the bar or the table lifts it out in both.
 * @param {HTMLElement} container of a bar and its table
 */
export function linkStages(container) {
  container.addEventListener('pointerover', (event) => {
    const pointed = event.target instanceof Element ? event.target.closest('[data-stage]') : null;
    const stage = pointed?.getAttribute('data-stage');
    for (const each of container.querySelectorAll('.stage, tr[data-stage]')) {
      each.classList.toggle(
        'pointed',
        stage !== undefined && stage !== null && each.getAttribute('data-stage') === stage,
      );
    }
  });
  container.addEventListener('pointerleave', () => {
    for (const each of container.querySelectorAll('.pointed')) each.classList.remove('pointed');
  });
}
