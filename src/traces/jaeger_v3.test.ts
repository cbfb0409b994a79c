import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerJaeger } from './jaeger_api.ts';
import { ask, CHILD, NOW_MS, openJaegerStore, ROOT, TRACE } from './jaeger_for_tests.ts';
import { decodeTraces } from './otlp_decode.ts';
import { describeSpan, NOON_NS, SdkSpans } from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore } from './store.ts';

let store: TraceStore;

beforeAll(() => {
  store = openJaegerStore();
});

afterAll(() => store[Symbol.dispose]());

const get = (path: string, parameters?: Record<string, string>, method?: string) =>
  ask(store, path, parameters, method);

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
