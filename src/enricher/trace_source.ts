/** Ledgers of queries out of a trace store that answers Jaeger's query API v3: Jaeger, or the console. */
import { ATTR, SERVICE_GATEWAY } from '../contract/attributes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import { queriesOfAnswer } from '../traces/trace_answer.ts';
import type { JsonSource } from './json_source.ts';

export interface RecordQuery {
  /** Unix milliseconds; inclusive, exclusive. */
  readonly startMs: number;
  readonly endMs: number;
  readonly model: string | undefined;
}

export interface TraceSource {
  /** Queries that began in the range: a sample that is even over it. @throws SourceError */
  records(query: RecordQuery): Promise<readonly QueryRecord[]>;
  /** One query by trace and span. @returns undefined when the store has it not. @throws SourceError */
  record(traceId: string, spanId: string): Promise<QueryRecord | undefined>;
}

/**
 * A search gives the newest traces of its range, so the range is asked for in slices: else its beginning would not
 * be among them.
 */
const SLICES = 6;
const TRACES_PER_SLICE = 40;

/** @param signal of every question */
export function createTraceSource(source: JsonSource, signal: AbortSignal): TraceSource {
  const slice = async ({ startMs, endMs, model }: RecordQuery): Promise<readonly QueryRecord[]> => {
    const { json } = await source.get(
      '/api/v3/traces',
      {
        'query.serviceName': SERVICE_GATEWAY,
        'query.startTimeMin': new Date(startMs).toISOString(),
        'query.startTimeMax': new Date(endMs).toISOString(),
        'query.searchDepth': String(TRACES_PER_SLICE),
        ...(model === undefined ? {} : { 'query.attributes': JSON.stringify({ [ATTR.model]: model }) }),
      },
      // No match.
      { signal, accepts: [404] },
    );
    // A trace may hold queries of other times and models.
    return queriesOfAnswer(json)
      .map(({ record }) => record)
      .filter(
        (record) =>
          record.startUs >= startMs * 1000 &&
          record.startUs < endMs * 1000 &&
          (model === undefined || record.model === model),
      );
  };
  return {
    async records({ startMs, endMs, model }) {
      const lengthMs = (endMs - startMs) / SLICES;
      const slices = await Promise.all(
        Array.from({ length: SLICES }, (_, index) =>
          slice({
            startMs: Math.floor(startMs + index * lengthMs),
            endMs: Math.floor(startMs + (index + 1) * lengthMs),
            model,
          }),
        ),
      );
      return slices.flat();
    },
    async record(traceId, spanId) {
      const { json } = await source.get(`/api/v3/traces/${traceId}`, {}, { signal, accepts: [404] });
      const queries = queriesOfAnswer(json);
      return (queries.find((query) => query.spanId === spanId) ?? queries[0])?.record;
    },
  };
}
