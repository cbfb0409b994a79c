import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type Client, createClient } from './client.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const ROOT = 'b7ad6b7169203331';
const CHILD = '00f067aa0ba902b7';

const V3 = {
  result: {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'vitrine-worker' } }] },
        scopeSpans: [
          {
            spans: [
              {
                traceId: TRACE,
                spanId: CHILD,
                parentSpanId: ROOT,
                name: 'work langid',
                kind: 'SPAN_KIND_SERVER',
                startTimeUnixNano: '1700000000000500000',
                endTimeUnixNano: '1700000000001500000',
                status: { code: 'STATUS_CODE_ERROR', message: 'no room' },
                links: [{ traceId: TRACE, spanId: ROOT }],
                events: [{ name: 'refused', timeUnixNano: '1700000000001000000', attributes: [] }],
              },
            ],
          },
        ],
      },
      {
        resource: {
          attributes: [
            { key: 'service.name', value: { stringValue: 'vitrine-gateway' } },
            { key: 'service.instance.id', value: { stringValue: 'gateway-0' } },
          ],
        },
        scopeSpans: [
          {
            spans: [
              {
                traceId: TRACE,
                spanId: ROOT,
                name: 'infer langid',
                kind: 2,
                startTimeUnixNano: '1700000000000000000',
                endTimeUnixNano: '1700000000002000000',
                attributes: [
                  { key: 'vitrine.total_ms', value: { doubleValue: 2 } },
                  { key: 'http.response.status_code', value: { intValue: '503' } },
                  { key: 'big', value: { intValue: '9007199254740993' } },
                  { key: 'kept', value: { boolValue: true } },
                  { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { intValue: 1 }] } } },
                ],
                status: {},
              },
            ],
          },
        ],
      },
    ],
  },
};

const V1 = {
  data: [
    {
      traceID: TRACE,
      processes: {
        p1: {
          serviceName: 'vitrine-gateway',
          tags: [{ key: 'service.instance.id', type: 'string', value: 'gateway-0' }],
        },
        p2: { serviceName: 'vitrine-worker', tags: [] },
      },
      spans: [
        {
          traceID: TRACE,
          spanID: CHILD,
          processID: 'p2',
          operationName: 'work langid',
          startTime: 1_700_000_000_000_500,
          duration: 1000,
          references: [
            { refType: 'CHILD_OF', traceID: TRACE, spanID: ROOT },
            { refType: 'FOLLOWS_FROM', traceID: 'f'.repeat(32), spanID: ROOT },
          ],
          tags: [
            { key: 'span.kind', type: 'string', value: 'server' },
            { key: 'error', type: 'bool', value: true },
            { key: 'otel.status_code', type: 'string', value: 'ERROR' },
            { key: 'otel.status_description', type: 'string', value: 'no room' },
          ],
          logs: [
            {
              timestamp: 1_700_000_000_001_000,
              fields: [{ key: 'event', type: 'string', value: 'refused' }],
            },
          ],
        },
        {
          traceID: TRACE,
          spanID: ROOT,
          processID: 'p1',
          operationName: 'infer langid',
          startTime: 1_700_000_000_000_000,
          duration: 2000,
          references: [],
          tags: [
            { key: 'span.kind', type: 'string', value: 'server' },
            { key: 'vitrine.total_ms', type: 'float64', value: 2 },
          ],
          logs: [],
        },
      ],
    },
  ],
};

let client: Client | undefined;
let server: http.Server | undefined;

afterEach(async () => {
  await client?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
});

