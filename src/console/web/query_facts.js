/** What is known of one query beside its stages. */
import { consoleJson } from './api.js';
import { fill, h } from './dom.js';
import { isBatch, isWork, numberOf, textOf } from './ledger.js';
import { ATTR } from './names.js';
import { readTrace } from './otlp_trace.js';
import { outcomeClass } from './query_table.js';
import { clean, countText, durationText } from './text.js';

/** @import {Query} from './ledger.js' */
/** @import {Span, SpanLink} from './otlp_trace.js' */

/** Why a trace was kept, for people. @type {Readonly<Record<string, string>>} */
const KEPT = {
  all: 'every query is kept',
  ratio: 'in the base sample',
  caller: 'its caller asked for it',
  sampler: 'the configured sampler chose it',
  slow: 'it was slow',
  failed: 'it failed',
  refused: 'it was refused',
  retried: 'it was sent twice',
};
const BATCHES_LIMIT = 4;

/** @param {string} term @param {...(Node | string | undefined | false)} value */
export function fact(term, ...value) {
  return h('div', {}, h('dt', {}, term), h('dd', {}, ...value));
}

/** @param {Span} batch */
export function batchFacts(batch) {
  const rows = numberOf(batch, ATTR.batchSize);
  const queries = numberOf(batch, ATTR.batchQueries);
  const padding = numberOf(batch, ATTR.batchPaddingRatio);
  const headWaitMs = numberOf(batch, ATTR.batchHeadWaitMs);
  const reason = textOf(batch, ATTR.batchCloseReason);
  const parts = [];
  if (rows !== undefined) parts.push(countText(rows, 'row'));
  if (queries !== undefined) parts.push(`of ${countText(queries, 'query', 'queries')}`);
  if (reason !== '') parts.push(`closed: ${clean(reason, 40)}`);
  if (padding !== undefined) parts.push(`padding ${(padding * 100).toFixed(0)} %`);
  if (headWaitMs !== undefined) parts.push(`first row waited ${durationText(headWaitMs)}`);
  return parts.join(', ').replace(', of', ' of');
}

/** @param {SpanLink} link @param {AbortSignal} signal */
function batchView(link, signal) {
  const text = h('span', {}, 'asking…');
  const load = async () => {
    try {
      const document = await consoleJson(`/api/v3/traces/${encodeURIComponent(link.traceId)}`, signal);
      const trace = readTrace(document, link.traceId);
      const batch = trace?.spans.find((span) => span.spanId === link.spanId) ?? trace?.spans.find(isBatch);
      fill(text, batch === undefined ? 'not in the store' : batchFacts(batch));
    } catch {
      if (!signal.aborted) fill(text, 'not in the store (yet)');
    }
  };
  void load();
  return h(
    'div',
    {},
    text,
    ' · ',
    h(
      'a',
      { attrs: { href: `/trace/${encodeURIComponent(link.traceId)}#${encodeURIComponent(link.spanId)}` } },
      'the batch',
    ),
  );
}

/**
 * @param {Query} query
 * @param {AbortSignal} signal
 */
export function queryFacts(query, signal) {
  const { span, attempts, works } = query;
  const status = numberOf(span, ATTR.httpResponseStatusCode);
  const outcome = textOf(span, ATTR.outcome);
  const code = textOf(span, ATTR.errorCode);
  const kept = textOf(span, ATTR.keptBecause);
  const version = textOf(span, ATTR.version);
  const batches = works.flatMap((work) => work.links).slice(0, BATCHES_LIMIT);
  /** @type {HTMLElement[]} */
  const facts = [];
  facts.push(
    fact('Model', clean(textOf(span, ATTR.model), 200), version !== '' && ` version ${clean(version, 40)}`),
  );
  facts.push(
    fact(
      'Outcome',
      h('span', { class: `badge ${outcomeClass(outcome)}` }, clean(outcome === '' ? 'unknown' : outcome, 40)),
      status !== undefined && ` ${status}`,
      code !== '' && ` ${clean(code, 80)}`,
    ),
  );
  for (const [index, attempt] of attempts.entries()) {
    const worker = textOf(attempt, ATTR.worker);
    const how = textOf(attempt, ATTR.attemptOutcome);
    facts.push(
      fact(
        attempts.length > 1 ? `Attempt ${index + 1}` : 'Attempt',
        clean(`${worker} ${how}`.trim(), 120),
        `, ${durationText(attempt.durationMs)}`,
      ),
    );
  }
  for (const work of works) {
    const rows = numberOf(work, ATTR.rows);
    const shareMs = numberOf(work, ATTR.computeShareMs);
    if (rows !== undefined) {
      facts.push(
        fact('Rows', `${rows}`, shareMs !== undefined && `, its share of compute ${durationText(shareMs)}`),
      );
    }
  }
  for (const link of batches) facts.push(fact('Batch', batchView(link, signal)));
  const delays = [...(query.isWhole ? [span] : []), ...works.filter(isWork)].flatMap((each) => {
    const delayMs = numberOf(each, ATTR.eventLoopDelayMs);
    return delayMs === undefined
      ? []
      : [`${durationText(delayMs)} at ${clean(each.instance === '' ? each.service : each.instance, 60)}`];
  });
  if (delays.length > 0) facts.push(fact('Event-loop delay met', delays.join(', ')));
  if (kept !== '') facts.push(fact('Kept because', KEPT[kept] ?? clean(kept, 80)));
  const requestId = textOf(span, ATTR.requestId);
  if (requestId !== '') facts.push(fact('Request id', h('span', { class: 'id' }, clean(requestId, 256))));
  const external = textOf(span, ATTR.externalTraceId);
  if (external !== '')
    facts.push(fact('Caller’s trace id', h('span', { class: 'id' }, clean(external, 256))));
  return h('dl', { class: 'facts' }, ...facts);
}
