/**
 * Spans from records. Runs on the export thread. A record's times are monotonic milliseconds of its process;
 * both ends of a span are turned into wall time by one anchor, so no span ends before it starts.
 */
import { ATTR, SPAN, stageAttribute } from '../contract/attributes.ts';
import { STAGES, WORKER_STAGES } from '../contract/stages.ts';
import { ATTEMPT_OUTCOMES } from './attempt_outcomes.ts';
import { STAGE_INDEX } from './ledger.ts';
import { RECORD_KIND, RecordReader } from './record_codec.ts';
import { decodeSdkSpan } from './sdk_span_codec.ts';
import { SPAN_KIND, type SpanAttributeValue, type SpanData, type SpanLink, STATUS } from './span_data.ts';

/** Wall time of a monotonic time: unixNano = anchorUnixNano + (ms - anchorMs). */
export interface ClockAnchor {
  readonly anchorMs: number;
  readonly anchorUnixNano: bigint;
  /** How far the wall clock had moved from the process's start when the anchor was read. */
  readonly offsetMs: number;
}

/** The wall clock is followed only when it moved by more than this: Date.now() itself is that coarse. */
const DRIFT_TOLERANCE_MS = 5;

/** @param lastOffsetMs the last anchor's offset, 0 for the first */
export function readClockAnchor(lastOffsetMs: number): ClockAnchor {
  const anchorMs = performance.now();
  const driftMs = Date.now() - (performance.timeOrigin + anchorMs);
  const offsetMs = Math.abs(driftMs - lastOffsetMs) > DRIFT_TOLERANCE_MS ? driftMs : lastOffsetMs;
  const unixUs = Math.round((performance.timeOrigin + anchorMs + offsetMs) * 1e3);
  return { anchorMs, anchorUnixNano: BigInt(unixUs) * 1000n, offsetMs };
}

type Attributes = (readonly [string, SpanAttributeValue])[];
type Times = (ms: number) => bigint;

function round(ms: number): number {
  return Math.round(ms * 1e6) / 1e6;
}

const STAGE_ATTRIBUTES = STAGES.map(stageAttribute);

/** Reads the ledger: adds a `vitrine.stage.*` attribute per stage, and returns the stages by index. */
function readLedger(reader: RecordReader, attributes: Attributes): { present: number; stagesMs: number[] } {
  const present = reader.u32();
  const stagesMs: number[] = [];
  for (let index = 0; index < STAGES.length; index += 1) {
    if (!(present & (1 << index))) {
      stagesMs.push(-1);
      continue;
    }
    const ms = reader.f64();
    stagesMs.push(ms);
    attributes.push([STAGE_ATTRIBUTES[index] as string, round(ms)]);
  }
  return { present, stagesMs };
}

/** Reads user attributes. @returns how many the record had no room for */
function readAttributes(reader: RecordReader, attributes: Attributes): number {
  const count = reader.u16();
  const dropped = reader.u16();
  for (let index = 0; index < count; index += 1) attributes.push(reader.attribute());
  return dropped;
}

function span(
  of: Partial<SpanData> &
    Pick<SpanData, 'traceId' | 'spanId' | 'name' | 'kind' | 'startUnixNano' | 'endUnixNano'>,
): SpanData {
  return {
    parentSpanId: '',
    parentIsRemote: false,
    traceState: '',
    attributes: [],
    events: [],
    links: [],
    statusCode: STATUS.unset,
    statusMessage: '',
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
    ...of,
  };
}

function status(httpStatus: number, code: string): { statusCode: number; statusMessage: string } {
  return httpStatus >= 500
    ? { statusCode: STATUS.error, statusMessage: code }
    : { statusCode: STATUS.unset, statusMessage: '' };
}

