/** Where the queries of a time range spent their time: the ledgers on the gateway's spans, with their workers. */
import { ATTR, SERVICE_GATEWAY } from '../contract/attributes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import { queryRecordOf } from './query_record.ts';
import type { SeriesRegistry } from './series.ts';
import { matchSeries, matchSpan } from './series_match.ts';
import { type ScanBudget, type ScanSource, scanSeries } from './series_scan.ts';
import type { SpanIndex } from './span_index.ts';
import { SPANS_PER_TRACE } from './sqlite_open.ts';
import type { SpanReader } from './sqlite_reader.ts';
import { SPAN_READ_COST, scanRange } from './sqlite_search.ts';
import type { LedgerQuery, LedgerResult, TraceQuery } from './store.ts';

const KIND_SERVER = 2;
const LEDGERS_LIMIT = 1000;
/** Spans of all traces of one answer. */
const ANSWER_SPAN_LIMIT = 50_000;

/** Keeps every n-th of what comes, at most twice the limit: n doubles when there is too much. */
class EvenSample {
  readonly #limit: number;
  #items: number[] = [];
  #every = 1;
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(item: number): void {
    if (this.#count % this.#every === 0) this.#items.push(item);
    this.#count += 1;
    if (this.#items.length < 2 * this.#limit) return;
    this.#items = this.#items.filter((_, index) => index % 2 === 0);
    this.#every *= 2;
  }

  get count(): number {
    return this.#count;
  }

  /** At most the limit, evenly spread. */
  items(): number[] {
    const excess = this.#items.length / this.#limit;
    if (excess <= 1) return this.#items;
    return Array.from(
      { length: this.#limit },
      (_, index) => this.#items[Math.floor(index * excess)] as number,
    );
  }
}

export class QueryLedgers {
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

  ledgers({ startMinUs, startMaxUs, model, limit }: LedgerQuery): LedgerResult {
    const query: TraceQuery = {
      service: SERVICE_GATEWAY,
      kind: KIND_SERVER,
      startMinUs,
      startMaxUs,
      tags: new Map(model === undefined ? [] : [[ATTR.model, model]]),
      limit: LEDGERS_LIMIT,
    };
    const sources: ScanSource[] = [];
    for (const series of this.registry.all()) {
      const verdict = matchSeries(series, query);
      if (verdict !== 'no') sources.push({ series, verify: verdict === 'some' });
    }
    const budget: ScanBudget = { left: this.scanLimit };
    const sample = new EvenSample(Math.max(1, Math.min(limit, LEDGERS_LIMIT)));
    for (const entry of scanSeries(this.index, sources, scanRange(query), budget)) {
      if (budget.left <= 0) break;
      if (entry.source.verify) {
        budget.left -= SPAN_READ_COST;
        const span = this.reader.span(entry.id);
        if (span === undefined || !matchSpan(span, query)) continue;
      }
      sample.add(entry.id);
    }
    const queries: QueryRecord[] = [];
    let spans = 0;
    for (const id of sample.items()) {
      if (spans >= ANSWER_SPAN_LIMIT) break;
      const span = this.reader.span(id);
      if (span === undefined) continue;
      // Attempts come with their query's span: in the same part of the trace.
      const siblings = this.reader.trace([Math.floor(id / SPANS_PER_TRACE)])?.spans ?? [];
      spans += siblings.length;
      queries.push(queryRecordOf(span, siblings));
    }
    return { queries, matched: sample.count, scanLimitReached: budget.left <= 0 };
  }
}
