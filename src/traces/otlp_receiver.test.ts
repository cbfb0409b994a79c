import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { VitrineError } from '../contract/errors.ts';
import { createOtlpReceiver, type OtlpReceiver, type OtlpReceiverOptions } from './otlp_receiver.ts';
import { describeSpan, expectedStored, randomSpans, SdkSpans, seededRandom } from './spans_for_tests.ts';
import { createTraceStoreClient, type TraceStoreClient } from './store_client.ts';

let client: TraceStoreClient;
let receiver: OtlpReceiver;
let server: Server;
let base: string;

async function listen(
  store: Pick<TraceStoreClient, 'ingest' | 'isBehind'>,
  options: OtlpReceiverOptions = {},
): Promise<void> {
  receiver = createOtlpReceiver(store, options);
  server = createServer((request, response) => void receiver.handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

beforeAll(() => {
  client = createTraceStoreClient({ store: { path: ':memory:' }, limits: { attributesPerSpan: 8 } });
});

beforeEach(() => listen(client, { bodyLimitBytes: 256 * 1024 }));

afterEach(close);

afterAll(() => client[Symbol.asyncDispose]());

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';

async function post(
  body: Uint8Array | string,
  headers: Record<string, string> = { 'content-type': PROTOBUF },
  path = '/v1/traces',
): Promise<{ status: number; headers: Headers; body: Buffer }> {
  const response = await fetch(base + path, {
    method: 'POST',
    headers,
    body: body as NonNullable<RequestInit['body']>,
  });
  return {
    status: response.status,
    headers: response.headers,
    body: Buffer.from(await response.arrayBuffer()),
  };
}

/** code and message of a google.rpc.Status. */
function readStatus(body: Buffer): { code: number; message: string } {
  const reader = protobuf.Reader.create(body);
  const status = { code: 0, message: '' };
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 0x08) status.code = reader.int32();
    else if (tag === 0x12) status.message = reader.string();
    else reader.skipType(tag & 7);
  }
  return status;
}

