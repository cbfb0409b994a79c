/**
 * What evidence asks of Prometheus, or of what answers its query API.
 * https://prometheus.io/docs/prometheus/latest/querying/api/
 */
import type { JsonSource } from './json_source.ts';
import { SourceError } from './json_source.ts';

type Labels = Readonly<Record<string, string>>;

export interface InstantSample {
  readonly labels: Labels;
  readonly value: number;
}

export interface RangeSamples {
  readonly labels: Labels;
  /** Unix milliseconds and value, oldest first. */
  readonly points: readonly (readonly [number, number])[];
}

/** An observation of a histogram that remembers its query. */
export interface StoredExemplar {
  readonly traceId: string;
  readonly spanId: string;
  /** In the metric's unit. */
  readonly value: number;
  /** Unix milliseconds. */
  readonly atMs: number;
  /** Of the series. */
  readonly labels: Labels;
}

export interface Prometheus {
  /** @throws SourceError */
  query(promql: string, atMs: number): Promise<readonly InstantSample[]>;
  /** As it stood at each step from start to end. @throws SourceError */
  queryRange(
    promql: string,
    range: { readonly startMs: number; readonly endMs: number; readonly stepS: number },
  ): Promise<readonly RangeSamples[]>;
  /** Of the series that the selector names; at most the limit, largest values first. @throws SourceError */
  exemplars(
    selector: string,
    range: { readonly startMs: number; readonly endMs: number; readonly limit: number },
  ): Promise<readonly StoredExemplar[]>;
}

type Json = Readonly<Record<string, unknown>>;

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function labelsOf(value: unknown): Record<string, string> {
  const { __name__: _, ...labels } = objectOf(value);
  return Object.fromEntries(Object.entries(labels).map(([name, text]) => [name, String(text)]));
}

/** Prometheus writes numbers as text, and infinities as +Inf and -Inf. */
function numberOf(value: unknown): number {
  const text = String(value);
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

function seconds(unixMs: number): string {
  return (unixMs / 1000).toFixed(3);
}

/** @param signal of every question */
export function createPrometheus(source: JsonSource, signal: AbortSignal): Prometheus {
  const data = async (path: string, parameters: Readonly<Record<string, string>>): Promise<unknown> => {
    const { json } = await source.get(`/api/v1/${path}`, parameters, { signal });
    const answer = objectOf(json);
    if (answer.status !== 'success') throw new SourceError('Prometheus refused a question');
    return answer.data;
  };
  return {
    async query(promql, atMs) {
      const { result } = objectOf(await data('query', { query: promql, time: seconds(atMs) }));
      return listOf(result).map((each) => {
        const { metric, value } = objectOf(each);
        return { labels: labelsOf(metric), value: numberOf(listOf(value)[1]) };
      });
    },
    async queryRange(promql, { startMs, endMs, stepS }) {
      const parameters = { query: promql, start: seconds(startMs), end: seconds(endMs), step: String(stepS) };
      const { result } = objectOf(await data('query_range', parameters));
      return listOf(result).map((each) => {
        const { metric, values } = objectOf(each);
        const points = listOf(values).map((point): readonly [number, number] => {
          const [timeS, value] = listOf(point);
          return [Number(timeS) * 1000, numberOf(value)];
        });
        return { labels: labelsOf(metric), points };
      });
    },
    async exemplars(selector, { startMs, endMs, limit }) {
      const found = await data('query_exemplars', {
        query: selector,
        start: seconds(startMs),
        end: seconds(endMs),
      });
      return listOf(found)
        .flatMap((series) => {
          const labels = labelsOf(objectOf(series).seriesLabels);
          return listOf(objectOf(series).exemplars).flatMap((each): StoredExemplar[] => {
            const { value, timestamp, labels: own } = objectOf(each);
            const { trace_id: traceId = '', span_id: spanId = '' } = labelsOf(own);
            // What names no trace leads nowhere.
            if (!/^[0-9a-f]{32}$/.test(traceId)) return [];
            return [{ traceId, spanId, value: numberOf(value), atMs: Number(timestamp) * 1000, labels }];
          });
        })
        .sort((a, b) => b.value - a.value)
        .slice(0, limit);
    },
  };
}
