/** Reading spans and whole traces back. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { ChunkReader } from './chunk.ts';
import { lookupHash, TRACE_ID_KEY } from './indexed_tags.ts';
import { decodeSpan, microsecondsOf, skimSpan } from './otlp_message.ts';
import type { SeriesRegistry } from './series.ts';
import { STATUS_ERROR, type StoredSpan, type Trace } from './span.ts';
import type { SpanIndex } from './span_index.ts';
import { asBuffer, SPANS_PER_TRACE } from './sqlite_open.ts';

/** Spans of one trace among which those that were sent twice are told apart when they are counted. */
const DISTINCT_COUNT_LIMIT = 1_024;

export class SpanReader {
  private readonly registry: SeriesRegistry;
  private readonly index: SpanIndex;
  private readonly selectChunks: StatementSync;
  private readonly selectChunk: StatementSync;
  /** Spans that could not be read. */
  unreadableSpans = 0;

  constructor(database: DatabaseSync, registry: SeriesRegistry, index: SpanIndex) {
    this.registry = registry;
    this.index = index;
    this.selectChunks = database.prepare('SELECT body FROM chunks WHERE id >= ? AND id < ? ORDER BY id');
    this.selectChunk = database.prepare(
      'SELECT id, body FROM chunks WHERE id <= ? AND id > ? ORDER BY id DESC LIMIT 1',
    );
  }

  /** Pks of a trace, oldest first: one, unless its spans came long after each other. @param traceId 32 hex digits */
  pksOf(traceId: string): number[] {
    const id = Buffer.from(traceId, 'hex');
    const candidates = this.index.pksOf(lookupHash(TRACE_ID_KEY, id, 0, id.length));
    return candidates.filter((pk) => this.traceIdOf(pk) === traceId).reverse();
  }

  /** The id of the trace that a pk belongs to; undefined when it is evicted. */
  traceIdOf(pk: number): string | undefined {
    for (const row of this.selectChunks.iterate(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)) {
      const chunk = new ChunkReader(asBuffer(row.body));
      if (chunk.next()) return skimSpan(chunk.message()).traceId.toString('hex');
    }
    return undefined;
  }

  /** One span by its id; undefined when it is evicted or cannot be read. */
  span(id: number): StoredSpan | undefined {
    const row = this.selectChunk.get(id, id - (id % SPANS_PER_TRACE) - 1);
    if (row === undefined) return undefined;
    const chunk = new ChunkReader(asBuffer(row.body));
    for (let place = Number(row.id); chunk.next(); place += 1) {
      if (place === id) return this.toSpan(chunk);
    }
    return undefined;
  }

  /**
   * A whole trace in the order of arrival; undefined when no span of it can be read. A span that was sent
   * twice (its sender saw no answer) stands once.
   * @param pks as pksOf gives them
   */
  trace(pks: readonly number[]): Trace | undefined {
    const spans: StoredSpan[] = [];
    const messages = new Map<string, Buffer>();
    this.eachSpan(pks, (chunk) => {
      const span = this.toSpan(chunk);
      if (span === undefined) return;
      const message = chunk.message();
      const held = messages.get(span.spanId);
      if (held?.equals(message)) return;
      if (held === undefined) messages.set(span.spanId, message);
      spans.push(span);
    });
    const first = spans[0];
    return first === undefined ? undefined : { traceId: first.traceId, spans };
  }

  /** Whether a trace holds a span of this id. @param spanId 16 hex digits */
  hasSpan(pks: readonly number[], spanId: string): boolean {
    const wanted = Buffer.from(spanId, 'hex');
    let found = false;
    this.eachSpan(pks, (chunk) => {
      found ||= skimSpan(chunk.message()).spanId.equals(wanted);
    });
    return found;
  }

  /**
   * How many spans a trace holds, and how many of them have the status error as far as their series tell. Spans
   * that were sent twice count once, but for traces so large that looking for them would take long.
   */
  count(pks: readonly number[]): { spans: number; errors: number } {
    let spans = 0;
    let errors = 0;
    const seen = new Set<string>();
    this.eachSpan(pks, (chunk) => {
      if (seen.size < DISTINCT_COUNT_LIMIT) {
        const key = `${chunk.seriesId} ${skimSpan(chunk.message()).spanId.toString('latin1')}`;
        if (seen.has(key)) return;
        seen.add(key);
      }
      spans += 1;
      if (this.registry.seriesOf(chunk.seriesId)?.status === STATUS_ERROR) errors += 1;
    });
    return { spans, errors };
  }

  private eachSpan(pks: readonly number[], use: (chunk: ChunkReader) => void): void {
    for (const pk of pks) {
      for (const row of this.selectChunks.iterate(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)) {
        const chunk = new ChunkReader(asBuffer(row.body));
        while (chunk.next()) use(chunk);
      }
    }
  }

  private toSpan(chunk: ChunkReader): StoredSpan | undefined {
    const origin = this.registry.seriesOf(chunk.seriesId)?.origin.decoded;
    try {
      if (origin !== undefined) {
        const span = decodeSpan(chunk.message());
        return { ...span, origin, ...microsecondsOf(span.startTimeUnixNano, span.endTimeUnixNano) };
      }
    } catch {
      // Ingest accepts nothing that decoding refuses: this one is damaged, and its neighbours are still good.
    }
    this.unreadableSpans += 1;
    return undefined;
  }
}
