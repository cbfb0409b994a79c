import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerJaeger, isJaegerPath } from './jaeger_api.ts';
import { decodeTraces } from './otlp_decode.ts';
import { jsonToProtobuf } from './otlp_json.ts';
import { describeSpan, insertAll, NOON_NS, SdkSpans } from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore } from './store.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SHORT_TRACE = 'a3ce929d0e0e4736';
const ROOT = 'b7ad6b7169203331';
const CHILD = '00f067aa0ba902b7';
const NOW_MS = Number(NOON_NS / 1_000_000n) + 60_000;

const root = describeSpan({
  traceId: TRACE,
  spanId: ROOT,
  statusCode: 2,
  statusMessage: 'deadline exceeded',
  traceState: 'a=1',
  attributes: {
    'inference.model.name': 'langid',
    'http.response.status_code': 504,
    ratio: 0.25,
    batched: true,
    blob: Uint8Array.from([1, 2, 255]),
    list: ['a', 1, { deep: [true] }],
    large: Number.MAX_SAFE_INTEGER,
  },
  events: [{ timeNs: NOON_NS + 5_001n, name: 'retry', attributes: { attempt: 2 } }],
  links: [{ traceId: 'ff'.repeat(16), spanId: 'ee'.repeat(8), attributes: {} }],
});
const child = describeSpan({
  traceId: TRACE,
  spanId: CHILD,
  parentSpanId: ROOT,
  service: 'vitrine-worker',
  name: 'work langid',
  startNs: NOON_NS + 1_000_999n,
  endNs: NOON_NS + 2_002_998n,
});
const short = describeSpan({
  traceId: SHORT_TRACE.padStart(32, '0'),
  spanId: '1111111111111111',
  service: 'caller',
  name: 'GET /',
  kind: 3,
  startNs: NOON_NS - 10_000_000_000n,
  endNs: NOON_NS - 9_000_000_000n,
});

let store: TraceStore;

beforeAll(() => {
  store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:' });
  insertAll(store, [root]);
  insertAll(store, [child]);
  insertAll(store, [short]);
});

afterAll(() => store[Symbol.dispose]());

function get(path: string, parameters: Record<string, string> = {}, method = 'GET') {
  const search = new URLSearchParams(parameters).toString();
  const { status, body } = answerJaeger(store, { method, path, search }, NOW_MS);
  return { status, json: JSON.parse(body) };
}

const START_US = Number(NOON_NS / 1000n);

