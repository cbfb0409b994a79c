/**
 * Traces as Jaeger's query API v3 gives them, `{result: {resourceSpans}}`: OTLP in JSON, read as far as the ledgers
 * of queries need it. Ids are hex, or base64 as protobuf's own JSON form writes them.
 */
import { SERVICE_GATEWAY } from '../contract/attributes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import { queryRecordOf, type RecordSpan } from './query_record.ts';
import { type AnyValue, type KeyValue, valueText } from './span.ts';

type Json = Readonly<Record<string, unknown>>;

interface AnsweredSpan extends RecordSpan {
  readonly service: string;
  readonly isServer: boolean;
}

/** A query of a trace, with the span that carries its ledger. */
export interface AnsweredQuery {
  readonly spanId: string;
  readonly record: QueryRecord;
}

/** Spans of one answer; further ones are not read. */
const SPANS_LIMIT = 100_000;
const KIND_SERVER = 2;

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function objectsOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function idOf(value: unknown): string {
  const text = typeof value === 'string' ? value : '';
  if (text === '' || /^(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/.test(text)) return text.toLowerCase();
  return Buffer.from(text, 'base64').toString('hex');
}

function microseconds(value: unknown): number {
  const text = String(value);
  return /^\d{1,20}$/.test(text) ? Number(BigInt(text) / 1000n) : 0;
}

function attributesOf(value: unknown): KeyValue[] {
  return objectsOf(value).map(({ key, value: any }) => ({
    key: String(key),
    value: objectOf(any) as AnyValue,
  }));
}

function spansOf(answer: unknown): AnsweredSpan[] {
  const spans: AnsweredSpan[] = [];
  for (const { resource, scopeSpans } of objectsOf(objectOf(objectOf(answer).result).resourceSpans)) {
    const name = attributesOf(objectOf(resource).attributes).find(({ key }) => key === 'service.name');
    const service = name === undefined ? '' : (valueText(name.value) ?? '');
    for (const scope of objectsOf(scopeSpans)) {
      for (const span of objectsOf(scope.spans)) {
        if (spans.length === SPANS_LIMIT) return spans;
        const startUs = microseconds(span.startTimeUnixNano);
        spans.push({
          service,
          isServer: span.kind === KIND_SERVER || span.kind === 'SPAN_KIND_SERVER',
          traceId: idOf(span.traceId),
          spanId: idOf(span.spanId),
          parentSpanId: idOf(span.parentSpanId),
          name: String(span.name ?? ''),
          startUs,
          durationUs: Math.max(0, microseconds(span.endTimeUnixNano) - startUs),
          attributes: attributesOf(span.attributes),
        });
      }
    }
  }
  return spans;
}

/** The queries of every trace of an answer, each once; what is not such an answer has none. */
export function queriesOfAnswer(answer: unknown): AnsweredQuery[] {
  const byTrace = Map.groupBy(spansOf(answer), ({ traceId }) => traceId);
  return [...byTrace.values()].flatMap((spans) =>
    spans
      .filter(({ service, isServer }) => service === SERVICE_GATEWAY && isServer)
      .map((span) => ({ spanId: span.spanId, record: queryRecordOf(span, spans) })),
  );
}
