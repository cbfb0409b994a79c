import { ROOT_CONTEXT } from '@opentelemetry/api';
import { describe, expect, test } from 'vitest';
import { ATTR, stageAttribute } from '../contract/attributes.ts';
import { VitrineError } from '../contract/errors.ts';
import { parseWorkerReport } from '../contract/worker_report.ts';
import { BatchRecord } from './batch_record.ts';
import type { RecordSink } from './core.ts';
import { createEventLoopDelay } from './event_loop.ts';
import { createGatewayMetrics } from './gateway_metrics.ts';
import { type GatewayCore, GatewayQuery } from './gateway_query.ts';
import { createHeldRecords } from './held_records.ts';
import { newSpanId, newTraceId } from './ids.ts';
import { createKeeping } from './keeping.ts';
import { createLateVerdicts } from './late_verdicts.ts';
import type { Logger } from './logger.ts';
import { Metrics } from './metrics.ts';
import { RecordWriter } from './record_codec.ts';
import { readClockAnchor, recordSpans } from './record_spans.ts';
import type { SpanData } from './span_data.ts';
import { type WorkerCore, WorkerQuery } from './worker_query.ts';

interface Line {
  level: string;
  fields: Record<string, unknown>;
}

/** A sink that keeps what it is given: the ring and the export thread have tests of their own. */
function createCore(mode: 'all' | 'retroactive' = 'all') {
  const writer = new RecordWriter();
  const bytes: Buffer[] = [];
  let full = false;
  const sink: RecordSink = {
    writer,
    accept: () => {
      if (full) return false;
      bytes.push(Buffer.from(writer.buffer.subarray(0, writer.length)));
      return true;
    },
    acceptBytes: (record) => {
      if (full) return false;
      bytes.push(record);
      return true;
    },
    underPressure: () => false,
  };
  const lines: Line[] = [];
  const quiet = (): void => {};
  const log: Logger = {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error: quiet,
    query: (level, _message, fields) => lines.push({ level, fields: { ...fields } }),
  };
  const metrics = new Metrics();
  const counts: Record<string, number> = {};
  const count = (outcome: string): void => {
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  };
  const late = createLateVerdicts();
  const eventLoop = createEventLoopDelay(undefined, () => 0);
  const gateway: GatewayCore = {
    sink,
    eventLoop,
    settling: { add: (record) => record.settle() },
    log,
    count,
    metrics: createGatewayMetrics(metrics),
    keeping: createKeeping({ mode, ratio: 0, slowMs: 1000, callerTracesPerSecondLimit: 10 }),
    logQueries: false,
    lateVerdict: late.add,
  };
  const worker: WorkerCore = {
    sink,
    eventLoop,
    settling: { add: (record) => record.settle() },
    log,
    count,
    instanceId: 'worker-1',
    held: createHeldRecords({ accept: sink.acceptBytes, count }),
  };
  return {
    gateway,
    worker,
    metrics,
    counts,
    lines,
    late,
    setFull: () => {
      full = true;
    },
    records: bytes,
    spans: (): SpanData[] => bytes.flatMap((record) => recordSpans(record, readClockAnchor(0), newSpanId)),
  };
}

function openGateway(core: GatewayCore, keeping: 'all' | 'undecided' = 'all'): GatewayQuery {
  return new GatewayQuery(
    core,
    {
      traceId: newTraceId(),
      parentSpanId: newSpanId(),
      parentIsRemote: true,
      traceState: '',
      startMs: 1000,
      kept: keeping === 'all' ? 'all' : undefined,
      undecided: keeping === 'undecided',
      shed: false,
      requestId: 'r-1',
      externalTraceId: '',
    },
    () => ROOT_CONTEXT,
  );
}

const REPORT = {
  totalMs: 30,
  stagesMs: [1, 2, 3, 4, 5, 6, 7, 2],
  version: '1',
  worker: 'worker-1',
  eventLoopDelayMs: 0,
  batchRows: 4,
};

function sum(query: GatewayQuery): number {
  return query.ledger.sumMs();
}

function attributesOf(span: SpanData | undefined): Record<string, unknown> {
  return Object.fromEntries(span?.attributes ?? []);
}

