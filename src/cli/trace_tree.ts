/** A trace as its queries with their ledgers, and its spans as the rows of a waterfall. Pure. */
import type { Trace, TraceSpan } from '../client/trace.ts';
import { ATTR, SERVICE_GATEWAY, SERVICE_WORKER, stageAttribute } from '../contract/attributes.ts';
import { STAGES, type Stage, WORKER_STAGES } from '../contract/stages.ts';

export interface SpanRow {
  readonly span: TraceSpan;
  /** 0 for a root, and for a span whose parent is not in the trace. */
  readonly depth: number;
  /** For each of the last BRANCHES_LIMIT levels, whether a sibling follows on it: what the branches are drawn from. */
  readonly branches: readonly boolean[];
}

export interface LedgerStage {
  readonly stage: Stage;
  readonly ms: number;
  /** Measured by the worker, inside the attempt that `network` wraps. */
  readonly inWorker: boolean;
}

export interface QueryLedger {
  /** Only stages that happened, in the order in which a query meets them. */
  readonly stages: readonly LedgerStage[];
  /** Total less all stages. */
  readonly unattributedMs: number;
  readonly totalMs: number;
}

export interface TracedQuery {
  /** The gateway's span, or the worker's where the gateway's is not here. */
  readonly span: TraceSpan;
  /** False when only a worker's part is here. */
  readonly isWhole: boolean;
  readonly attempts: readonly TraceSpan[];
  /** The workers' spans below the attempts. */
  readonly works: readonly TraceSpan[];
  /** Undefined when the span carries no stages. */
  readonly ledger: QueryLedger | undefined;
}

/** A deeper tree is no longer indented; a chain of many thousand spans would otherwise take its square in memory. */
const BRANCHES_LIMIT = 12;
const IN_WORKER: ReadonlySet<string> = new Set(WORKER_STAGES);

export function numberOf(span: TraceSpan, key: string): number | undefined {
  const value = span.attributes.get(key);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Empty when the span does not say. */
export function textOf(span: TraceSpan, key: string): string {
  const value = span.attributes.get(key);
  return value === undefined ? '' : String(value);
}

function ledgerOf(span: TraceSpan): QueryLedger | undefined {
  const stages = STAGES.flatMap((stage) => {
    const ms = numberOf(span, stageAttribute(stage));
    return ms === undefined ? [] : [{ stage, ms, inWorker: IN_WORKER.has(stage) }];
  });
  if (stages.length === 0) return undefined;
  const totalMs = numberOf(span, ATTR.totalMs) ?? span.durationMs;
  const sumMs = stages.reduce((sum, { ms }) => sum + ms, 0);
  return { stages, totalMs, unattributedMs: numberOf(span, ATTR.unattributedMs) ?? totalMs - sumMs };
}

function byParent(trace: Trace): ReadonlyMap<string, readonly TraceSpan[]> {
  const children = new Map<string, TraceSpan[]>();
  for (const span of trace.spans) {
    const list = children.get(span.parentSpanId);
    if (list === undefined) children.set(span.parentSpanId, [span]);
    else list.push(span);
  }
  return children;
}

/** By start: each of the gateway's queries, and each worker's part that has none. */
export function queriesOf(trace: Trace): readonly TracedQuery[] {
  const children = byParent(trace);
  const isWork = (span: TraceSpan): boolean => span.service === SERVICE_WORKER && span.kind === 'server';
  const owned = new Set<TraceSpan>();
  const queries: TracedQuery[] = [];
  for (const span of trace.spans) {
    if (span.service !== SERVICE_GATEWAY || span.kind !== 'server') continue;
    const attempts = (children.get(span.spanId) ?? []).filter(({ kind }) => kind === 'client');
    const works = attempts.flatMap(({ spanId }) => (children.get(spanId) ?? []).filter(isWork));
    for (const work of works) owned.add(work);
    queries.push({ span, isWhole: true, attempts, works, ledger: ledgerOf(span) });
  }
  for (const span of trace.spans) {
    if (!isWork(span) || owned.has(span)) continue;
    queries.push({ span, isWhole: false, attempts: [], works: [span], ledger: ledgerOf(span) });
  }
  return queries.sort((a, b) => a.span.offsetMs - b.span.offsetMs);
}

/** Whether both processes' parts of every query are here: each sends its own, some moments apart. */
export function isComplete(trace: Trace): boolean {
  return queriesOf(trace).every(
    ({ isWhole, works, ledger }) =>
      isWhole &&
      (works.length > 0 || ledger === undefined || !ledger.stages.some(({ inWorker }) => inWorker)),
  );
}

/**
 * Depth-first, children by start. Every span has exactly one row: one whose parent is missing stands as a root,
 * and so does the first of a ring of spans that name each other.
 */
export function spanRows(trace: Trace): SpanRow[] {
  const byId = new Map<string, TraceSpan>();
  for (const span of trace.spans) if (!byId.has(span.spanId)) byId.set(span.spanId, span);
  const children = byParent(trace);
  const rows: SpanRow[] = [];
  const placed = new Set<TraceSpan>();
  const place = (root: TraceSpan): void => {
    const open: SpanRow[] = [{ span: root, depth: 0, branches: [] }];
    for (let row = open.pop(); row !== undefined; row = open.pop()) {
      if (placed.has(row.span)) continue;
      placed.add(row.span);
      rows.push(row);
      // Of spans that share an id, the first has the children.
      if (byId.get(row.span.spanId) !== row.span) continue;
      const own = (children.get(row.span.spanId) ?? []).filter((span) => !placed.has(span));
      for (const [back, span] of own.toReversed().entries()) {
        open.push({
          span,
          depth: row.depth + 1,
          branches: [...row.branches, back > 0].slice(-BRANCHES_LIMIT),
        });
      }
    }
  };
  for (const span of trace.spans) {
    const parent = byId.get(span.parentSpanId);
    if (parent === undefined || parent === span) place(span);
  }
  for (const span of trace.spans) if (!placed.has(span)) place(span);
  return rows;
}