describe('v1', () => {
  test('gives a trace with every field, exactly', () => {
    const { status, json } = get(`/api/traces/${TRACE}`);
    expect(status).toBe(200);
    expect(json).toEqual({
      data: [
        {
          traceID: TRACE,
          processes: {
            p1: {
              serviceName: 'vitrine-gateway',
              tags: [{ key: 'service.instance.id', type: 'string', value: '0' }],
            },
            p2: {
              serviceName: 'vitrine-worker',
              tags: [{ key: 'service.instance.id', type: 'string', value: '0' }],
            },
          },
          warnings: null,
          spans: [
            {
              traceID: TRACE,
              spanID: ROOT,
              processID: 'p1',
              operationName: 'infer langid',
              startTime: START_US,
              // 123 ns of start and 12,345,678 ns of duration: both rounded down.
              duration: 12_345,
              references: [{ refType: 'FOLLOWS_FROM', traceID: 'ff'.repeat(16), spanID: 'ee'.repeat(8) }],
              tags: [
                { key: 'inference.model.name', type: 'string', value: 'langid' },
                { key: 'http.response.status_code', type: 'int64', value: 504 },
                { key: 'ratio', type: 'float64', value: 0.25 },
                { key: 'batched', type: 'bool', value: true },
                { key: 'blob', type: 'binary', value: 'AQL/' },
                { key: 'list', type: 'string', value: '["a",1,{"deep":[true]}]' },
                { key: 'large', type: 'int64', value: Number.MAX_SAFE_INTEGER },
                { key: 'otel.scope.name', type: 'string', value: 'vitrine' },
                { key: 'otel.scope.version', type: 'string', value: '1.2' },
                { key: 'span.kind', type: 'string', value: 'server' },
                { key: 'otel.status_code', type: 'string', value: 'ERROR' },
                { key: 'error', type: 'bool', value: true },
                { key: 'otel.status_description', type: 'string', value: 'deadline exceeded' },
                { key: 'w3c.tracestate', type: 'string', value: 'a=1' },
              ],
              logs: [
                {
                  timestamp: START_US + 5,
                  fields: [
                    { key: 'event', type: 'string', value: 'retry' },
                    { key: 'attempt', type: 'int64', value: 2 },
                  ],
                },
              ],
              warnings: null,
              flags: 1,
            },
            {
              traceID: TRACE,
              spanID: CHILD,
              processID: 'p2',
              operationName: 'work langid',
              startTime: Number((NOON_NS + 1_000_999n) / 1000n),
              duration: 1_001,
              references: [{ refType: 'CHILD_OF', traceID: TRACE, spanID: ROOT }],
              tags: [
                { key: 'otel.scope.name', type: 'string', value: 'vitrine' },
                { key: 'otel.scope.version', type: 'string', value: '1.2' },
                { key: 'span.kind', type: 'string', value: 'server' },
              ],
              logs: [],
              warnings: null,
              flags: 1,
            },
          ],
        },
      ],
      total: 1,
      limit: 0,
      offset: 0,
      errors: null,
    });
  });

  test('writes integers beyond 2^53 and numbers that JSON lacks as text', () => {
    const span = {
      traceId: 'ab'.repeat(16),
      spanId: 'cd'.repeat(8),
      attributes: [
        { key: 'big', value: { intValue: '9223372036854775807' } },
        { key: 'nan', value: { doubleValue: 'NaN' } },
        { key: 'none', value: {} },
      ],
    };
    const document = { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] };
    using other = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:' });
    other.insert([decodeTraces(jsonToProtobuf(Buffer.from(JSON.stringify(document))))]);
    const request = { method: 'GET', path: `/api/traces/${'ab'.repeat(16)}`, search: '' };
    const trace = JSON.parse(answerJaeger(other, request, NOW_MS).body).data[0];
    expect(trace.spans[0].tags).toEqual([
      { key: 'big', type: 'int64', value: '9223372036854775807' },
      { key: 'nan', type: 'string', value: 'NaN' },
      { key: 'none', type: 'string', value: '' },
    ]);
    expect(trace.processes.p1.serviceName).toBe('unknown_service');
    const v3 = answerJaeger(other, { ...request, path: `/api/v3/traces/${'ab'.repeat(16)}` }, NOW_MS);
    expect(JSON.parse(v3.body).result.resourceSpans[0].scopeSpans[0].spans[0].attributes).toEqual([
      { key: 'big', value: { intValue: '9223372036854775807' } },
      { key: 'nan', value: { doubleValue: 'NaN' } },
      { key: 'none', value: { stringValue: '' } },
    ]);
  });

  test('pads short ids, in any case, and tolerates times beside an id', () => {
    expect(get(`/api/traces/${SHORT_TRACE.toUpperCase()}`).json.data[0].traceID).toBe(
      SHORT_TRACE.padStart(32, '0'),
    );
    expect(get(`/api/traces/${TRACE}`, { start: '1', end: String(Date.now()) }).status).toBe(200);
    expect(get('/api/traces', { traceID: SHORT_TRACE }).json.data).toHaveLength(1);
  });

  test('lists services and operations', () => {
    expect(get('/api/services').json.data).toEqual(['caller', 'vitrine-gateway', 'vitrine-worker']);
    expect(get('/api/services/vitrine-gateway/operations').json.data).toEqual(['infer langid']);
    expect(get('/api/services/no%20one/operations').json.data).toEqual([]);
    expect(get('/api/operations', { service: 'caller' }).json.data).toEqual([
      { name: 'GET /', spanKind: 'client' },
    ]);
    expect(get('/api/operations', { service: 'caller', spanKind: 'server' }).json.data).toEqual([]);
  });

  const searches: [Record<string, string>, string[]][] = [
    [{ service: 'vitrine-gateway' }, [TRACE]],
    [{ service: 'vitrine-gateway', operation: 'all' }, [TRACE]],
    [{ service: 'vitrine-gateway', operation: 'work langid' }, []],
    [{ service: 'vitrine-gateway', tags: '{"http.response.status_code":"504","batched":"true"}' }, [TRACE]],
    [{ service: 'vitrine-gateway', tags: '{"http.response.status_code":504}' }, [TRACE]],
    [{ service: 'vitrine-gateway', tags: '{"http.response.status_code":"200"}' }, []],
    [{ service: 'vitrine-gateway', tag: 'error:true' }, [TRACE]],
    [{ service: 'vitrine-worker', tags: '{"error":"true"}' }, []],
    [{ service: 'vitrine-gateway', minDuration: '12345us' }, [TRACE]],
    [{ service: 'vitrine-gateway', minDuration: '12.346ms' }, []],
    [{ service: 'vitrine-gateway', maxDuration: '12.3451ms' }, [TRACE]],
    [{ service: 'vitrine-gateway', maxDuration: '12ms' }, []],
    [{ service: 'vitrine-gateway', start: String(START_US), end: String(START_US) }, [TRACE]],
    [{ service: 'vitrine-gateway', start: String(START_US + 1) }, []],
    [{ service: 'vitrine-gateway', end: String(START_US - 1) }, []],
    [{ service: 'caller', lookback: '1h' }, [SHORT_TRACE.padStart(32, '0')]],
    [{ service: 'caller', lookback: '65s' }, []],
    [{ service: 'caller', lookback: '2d', limit: '0' }, [SHORT_TRACE.padStart(32, '0')]],
    [{ limit: '1' }, [TRACE]],
    [{}, [TRACE, SHORT_TRACE.padStart(32, '0')]],
    [{ service: 'nobody' }, []],
  ];
  test.each(searches)('searches by %j', (parameters, expected) => {
    const { status, json } = get('/api/traces', parameters);
    expect(status).toBe(200);
    expect(json.data.map(({ traceID }: { traceID: string }) => traceID)).toEqual(expected);
    for (const trace of json.data) expect(trace.spans.length).toBeGreaterThan(0);
    expect(json.scanLimitReached).toBe(false);
  });

  test('counts calls between services', () => {
    const parameters = { endTs: String(NOW_MS), lookback: '3600000' };
    expect(get('/api/dependencies', parameters).json.data).toEqual([
      { parent: 'vitrine-gateway', child: 'vitrine-worker', callCount: 1 },
    ]);
    expect(get('/api/dependencies', { ...parameters, lookback: '1000' }).json.data).toEqual([]);
    expect(get('/api/dependencies').json.data).toHaveLength(1);
  });

  test.each<[string, Record<string, string>, number, string]>([
    ['/api/traces/xyz', {}, 400, 'traceID'],
    [`/api/traces/${'0'.repeat(32)}`, {}, 400, 'traceID'],
    [`/api/traces/${'f'.repeat(33)}`, {}, 400, 'traceID'],
    [`/api/traces/${'f'.repeat(32)}`, {}, 404, 'trace not found'],
    ['/api/traces', { minDuration: '5' }, 400, 'minDuration'],
    ['/api/traces', { maxDuration: 'soon' }, 400, 'maxDuration'],
    ['/api/traces', { minDuration: '2s', maxDuration: '1s' }, 400, 'maxDuration'],
    ['/api/traces', { start: 'yesterday' }, 400, 'start'],
    ['/api/traces', { limit: '-1' }, 400, 'limit'],
    ['/api/traces', { tags: '[]' }, 400, 'tags'],
    ['/api/traces', { tags: '{"a":{}}' }, 400, 'tags'],
    ['/api/traces', { tags: '{' }, 400, 'tags'],
    ['/api/traces', { tag: 'lonely' }, 400, 'tag'],
    ['/api/traces', { lookback: 'ages' }, 400, 'lookback'],
    ['/api/operations', {}, 400, 'service'],
    ['/api/operations', { service: 'a', spanKind: 'odd' }, 400, 'spanKind'],
    ['/api/dependencies', { endTs: 'now' }, 400, 'endTs'],
    ['/api/metrics/latencies', { service: 'a' }, 501, 'metrics'],
    ['/api/nowhere', {}, 404, 'path'],
    ['/api/services/%zz/operations', {}, 400, 'percent'],
  ])('answers %s %j with %i in its own form', (path, parameters, status, message) => {
    const answer = get(path, parameters);
    expect(answer.status).toBe(status);
    expect(answer.json.data).toBeNull();
    expect(answer.json.errors).toEqual([{ code: status, msg: expect.stringContaining(message) }]);
  });

  test('takes GET and HEAD alone', () => {
    expect(get('/api/services', {}, 'HEAD').status).toBe(200);
    expect(get('/api/services', {}, 'POST').status).toBe(405);
    expect(isJaegerPath('/api/services')).toBe(true);
    expect(isJaegerPath('/trace/1')).toBe(false);
  });
});

