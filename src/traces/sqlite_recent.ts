/** The newest queries for the console's list, and the calls between services. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { ATTR, SERVICE_GATEWAY, SERVICE_WORKER, SPAN } from '../contract/attributes.ts';
import { ChunkReader } from './chunk.ts';
import { skimSpan } from './otlp_message.ts';
import type { Series, SeriesRegistry } from './series.ts';
import { matchSeries, matchSpan } from './series_match.ts';
import { type ScanBudget, type ScanSource, scanSeries } from './series_scan.ts';
import { STATUS_ERROR, type StoredSpan, valueText } from './span.ts';
import type { SpanIndex } from './span_index.ts';
import { asBuffer, SPANS_PER_TRACE } from './sqlite_open.ts';
import type { SpanReader } from './sqlite_reader.ts';
import { SPAN_READ_COST, scanRange } from './sqlite_search.ts';
import type {
  Dependencies,
  DependencyLink,
  RecentFilters,
  RecentQuery,
  RecentResult,
  TraceQuery,
} from './store.ts';

const KIND_SERVER = 2;
const KIND_CONSUMER = 5;
/** A page asks for tens; more is no list for people. */
const RECENT_LIMIT = 1000;

function textOf(span: StoredSpan, key: string): string {
  for (const attribute of span.attributes) if (attribute.key === key) return valueText(attribute.value) ?? '';
  return '';
}

function toQuery(filters: RecentFilters): TraceQuery {
  const tags = new Map<string, string>();
  if (filters.model !== undefined) tags.set(ATTR.model, filters.model);
  if (filters.outcome !== undefined) tags.set(ATTR.outcome, filters.outcome);
  if (filters.error !== undefined) tags.set('error', String(filters.error));
  return {
    ...(filters.service !== undefined && { service: filters.service }),
    ...(filters.operation !== undefined && { operation: filters.operation }),
    ...(filters.minDurationUs !== undefined && { minDurationUs: filters.minDurationUs }),
    ...(filters.startMinUs !== undefined && { startMinUs: filters.startMinUs }),
    ...(filters.startMaxUs !== undefined && { startMaxUs: filters.startMaxUs }),
    tags,
    limit: RECENT_LIMIT,
  };
}

/** A batch is a trace of its own, and no query. */
function isBatch(service: string, name: string): boolean {
  return service === SERVICE_WORKER && (name === SPAN.batch || name.startsWith(`${SPAN.batch} `));
}

/** Whether spans of a series can stand for a query: spans without a parent, and those that enter a service. */
function mayBeQuery(series: Series): boolean {
  if (!series.known) return true;
  if (isBatch(series.origin.decoded.service, series.name)) return false;
  return !series.hasParent || series.kind === KIND_SERVER || series.kind === KIND_CONSUMER;
}

export class RecentQueries {
  private readonly registry: SeriesRegistry;
  private readonly reader: SpanReader;
  private readonly index: SpanIndex;
  private readonly scanLimit: number;
  private readonly selectBackwards: StatementSync;

  constructor(
    database: DatabaseSync,
    registry: SeriesRegistry,
    reader: SpanReader,
    index: SpanIndex,
    options: { readonly scanLimit: number },
  ) {
    this.registry = registry;
    this.reader = reader;
    this.index = index;
    this.scanLimit = options.scanLimit;
    this.selectBackwards = database.prepare('SELECT id, body FROM chunks ORDER BY id DESC');
  }

