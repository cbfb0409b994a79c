/** What a search means, held against a series (in memory, for most spans the whole answer) and against one span. */
import { durationClass, FACET_KEYS } from './indexed_tags.ts';
import type { Series } from './series.ts';
import type { SeriesMeaning } from './series_key.ts';
import { type KeyValue, type Origin, SPAN_KINDS, STATUS_ERROR, type StoredSpan, valueText } from './span.ts';
import type { TraceQuery } from './store.ts';

/** `no` and `all` speak for every span of the series; `some` means that each must be looked at. */
export type SeriesVerdict = 'no' | 'some' | 'all';

function hasTag(attributes: readonly KeyValue[], key: string, text: string): boolean {
  for (const attribute of attributes) {
    if (attribute.key === key && valueText(attribute.value) === text) return true;
  }
  return false;
}

/** Tags that OTLP keeps in fields; undefined for any other key. */
function fieldText(key: string, kind: number, status: number, origin: Origin): string | undefined {
  switch (key) {
    case 'span.kind':
      return SPAN_KINDS[kind] ?? '';
    case 'otel.status_code':
      return status === STATUS_ERROR ? 'ERROR' : status === 1 ? 'OK' : '';
    case 'otel.scope.name':
      return origin.scope.name;
    case 'otel.scope.version':
      return origin.scope.version;
    default:
      return undefined;
  }
}

function tagVerdict(
  series: SeriesMeaning & { origin: { decoded: Origin } },
  key: string,
  text: string,
): SeriesVerdict {
  const origin = series.origin.decoded;
  if (hasTag(origin.resourceAttributes, key, text)) return 'all';
  if (!series.known) return 'some';
  const field = fieldText(key, series.kind, series.status, origin);
  if (field !== undefined) return field === text ? 'all' : 'no';
  if (key === 'error' && text === String(series.status === STATUS_ERROR)) return 'all';
  const facet = FACET_KEYS.indexOf(key);
  if (facet < 0 || facet >= series.knownFacets) return 'some';
  return series.facets.get(facet)?.includes(text) ? 'all' : 'no';
}

/** Whether a series' spans match everything but time and the exact duration. */
export function matchSeries(series: Series, query: TraceQuery): SeriesVerdict {
  if (query.service !== undefined && series.origin.decoded.service !== query.service) return 'no';
  let verdict: SeriesVerdict = 'all';
  if (!series.known) {
    if (query.operation !== undefined || query.kind !== undefined) verdict = 'some';
  } else {
    if (query.operation !== undefined && series.name !== query.operation) return 'no';
    if (query.kind !== undefined && series.kind !== query.kind) return 'no';
    const { minDurationUs, maxDurationUs } = query;
    if (minDurationUs !== undefined && series.durationClass < durationClass(minDurationUs)) return 'no';
    if (maxDurationUs !== undefined && series.durationClass > durationClass(maxDurationUs)) return 'no';
  }
  for (const [key, text] of query.tags ?? []) {
    const tag = tagVerdict(series, key, text);
    if (tag === 'no') return 'no';
    if (tag === 'some') verdict = 'some';
  }
  return verdict;
}

function spanHasTag(span: StoredSpan, key: string, text: string): boolean {
  if (hasTag(span.origin.resourceAttributes, key, text)) return true;
  const field = fieldText(key, span.kind, span.statusCode, span.origin);
  if (field !== undefined) return field === text;
  if (key === 'error' && text === String(span.statusCode === STATUS_ERROR)) return true;
  return hasTag(span.attributes, key, text);
}

/** Whether one span matches all of a query; the meaning that every index must agree with. */
export function matchSpan(span: StoredSpan, query: TraceQuery): boolean {
  const { service, operation, kind, minDurationUs, maxDurationUs, startMinUs, startMaxUs } = query;
  if (service !== undefined && span.origin.service !== service) return false;
  if (operation !== undefined && span.name !== operation) return false;
  if (kind !== undefined && span.kind !== kind) return false;
  if (minDurationUs !== undefined && span.durationUs < minDurationUs) return false;
  if (maxDurationUs !== undefined && span.durationUs > maxDurationUs) return false;
  if (startMinUs !== undefined && span.startUs < startMinUs) return false;
  if (startMaxUs !== undefined && span.startUs > startMaxUs) return false;
  for (const [key, text] of query.tags ?? []) if (!spanHasTag(span, key, text)) return false;
  return true;
}