describe('gateway record', () => {
  test('stages of a plain query are contiguous and sum to the total', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '');
    query.mark('receive', 1010);
    query.mark('admit', 1011);
    const attempt = query.startAttempt('worker-1', 1011);
    attempt.sent(1015);
    attempt.end({ outcome: 'ok', status: 200, report: REPORT }, 1050);
    query.finish({ status: 200, clientGone: false, finishedMs: 1052 }, 1052);
    expect(sum(query)).toBeCloseTo(52, 9);
    const [server, client] = core.spans();
    const attributes = attributesOf(server);
    expect(attributes[stageAttribute('receive')]).toBe(10);
    expect(attributes[stageAttribute('admit')]).toBe(1);
    expect(attributes[stageAttribute('route')]).toBe(4);
    expect(attributes[stageAttribute('network')]).toBe(5);
    expect(attributes[stageAttribute('worker_receive')]).toBe(1);
    expect(attributes[stageAttribute('compute')]).toBe(6);
    expect(attributes[stageAttribute('respond')]).toBe(2);
    expect(attributes[ATTR.totalMs]).toBe(52);
    expect(attributes[ATTR.unattributedMs]).toBe(0);
    expect(attributes[ATTR.version]).toBe('1');
    expect(client?.parentSpanId).toBe(server?.spanId);
    expect(client?.traceId).toBe(server?.traceId);
    expect(Number((server as SpanData).endUnixNano - (server as SpanData).startUnixNano)).toBe(52e6);
  });

  test('a lost attempt and its retry: the time up to the deciding attempt is retry', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1001);
    query.mark('admit', 1001);
    const first = query.startAttempt('worker-1', 1001);
    first.sent(1002);
    first.end({ outcome: 'lost' }, 1022);
    const second = query.startAttempt('worker-2', 1023);
    second.sent(1025);
    second.end({ outcome: 'ok', status: 200, report: REPORT }, 1056);
    query.finish({ status: 200, clientGone: false, finishedMs: 1057 }, 1057);
    expect(sum(query)).toBeCloseTo(57, 9);
    const [server, lost, deciding] = core.spans();
    expect(attributesOf(server)[stageAttribute('retry')]).toBe(23);
    expect(attributesOf(server)[stageAttribute('network')]).toBe(1);
    expect(attributesOf(lost)[ATTR.unreported]).toBe(true);
    expect(attributesOf(lost)[ATTR.attemptOutcome]).toBe('lost');
    expect(attributesOf(deciding)[ATTR.httpRequestResendCount]).toBe(1);
    expect(attributesOf(deciding)[ATTR.unreported]).toBeUndefined();
  });

  test('a lost attempt that nothing follows is unreported, and the wait for a worker after it is route', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1001);
    query.mark('admit', 1001);
    const only = query.startAttempt('worker-1', 1001);
    only.sent(1002);
    only.end({ outcome: 'lost' }, 1012);
    query.mark('route', 1100);
    query.finish(
      { status: 503, error: new VitrineError('no_worker', 'x'), clientGone: false, finishedMs: 1101 },
      1101,
    );
    const attributes = attributesOf(core.spans()[0]);
    expect(attributes[stageAttribute('unreported')]).toBe(10);
    expect(attributes[stageAttribute('route')]).toBe(1 + 88);
    expect(attributes[stageAttribute('respond')]).toBe(1);
    expect(sum(query)).toBeCloseTo(101, 9);
    expect(attributes[ATTR.outcome]).toBe('rejected');
    expect(core.lines[0]).toMatchObject({
      level: 'warn',
      fields: { outcome: 'rejected', code: 'no_worker' },
    });
  });

  test('a client that leaves in the middle closes the record as cancelled, with the open attempt unreported', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1001);
    query.mark('admit', 1001);
    query.startAttempt('worker-1', 1001).sent(1002);
    query.finish({ status: 499, clientGone: true, finishedMs: 1020 }, 1020);
    const [server, attempt] = core.spans();
    expect(attributesOf(server)[ATTR.outcome]).toBe('cancelled');
    expect(attributesOf(server)[stageAttribute('unreported')]).toBe(18);
    expect(attributesOf(attempt)[ATTR.attemptOutcome]).toBe('cancelled');
    expect(sum(query)).toBeCloseTo(20, 9);
  });

  test('what no mark claimed is unattributed and, beyond the tolerance, a violation', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1001);
    query.finish({ status: 400, clientGone: false, finishedMs: 1002 }, 1012);
    expect(attributesOf(core.spans()[0])[ATTR.unattributedMs]).toBe(10);
    const violations = core.metrics.counter('vitrine_ledger_violations_total');
    expect(violations.series({ kind: 'unattributed' }).value).toBe(1);
    expect(violations.series({ kind: 'network' }).value).toBe(0);
  });

  test('a network time below zero is kept as it is and counts as a violation', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1000);
    query.mark('admit', 1000);
    const attempt = query.startAttempt('worker-1', 1000);
    attempt.sent(1000);
    attempt.end({ outcome: 'ok', status: 200, report: REPORT }, 1029);
    query.finish({ status: 200, clientGone: false, finishedMs: 1029 }, 1029);
    expect(attributesOf(core.spans()[0])[stageAttribute('network')]).toBe(-1);
    expect(core.metrics.counter('vitrine_ledger_violations_total').series({ kind: 'network' }).value).toBe(1);
  });

  test('Server-Timing sums to its own total', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    query.model('langid', '1');
    query.mark('receive', 1000.3333);
    query.mark('admit', 1000.6667);
    const attempt = query.startAttempt('worker-1', 1000.7);
    attempt.sent(1001.1111);
    attempt.end({ outcome: 'ok', status: 200, report: { ...REPORT, totalMs: 33.3333 } }, 1036.7778);
    const entries = query
      .serverTiming()
      .split(', ')
      .map((entry) => entry.split(';dur=') as [string, string]);
    const total = Number(entries.at(-1)?.[1]);
    const sumUs = entries.slice(0, -1).reduce((all, [, value]) => all + Math.round(Number(value) * 1000), 0);
    expect(entries.at(-1)?.[0]).toBe('total');
    expect(sumUs).toBe(Math.round(total * 1000));
    expect(total).toBeCloseTo(36.7778, 2);
  });

  test('begun = outcomes + in flight, and finish counts once', () => {
    const core = createCore();
    const queries = [openGateway(core.gateway), openGateway(core.gateway), openGateway(core.gateway)];
    for (const query of queries) query.model('langid', '1');
    queries[0]?.finish({ status: 200, clientGone: false, finishedMs: 1001 }, 1001);
    queries[0]?.finish({ status: 500, clientGone: false, finishedMs: 1001 }, 1001);
    queries[1]?.finish({ status: 504, clientGone: false, finishedMs: 1001 }, 1001);
    const value = (outcome: string): number =>
      core.metrics.counter('inference_requests_total').series({ model: 'langid', version: '1', outcome })
        .value;
    expect(core.metrics.counter('inference_requests_begun_total').series({ model: 'langid' }).value).toBe(3);
    expect(core.metrics.gauge('inference_in_flight_requests').series({ model: 'langid' }).value).toBe(1);
    expect([value('ok'), value('error'), value('expired')]).toEqual([1, 0, 1]);
    expect(core.spans()).toHaveLength(2);
  });

  test('an exemplar is given only when the record was accepted for export', () => {
    const core = createCore();
    const accepted = openGateway(core.gateway);
    accepted.model('langid', '1');
    accepted.finish({ status: 200, clientGone: false, finishedMs: 1001 }, 1001);
    core.setFull();
    const dropped = openGateway(core.gateway);
    dropped.model('langid', '1');
    dropped.finish({ status: 200, clientGone: false, finishedMs: 3000 }, 3000);
    const series = core.metrics
      .histogram('inference_request_duration_seconds')
      .series({ model: 'langid', version: '1', outcome: 'ok' });
    expect(series.counts.flatMap((_, bucket) => series.exemplarAt(bucket)?.traceId ?? [])).toEqual([
      accepted.traceId,
    ]);
    expect(core.counts).toEqual({ kept: 1, dropped: 1 });
  });

  test('attributes of user code reach the span, up to their limit', () => {
    const core = createCore();
    const query = openGateway(core.gateway);
    for (let index = 0; index < 100; index += 1) query.attribute(`user.${index}`, index);
    query.finish({ status: 200, clientGone: false, finishedMs: 1001 }, 1001);
    const user = Object.keys(attributesOf(core.spans()[0])).filter((key) => key.startsWith('user.'));
    expect(user).toHaveLength(64);
  });
});

