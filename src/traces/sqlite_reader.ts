/** Reading spans and whole traces back. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { decodeSpan, spanIdsOf } from './otlp_message.ts';
import type { SeriesRegistry } from './series.ts';
import { STATUS_ERROR, type StoredSpan, type Trace } from './span.ts';
import { asBuffer, SPANS_PER_TRACE } from './sqlite_open.ts';

export class SpanReader {
  private readonly registry: SeriesRegistry;
  private readonly selectPk: StatementSync;
  private readonly selectSpans: StatementSync;
  private readonly selectSpan: StatementSync;
  private readonly selectMessages: StatementSync;
  private readonly countSpans: StatementSync;
  /** Rows whose message or series could not be read. */
  unreadableSpans = 0;

  constructor(database: DatabaseSync, registry: SeriesRegistry) {
    this.registry = registry;
    this.selectPk = database.prepare('SELECT pk FROM traces WHERE trace_id = ?');
    this.selectSpans = database.prepare(
      'SELECT series, start_us, duration_us, message FROM spans WHERE id >= ? AND id < ? ORDER BY id',
    );
    this.selectSpan = database.prepare(
      'SELECT series, start_us, duration_us, message FROM spans WHERE id = ?',
    );
    this.selectMessages = database.prepare('SELECT message FROM spans WHERE id >= ? AND id < ?');
    this.countSpans = database.prepare(
      'SELECT series, count(*) AS n FROM spans WHERE id >= ? AND id < ? GROUP BY series',
    );
  }

  /** @param traceId 32 hex digits */
  pkOf(traceId: string): number | undefined {
    const row = this.selectPk.get(Buffer.from(traceId, 'hex'));
    return row === undefined ? undefined : Number(row.pk);
  }

  span(id: number): StoredSpan | undefined {
    const row = this.selectSpan.get(id);
    return row === undefined ? undefined : this.toSpan(row);
  }

  /**
   * A whole trace in the order of arrival; undefined when no span of it can be read. A span that was sent
   * twice (its sender saw no answer) stands once.
   */
  trace(pk: number): Trace | undefined {
    const spans: StoredSpan[] = [];
    const messages = new Map<string, Buffer>();
    for (const row of this.selectSpans.iterate(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)) {
      const span = this.toSpan(row);
      if (span === undefined) continue;
      const message = asBuffer(row.message);
      const held = messages.get(span.spanId);
      if (held?.equals(message)) continue;
      if (held === undefined) messages.set(span.spanId, message);
      spans.push(span);
    }
    const first = spans[0];
    return first === undefined ? undefined : { traceId: first.traceId, spans };
  }

  /** Whether a trace holds a span of this id. @param spanId 16 hex digits */
  hasSpan(pk: number, spanId: string): boolean {
    const wanted = Buffer.from(spanId, 'hex');
    for (const row of this.selectMessages.iterate(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)) {
      if (spanIdsOf(asBuffer(row.message)).spanId.equals(wanted)) return true;
    }
    return false;
  }

  /** How many spans a trace holds and how many of them have the status error, without reading their messages. */
  count(pk: number): { spans: number; errors: number } {
    let spans = 0;
    let errors = 0;
    for (const row of this.countSpans.iterate(pk * SPANS_PER_TRACE, (pk + 1) * SPANS_PER_TRACE)) {
      spans += Number(row.n);
      if (this.registry.seriesOf(Number(row.series))?.status === STATUS_ERROR) errors += Number(row.n);
    }
    return { spans, errors };
  }

  private toSpan(row: Record<string, unknown>): StoredSpan | undefined {
    const origin = this.registry.seriesOf(Number(row.series))?.origin.decoded;
    try {
      if (origin !== undefined) {
        const startUs = Number(row.start_us);
        const durationUs = Number(row.duration_us);
        return { ...decodeSpan(asBuffer(row.message)), origin, startUs, durationUs };
      }
    } catch {
      // Ingest accepts nothing that decoding refuses: such a row is damage, and its neighbours are still good.
    }
    this.unreadableSpans += 1;
    return undefined;
  }
}