function gatewaySpans(reader: RecordReader, at: Times): SpanData[] {
  const traceId = reader.id(16);
  const spanId = reader.id(8);
  const parentSpanId = reader.id(8);
  const parentIsRemote = reader.u8() === 1;
  const traceState = reader.text();
  const startMs = reader.f64();
  const totalMs = reader.f64();
  const unattributedMs = reader.f64();
  const eventLoopDelayMs = reader.f64();
  const attributes: Attributes = [];
  const stages: Attributes = [];
  readLedger(reader, stages);
  const httpStatus = reader.u16();
  const outcome = reader.text();
  const code = reader.text();
  const keptBecause = reader.text();
  const model = reader.text();
  const version = reader.text();
  const requestId = reader.text();
  const externalTraceId = reader.text();
  attributes.push(
    [ATTR.model, model],
    [ATTR.version, version],
    [ATTR.outcome, outcome],
    [ATTR.httpRequestMethod, 'POST'],
    [ATTR.httpResponseStatusCode, httpStatus],
    [ATTR.keptBecause, keptBecause],
    [ATTR.totalMs, round(totalMs)],
    [ATTR.unattributedMs, round(unattributedMs)],
    [ATTR.eventLoopDelayMs, round(eventLoopDelayMs)],
  );
  if (code !== '') attributes.push([ATTR.errorCode, code]);
  if (httpStatus >= 500) attributes.push([ATTR.errorType, code === '' ? String(httpStatus) : code]);
  if (requestId !== '') attributes.push([ATTR.requestId, requestId]);
  if (externalTraceId !== '') attributes.push([ATTR.externalTraceId, externalTraceId]);
  attributes.push(...stages);
  const spans: SpanData[] = [
    span({
      traceId,
      spanId,
      parentSpanId,
      parentIsRemote,
      traceState,
      name: `${SPAN.query} ${model}`,
      kind: SPAN_KIND.server,
      startUnixNano: at(startMs),
      endUnixNano: at(startMs + totalMs),
      attributes,
      ...status(httpStatus, code),
    }),
  ];
  const attempts = reader.u8();
  for (let index = 0; index < attempts; index += 1) {
    const attemptId = reader.id(8);
    const worker = reader.text();
    const attemptStartMs = reader.f64();
    const sentMs = reader.f64();
    const endMs = Math.max(reader.f64(), attemptStartMs);
    const attemptOutcome = ATTEMPT_OUTCOMES[reader.u8()] ?? 'lost';
    const attemptStatus = reader.u16();
    const reported = reader.u8() === 1;
    const own: Attributes = [
      [ATTR.model, model],
      [ATTR.worker, worker],
      [ATTR.attemptOutcome, attemptOutcome],
      [ATTR.httpRequestMethod, 'POST'],
    ];
    if (attemptStatus > 0) own.push([ATTR.httpResponseStatusCode, attemptStatus]);
    if (index > 0) own.push([ATTR.httpRequestResendCount, index]);
    if (sentMs >= 0 && !reported)
      own.push([ATTR.unreported, true], [stageAttribute('unreported'), round(endMs - sentMs)]);
    const failed = attemptOutcome === 'lost' || attemptOutcome === 'deadline' || attemptStatus >= 400;
    if (failed) own.push([ATTR.errorType, attemptStatus >= 400 ? String(attemptStatus) : attemptOutcome]);
    spans.push(
      span({
        traceId,
        spanId: attemptId,
        parentSpanId: spanId,
        traceState,
        name: SPAN.attempt,
        kind: SPAN_KIND.client,
        startUnixNano: at(attemptStartMs),
        endUnixNano: at(endMs),
        attributes: own,
        statusCode: failed ? STATUS.error : STATUS.unset,
      }),
    );
  }
  (spans[0] as SpanData).droppedAttributes = readAttributes(reader, attributes);
  return spans;
}

/** Stages of the worker that are spans of their own; the others are attributes of the worker's span. */
export const WORKER_SPANS: ReadonlySet<string> = new Set<string>([
  'preprocess',
  'queue',
  'compute',
  'postprocess',
]);

function workerSpans(reader: RecordReader, at: Times, newSpanId: () => string): SpanData[] {
  const traceId = reader.id(16);
  const spanId = reader.id(8);
  const parentSpanId = reader.id(8);
  const traceState = reader.text();
  const startMs = reader.f64();
  const totalMs = reader.f64();
  const eventLoopDelayMs = reader.f64();
  const stages: Attributes = [];
  const { present, stagesMs } = readLedger(reader, stages);
  const httpStatus = reader.u16();
  const outcome = reader.text();
  const code = reader.text();
  const model = reader.text();
  const version = reader.text();
  const rows = reader.u32();
  const shareMs = reader.f64();
  const energyJoules = reader.f64();
  const batchTraceId = reader.id(16);
  const batchSpanId = reader.id(8);
  const batchRows = reader.u32();
  const attributes: Attributes = [
    [ATTR.model, model],
    [ATTR.version, version],
    [ATTR.outcome, outcome],
    [ATTR.httpRequestMethod, 'POST'],
    [ATTR.httpResponseStatusCode, httpStatus],
    [ATTR.totalMs, round(totalMs)],
    [ATTR.eventLoopDelayMs, round(eventLoopDelayMs)],
  ];
  const links: SpanLink[] = [];
  if (batchTraceId !== '') {
    attributes.push([ATTR.rows, rows], [ATTR.batchSize, batchRows], [ATTR.computeShareMs, round(shareMs)]);
    if (energyJoules >= 0) attributes.push([ATTR.energyShareJoules, energyJoules]);
    links.push({ traceId: batchTraceId, spanId: batchSpanId, flags: 1, attributes: [] });
  }
  if (code !== '') attributes.push([ATTR.errorCode, code]);
  if (httpStatus >= 500) attributes.push([ATTR.errorType, code === '' ? String(httpStatus) : code]);
  attributes.push(...stages);
  const spans: SpanData[] = [
    span({
      traceId,
      spanId,
      parentSpanId,
      parentIsRemote: parentSpanId !== '',
      traceState,
      name: `${SPAN.work} ${model}`,
      kind: SPAN_KIND.server,
      startUnixNano: at(startMs),
      endUnixNano: at(startMs + totalMs),
      attributes,
      links,
      ...status(httpStatus, code),
    }),
  ];
  let cursorMs = startMs;
  for (const stage of WORKER_STAGES) {
    const index = STAGE_INDEX[stage];
    if (!(present & (1 << index))) continue;
    const stageMs = stagesMs[index] as number;
    if (WORKER_SPANS.has(stage)) {
      spans.push(
        span({
          traceId,
          spanId: newSpanId(),
          parentSpanId: spanId,
          traceState,
          name: stage,
          kind: SPAN_KIND.internal,
          startUnixNano: at(cursorMs),
          endUnixNano: at(cursorMs + stageMs),
          attributes: [[ATTR.model, model]],
          links: stage === 'compute' ? links : [],
        }),
      );
    }
    cursorMs += stageMs;
  }
  (spans[0] as SpanData).droppedAttributes = readAttributes(reader, attributes);
  return spans;
}