describe('OTLP over HTTP', () => {
  const described = randomSpans(seededRandom(17), 20);
  const sdk = new SdkSpans();

  test.each([
    ['protobuf', PROTOBUF, sdk.protobuf(described), ''],
    ['JSON', JSON_TYPE, sdk.json(described), '{}'],
    ['JSON with a charset', `${JSON_TYPE}; charset=utf-8`, sdk.json(described), '{}'],
  ])('takes %s, plain and with gzip, and stores every field', async (_, contentType, body, success) => {
    for (const [encoding, sent] of [
      ['identity', body],
      ['gzip', gzipSync(body)],
    ] as const) {
      const answer = await post(sent, { 'content-type': contentType, 'content-encoding': encoding });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe(contentType.split(';')[0]);
      expect(answer.body.toString()).toBe(success);
    }
    for (const traceId of new Set(described.map((span) => span.traceId))) {
      const expected = described.filter((span) => span.traceId === traceId).map(expectedStored);
      const held = (await client.trace(traceId))?.spans ?? [];
      const order = (a: { spanId: string }, b: { spanId: string }): number => (a.spanId < b.spanId ? -1 : 1);
      expect([...held].sort(order)).toEqual(expected.sort(order));
    }
    expect(receiver.stats()).toMatchObject({
      requests: 2,
      acceptedSpans: 2 * described.length,
      rejectedSpans: 0,
      receivingBytes: 0,
    });
    expect(receiver.stats().byStatus).toEqual(new Map([[200, 2]]));
  });

  test('tells what it rejected, in the encoding of the request', async () => {
    const attributes = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, 1]));
    const spans = [describeSpan({}), describeSpan({ spanId: 'ab'.repeat(8), attributes })];
    const json = await post(sdk.json(spans), { 'content-type': JSON_TYPE });
    expect(json.status).toBe(200);
    expect(JSON.parse(json.body.toString())).toEqual({
      partialSuccess: { rejectedSpans: '1', errorMessage: expect.stringContaining('more than 8 attributes') },
    });
    const binary = await post(sdk.protobuf(spans));
    const reader = protobuf.Reader.create(binary.body);
    expect(reader.uint32()).toBe(0x0a);
    reader.uint32();
    expect([reader.uint32(), Number(reader.int64())]).toEqual([0x08, 1]);
    expect(reader.uint32()).toBe(0x12);
    expect(reader.string()).toContain('more than 8 attributes');
  });

  test('takes an empty request', async () => {
    expect((await post(new Uint8Array(0))).status).toBe(200);
    expect((await post('{}', { 'content-type': JSON_TYPE })).status).toBe(200);
  });

  test('takes a body without a declared length', async () => {
    const body = sdk.protobuf(described);
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 1_000) controller.enqueue(body.subarray(at, at + 1_000));
        controller.close();
      },
    });
    const init = { method: 'POST', headers: { 'content-type': PROTOBUF }, body: chunks, duplex: 'half' };
    const response = await fetch(`${base}/v1/traces`, init as RequestInit);
    expect(response.status).toBe(200);
    expect(receiver.stats().acceptedSpans).toBe(described.length);
  });

  test.each<[string, Uint8Array | string, Record<string, string>, number, string]>([
    ['bytes that are none', Uint8Array.from([0x0a, 0xff]), { 'content-type': PROTOBUF }, 400, 'protobuf'],
    ['broken JSON', '{"resourceSpans":', { 'content-type': JSON_TYPE }, 400, 'JSON'],
    ['JSON of another shape', '{"resourceSpans":5}', { 'content-type': JSON_TYPE }, 400, 'resourceSpans'],
    ['another content type', 'x', { 'content-type': 'text/plain' }, 415, 'content-type'],
    ['no content type', Uint8Array.from([1]), {}, 415, 'content-type'],
    ['a content type that every object has', 'x', { 'content-type': 'constructor' }, 415, 'content-type'],
    [
      'another compression',
      'x',
      { 'content-type': PROTOBUF, 'content-encoding': 'br' },
      415,
      'content-encoding',
    ],
    ['gzip that is none', 'x', { 'content-type': PROTOBUF, 'content-encoding': 'gzip' }, 400, 'gzip'],
    [
      'cut gzip',
      gzipSync('x'.repeat(999)).subarray(0, 20),
      { 'content-type': PROTOBUF, 'content-encoding': 'gzip' },
      400,
      'gzip',
    ],
    ['a large body', new Uint8Array(256 * 1024 + 1), { 'content-type': PROTOBUF }, 413, '262144'],
    [
      'a bomb of gzip',
      gzipSync(Buffer.alloc(50 * 1024 ** 2)),
      { 'content-type': PROTOBUF, 'content-encoding': 'gzip' },
      413,
      '262144',
    ],
  ])('refuses %s', async (_, body, headers, status, message) => {
    const answer = await post(body, headers);
    expect(answer.status).toBe(status);
    const isProtobuf = headers['content-type'] === PROTOBUF;
    expect(answer.headers.get('content-type')).toBe(isProtobuf ? PROTOBUF : JSON_TYPE);
    const told = isProtobuf ? readStatus(answer.body) : JSON.parse(answer.body.toString());
    expect(told.code).toBeGreaterThan(0);
    expect(told.message).toContain(message);
    expect(answer.headers.get('retry-after')).toBeNull();
    // The receiver is as before.
    expect((await post(sdk.protobuf([describeSpan({})]))).status).toBe(200);
    expect(receiver.stats().receivingBytes).toBe(0);
  });

  test('refuses other signals, paths and methods', async () => {
    for (const path of ['/v1/metrics', '/v1/logs']) {
      const answer = await post('{}', { 'content-type': JSON_TYPE }, path);
      expect(answer.status).toBe(404);
      expect(answer.body.toString()).toContain('takes traces');
    }
    expect((await post('{}', { 'content-type': JSON_TYPE }, '/v1/else')).status).toBe(404);
    expect((await post('{}', { 'content-type': JSON_TYPE }, '/v1/traces?x=1')).status).toBe(200);
    const response = await fetch(`${base}/v1/traces`);
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  test('forgets a sender that goes away in the middle of a body', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    const seen = once(server, 'request');
    socket.write(
      `POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: ${PROTOBUF}\r\ncontent-length: 1000\r\n\r\nabc`,
    );
    await seen;
    expect(receiver.stats().receivingBytes).toBe(1_000);
    socket.destroy();
    await expect.poll(() => receiver.stats().receivingBytes).toBe(0);
    expect(receiver.stats().byStatus).toEqual(new Map([[499, 1]]));
  });

  test('bounds the bytes of all bodies that are being received', async () => {
    await close();
    await listen(client, { receivingLimitBytes: 1_500 });
    const begun = once(server, 'request');
    const slow = httpRequest(`${base}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': PROTOBUF, 'content-length': 1_000 },
    });
    slow.on('error', () => undefined);
    slow.write('abc');
    await begun;
    const refused = await post(new Uint8Array(1_000));
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    slow.destroy();
  });

  test('answers 503 with Retry-After when the store is behind or refuses, and keeps the connection', async () => {
    await close();
    let behind = true;
    await listen({
      isBehind: () => behind,
      ingest: () =>
        Promise.reject(new VitrineError('overloaded', 'the database is locked', { retryAfterS: 2.5 })),
    });
    const early = await post(sdk.protobuf(described));
    expect(early.status).toBe(503);
    expect(early.headers.get('retry-after')).toBe('1');
    expect(readStatus(early.body)).toEqual({ code: 14, message: expect.stringContaining('behind') });
    behind = false;
    const late = await post(sdk.protobuf(described));
    expect(late.status).toBe(503);
    expect(late.headers.get('retry-after')).toBe('3');
    expect(late.headers.get('connection')).not.toBe('close');
  });
});
