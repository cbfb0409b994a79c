import { describe, expect, test } from 'vitest';
import { VitrineError } from '../contract/errors.ts';
import { WORKER_STAGES } from '../contract/stages.ts';
import type { WorkerReport } from '../contract/worker_report.ts';
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
import { OtlpEncoder } from './otlp_encoder.ts';
import { RecordWriter } from './record_codec.ts';
import { limitsAllowDirect, RecordOtlp } from './record_otlp.ts';
import { type ClockAnchor, recordSpans } from './record_spans.ts';
import type { Closed } from './settling.ts';
import { type WorkerCore, WorkerQuery } from './worker_query.ts';

const IDENTITY = { resource: [] as [string, string][], scopeName: 'vitrine', scopeVersion: '1' };
const ANCHOR: ClockAnchor = {
  anchorMs: 123_456.789,
  anchorUnixNano: 1_790_000_000_123_456_000n,
  offsetMs: 0,
};

/** xorshift32: the same records on every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function createCores() {
  const writer = new RecordWriter();
  const records: Buffer[] = [];
  const sink: RecordSink = {
    writer,
    accept: () => {
      records.push(Buffer.from(writer.buffer.subarray(0, writer.length)));
      return true;
    },
    acceptBytes: (record) => {
      records.push(record);
      return true;
    },
    underPressure: () => false,
  };
  const quiet = (): void => {};
  const log: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, query: quiet };
  const shared = {
    sink,
    eventLoop: createEventLoopDelay(undefined, () => 0),
    settling: { add: (record: Closed) => record.settle() },
    log,
    count: quiet,
  };
  const gateway: GatewayCore = {
    ...shared,
    metrics: createGatewayMetrics(new Metrics()),
    keeping: createKeeping({ mode: 'all', ratio: 0, slowMs: 1000, callerTracesPerSecondLimit: 10 }),
    logQueries: false,
    lateVerdict: createLateVerdicts().add,
  };
  const worker: WorkerCore = {
    ...shared,
    instanceId: 'worker-1',
    held: createHeldRecords({ accept: () => true, count: quiet }),
  };
  return { records, gateway, worker };
}

type Random = () => number;

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

/** Whole milliseconds among them: they are written as integers. */
function duration(random: Random): number {
  return pick(random, [0, 1, 12, 1000, 0.001, 0.25, random(), random() * 1e4, 1e-9]);
}

const MODELS = ['langid', 'ünï→☃', 'm'.repeat(60), 'x'.repeat(150)];

function gatewayRecord(random: Random, core: GatewayCore, odd: boolean): void {
  const startMs = 100_000 + random() * 1e6;
  const query = new GatewayQuery(
    core,
    {
      traceId: newTraceId(),
      parentSpanId: random() < 0.5 ? newSpanId() : '',
      parentIsRemote: random() < 0.5,
      traceState: pick(random, ['', 'vendor=1', `v=${'x'.repeat(200)}`]),
      startMs,
      kept: 'all',
      undecided: false,
      shed: false,
      requestId: pick(random, ['r-1', crypto.randomUUID(), 'q'.repeat(128)]),
      externalTraceId: pick(random, ['', 'not-a-trace-id']),
    },
    () => {
      throw new Error('nobody asked for a context');
    },
  );
  query.model(pick(random, MODELS), pick(random, ['1', '2024']));
  let nowMs = startMs;
  const step = (): number => {
    nowMs += duration(random);
    return nowMs;
  };
  query.mark('receive', step());
  query.mark('admit', step());
  if (odd && random() < 0.3) query.attribute('user.key', 'value');
  let error: VitrineError | undefined;
  if (random() < 0.9) {
    const tries = odd && random() < 0.5 ? 2 : 1;
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      const sent = query.startAttempt(pick(random, ['worker-1', 'worker-12']), step());
      sent.sent(step());
      if (attempt < tries) sent.end({ outcome: 'lost' }, step());
      else sent.end({ outcome: 'ok', status: 200, report: report(random) }, step());
    }
  }
  if (odd && random() < 0.4) error = new VitrineError('overloaded', 'too much', { retryAfterS: 1 });
  step();
  query.finish({ status: error?.status ?? 200, error, clientGone: false, finishedMs: nowMs }, nowMs);
}

function report(random: Random): WorkerReport {
  const stagesMs = WORKER_STAGES.map(() => (random() < 0.3 ? -1 : duration(random)));
  return { totalMs: 1, stagesMs, version: '1', worker: 'worker-1', eventLoopDelayMs: 0, batchRows: 1 };
}

