import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VitrineError } from '../contract/errors.ts';
import { describeSpan, expectedStored, SdkSpans } from './spans_for_tests.ts';
import { createTraceStoreClient, type StoreClientOptions, type TraceStoreClient } from './store_client.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-store-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

function start(options: Partial<StoreClientOptions> = {}): TraceStoreClient {
  return createTraceStoreClient({ ...options, store: { path: join(folder, 'traces.db'), ...options.store } });
}

function body(count = 1, text = ''): Uint8Array<ArrayBuffer> {
  const spans = Array.from({ length: count }, (_, index) =>
    describeSpan({ spanId: (index + 1).toString(16).padStart(16, '0'), attributes: { text } }),
  );
  return new Uint8Array(new SdkSpans().protobuf(spans));
}

const overloaded = expect.objectContaining({ code: 'overloaded', retryable: true });

describe('the store behind its thread', () => {
  test('stores bodies in both encodings and answers questions', async () => {
    await using client = start();
    const span = describeSpan({});
    const sdk = new SdkSpans();
    const other = describeSpan({ traceId: 'ab'.repeat(16) });
    expect(await client.ingest(new Uint8Array(sdk.protobuf([span])), 'protobuf')).toEqual({
      acceptedSpans: 1,
      rejectedSpans: 0,
      rejectionMessage: '',
    });
    await client.ingest(new Uint8Array(sdk.json([other])), 'json');
    expect(await client.trace(span.traceId)).toEqual({
      traceId: span.traceId,
      spans: [expectedStored(span)],
    });
    expect(await client.trace(other.traceId)).toEqual({
      traceId: other.traceId,
      spans: [expectedStored(other)],
    });
    expect(await client.trace('f'.repeat(32))).toBeUndefined();
    expect((await client.recent(10)).queries).toHaveLength(2);
    const { status, body: answer } = await client.query({ method: 'GET', path: '/api/services', search: '' });
    expect(status).toBe(200);
    expect(JSON.parse(answer).data).toEqual(['vitrine-gateway']);
    expect(await client.stats()).toMatchObject({ insertedSpans: 2, insertedBatches: 2 });
    expect(client.clientStats()).toMatchObject({ state: 'ready', outstandingBodies: 0, outstandingBytes: 0 });
  });

  test('takes the memory of a body, and leaves the rest of a shared one alone', async () => {
    await using client = start();
    const whole = body();
    const part = new Uint8Array(whole.length + 10);
    part.set(whole, 5);
    await client.ingest(part.subarray(5, 5 + whole.length), 'protobuf');
    expect(part.byteLength).toBe(whole.length + 10);
    await client.ingest(whole, 'protobuf');
    expect(whole.byteLength).toBe(0);
  });

  test('refuses bad bytes without harm to what waits beside them', async () => {
    await using client = start();
    const results = await Promise.allSettled([
      client.ingest(body(3), 'protobuf'),
      client.ingest(new Uint8Array([0x0a, 0xff]), 'protobuf'),
      client.ingest(new Uint8Array(Buffer.from('{')), 'json'),
      client.ingest(body(2), 'protobuf'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({
      reason: expect.objectContaining({ code: 'invalid_request', status: 400 }),
    });
    expect(results[2]).toMatchObject({
      reason: expect.objectContaining({ code: 'invalid_json', status: 400 }),
    });
    expect((await client.stats()).insertedSpans).toBe(5);
  });

  test('refuses bodies and questions beyond what may be outstanding', async () => {
    await using client = start({ maxOutstandingBodies: 3, maxOutstandingQuestions: 2 });
    const bodies = Array.from({ length: 8 }, () => client.ingest(body(), 'protobuf'));
    expect(client.isBehind(1)).toBe(true);
    const questions = Array.from({ length: 5 }, () => client.stats());
    const settled = await Promise.allSettled([...bodies, ...questions]);
    const refused = settled.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(8);
    for (const refusal of refused) expect(refusal).toMatchObject({ reason: overloaded });
    expect(client.clientStats().refusedBodies).toBe(5);
    expect(client.isBehind(1)).toBe(false);
    expect((await client.stats()).insertedSpans).toBe(3);
  });

  test('refuses bodies beyond the bytes that may be outstanding, but takes a single one', async () => {
    await using client = start({ maxOutstandingBytes: 1_000 });
    const first = client.ingest(body(20), 'protobuf');
    expect(client.clientStats().outstandingBytes).toBeGreaterThan(1_000);
    await expect(client.ingest(body(), 'protobuf')).rejects.toEqual(overloaded);
    expect((await first).acceptedSpans).toBe(20);
  });

  test('stores what was handed over before it closes, and refuses afterwards', async () => {
    const client = start();
    const stored = client.ingest(body(4), 'protobuf');
    await client[Symbol.asyncDispose]();
    expect((await stored).acceptedSpans).toBe(4);
    await expect(client.stats()).rejects.toEqual(expect.objectContaining({ code: 'draining' }));
    await expect(client.ingest(body(), 'protobuf')).rejects.toBeInstanceOf(VitrineError);
    await client[Symbol.asyncDispose]();
    await using again = start();
    expect((await again.recent(10)).queries).toHaveLength(4);
  });

  test('starts the thread again when it ends, and goes on with what was stored', async () => {
    const notices: string[] = [];
    const threads: Worker[] = [];
    const options: StoreClientOptions = {
      store: { path: join(folder, 'traces.db') },
      restartDelayMs: 300,
      onNotice: (notice) => notices.push(notice),
    };
    await using client = createTraceStoreClient(options, (workerData) => {
      const thread = new Worker(new URL('./store_thread.ts', import.meta.url), { workerData, execArgv: [] });
      threads.push(thread);
      return thread;
    });
    await client.ingest(body(2), 'protobuf');
    // A lock holds the thread at the first of these, so that none of them is answered before it ends.
    const lock = new DatabaseSync(join(folder, 'traces.db'));
    lock.exec('BEGIN EXCLUSIVE');
    const open = [client.ingest(body(), 'protobuf'), client.stats(), client.trace('f'.repeat(32))];
    const ended = threads[0]?.terminate();
    for (const result of await Promise.allSettled(open)) expect(result).toMatchObject({ reason: overloaded });
    await ended;
    lock.exec('ROLLBACK');
    lock.close();
    expect(client.clientStats()).toMatchObject({
      outstandingBodies: 0,
      outstandingBytes: 0,
      outstandingQuestions: 0,
    });
    // Between the end and the next start, callers are told to come again.
    await expect(client.stats()).rejects.toEqual(overloaded);
    expect(client.isBehind(1)).toBe(true);
    await expect.poll(() => threads.length, { timeout: 20_000 }).toBe(2);
    expect((await client.recent(10)).queries).toHaveLength(2);
    expect(client.clientStats()).toMatchObject({ restarts: 1, state: 'ready' });
    expect(notices).toEqual([expect.stringContaining("the trace store's thread ended")]);
  });

  test('tells of trouble with the database, and of its end', async () => {
    const path = join(folder, 'traces.db');
    const notices: string[] = [];
    await using client = start({
      store: { path, busyTimeoutMs: 0 },
      onNotice: (notice) => notices.push(notice),
    });
    await client.ingest(body(), 'protobuf');
    const other = new DatabaseSync(path);
    other.exec('BEGIN EXCLUSIVE');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(client.ingest(body(), 'protobuf')).rejects.toEqual(overloaded);
    }
    await client.stats();
    expect(notices).toEqual([expect.stringMatching(/in trouble: .*locked/)]);
    other.exec('ROLLBACK');
    other.close();
    await client.ingest(body(), 'protobuf');
    await client.stats();
    expect(notices.slice(1)).toEqual(['the trace store can write again']);
  });

  test('tells of a damaged file that was set aside', async () => {
    const path = join(folder, 'traces.db');
    writeFileSync(path, 'no database'.repeat(500));
    const notices: string[] = [];
    await using client = start({ store: { path }, onNotice: (notice) => notices.push(notice) });
    await client.ingest(body(), 'protobuf');
    expect(notices).toEqual([expect.stringContaining(`${path}.unusable-`)]);
  });
});
