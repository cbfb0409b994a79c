/**
 * Series and origins: what many spans have in common, held in memory whole (bounded) and in the database.
 * A series is one origin (resource and scope), operation, kind, status, presence of a parent, class of
 * duration and set of facet values; every span belongs to one. Searches choose series here, in memory, and
 * read only the index entries of those.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type BatchOrigin, originKey } from './otlp_batch.ts';
import { decodeResource, decodeScope } from './otlp_message.ts';
import { readSeriesKey, type SeriesMeaning } from './series_key.ts';
import { type KeyValue, type Origin, valueText } from './span.ts';
import type { SpanIndex } from './span_index.ts';
import { asBuffer } from './sqlite_open.ts';

export interface Series extends SeriesMeaning {
  readonly id: number;
  readonly origin: StoredOrigin;
  /** Start of the newest span, or an upper bound of it. */
  newestStartUs: number;
}

export interface StoredOrigin {
  readonly id: number;
  readonly key: string;
  readonly decoded: Origin;
  readonly seriesByKey: Map<string, Series>;
  /** No span of a trace beyond this pk may refer to it yet; raised in steps, so that it is written seldom. */
  lastPk: number;
}

/** An origin's last_pk is written this far ahead. */
const LAST_PK_STEP = 4096;
const UNKNOWN_SERVICE = 'unknown_service';

function serviceOf(attributes: readonly KeyValue[]): string {
  for (const { key, value } of attributes) {
    if (key === 'service.name') return valueText(value) || UNKNOWN_SERVICE;
  }
  return UNKNOWN_SERVICE;
}

export interface SeriesLimits {
  readonly maxSeries: number;
  readonly maxOrigins: number;
}

export class SeriesRegistry {
  private readonly index: SpanIndex;
  private readonly limits: SeriesLimits;
  private readonly insertOrigin: StatementSync;
  private readonly insertSeries: StatementSync;
  private readonly raiseLastPk: StatementSync;
  private readonly selectOrigins: StatementSync;
  private readonly selectSeries: StatementSync;
  private readonly deleteSeries: StatementSync;
  private readonly deleteOrigins: StatementSync;

  private readonly originsByKey = new Map<string, StoredOrigin>();
  private readonly byId = new Map<number, Series>();
  private nextOriginId = 1;
  private nextSeriesId = 1;

  constructor(database: DatabaseSync, index: SpanIndex, limits: SeriesLimits) {
    this.index = index;
    this.limits = limits;
    this.insertOrigin = database.prepare('INSERT INTO origins VALUES (?, ?, ?, ?, ?, ?)');
    this.insertSeries = database.prepare('INSERT INTO series VALUES (?, ?, ?)');
    this.raiseLastPk = database.prepare('UPDATE origins SET last_pk = ? WHERE id = ?');
    this.selectOrigins = database.prepare('SELECT * FROM origins');
    this.selectSeries = database.prepare('SELECT id, origin, key FROM series');
    this.deleteSeries = database.prepare('DELETE FROM series WHERE id = ?');
    this.deleteOrigins = database.prepare('DELETE FROM origins WHERE last_pk < ? RETURNING id');
    this.reload();
  }

  /** Reads everything from the database again: at start, and after a transaction was rolled back. */
  reload(): void {
    this.originsByKey.clear();
    this.byId.clear();
    const originsById = new Map<number, StoredOrigin>();
    for (const row of this.selectOrigins.iterate()) {
      const origin = this.makeOrigin(Number(row.id), {
        resource: asBuffer(row.resource),
        resourceSchemaUrl: String(row.resource_schema_url),
        scope: asBuffer(row.scope),
        scopeSchemaUrl: String(row.scope_schema_url),
      });
      origin.lastPk = Number(row.last_pk);
      originsById.set(origin.id, origin);
      this.originsByKey.set(origin.key, origin);
      this.nextOriginId = Math.max(this.nextOriginId, origin.id + 1);
    }
    for (const row of this.selectSeries.iterate()) {
      const origin = originsById.get(Number(row.origin));
      const id = Number(row.id);
      this.nextSeriesId = Math.max(this.nextSeriesId, id + 1);
      if (origin !== undefined) this.addSeries(id, origin, asBuffer(row.key).toString('latin1'));
    }
    for (const series of this.byId.values()) {
      series.newestStartUs = this.index.newestStartUs(series.id);
    }
  }

