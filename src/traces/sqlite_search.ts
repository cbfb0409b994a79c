/** Searches: choose series in memory, read their index newest first, look into spans only where that is not enough. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { LOOKUP_KEYS, lookupHashOfText } from './indexed_tags.ts';
import type { SeriesRegistry } from './series.ts';
import { comparesDurations, matchSeries, matchSpan } from './series_match.ts';
import type { ScanBudget, ScanRange, ScanSource, SeriesScan } from './series_scan.ts';
import type { Trace } from './span.ts';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { SpanReader } from './sqlite_reader.ts';
import type { SearchResult, TraceQuery } from './store.ts';

/** Looking into a span costs about as much as this many index entries. */
export const SPAN_READ_COST = 8;
/** Spans of all traces of one answer; a search ends with the trace that goes beyond. */
export const ANSWER_SPAN_LIMIT = 50_000;

export function scanRange(query: Partial<TraceQuery>): ScanRange {
  return {
    startMinUs: query.startMinUs ?? 0,
    startMaxUs: query.startMaxUs ?? Number.MAX_SAFE_INTEGER,
    minDurationUs: query.minDurationUs ?? 0,
    maxDurationUs: query.maxDurationUs ?? Number.MAX_SAFE_INTEGER,
  };
}

export interface TraceSearchOptions {
  readonly scanLimit: number;
}

export class TraceSearch {
  private readonly registry: SeriesRegistry;
  private readonly reader: SpanReader;
  private readonly scan: SeriesScan;
  private readonly scanLimit: number;
  private readonly selectLookup: StatementSync;

  constructor(
    database: DatabaseSync,
    registry: SeriesRegistry,
    reader: SpanReader,
    scan: SeriesScan,
    options: TraceSearchOptions,
  ) {
    this.registry = registry;
    this.reader = reader;
    this.scan = scan;
    this.scanLimit = options.scanLimit;
    this.selectLookup = database.prepare('SELECT pk FROM lookups WHERE hash = ? ORDER BY pk DESC LIMIT ?');
  }

  search(query: TraceQuery): SearchResult {
    const budget: ScanBudget = { left: this.scanLimit };
    const pks = this.searchLookup(query, budget) ?? this.searchSeries(query, budget);
    const traces: Trace[] = [];
    let spans = 0;
    let spanLimitReached = false;
    for (const pk of pks) {
      if (spans >= ANSWER_SPAN_LIMIT) {
        spanLimitReached = true;
        break;
      }
      const trace = this.reader.trace(pk);
      if (trace === undefined) continue;
      spans += trace.spans.length;
      traces.push(trace);
    }
    return {
      traces,
      scanned: this.scanLimit - budget.left,
      scanLimitReached: spanLimitReached || (budget.left <= 0 && traces.length < query.limit),
    };
  }

  private searchSeries(query: TraceQuery, budget: ScanBudget): Set<number> {
    const sources: ScanSource[] = [];
    for (const series of this.registry.all()) {
      const verdict = matchSeries(series, query);
      if (verdict === 'no') continue;
      sources.push({
        series,
        compareDurations: comparesDurations(series, query),
        verify: verdict === 'some',
      });
    }
    const pks = new Set<number>();
    if (query.limit <= 0) return pks;
    for (const entry of this.scan.entries(sources, scanRange(query), budget)) {
      const pk = Math.floor(entry.id / SPANS_PER_TRACE);
      if (pks.has(pk)) continue;
      if (entry.source.verify) {
        budget.left -= SPAN_READ_COST;
        const span = this.reader.span(entry.id);
        if (span === undefined || !matchSpan(span, query)) {
          if (budget.left <= 0) break;
          continue;
        }
      }
      pks.add(pk);
      if (pks.size >= query.limit) break;
    }
    return pks;
  }

  /**
   * By the hash of a tag with about one value per query; undefined when the query has none, or when a resource
   * could carry it. Sorted as a search through the series is.
   */
  private searchLookup(query: TraceQuery, budget: ScanBudget): number[] | undefined {
    const hash = this.lookupHashOf(query);
    if (hash === undefined) return undefined;
    const found: Match[] = [];
    for (const row of this.selectLookup.all(hash, Math.ceil(this.scanLimit / SPAN_READ_COST))) {
      if (budget.left <= 0) break;
      const pk = Number(row.pk);
      const spans = this.reader.trace(pk)?.spans ?? [];
      budget.left -= SPAN_READ_COST * Math.max(1, spans.length);
      let best: Match | undefined;
      for (const [place, span] of spans.entries()) {
        if (!matchSpan(span, query)) continue;
        const candidate = { pk, startUs: span.startUs, durationUs: span.durationUs, place };
        if (best === undefined || newestFirst(candidate, best) < 0) best = candidate;
      }
      if (best !== undefined) found.push(best);
    }
    return found
      .sort(newestFirst)
      .slice(0, Math.max(0, query.limit))
      .map(({ pk }) => pk);
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
  readonly pk: number;
  readonly startUs: number;
  readonly durationUs: number;
  readonly place: number;
}

function newestFirst(a: Match, b: Match): number {
  return b.startUs - a.startUs || b.durationUs - a.durationUs || b.pk - a.pk || b.place - a.place;
}
