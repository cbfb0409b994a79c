/** Searches: choose series in memory, read their index newest first, look into spans only where that is not enough. */
import { LOOKUP_KEYS, lookupHashOfText } from './indexed_tags.ts';
import type { SeriesRegistry } from './series.ts';
import { matchSeries, matchSpan } from './series_match.ts';
import { type ScanBudget, type ScanRange, type ScanSource, scanSeries } from './series_scan.ts';
import type { Trace } from './span.ts';
import type { SpanIndex } from './span_index.ts';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { SpanReader } from './sqlite_reader.ts';
import type { SearchResult, TraceQuery } from './store.ts';

/** Looking into a span costs about as much as looking at this many index entries. */
export const SPAN_READ_COST = 64;
/** Spans of all traces of one answer; a search ends with the trace that goes beyond. */
const ANSWER_SPAN_LIMIT = 50_000;

export function scanRange(query: Partial<TraceQuery>): ScanRange {
  return {
    startMinUs: query.startMinUs ?? 0,
    startMaxUs: query.startMaxUs ?? Number.MAX_SAFE_INTEGER,
    minDurationUs: query.minDurationUs ?? 0,
    maxDurationUs: query.maxDurationUs ?? Number.MAX_SAFE_INTEGER,
  };
}

export class TraceSearch {
  private readonly registry: SeriesRegistry;
  private readonly index: SpanIndex;
  private readonly reader: SpanReader;
  private readonly scanLimit: number;

  constructor(
    registry: SeriesRegistry,
    index: SpanIndex,
    reader: SpanReader,
    options: { readonly scanLimit: number },
  ) {
    this.registry = registry;
    this.index = index;
    this.reader = reader;
    this.scanLimit = options.scanLimit;
  }

  search(query: TraceQuery): SearchResult {
    const budget: ScanBudget = { left: this.scanLimit };
    const found = this.searchLookup(query, budget) ?? this.searchSeries(query, budget);
    const traces: Trace[] = [];
    let spans = 0;
    let spanLimitReached = false;
    for (const pks of found) {
      if (spans >= ANSWER_SPAN_LIMIT) {
        spanLimitReached = true;
        break;
      }
      const trace = this.reader.trace(pks);
      if (trace === undefined) continue;
      spans += trace.spans.length;
      traces.push(trace);
    }
    return {
      traces,
      scanned: this.scanLimit - budget.left,
      scanLimitReached: spanLimitReached || (budget.left <= 0 && found.length < query.limit),
    };
  }

  private searchSeries(query: TraceQuery, budget: ScanBudget): number[][] {
    const sources: ScanSource[] = [];
    for (const series of this.registry.all()) {
      const verdict = matchSeries(series, query);
      if (verdict !== 'no') sources.push({ series, verify: verdict === 'some' });
    }
    const found: number[][] = [];
    const seen = new Set<number>();
    if (query.limit <= 0) return found;
    for (const entry of scanSeries(this.index, sources, scanRange(query), budget)) {
      const pk = Math.floor(entry.id / SPANS_PER_TRACE);
      if (seen.has(pk)) continue;
      if (entry.source.verify) {
        if (budget.left <= 0) break;
        budget.left -= SPAN_READ_COST;
        const span = this.reader.span(entry.id);
        if (span === undefined || !matchSpan(span, query)) continue;
      }
      const traceId = this.reader.traceIdOf(pk);
      if (traceId === undefined) continue;
      const pks = this.reader.pksOf(traceId);
      for (const each of pks) seen.add(each);
      found.push(pks);
      if (found.length >= query.limit) break;
    }
    return found;
  }

  /**
   * By the hash of a tag with about one value per query; undefined when the query has none, or when a resource
   * could carry it. Sorted as a search through the series is.
   */
  private searchLookup(query: TraceQuery, budget: ScanBudget): number[][] | undefined {
    const hash = this.lookupHashOf(query);
    if (hash === undefined) return undefined;
    const found: Match[] = [];
    const seen = new Set<number>();
    for (const pk of this.index.pksOf(hash)) {
      if (budget.left <= 0) break;
      const traceId = seen.has(pk) ? undefined : this.reader.traceIdOf(pk);
      if (traceId === undefined) continue;
      const pks = this.reader.pksOf(traceId);
      for (const each of pks) seen.add(each);
      const spans = this.reader.trace(pks)?.spans ?? [];
      budget.left -= SPAN_READ_COST * Math.max(1, spans.length);
      let best: Match | undefined;
      for (const [place, span] of spans.entries()) {
        if (!matchSpan(span, query)) continue;
        const candidate = { pks, startUs: span.startUs, durationUs: span.durationUs, place };
        if (best === undefined || newestFirst(candidate, best) < 0) best = candidate;
      }
      if (best !== undefined) found.push(best);
    }
    return found
      .sort(newestFirst)
      .slice(0, Math.max(0, query.limit))
      .map(({ pks }) => pks);
  }

  private lookupHashOf(query: TraceQuery): number | undefined {
    for (const [index, key] of LOOKUP_KEYS.entries()) {
      const text = query.tags?.get(key);
      if (text === undefined) continue;
      for (const { decoded } of this.registry.origins()) {
        if (decoded.resourceAttributes.some((attribute) => attribute.key === key)) return undefined;
      }
      return lookupHashOfText(index, text);
    }
    return undefined;
  }
}

interface Match {
  readonly pks: number[];
  readonly startUs: number;
  readonly durationUs: number;
  readonly place: number;
}

function newestFirst(a: Match, b: Match): number {
  return (
    b.startUs - a.startUs ||
    b.durationUs - a.durationUs ||
    (b.pks[0] ?? 0) - (a.pks[0] ?? 0) ||
    b.place - a.place
  );
}
