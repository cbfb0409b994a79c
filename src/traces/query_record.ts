/** The ledger of one query out of its trace: what its gateway's span says, and the worker of its last attempt. */
import { ATTR, SPAN, STAGE_ATTRIBUTE_PREFIX } from '../contract/attributes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import { type StoredSpan, valueText } from './span.ts';

/** What is read of a span. */
export type RecordSpan = Pick<
  StoredSpan,
  'traceId' | 'spanId' | 'parentSpanId' | 'name' | 'startUs' | 'durationUs' | 'attributes'
>;

/**
 * @param span the gateway's server span of a query
 * @param siblings of its trace; its attempts are looked for among them
 */
export function queryRecordOf(span: RecordSpan, siblings: readonly RecordSpan[]): QueryRecord {
  const texts = new Map<string, string>();
  const stagesMs: Record<string, number> = {};
  for (const { key, value } of span.attributes) {
    const text = valueText(value) ?? '';
    if (key.startsWith(STAGE_ATTRIBUTE_PREFIX) && key.endsWith('_ms')) {
      stagesMs[key.slice(STAGE_ATTRIBUTE_PREFIX.length, -'_ms'.length)] = Number(text);
    } else texts.set(key, text);
  }
  const attempt = siblings
    .filter(({ parentSpanId, name }) => parentSpanId === span.spanId && name === SPAN.attempt)
    .reduce<RecordSpan | undefined>(
      (last, each) => (last === undefined || each.startUs >= last.startUs ? each : last),
      undefined,
    );
  const worker = attempt?.attributes.find(({ key }) => key === ATTR.worker);
  const number = (key: string): number | undefined => {
    const text = texts.get(key);
    return text === undefined ? undefined : Number(text);
  };
  return {
    traceId: span.traceId,
    startUs: span.startUs,
    totalMs: number(ATTR.totalMs) ?? span.durationUs / 1000,
    unattributedMs: number(ATTR.unattributedMs) ?? 0,
    stagesMs,
    model: texts.get(ATTR.model) ?? '',
    version: texts.get(ATTR.version) ?? '',
    outcome: texts.get(ATTR.outcome) ?? '',
    errorCode: texts.get(ATTR.errorCode) ?? '',
    worker: worker === undefined ? '' : (valueText(worker.value) ?? ''),
  };
}
