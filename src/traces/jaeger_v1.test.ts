import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerJaeger, isJaegerPath } from './jaeger_api.ts';
import { ask, CHILD, NOW_MS, openJaegerStore, ROOT, SHORT_TRACE, TRACE } from './jaeger_for_tests.ts';
import { decodeTraces } from './otlp_decode.ts';
import { jsonToProtobuf } from './otlp_json.ts';
import { NOON_NS } from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore } from './store.ts';

let store: TraceStore;

beforeAll(() => {
  store = openJaegerStore();
});

afterAll(() => store[Symbol.dispose]());

const get = (path: string, parameters?: Record<string, string>, method?: string) =>
  ask(store, path, parameters, method);

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