  recent(limit: number, filters: RecentFilters): RecentResult {
    const query = toQuery(filters);
    const wanted = Math.min(limit, RECENT_LIMIT);
    const budget: ScanBudget = { left: this.scanLimit };
    const queries: RecentQuery[] = [];
    /** A span that was sent twice is listed once. */
    const listed = new Set<string>();
    const sources: ScanSource[] = [];
    for (const series of this.registry.all()) {
      if (!mayBeQuery(series)) continue;
      const verdict = matchSeries(series, query);
      if (verdict === 'no') continue;
      sources.push({ series, verify: verdict === 'some' });
    }
    if (wanted > 0) {
      for (const entry of scanSeries(this.index, sources, scanRange(query), budget)) {
        if (budget.left <= 0) break;
        budget.left -= SPAN_READ_COST;
        const span = this.reader.span(entry.id);
        if (span === undefined || (entry.source.verify && !matchSpan(span, query))) continue;
        const pks = this.reader.pksOf(span.traceId);
        if (!this.isQuery(span, pks, budget)) continue;
        const key = `${span.traceId} ${span.spanId} ${span.kind}`;
        if (listed.has(key)) continue;
        listed.add(key);
        queries.push(this.describe(span, pks));
        if (queries.length >= wanted) break;
      }
    }
    return {
      queries,
      scanned: this.scanLimit - budget.left,
      scanLimitReached: budget.left <= 0 && queries.length < wanted,
    };
  }

  private isQuery(span: StoredSpan, pks: readonly number[], budget: ScanBudget): boolean {
    const { service } = span.origin;
    if (isBatch(service, span.name)) return false;
    if (span.parentSpanId === '') return true;
    if (service === SERVICE_GATEWAY && span.kind === KIND_SERVER) return true;
    if (span.kind !== KIND_SERVER && span.kind !== KIND_CONSUMER) return false;
    budget.left -= SPAN_READ_COST;
    return !this.reader.hasSpan(pks, span.parentSpanId);
  }

  private describe(span: StoredSpan, pks: readonly number[]): RecentQuery {
    const { spans, errors } = this.reader.count(pks);
    return {
      traceId: span.traceId,
      spanId: span.spanId,
      startUs: span.startUs,
      durationUs: span.durationUs,
      service: span.origin.service,
      operation: span.name,
      kind: span.kind,
      outcome: textOf(span, ATTR.outcome),
      model: textOf(span, ATTR.model),
      requestId: textOf(span, ATTR.requestId),
      httpStatus: textOf(span, ATTR.httpResponseStatusCode),
      errorCode: textOf(span, ATTR.errorCode),
      error: span.statusCode === STATUS_ERROR,
      spanCount: spans,
      errorSpanCount: errors,
    };
  }

  /** Walks back from the newest arrival; traces are contiguous, so each is seen whole before the next. */
  dependencies(startMinUs: number, startMaxUs: number): Dependencies {
    const counts = new Map<string, DependencyLink & { callCount: number }>();
    let left = Math.ceil(this.scanLimit / SPAN_READ_COST);
    let pk = -1;
    let services = new Map<string, string>();
    let children = new Map<string, { service: string; parent: string }>();
    const finishTrace = (): void => {
      for (const { service, parent } of children.values()) {
        const caller = services.get(parent);
        if (caller === undefined || caller === service) continue;
        const key = JSON.stringify([caller, service]);
        const link = counts.get(key) ?? { parent: caller, child: service, callCount: 0 };
        link.callCount += 1;
        counts.set(key, link);
      }
      services = new Map();
      children = new Map();
    };
    for (const row of this.selectBackwards.iterate()) {
      const rowPk = Math.floor(Number(row.id) / SPANS_PER_TRACE);
      if (rowPk !== pk) {
        finishTrace();
        pk = rowPk;
        if (left <= 0) break;
      }
      const chunk = new ChunkReader(asBuffer(row.body));
      while (chunk.next()) {
        left -= 1;
        const series = this.registry.seriesOf(chunk.seriesId);
        if (series === undefined) continue;
        const { service } = series.origin.decoded;
        const { spanId, parentSpanId, startUs } = skimSpan(chunk.message());
        const id = spanId.toString('hex');
        services.set(id, service);
        if (parentSpanId.length === 0) continue;
        if (startUs < startMinUs || startUs > startMaxUs) continue;
        children.set(id, { service, parent: parentSpanId.toString('hex') });
      }
    }
    finishTrace();
    const links = [...counts.values()].sort(
      (a, b) => a.parent.localeCompare(b.parent) || a.child.localeCompare(b.child),
    );
    return { links, scanLimitReached: left <= 0 };
  }
}
