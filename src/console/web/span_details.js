/** All that one span says. */
import { h } from './dom.js';
import { clean, cleanLines, durationText, linkOf } from './text.js';

/** @import {Span, Trace, Value} from './otlp_trace.js' */

/** Members of a list that are shown; a span may have thousands. */
const LIST_LIMIT = 200;

/** @param {Value} value */
function valueText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** @param {Value} value */
function valueView(value) {
  const text = valueText(value);
  const href = typeof value === 'string' ? linkOf(value) : undefined;
  if (href === undefined)
    return h('span', { class: typeof value === 'string' ? '' : 'number-value' }, cleanLines(text));
  return h('a', { attrs: { href, target: '_blank', rel: 'noreferrer noopener' } }, clean(text));
}

/** A key that may break behind its dots and underscores. @param {string} key */
function keyView(key) {
  const parts = clean(key, 256).split(/(?<=[._])/);
  return parts.flatMap((part, index) => (index === 0 ? [part] : [h('wbr', {}), part]));
}

/** @param {ReadonlyMap<string, Value>} attributes */
function attributeTable(attributes) {
  const entries = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, LIST_LIMIT);
  return h(
    'table',
    { class: 'attributes' },
    h(
      'tbody',
      {},
      ...entries.map(([key, value]) =>
        h('tr', {}, h('th', { attrs: { scope: 'row' } }, ...keyView(key)), h('td', {}, valueView(value))),
      ),
    ),
  );
}

/** @param {string} title @param {ReadonlyMap<string, Value>} attributes @param {boolean} isOpen */
function attributeSection(title, attributes, isOpen) {
  if (attributes.size === 0) return undefined;
  return h(
    'details',
    { attrs: { open: isOpen } },
    h('summary', {}, `${title} (${attributes.size})`),
    attributeTable(attributes),
  );
}

/**
 * @param {Trace} trace
 * @param {string} traceId
 * @param {string} spanId
 */
export function spanLink(trace, traceId, spanId) {
  const isHere = traceId === trace.traceId;
  return h(
    'a',
    { class: 'id', attrs: { href: `/trace/${encodeURIComponent(traceId)}#${encodeURIComponent(spanId)}` } },
    isHere ? `span ${clean(spanId, 16)} in this trace` : `trace ${clean(traceId.slice(0, 16), 16)}…`,
  );
}

/**
 * @param {Trace} trace
 * @param {Span} span
 * @param {() => void} onClose
 */
export function spanDetails(trace, span, onClose) {
  const heading = h(
    'h2',
    { attrs: { tabindex: '-1', id: 'details-title' } },
    clean(span.name === '' ? '(no name)' : span.name, 200),
  );
  const links = span.links.slice(0, LIST_LIMIT);
  const events = span.events.slice(0, LIST_LIMIT);
  /** @param {string} term @param {string | Node} value */
  const fact = (term, value) => h('div', {}, h('dt', {}, term), h('dd', {}, value));
  const element = h(
    'aside',
    {
      class: 'details',
      attrs: { 'aria-labelledby': 'details-title' },
      on: {
        keydown: (event) => {
          if (event.key === 'Escape') onClose();
        },
      },
    },
    h(
      'div',
      { class: 'title-row' },
      heading,
      h(
        'button',
        { attrs: { type: 'button', 'aria-label': 'Close details' }, on: { click: onClose } },
        'Close',
      ),
    ),
    h(
      'dl',
      { class: 'facts' },
      fact('Process', [span.service, span.instance].map((part) => clean(part, 120)).join(' ')),
      fact('Kind', span.kind),
      fact('Start', `+${durationText(span.offsetMs)}`),
      fact('Duration', durationText(span.durationMs)),
      fact(
        'Status',
        h(
          'span',
          { class: span.status === 'error' ? 'bad' : '' },
          span.status + (span.statusMessage === '' ? '' : `: ${clean(span.statusMessage, 1000)}`),
        ),
      ),
      fact('Span id', h('span', { class: 'id' }, clean(span.spanId, 32))),
    ),
    attributeSection('Attributes', span.attributes, true),
    links.length > 0 &&
      h(
        'details',
        { attrs: { open: true } },
        h('summary', {}, `Links (${span.links.length})`),
        h(
          'ul',
          { class: 'links' },
          ...links.map((link) =>
            h(
              'li',
              {},
              spanLink(trace, link.traceId, link.spanId),
              link.attributes.size > 0 && attributeTable(link.attributes),
            ),
          ),
        ),
      ),
    events.length > 0 &&
      h(
        'details',
        { attrs: { open: true } },
        h('summary', {}, `Events (${span.events.length})`),
        h(
          'ul',
          { class: 'links' },
          ...events.map((event) =>
            h(
              'li',
              {},
              h('span', { class: 'number' }, `+${durationText(event.offsetMs)} `),
              clean(event.name, 200),
              event.attributes.size > 0 && attributeTable(event.attributes),
            ),
          ),
        ),
      ),
    attributeSection(
      `Resource${span.scope === '' ? '' : `, ${clean(span.scope, 120)}`}`,
      span.resource,
      false,
    ),
    span.dropped > 0 &&
      h('p', { class: 'muted' }, `Its sender left out ${span.dropped} attributes, events or links.`),
  );
  return { element, heading };
}
