/** The ledger of one query: its stages, what no stage claimed, and their total. */
import {
  ATTR,
  SERVICE_GATEWAY,
  SERVICE_WORKER,
  SPAN_BATCH,
  STAGES,
  stageAttribute,
  UNATTRIBUTED,
  WORKER_STAGES,
} from './names.js';

/** @import {Span, Trace} from './otlp_trace.js' */
/** @typedef {{stage: string, ms: number, inWorker: boolean}} LedgerEntry */
/**
 * @typedef {object} Ledger
 * @property {readonly LedgerEntry[]} stages in the order in which a query meets them; only those that happened
 * @property {number} unattributedMs total less all stages
 * @property {number} totalMs
 * @property {boolean} closes whether what is unattributed lies within max(1 %, 50 µs) of the total
 */

const WORKER = new Set(WORKER_STAGES);

/** @param {Span} span @param {string} key @returns {number | undefined} */
export function numberOf(span, key) {
  const value = span.attributes.get(key);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** @param {Span} span @param {string} key */
export function textOf(span, key) {
  const value = span.attributes.get(key);
  return value === undefined || value === null ? '' : String(value);
}

/**
 * The ledger that a span carries; undefined when it carries none.
 * @param {Span} span
 * @returns {Ledger | undefined}
 */
export function ledgerOf(span) {
  const stages = [];
  let sumMs = 0;
  for (const stage of STAGES) {
    const ms = numberOf(span, stageAttribute(stage));
    if (ms === undefined) continue;
    stages.push({ stage, ms, inWorker: WORKER.has(stage) });
    sumMs += ms;
  }
  if (stages.length === 0) return undefined;
  const totalMs = numberOf(span, ATTR.totalMs) ?? span.durationMs;
  const unattributedMs = numberOf(span, ATTR.unattributedMs) ?? totalMs - sumMs;
  return {
    stages,
    unattributedMs,
    totalMs,
    closes: Math.abs(unattributedMs) <= Math.max(totalMs * 0.01, 0.05),
  };
}

/**
 * The ledger of an answer's `Server-Timing`, which ends when headers are written.
 * @param {ReadonlyMap<string, number>} timing milliseconds by name
 * @returns {Ledger | undefined}
 */
export function ledgerOfTiming(timing) {
  const stages = STAGES.flatMap((stage) => {
    const ms = timing.get(stage);
    return ms === undefined ? [] : [{ stage, ms, inWorker: WORKER.has(stage) }];
  });
  if (stages.length === 0) return undefined;
  const sumMs = stages.reduce((sum, { ms }) => sum + ms, 0);
  const totalMs = timing.get('total') ?? sumMs;
  const unattributedMs = timing.get(UNATTRIBUTED) ?? totalMs - sumMs;
  return {
    stages,
    unattributedMs,
    totalMs,
    closes: Math.abs(unattributedMs) <= Math.max(totalMs * 0.01, 0.05),
  };
}

/** @param {Span} span */
export function isBatch(span) {
  return (
    span.service === SERVICE_WORKER && (span.name === SPAN_BATCH || span.name.startsWith(`${SPAN_BATCH} `))
  );
}

/** @param {Span} span */
function isQuery(span) {
  return span.service === SERVICE_GATEWAY && span.kind === 'server';
}

/** @param {Span} span */
export function isWork(span) {
  return span.service === SERVICE_WORKER && span.kind === 'server';
}

/**
 * @typedef {object} Query
 * @property {Span} span the gateway's span, or the worker's where the gateway's is missing
 * @property {boolean} isWhole false when only a worker's part is here
 * @property {readonly Span[]} attempts
 * @property {readonly Span[]} works the workers' spans below the attempts
 */

/**
 * The queries of a trace, in the order of their start: each gateway span, and each worker span without one.
 * @param {Trace} trace
 * @returns {Query[]}
 */
export function queriesOf(trace) {
  /** @type {Map<string, Span[]>} */
  const byParent = new Map();
  for (const span of trace.spans) {
    const list = byParent.get(span.parentSpanId);
    if (list === undefined) byParent.set(span.parentSpanId, [span]);
    else list.push(span);
  }
  /** @type {Set<Span>} */
  const owned = new Set();
  /** @type {Query[]} */
  const queries = [];
  for (const span of trace.spans) {
    if (!isQuery(span)) continue;
    const attempts = (byParent.get(span.spanId) ?? []).filter((each) => each.kind === 'client');
    const works = attempts.flatMap((attempt) => (byParent.get(attempt.spanId) ?? []).filter(isWork));
    for (const work of works) owned.add(work);
    queries.push({ span, isWhole: true, attempts, works });
  }
  for (const span of trace.spans) {
    if (isWork(span) && !owned.has(span)) queries.push({ span, isWhole: false, attempts: [], works: [span] });
  }
  return queries.sort((a, b) => a.span.offsetMs - b.span.offsetMs);
}

/**
 * Whether the workers' parts of all queries are here: each process sends its own, some moments apart.
 * @param {Trace} trace
 */
export function isComplete(trace) {
  return queriesOf(trace).every(({ span, isWhole, works }) => {
    const reported = WORKER_STAGES.some((stage) => numberOf(span, stageAttribute(stage)) !== undefined);
    return isWhole && (works.length > 0 || !reported);
  });
}