describe('retroactive keeping', () => {
  test('a quick good query is not kept anywhere; a failed one is, and its worker is told', () => {
    const core = createCore('retroactive');
    const good = openGateway(core.gateway, 'undecided');
    good.model('langid', '1');
    good.startAttempt('worker-1', 1000).sent(1000);
    good.finish({ status: 200, clientGone: false, finishedMs: 1001 }, 1001);
    expect(core.records).toHaveLength(0);
    const bad = openGateway(core.gateway, 'undecided');
    bad.model('langid', '1');
    const attempt = bad.startAttempt('worker-1', 1000);
    attempt.sent(1000);
    const headers: string[] = [];
    attempt.addHeaders(headers);
    expect(headers).toContain('x-vitrine-hold');
    expect(attempt.traceparent.endsWith('-00')).toBe(true);
    bad.finish({ status: 500, clientGone: false, finishedMs: 1001 }, 1001);
    expect(attributesOf(core.spans()[0])[ATTR.keptBecause]).toBe('failed');
    expect(core.late.take()).toEqual(new Map([['worker-1', [attempt.spanId]]]));
  });

  test.each([true, false])(
    'the worker gives its held part and the batch once (verdict first: %s)',
    (first) => {
      const core = createCore('retroactive');
      const attemptSpanId = newSpanId();
      const query = new WorkerQuery(
        core.worker,
        {
          traceId: newTraceId(),
          parentSpanId: attemptSpanId,
          traceState: '',
          startMs: 0,
          kept: false,
          undecided: true,
        },
        () => ROOT_CONTEXT,
      );
      const batch = new BatchRecord(core.worker, {
        model: 'langid',
        version: '1',
        thread: 0,
        rows: 1,
        members: [query],
      });
      query.batch(batch, 1, { executorMs: 2, energyJoules: undefined });
      batch.end(batchEnd());
      if (first) expect(core.worker.held.keep([attemptSpanId])).toBe(0);
      query.finish({ status: 200, clientGone: false });
      if (!first) {
        expect(core.records).toHaveLength(0);
        expect(core.worker.held.keep([attemptSpanId])).toBe(1);
      }
      expect(core.worker.held.keep([attemptSpanId])).toBe(0);
      expect(
        core
          .spans()
          .map((span) => span.name)
          .sort(),
      ).toEqual(['batch langid', 'work unknown']);
    },
  );
});

