import { describe, expect, test } from 'vitest';
import { assembleTrace, type RawSpan, type Trace } from '../client/trace.ts';
import { isComplete, queriesOf, spanRows } from './trace_tree.ts';

function raw(
  spanId: string,
  parentSpanId: string,
  startUs: number,
  durationUs: number,
  more: Partial<RawSpan> = {},
): RawSpan {
  return {
    spanId,
    parentSpanId,
    name: spanId,
    kind: 'internal',
    service: 'vitrine-worker',
    instance: 'worker-1',
    attributes: new Map(),
    status: 'unset',
    statusMessage: '',
    startNs: 1_700_000_000_000_000_000n + BigInt(startUs) * 1000n,
    endNs: 1_700_000_000_000_000_000n + BigInt(startUs + durationUs) * 1000n,
    events: [],
    links: [],
    ...more,
  };
}

function traceOf(...spans: RawSpan[]): Trace {
  const trace = assembleTrace('0'.repeat(31).concat('1'), spans);
  if (trace === undefined) throw new Error('a trace of no spans');
  return trace;
}

function stages(ms: Record<string, number>): Map<string, number> {
  return new Map(Object.entries(ms).map(([stage, value]) => [`vitrine.stage.${stage}_ms`, value]));
}

const gateway = { service: 'vitrine-gateway', instance: 'gateway-0' } as const;

function shape(trace: Trace): string[] {
  return spanRows(trace).map(({ span, depth }) => `${'-'.repeat(depth)}${span.spanId}`);
}

describe('rows of the waterfall', () => {
  test('depth-first, children by start', () => {
    const trace = traceOf(
      raw('root', '', 0, 100),
      raw('b', 'root', 50, 10),
      raw('a', 'root', 10, 10),
      raw('c', 'a', 12, 2),
    );
    expect(shape(trace)).toEqual(['root', '-a', '--c', '-b']);
    expect(spanRows(trace).map(({ branches }) => branches)).toEqual([[], [true], [true, false], [false]]);
  });

  test('a span whose parent is missing, one that is its own parent, and a ring each have one row', () => {
    const trace = traceOf(
      raw('root', 'elsewhere', 0, 100),
      raw('self', 'self', 1, 10),
      raw('ring1', 'ring2', 2, 10),
      raw('ring2', 'ring1', 3, 10),
      raw('lost', 'gone', 4, 10),
      raw('child', 'lost', 5, 1),
    );
    expect(shape(trace)).toEqual(['root', 'self', 'lost', '-child', 'ring1', '-ring2']);
  });

  test('spans that share an id are all there', () => {
    const trace = traceOf(raw('twin', '', 0, 9), raw('twin', '', 1, 8), raw('child', 'twin', 2, 1));
    expect(shape(trace)).toEqual(['twin', '-child', 'twin']);
  });

  test('a chain of 50,000 spans does not exhaust the stack', () => {
    const chain = Array.from({ length: 50_000 }, (_, at) => raw(`${at}`, at === 0 ? '' : `${at - 1}`, at, 1));
    const rows = spanRows(traceOf(...chain));
    expect(rows.length).toBe(50_000);
    expect(rows.at(-1)?.depth).toBe(49_999);
  });
});

describe('queries and their ledgers', () => {
  const attributes = new Map<string, string | number>([
    ...stages({ respond: 1, receive: 2, compute: 5, network: 0.5 }),
    ['vitrine.total_ms', 9],
    ['vitrine.unattributed_ms', 0.5],
  ]);
  const query = raw('q', 'caller', 0, 9000, { ...gateway, kind: 'server', attributes });
  const attempt = raw('attempt', 'q', 2000, 6000, { ...gateway, kind: 'client' });
  const work = raw('work', 'attempt', 2100, 5000, { kind: 'server' });

  test('stages stand in the order in which a query meets them, and worker stages are known as such', () => {
    const [first] = queriesOf(traceOf(query, attempt, work));
    expect(first?.isWhole).toBe(true);
    expect(first?.works.map(({ spanId }) => spanId)).toEqual(['work']);
    expect(first?.ledger).toEqual({
      stages: [
        { stage: 'receive', ms: 2, inWorker: false },
        { stage: 'network', ms: 0.5, inWorker: false },
        { stage: 'compute', ms: 5, inWorker: true },
        { stage: 'respond', ms: 1, inWorker: false },
      ],
      unattributedMs: 0.5,
      totalMs: 9,
    });
  });

  test('a trace waits for the worker that reported, and for the gateway', () => {
    expect(isComplete(traceOf(query, attempt, work))).toBe(true);
    expect(isComplete(traceOf(query, attempt))).toBe(false);
    expect(isComplete(traceOf(work))).toBe(false);
    expect(isComplete(traceOf(raw('other', '', 0, 1, { service: 'shop' })))).toBe(true);
    const refused = raw('r', '', 0, 10, { ...gateway, kind: 'server', attributes: stages({ receive: 1 }) });
    expect(isComplete(traceOf(refused))).toBe(true);
  });

  test("a worker's part without its gateway is a query of its own, after those that came before it", () => {
    const late = raw('late', 'nobody', 20_000, 10, {
      kind: 'server',
      attributes: stages({ compute: 0.004 }),
    });
    const queries = queriesOf(traceOf(late, query, attempt, work));
    expect(queries.map(({ span, isWhole }) => [span.spanId, isWhole])).toEqual([
      ['q', true],
      ['late', false],
    ]);
    expect(queries[1]?.ledger?.totalMs).toBe(0.01);
    expect(queries[1]?.ledger?.unattributedMs).toBeCloseTo(0.006, 9);
  });
});