describe('v3', () => {
  const range = {
    'query.startTimeMin': '2026-01-01T00:00:00Z',
    'query.startTimeMax': '2027-01-01T00:00:00.5+01:00',
  };

  test('gives a trace as OTLP, exactly, without empty members', () => {
    const { status, json } = get(`/api/v3/traces/${TRACE}`);
    expect(status).toBe(200);
    const resource = (service: string) => ({
      attributes: [
        { key: 'service.name', value: { stringValue: service } },
        { key: 'service.instance.id', value: { stringValue: '0' } },
      ],
    });
    const scope = { name: 'vitrine', version: '1.2' };
    expect(json).toEqual({
      result: {
        resourceSpans: [
          {
            resource: resource('vitrine-gateway'),
            scopeSpans: [
              {
                scope,
                spans: [
                  {
                    traceId: TRACE,
                    spanId: ROOT,
                    traceState: 'a=1',
                    flags: 0x101,
                    name: 'infer langid',
                    kind: 2,
                    startTimeUnixNano: String(NOON_NS),
                    endTimeUnixNano: String(NOON_NS + 12_345_678n),
                    attributes: [
                      { key: 'inference.model.name', value: { stringValue: 'langid' } },
                      { key: 'http.response.status_code', value: { intValue: '504' } },
                      { key: 'ratio', value: { doubleValue: 0.25 } },
                      { key: 'batched', value: { boolValue: true } },
                      { key: 'blob', value: { bytesValue: 'AQL/' } },
                      {
                        key: 'list',
                        value: {
                          arrayValue: {
                            values: [
                              { stringValue: 'a' },
                              { intValue: '1' },
                              {
                                kvlistValue: {
                                  values: [
                                    { key: 'deep', value: { arrayValue: { values: [{ boolValue: true }] } } },
                                  ],
                                },
                              },
                            ],
                          },
                        },
                      },
                      { key: 'large', value: { intValue: '9007199254740991' } },
                    ],
                    events: [
                      {
                        timeUnixNano: String(NOON_NS + 5_001n),
                        name: 'retry',
                        attributes: [{ key: 'attempt', value: { intValue: '2' } }],
                      },
                    ],
                    links: [{ traceId: 'ff'.repeat(16), spanId: 'ee'.repeat(8), flags: 0x101 }],
                    status: { message: 'deadline exceeded', code: 2 },
                  },
                ],
              },
            ],
          },
          {
            resource: resource('vitrine-worker'),
            scopeSpans: [
              {
                scope,
                spans: [
                  {
                    traceId: TRACE,
                    spanId: CHILD,
                    parentSpanId: ROOT,
                    flags: 0x101,
                    name: 'work langid',
                    kind: 2,
                    startTimeUnixNano: String(NOON_NS + 1_000_999n),
                    endTimeUnixNano: String(NOON_NS + 2_002_998n),
                    status: {},
                  },
                ],
              },
            ],
          },
        ],
      },
    });
  });

  test('searches, in both spellings of its parameters', () => {
    const found = get('/api/v3/traces', { ...range, 'query.serviceName': 'vitrine-worker' });
    expect(found.json.result.resourceSpans).toHaveLength(2);
    const aliases = get('/api/v3/trace-summaries', {
      'query.start_time_min': '2026-02-02T02:40:00Z',
      'query.start_time_max': '2026-02-02T02:40:00.123456999Z',
      'query.service_name': 'vitrine-gateway',
      'query.operation_name': 'infer langid',
      'query.duration_min': '1ms',
      'query.duration_max': '1s',
      'query.search_depth': '3',
      'query.attributes': '{"error":"true"}',
    });
    expect(aliases.status).toBe(200);
    expect(aliases.json.summaries).toHaveLength(1);
    const early = { ...range, 'query.startTimeMax': '2026-02-02T02:40:00.123455999Z' };
    expect(
      get('/api/v3/trace-summaries', { ...early, 'query.serviceName': 'vitrine-gateway' }).json.summaries,
    ).toEqual([]);
  });

  test('summarizes traces', () => {
    const { json } = get('/api/v3/trace-summaries', { ...range, 'query.serviceName': 'vitrine-gateway' });
    expect(json).toEqual({
      summaries: [
        {
          traceId: TRACE,
          rootServiceName: 'vitrine-gateway',
          rootOperationName: 'infer langid',
          minStartTimeUnixNano: String(NOON_NS),
          maxEndTimeUnixNano: String(NOON_NS + 12_345_678n),
          spanCount: 2,
          errorSpanCount: 1,
          orphanSpanCount: 0,
          services: [
            { name: 'vitrine-gateway', spanCount: 1, errorSpanCount: 1 },
            { name: 'vitrine-worker', spanCount: 1, errorSpanCount: 0 },
          ],
        },
      ],
      scanned: expect.any(Number),
      scanLimitReached: false,
    });
  });

  test('takes the earliest orphan for the root of a trace whose caller is elsewhere', () => {
    using other = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:' });
    const sdk = new SdkSpans();
    const late = describeSpan({
      spanId: '01'.repeat(8),
      parentSpanId: '99'.repeat(8),
      startNs: NOON_NS + 5n,
      name: 'late',
    });
    const first = describeSpan({ spanId: '02'.repeat(8), parentSpanId: '99'.repeat(8), name: 'first' });
    other.insert([decodeTraces(sdk.protobuf([late, first]))]);
    const request = {
      method: 'GET',
      path: '/api/v3/trace-summaries',
      search: new URLSearchParams(range).toString(),
    };
    expect(JSON.parse(answerJaeger(other, request, NOW_MS).body).summaries[0]).toMatchObject({
      rootOperationName: 'first',
      orphanSpanCount: 2,
    });
  });

  test('lists services and operations', () => {
    expect(get('/api/v3/services').json).toEqual({
      services: ['caller', 'vitrine-gateway', 'vitrine-worker'],
    });
    expect(get('/api/v3/operations', { service: 'caller' }).json).toEqual({
      operations: [{ name: 'GET /', spanKind: 'client' }],
    });
    expect(get('/api/v3/operations', { service: 'caller', span_kind: 'server' }).json).toEqual({
      operations: [],
    });
  });

  test.each<[string, Record<string, string>, number, string]>([
    [`/api/v3/traces/${'f'.repeat(32)}`, {}, 404, 'No traces found'],
    ['/api/v3/traces/xyz', {}, 400, 'trace_id'],
    [`/api/v3/traces/${TRACE}`, { startTime: 'noon' }, 400, 'startTime'],
    ['/api/v3/traces', {}, 400, 'required'],
    ['/api/v3/traces', { ...range, 'query.serviceName': 'nobody' }, 404, 'No traces found'],
    ['/api/v3/traces', { ...range, 'query.startTimeMin': '12:00' }, 400, 'query.startTimeMin'],
    ['/api/v3/traces', { ...range, 'query.startTimeMin': '2026-13-01T00:00:00Z' }, 400, 'query.startTimeMin'],
    ['/api/v3/traces', { ...range, 'query.startTimeMax': '2020-01-01T00:00:00Z' }, 400, 'query.startTimeMax'],
    ['/api/v3/traces', { ...range, 'query.durationMin': '1' }, 400, 'query.durationMin'],
    ['/api/v3/traces', { ...range, 'query.search_depth': 'x' }, 400, 'query.search_depth'],
    ['/api/v3/trace-summaries', { ...range, 'query.attributes': '"a"' }, 400, 'query.attributes'],
    ['/api/v3/operations', {}, 400, 'service'],
    ['/api/v3/nowhere', {}, 404, 'path'],
  ])('answers %s %j with %i in its own form', (path, parameters, status, message) => {
    const answer = get(path, parameters);
    expect(answer.status).toBe(status);
    expect(answer.json).toEqual({ error: { httpCode: status, message: expect.stringContaining(message) } });
  });
});