function batchEnd() {
  return {
    rows: 4,
    queries: 3,
    reason: 'full' as const,
    realElements: 30,
    paddingElements: 10,
    headWaitMs: 2,
    openedMs: 5,
    closedMs: 7,
    dispatchedMs: 8,
    computeStartMs: 8,
    computeEndMs: 18,
    endedMs: 19,
  };
}

describe('worker and batch records', () => {
  function openWorker(core: WorkerCore, kept: boolean): WorkerQuery {
    return new WorkerQuery(
      core,
      {
        traceId: newTraceId(),
        parentSpanId: newSpanId(),
        traceState: '',
        startMs: 0,
        kept,
        undecided: false,
      },
      () => ROOT_CONTEXT,
    );
  }

  test('the report carries the same stages as the span', () => {
    const core = createCore();
    const query = openWorker(core.worker, true);
    query.model('langid', '1');
    query.mark('worker_receive', 1);
    query.mark('preprocess', 3);
    query.mark('queue', 5);
    query.mark('batch_wait', 7);
    query.mark('dispatch', 8);
    query.mark('compute', 18);
    query.mark('postprocess', 19);
    const report = parseWorkerReport(query.report(21));
    expect(report).toMatchObject({
      totalMs: 21,
      stagesMs: [1, 2, 2, 2, 1, 10, 1, 2],
      version: '1',
      worker: 'worker-1',
    });
    query.finish({ status: 200, clientGone: false });
    const [server, ...stages] = core.spans();
    expect(attributesOf(server)[stageAttribute('batch_wait')]).toBe(2);
    expect(stages.map((span) => [span.name, Number(span.endUnixNano - span.startUnixNano) / 1e6])).toEqual([
      ['preprocess', 2],
      ['queue', 2],
      ['compute', 10],
      ['postprocess', 1],
    ]);
    expect(stages.every((span) => span.parentSpanId === server?.spanId)).toBe(true);
  });

  test('a batch and its members link both ways, kept members first, at most 128', () => {
    const core = createCore();
    const members = Array.from({ length: 200 }, (_, index) => openWorker(core.worker, index >= 190));
    const batch = new BatchRecord(core.worker, {
      model: 'langid',
      version: '1',
      thread: 0,
      rows: 200,
      members,
    });
    for (const member of members) member.batch(batch, 1, { executorMs: 0.1, energyJoules: undefined });
    batch.end(batchEnd());
    for (const member of members) member.finish({ status: 200, clientGone: false });
    const spans = core.spans();
    const batchSpan = spans.find((span) => span.name === 'batch langid');
    expect(batchSpan?.links).toHaveLength(128);
    expect(batchSpan?.droppedLinks).toBe(72);
    expect(batchSpan?.links.slice(0, 10).every((link) => link.flags === 1)).toBe(true);
    expect(batchSpan?.links[10]?.flags).toBe(0);
    const kept = members.filter((member) => member.kept);
    expect(batchSpan?.links.slice(0, 10).map((link) => link.spanId)).toEqual(
      kept.map((member) => member.spanId),
    );
    const servers = spans.filter((span) => span.name.startsWith('work'));
    expect(servers).toHaveLength(10);
    for (const server of servers) {
      expect(server.links).toEqual([
        { traceId: batchSpan?.traceId, spanId: batchSpan?.spanId, flags: 1, attributes: [] },
      ]);
    }
  });

  test('a batch with no kept member leaves nothing', () => {
    const core = createCore();
    const member = openWorker(core.worker, false);
    const batch = new BatchRecord(core.worker, {
      model: 'm',
      version: '1',
      thread: 0,
      rows: 1,
      members: [member],
    });
    member.batch(batch, 1, { executorMs: 1, energyJoules: undefined });
    batch.end(batchEnd());
    member.finish({ status: 200, clientGone: false });
    expect(core.records).toHaveLength(0);
  });
});