async function consoleThat(
  answer: (path: string, res: http.ServerResponse) => void,
): Promise<[Client, string]> {
  server = http.createServer((req, res) => answer(req.url ?? '', res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createClient({ url });
  return [client, url];
}

function json(res: http.ServerResponse, status: number, body: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

describe('both of Jaeger interfaces give the same trace', () => {
  test.each([
    ['v3', `/api/v3/traces/${TRACE}`, V3],
    ['v1', `/api/traces/${TRACE}`, V1],
  ] as const)('%s', async (api, wanted, document) => {
    const [reader, url] = await consoleThat((path, res) =>
      path === wanted ? json(res, 200, document) : json(res, 500, { error: path }),
    );
    const trace = await reader.trace(TRACE, url, { api });
    expect(trace).toMatchObject({ traceId: TRACE, startTimeMs: 1_700_000_000_000, durationMs: 2 });
    expect(trace.spans).toMatchObject([
      {
        spanId: ROOT,
        parentSpanId: '',
        name: 'infer langid',
        kind: 'server',
        service: 'vitrine-gateway',
        instance: 'gateway-0',
        offsetMs: 0,
        durationMs: 2,
        status: 'unset',
        links: [],
      },
      {
        spanId: CHILD,
        parentSpanId: ROOT,
        name: 'work langid',
        kind: 'server',
        service: 'vitrine-worker',
        instance: '',
        offsetMs: 0.5,
        durationMs: 1,
        status: 'error',
        statusMessage: 'no room',
        events: [{ name: 'refused', offsetMs: 1 }],
        links: [{ spanId: ROOT }],
      },
    ]);
    expect(trace.spans[0]?.attributes.get('vitrine.total_ms')).toBe(2);
  });
});

test('attributes keep their types; integers that a double cannot hold become text', async () => {
  const [reader, url] = await consoleThat((_path, res) => json(res, 200, V3));
  const { spans } = await reader.trace(TRACE, url);
  expect(Object.fromEntries(spans[0]?.attributes ?? [])).toEqual({
    'vitrine.total_ms': 2,
    'http.response.status_code': 503,
    big: '9007199254740993',
    kept: true,
    list: ['a', 1],
  });
});

test('ids in base64, as protobuf writes them in JSON, read as hex', async () => {
  const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
  const span = {
    spanId: base64(CHILD),
    parentSpanId: base64(ROOT),
    startTimeUnixNano: 5,
    endTimeUnixNano: 5,
  };
  const [reader, url] = await consoleThat((_path, res) =>
    json(res, 200, { result: { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] } }),
  );
  expect((await reader.trace(TRACE, url)).spans).toMatchObject([{ spanId: CHILD, parentSpanId: ROOT }]);
});

test('a UUID and upper case find the trace; what is no id is refused without a question', async () => {
  const paths: string[] = [];
  const [reader, url] = await consoleThat((path, res) => {
    paths.push(path);
    json(res, 200, V3);
  });
  await reader.trace('0AF76519-16CD-43DD-8448-EB211C80319C', `${url}/jaeger/`);
  expect(paths).toEqual([`/jaeger/api/v3/traces/${TRACE}`]);
  for (const id of ['', 'x', '0'.repeat(32), '../../x', TRACE.slice(1)]) {
    await expect(reader.trace(id, url)).rejects.toMatchObject({ code: 'invalid_request' });
  }
  expect(paths).toHaveLength(1);
});

describe('waiting for spans that are still on their way', () => {
  test('asks again until the trace has what the caller wants', async () => {
    let asked = 0;
    const half = { result: { resourceSpans: V3.result.resourceSpans.slice(1) } };
    const [reader, url] = await consoleThat((_path, res) => {
      asked += 1;
      if (asked === 1) json(res, 404, { error: 'no trace' });
      else json(res, 200, asked === 2 ? half : V3);
    });
    const trace = await reader.trace(TRACE, url, {
      waitMs: 20_000,
      until: ({ spans }) => spans.length === 2,
    });
    expect(trace.spans).toHaveLength(2);
    expect(asked).toBe(3);
  });

  test('when time is up it gives what is there, and not_found when nothing is', async () => {
    let status = 200;
    const [reader, url] = await consoleThat((_path, res) => json(res, status, status === 200 ? V3 : {}));
    const trace = await reader.trace(TRACE, url, { waitMs: 1, until: () => false });
    expect(trace.spans).toHaveLength(2);
    status = 404;
    await expect(reader.trace(TRACE, url)).rejects.toMatchObject({ code: 'not_found', traceId: TRACE });
  });

  test('can be cancelled', async () => {
    const stop = new AbortController();
    const [reader, url] = await consoleThat((_path, res) => {
      json(res, 404, {});
      res.on('close', () => stop.abort());
    });
    await expect(reader.trace(TRACE, url, { waitMs: 20_000, signal: stop.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

test('an address that is no query API, and one where nothing listens, say so', async () => {
  const [reader, url] = await consoleThat((_path, res) =>
    res.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  );
  await expect(reader.trace(TRACE, url)).rejects.toMatchObject({
    code: 'bad_answer',
    message: expect.stringMatching(/no Jaeger query API v3/),
  });
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  await expect(reader.trace(TRACE, url)).rejects.toMatchObject({
    code: 'connection_refused',
    message: expect.stringMatching(/start the console/),
  });
  server = undefined;
});

test('rubbish in the place of spans is no trace, and throws nothing else', async () => {
  let body: unknown;
  const [reader, url] = await consoleThat((_path, res) => json(res, 200, body));
  for (body of [null, [], { result: [] }, { result: { resourceSpans: 'x' } }, { data: {} }]) {
    for (const api of ['v3', 'v1'] as const) {
      await expect(reader.trace(TRACE, url, { api })).rejects.toMatchObject({ code: 'not_found' });
    }
  }
});