function workerRecords(random: Random, core: WorkerCore, odd: boolean): void {
  const startMs = 100_000 + random() * 1e6;
  const members = Array.from({ length: 1 + Math.floor(random() * (odd ? 160 : 20)) }, () => {
    const query = new WorkerQuery(
      core,
      {
        traceId: newTraceId(),
        parentSpanId: random() < 0.9 ? newSpanId() : '',
        traceState: pick(random, ['', 'vendor=1']),
        startMs,
        kept: true,
        undecided: false,
      },
      () => {
        throw new Error('nobody asked for a context');
      },
    );
    query.model(pick(random, MODELS), '1');
    return query;
  });
  const batch = new BatchRecord(core, {
    model: pick(random, MODELS),
    version: '1',
    thread: Math.floor(random() * 3),
    rows: members.length,
    members,
  });
  const mark = (): number => startMs + duration(random);
  batch.end({
    rows: members.length,
    queries: members.length,
    reason: 'full',
    realElements: 10,
    paddingElements: pick(random, [0, 3, 10]),
    headWaitMs: duration(random),
    openedMs: mark(),
    closedMs: mark(),
    dispatchedMs: mark(),
    computeStartMs: mark(),
    computeEndMs: mark(),
    endedMs: mark(),
    ...(odd && random() < 0.5 ? { error: 'model_failed' } : {}),
  });
  for (const member of members) {
    let nowMs = startMs;
    for (const stage of WORKER_STAGES.slice(0, -1)) {
      nowMs += duration(random);
      if (random() < 0.8) member.mark(stage, nowMs);
    }
    if (random() < 0.9) {
      const energyJoules = random() < 0.5 ? undefined : duration(random) / 7;
      member.batch(batch, 1, { executorMs: duration(random), energyJoules });
    }
    member.report(nowMs + duration(random));
    const error = odd && random() < 0.5 ? new VitrineError('model_failed', 'no') : undefined;
    if (odd && random() < 0.3) member.attribute('user.key', 1);
    member.finish({ status: error?.status ?? 200, error, clientGone: false });
  }
}

/** The same ids for both ways. */
function createIds() {
  let count = 0;
  const next = (): string => {
    count += 1;
    return count.toString(16).padStart(16, '0');
  };
  return {
    hex: next,
    write: (target: Uint8Array, at: number) => void target.set(Buffer.from(next(), 'hex'), at),
  };
}

/** As a request with this record alone; undefined when the record was left to the general way. */
function direct(record: Buffer): Buffer | undefined {
  const encoder = new RecordOtlp(createIds().write);
  if (encoder.encode(record, ANCHOR) === 0) return undefined;
  const request = new OtlpEncoder(IDENTITY);
  request.begin();
  request.addEncoded(encoder.bytes, encoder.length);
  return request.finish();
}

function general(record: Buffer): Buffer {
  return new OtlpEncoder(IDENTITY).encode(recordSpans(record, ANCHOR, createIds().hex));
}

describe('records straight to OTLP', () => {
  test('write the very bytes of the general way, and leave no ordinary record to it', () => {
    const random = createRandom(0x5eed);
    const cores = createCores();
    for (let round = 0; round < 300; round += 1) gatewayRecord(random, cores.gateway, false);
    for (let round = 0; round < 40; round += 1) workerRecords(random, cores.worker, false);
    expect(cores.records.length).toBeGreaterThan(500);
    for (const record of cores.records) expect(direct(record)?.equals(general(record))).toBe(true);
  });

  test('write the same or nothing for errors, retries, user attributes and batches of many', () => {
    const random = createRandom(7);
    const cores = createCores();
    for (let round = 0; round < 300; round += 1) gatewayRecord(random, cores.gateway, true);
    for (let round = 0; round < 20; round += 1) workerRecords(random, cores.worker, true);
    let left = 0;
    for (const record of cores.records) {
      const ours = direct(record);
      if (ours === undefined) left += 1;
      else expect(ours.equals(general(record))).toBe(true);
    }
    expect(left).toBeGreaterThan(100);
  });

  test('a record that is cut short, or has bytes too many, is left to the general way', () => {
    const random = createRandom(3);
    const cores = createCores();
    gatewayRecord(random, cores.gateway, false);
    workerRecords(random, cores.worker, false);
    for (const record of cores.records) {
      // In memory that goes on behind it, as in the ring.
      const memory = Buffer.alloc(record.length + 8192, 0xff);
      record.copy(memory);
      for (let length = 1; length < record.length; length += 1) {
        expect(direct(memory.subarray(0, length))).toBeUndefined();
      }
      expect(direct(memory.subarray(0, record.length + 1))).toBeUndefined();
      expect(direct(memory.subarray(0, record.length))).toBeDefined();
    }
  });

  test('limits that could cut an ordinary span forbid it', () => {
    const limits = {
      attributes: 128,
      attributeValueChars: Number.POSITIVE_INFINITY,
      events: 128,
      links: 128,
    };
    expect(limitsAllowDirect(limits)).toBe(true);
    expect(limitsAllowDirect({ ...limits, attributes: 20 })).toBe(false);
    expect(limitsAllowDirect({ ...limits, attributeValueChars: 100 })).toBe(false);
    expect(limitsAllowDirect({ ...limits, links: 10 })).toBe(false);
  });
});
