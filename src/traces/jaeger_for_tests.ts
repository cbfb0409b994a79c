/** For the tests of Jaeger's query API: three spans, a store that holds them, and how to ask it. */
import { answerJaeger } from './jaeger_api.ts';
import { describeSpan, insertAll, NOON_NS } from './spans_for_tests.ts';
import { createSqliteStore } from './sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS, type TraceStore } from './store.ts';

export const TRACE = '0af7651916cd43dd8448eb211c80319c';
export const SHORT_TRACE = 'a3ce929d0e0e4736';
export const ROOT = 'b7ad6b7169203331';
export const CHILD = '00f067aa0ba902b7';
export const NOW_MS = Number(NOON_NS / 1_000_000n) + 60_000;

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

export function openJaegerStore(): TraceStore {
  const store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path: ':memory:' });
  insertAll(store, [root]);
  insertAll(store, [child]);
  insertAll(store, [short]);
  return store;
}

export interface Asked {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is what the tests are about
  readonly json: any;
}

export function ask(
  store: TraceStore,
  path: string,
  parameters: Record<string, string> = {},
  method = 'GET',
): Asked {
  const search = new URLSearchParams(parameters).toString();
  const { status, body } = answerJaeger(store, { method, path, search }, NOW_MS);
  return { status, json: JSON.parse(body) };
}