function batchSpans(reader: RecordReader, at: Times): SpanData[] {
  const traceId = reader.id(16);
  const spanId = reader.id(8);
  const model = reader.text();
  const version = reader.text();
  const thread = reader.u16();
  const rows = reader.u32();
  const queries = reader.u32();
  const reason = reader.text();
  const realElements = reader.f64();
  const paddingElements = reader.f64();
  const headWaitMs = reader.f64();
  const openedMs = reader.f64();
  const closedMs = reader.f64();
  const dispatchedMs = reader.f64();
  const computeStartMs = reader.f64();
  const computeEndMs = reader.f64();
  const endedMs = reader.f64();
  const error = reader.text();
  const linked = reader.u16();
  const droppedLinks = reader.u16();
  const links: SpanLink[] = [];
  for (let index = 0; index < linked; index += 1) {
    links.push({ traceId: reader.id(16), spanId: reader.id(8), flags: reader.u8(), attributes: [] });
  }
  const elements = realElements + paddingElements;
  const attributes: Attributes = [
    [ATTR.model, model],
    [ATTR.version, version],
    [ATTR.thread, thread],
    [ATTR.batchSize, rows],
    [ATTR.batchQueries, queries],
    [ATTR.batchCloseReason, reason],
    [ATTR.batchPaddingRatio, elements === 0 ? 0 : round(paddingElements / elements)],
    [ATTR.batchHeadWaitMs, round(headWaitMs)],
    [stageAttribute('batch_wait'), round(closedMs - openedMs)],
    [stageAttribute('dispatch'), round(dispatchedMs - closedMs)],
    [stageAttribute('compute'), round(computeEndMs - computeStartMs)],
    [stageAttribute('postprocess'), round(endedMs - computeEndMs)],
  ];
  if (error !== '') attributes.push([ATTR.errorType, error]);
  return [
    span({
      traceId,
      spanId,
      name: `${SPAN.batch} ${model}`,
      kind: SPAN_KIND.internal,
      startUnixNano: at(openedMs),
      endUnixNano: at(endedMs),
      attributes,
      links,
      droppedLinks,
      statusCode: error === '' ? STATUS.unset : STATUS.error,
      statusMessage: error,
    }),
  ];
}

/**
 * The spans of one record.
 * @throws RangeError for bytes that are no record; the caller counts them as malformed
 */
export function recordSpans(record: Buffer, anchor: ClockAnchor, newSpanId: () => string): SpanData[] {
  const reader = new RecordReader(record);
  const at: Times = (ms) => anchor.anchorUnixNano + BigInt(Math.round((ms - anchor.anchorMs) * 1e6));
  const kind = reader.u8();
  switch (kind) {
    case RECORD_KIND.gatewayQuery:
      return gatewaySpans(reader, at);
    case RECORD_KIND.workerQuery:
      return workerSpans(reader, at, newSpanId);
    case RECORD_KIND.batch:
      return batchSpans(reader, at);
    case RECORD_KIND.sdkSpan:
      return [decodeSdkSpan(record.subarray(1))];
    default:
      throw new RangeError(`unknown record kind ${kind}`);
  }
}
