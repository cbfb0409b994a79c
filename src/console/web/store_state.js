/** What the trace store holds, since when, and what it let go. */
import { h } from './dom.js';
import { bytesText, clean, clockText, countText, dateText, roughly } from './text.js';

/**
 * @param {any} status as `/console/status` tells it
 * @param {number} nowMs
 * @returns {HTMLElement[]}
 */
export function storeState(status, nowMs) {
  const { store, client } = status;
  const parts = [];
  const oldestMs = store.oldestReceivedMs;
  parts.push(
    h(
      'span',
      {},
      typeof oldestMs === 'number'
        ? `Holds traces since ${dateText(oldestMs)} ${clockText(oldestMs).slice(0, 5)} (${roughly(nowMs - oldestMs)})`
        : 'Holds no traces yet',
    ),
    h('span', {}, `${bytesText(store.usedBytes)} of ${bytesText(store.limitBytes)}`),
    h('span', {}, `keeps ${roughly(store.limitAgeMs)}`),
  );
  const { evictedByAge, evictedBySize } = store;
  if (evictedByAge.traces > 0)
    parts.push(h('span', {}, `${countText(evictedByAge.traces, 'trace')} evicted by age`));
  if (evictedBySize.traces > 0)
    parts.push(h('span', {}, `${countText(evictedBySize.traces, 'trace')} evicted by size`));
  if (store.rejectedSpans > 0)
    parts.push(h('span', { class: 'warn' }, `${countText(store.rejectedSpans, 'span')} rejected`));
  if (store.failedSpans > 0)
    parts.push(
      h('span', { class: 'warn' }, `${countText(store.failedSpans, 'span')} could not be stored at first`),
    );
  if (client.restarts > 0)
    parts.push(h('span', { class: 'warn' }, `store restarted ${countText(client.restarts, 'time')}`));
  if (store.notice !== '') parts.push(h('span', { class: 'warn' }, clean(store.notice, 400)));
  if (store.lastError !== '') parts.push(h('span', { class: 'bad' }, clean(store.lastError, 400)));
  parts.push(h('span', { class: 'muted' }, `Vitrine ${clean(String(status.version), 40)}`));
  return parts;
}