  private makeOrigin(id: number, raw: Omit<BatchOrigin, 'key'>): StoredOrigin {
    const resource = decodeResource(raw.resource);
    return {
      id,
      key: originKey(raw),
      decoded: {
        service: serviceOf(resource.attributes),
        resourceAttributes: resource.attributes,
        resourceDroppedAttributesCount: resource.droppedAttributesCount,
        resourceSchemaUrl: raw.resourceSchemaUrl,
        scope: decodeScope(raw.scope),
        scopeSchemaUrl: raw.scopeSchemaUrl,
      },
      seriesByKey: new Map(),
      lastPk: 0,
    };
  }

  private addSeries(id: number, origin: StoredOrigin, key: string): Series {
    const series: Series = { ...readSeriesKey(key), id, origin, newestStartUs: 0 };
    origin.seriesByKey.set(key, series);
    this.byId.set(id, series);
    return series;
  }

  /** The origin of a run of spans, stored when it is new; undefined when there are too many. Within a transaction. */
  origin(raw: BatchOrigin): StoredOrigin | undefined {
    const held = this.originsByKey.get(raw.key);
    if (held !== undefined) return held;
    if (this.originsByKey.size >= this.limits.maxOrigins) return undefined;
    const origin = this.makeOrigin(this.nextOriginId, raw);
    this.nextOriginId += 1;
    this.insertOrigin.run(
      origin.id,
      raw.resource,
      raw.resourceSchemaUrl,
      raw.scope,
      raw.scopeSchemaUrl,
      origin.lastPk,
    );
    this.originsByKey.set(raw.key, origin);
    return origin;
  }

  /** Notes that a trace refers to an origin, so that it outlives the trace. Within a transaction. */
  touch(origin: StoredOrigin, pk: number): void {
    if (pk <= origin.lastPk) return;
    origin.lastPk = pk + LAST_PK_STEP;
    this.raiseLastPk.run(origin.lastPk, origin.id);
  }

  /** The series of a key, stored when it is new; the origin's catch-all when there are too many. Within a transaction. */
  series(origin: StoredOrigin, key: string): Series {
    const held = origin.seriesByKey.get(key);
    if (held !== undefined) return held;
    if (key !== '' && this.byId.size >= this.limits.maxSeries) return this.series(origin, '');
    const series = this.addSeries(this.nextSeriesId, origin, key);
    this.nextSeriesId += 1;
    this.insertSeries.run(series.id, origin.id, Buffer.from(key, 'latin1'));
    return series;
  }

  seriesOf(id: number): Series | undefined {
    return this.byId.get(id);
  }

  all(): Iterable<Series> {
    return this.byId.values();
  }

  origins(): Iterable<StoredOrigin> {
    return this.originsByKey.values();
  }

  get seriesCount(): number {
    return this.byId.size;
  }

  get originCount(): number {
    return this.originsByKey.size;
  }

  /** The largest pk that any origin was told of: new ones must lie beyond it, since pks are never used twice. */
  get lastPk(): number {
    let last = 0;
    for (const origin of this.originsByKey.values()) last = Math.max(last, origin.lastPk);
    return last;
  }

  /** Forgets series without spans, and origins that only evicted traces referred to. Within a transaction. */
  sweep(oldestPk: number): void {
    for (const series of this.byId.values()) {
      if (this.index.hasSeries(series.id)) continue;
      this.deleteSeries.run(series.id);
      this.byId.delete(series.id);
      for (const [key, held] of series.origin.seriesByKey) {
        if (held === series) series.origin.seriesByKey.delete(key);
      }
    }
    const gone = new Set(this.deleteOrigins.all(oldestPk).map((row) => Number(row.id)));
    for (const [key, origin] of this.originsByKey) if (gone.has(origin.id)) this.originsByKey.delete(key);
  }
}
