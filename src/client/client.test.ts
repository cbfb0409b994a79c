import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { InferRequest } from '../contract/oip.ts';
import { parseInferRequest } from '../contract/oip_request.ts';
import { serializeInferResponse } from '../contract/oip_response.ts';
import type { Tensor } from '../contract/tensors.ts';
import { type Client, type ClientOptions, createClient } from './client.ts';
import { ClientError } from './client_error.ts';
import { textsOf } from './text_input.ts';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly res: http.ServerResponse;
}

const servers: http.Server[] = [];
const clients: Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client[Symbol.asyncDispose]();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(
  answer: (call: Call) => void,
): Promise<{ url: string; calls: Call[]; server: http.Server }> {
  const calls: Call[] = [];
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const call = {
        method: req.method ?? '',
        path: req.url ?? '',
        headers: req.headers,
        body: Buffer.concat(chunks),
        res,
      };
      calls.push(call);
      answer(call);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls, server };
}

function clientOf(options: ClientOptions): Client {
  const client = createClient(options);
  clients.push(client);
  return client;
}

function json(res: http.ServerResponse, status: number, body: unknown, headers: object = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function requestOf({ body, headers }: Call): InferRequest {
  const length = headers['inference-header-content-length'];
  return parseInferRequest(body, {
    contentType: headers['content-type'],
    inferenceHeaderContentLength: typeof length === 'string' ? length : undefined,
  });
}

/** Answers a query with its own inputs as outputs, in the form that it asked for. */
function echo(call: Call, headers: object = {}): void {
  const request = requestOf(call);
  const message = serializeInferResponse(
    {
      modelName: 'echo',
      modelVersion: '2',
      ...(request.id === undefined ? {} : { id: request.id }),
      outputs: request.inputs,
    },
    request,
  );
  call.res
    .writeHead(200, {
      'content-type': message.contentType,
      ...(message.inferenceHeaderContentLength === undefined
        ? {}
        : { 'inference-header-content-length': String(message.inferenceHeaderContentLength) }),
      'x-trace-id': '0af7651916cd43dd8448eb211c80319c',
      'server-timing': 'queue;dur=0.5, compute;dur=1.5, total;dur=2',
      ...headers,
    })
    .end(message.body);
}

const NUMBERS: Tensor = {
  name: 'x',
  datatype: 'FP32',
  shape: [2, 2],
  data: new Float32Array([1, -2.5, 0, 3e8]),
};
const WORDS: Tensor = {
  name: 'words',
  datatype: 'BYTES',
  shape: [3],
  data: [Buffer.from('où'), Buffer.alloc(0), Buffer.from('時間')],
};

async function errorOf(promise: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ClientError);
  return error as ClientError;
}

describe('infer', () => {
  test.each([true, false])('tensors go and come back unchanged (binary: %s)', async (binary) => {
    const { url, calls } = await serve(echo);
    const result = await clientOf({ url }).infer('a/b', {
      version: '2',
      id: 'q-1',
      inputs: [NUMBERS, WORDS],
      binary,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(result.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }))).toEqual([
      { name: 'x', datatype: 'FP32', shape: [2, 2] },
      { name: 'words', datatype: 'BYTES', shape: [3] },
    ]);
    expect(result.outputs[0]?.data).toEqual(NUMBERS.data);
    expect(result.outputs[1] && textsOf(result.outputs[1])).toEqual(['où', '', '時間']);
    expect(result).toMatchObject({
      id: 'q-1',
      modelName: 'echo',
      modelVersion: '2',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      status: 200,
    });
    expect({ ...result.serverTiming }).toEqual({ queue: 0.5, compute: 1.5, total: 2 });
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/v2/models/a%2Fb/versions/2/infer',
      headers: {
        'content-type': binary ? 'application/octet-stream' : 'application/json',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
    });
    expect(calls[0]?.headers).not.toHaveProperty('x-request-timeout-ms');
  });

  test('outputs are asked for by name, the key and the deadline travel along', async () => {
    const { url, calls } = await serve(echo);
    const client = clientOf({ url: `${url}/prefix/`, apiKey: 'k', timeoutMs: 9000 });
    const result = await client.infer('m', {
      inputs: [NUMBERS, WORDS],
      outputs: ['words'],
      timeoutMs: 1500.7,
    });
    expect(result.outputs.map(({ name }) => name)).toEqual(['words']);
    await client.infer('m', { inputs: [NUMBERS] });
    expect(calls.map(({ headers }) => headers['x-request-timeout-ms'])).toEqual(['1500', '9000']);
    expect(calls[0]).toMatchObject({
      path: '/prefix/v2/models/m/infer',
      headers: { authorization: 'Bearer k' },
    });
  });

  test('an input that JSON cannot carry is refused before anything is sent', async () => {
    const { url, calls } = await serve(echo);
    const client = clientOf({ url });
    const nan: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: new Float32Array([Number.NaN]) };
    expect(await errorOf(client.infer('m', { inputs: [nan], binary: false }))).toMatchObject({
      code: 'needs_binary',
    });
    const wrong: Tensor = { ...NUMBERS, shape: [3] };
    expect(await errorOf(client.infer('m', { inputs: [wrong] }))).toMatchObject({ code: 'invalid_tensor' });
    expect(calls).toHaveLength(0);
  });
});

describe('errors of the service', () => {
  test.each([
    [429, { 'retry-after': '7' }, { code: 'too_many_requests', retryable: true, retryAfterS: 7 }],
    [503, { 'retry-after': 'soon' }, { code: undefined, retryable: true, retryAfterS: undefined }],
    [504, {}, { code: 'deadline_exceeded', retryable: false }],
    [400, {}, { code: undefined, retryable: false }],
  ])('%d carries the message, the trace and whether to try again', async (status, headers, expected) => {
    const { url } = await serve(({ res }) =>
      json(res, status, { error: 'inputs[0].shape must be [1, 4]' }, { 'x-trace-id': 'abc', ...headers }),
    );
    const error = await errorOf(clientOf({ url }).infer('m', { inputs: [NUMBERS] }));
    expect(error).toMatchObject({
      status,
      message: 'inputs[0].shape must be [1, 4]',
      traceId: 'abc',
      ...expected,
    });
  });

  test('Retry-After as a date counts from now', async () => {
    const { url } = await serve(({ res }) =>
      json(res, 503, { error: 'busy' }, { 'retry-after': new Date(Date.now() + 100_000).toUTCString() }),
    );
    const error = await errorOf(clientOf({ url }).serverMetadata());
    expect(error.retryAfterS).toBeGreaterThan(90);
    expect(error.retryAfterS).toBeLessThanOrEqual(100);
  });

  test('an answer that is not the protocol is named as such', async () => {
    let answer: (res: http.ServerResponse) => void = (res) =>
      res.writeHead(502).end('<html>Bad Gateway</html>');
    const { url } = await serve(({ res }) => answer(res));
    const client = clientOf({ url });
    expect(await errorOf(client.infer('m', { inputs: [NUMBERS] }))).toMatchObject({
      status: 502,
      message: expect.stringMatching(/answered 502 without a message/),
    });
    answer = (res) => json(res, 200, { model_name: 'm', outputs: [{ name: 'y' }] });
    expect(await errorOf(client.infer('m', { inputs: [NUMBERS] }))).toMatchObject({
      code: 'bad_answer',
      status: 200,
      message: expect.stringMatching(/outputs\[0\]/),
    });
    answer = (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    expect(await errorOf(client.serverMetadata())).toMatchObject({ code: 'bad_answer' });
    expect(await errorOf(client.infer('m', { inputs: [NUMBERS] }))).toMatchObject({ code: 'bad_answer' });
  });
});

describe('no answer', () => {
  test('nobody listens: the error says what to start', async () => {
    const { url, server } = await serve(() => {});
    server.close();
    await once(server, 'close');
    for (const call of [
      clientOf({ url }).serverLive(),
      clientOf({ url }).infer('m', { inputs: [NUMBERS] }),
    ]) {
      expect(await errorOf(call)).toMatchObject({
        code: 'connection_refused',
        status: 0,
        retryable: true,
        message: `nothing listens at ${url}; start the service with \`npm start\`, or give the address at which it listens`,
      });
    }
  });

  test('localhost, which is two addresses, is refused in the same words', async () => {
    const { url, server } = await serve(() => {});
    server.close();
    await once(server, 'close');
    const error = await errorOf(clientOf({ url: url.replace('127.0.0.1', 'localhost') }).serverLive());
    expect(error.code).toBe('connection_refused');
  });

  test('a connection that is cut in the middle of an answer', async () => {
    const { url } = await serve(({ res }) => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' });
      res.write('{"model_name"', () => res.destroy());
    });
    expect(await errorOf(clientOf({ url }).infer('m', { inputs: [NUMBERS] }))).toMatchObject({
      code: 'connection_lost',
      retryable: true,
    });
  });

  test('a timeout, before the headers and in the middle of the body', async () => {
    const { url } = await serve(({ path, res }) => {
      if (path.startsWith('/v2/models'))
        res.writeHead(200, { 'content-type': 'application/json' }).write('{');
    });
    const client = clientOf({ url });
    for (const call of [
      client.serverMetadata({ timeoutMs: 30 }),
      client.modelMetadata('m', '', { timeoutMs: 30 }),
    ]) {
      expect(await errorOf(call)).toMatchObject({ code: 'timeout', retryable: false });
    }
  });

  test('a cancelled call ends at once and cuts its connection, so that the service can stop work', async () => {
    const { url, calls } = await serve(() => {});
    const stop = new AbortController();
    const call = clientOf({ url }).infer('m', { inputs: [NUMBERS], signal: stop.signal });
    await expect.poll(() => calls.length, { timeout: 20_000 }).toBe(1);
    const closed = calls[0] && once(calls[0].res, 'close');
    stop.abort();
    expect(await errorOf(call)).toMatchObject({ code: 'cancelled' });
    await closed;
    const given = clientOf({ url }).serverLive({ signal: AbortSignal.abort() });
    expect(await errorOf(given)).toMatchObject({ code: 'cancelled' });
    expect(calls).toHaveLength(1);
  });

  test('an answer beyond the limit is refused, with and without its length told', async () => {
    const { url } = await serve(({ path, res }) => {
      res.writeHead(200, {
        'content-type': 'application/json',
        ...(path === '/v2' ? { 'content-length': '5000' } : {}),
      });
      res.end('x'.repeat(5000));
    });
    const client = clientOf({ url, answerLimitBytes: 1000 });
    for (const call of [client.serverMetadata(), client.modelMetadata('m')]) {
      expect(await errorOf(call)).toMatchObject({
        code: 'answer_too_large',
        message: expect.stringMatching(/limit of 1000 bytes/),
      });
    }
  });

  test('a closed client says so, and cuts what was under way', async () => {
    const { url, calls } = await serve(() => {});
    const client = createClient({ url });
    const call = client.serverMetadata();
    await expect.poll(() => calls.length, { timeout: 20_000 }).toBe(1);
    await client[Symbol.asyncDispose]();
    expect(await errorOf(call)).toMatchObject({ code: 'cancelled', message: 'the client is closed' });
    expect(await errorOf(client.serverLive())).toMatchObject({ code: 'cancelled' });
  });
});

describe('what the service says of itself', () => {
  const MODEL = {
    name: 'langid',
    versions: ['1', '2'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1, 1] }],
    outputs: [{ name: 'language', datatype: 'BYTES', shape: ['-1', '1'] }],
  };

  test('health is a yes or a no, metadata is typed', async () => {
    const { url, calls } = await serve(({ path, res }) => {
      if (path === '/v2/health/live') return json(res, 200, {});
      if (path.endsWith('/ready')) return json(res, 503, { error: 'no worker is ready' });
      if (path === '/v2') return json(res, 200, { name: 'vitrine', version: '0.1.0', extensions: ['a'] });
      if (path === '/v2/repository/index')
        return json(res, 200, [{ name: 'm', version: '1', state: 'READY' }]);
      return json(res, 200, MODEL);
    });
    const client = clientOf({ url });
    expect(await client.serverLive()).toBe(true);
    expect(await client.serverReady()).toBe(false);
    expect(await client.modelReady('m', '3')).toBe(false);
    expect(await client.serverMetadata()).toEqual({ name: 'vitrine', version: '0.1.0', extensions: ['a'] });
    expect((await client.modelMetadata('langid')).outputs[0]?.shape).toEqual([-1, 1]);
    expect(await client.versions('langid')).toEqual(['1', '2']);
    expect(await client.repositoryIndex()).toEqual([{ name: 'm', version: '1', state: 'READY', reason: '' }]);
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toContain(
      'GET /v2/models/m/versions/3/ready',
    );
  });

  test.each([
    [{ ...MODEL, inputs: [{ name: 'x', datatype: 'FP8', shape: [] }] }, /inputs\[0\]\.datatype/],
    [{ ...MODEL, outputs: [{ name: 'x', datatype: 'FP32', shape: [1.5] }] }, /outputs\[0\]\.shape/],
    [{ ...MODEL, platform: 3 }, /platform must be a string/],
    [[], /must be an object/],
  ])('metadata that departs from the protocol: the error names the field', async (body, message) => {
    const { url } = await serve(({ res }) => json(res, 200, body));
    expect(await errorOf(clientOf({ url }).modelMetadata('m'))).toMatchObject({
      code: 'bad_answer',
      message: expect.stringMatching(message),
    });
  });

  test('text() asks for the metadata once, and shapes the texts as the model wants them', async () => {
    const { url, calls } = await serve((call) => {
      if (call.method === 'GET') json(call.res, 200, MODEL);
      else echo(call);
    });
    const client = clientOf({ url });
    const one = await client.text('langid', 'où est le temps');
    const two = await client.text('langid', ['a', '時間']);
    expect(one.outputs[0]).toMatchObject({ name: 'text', shape: [1, 1] });
    expect(two.outputs[0]).toMatchObject({ shape: [2, 1] });
    expect(two.outputs[0] && textsOf(two.outputs[0])).toEqual(['a', '時間']);
    expect(calls.map(({ method }) => method)).toEqual(['GET', 'POST', 'POST']);
  });

  test.each([
    [[{ name: 'image', datatype: 'FP32', shape: [-1, 64] }], /takes image: FP32 \[-1, 64\]; text\(\) is for/],
    [[{ name: 't', datatype: 'BYTES', shape: [4] }], /which 1 texts do not fit/],
    [[], /takes no input/],
  ])('text() for a model that takes no text says what it takes', async (inputs, message) => {
    const { url } = await serve(({ res }) => json(res, 200, { ...MODEL, inputs }));
    expect(await errorOf(clientOf({ url }).text('langid', 'x'))).toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(message),
    });
  });
});

test.each([
  [{ url: 'localhost:8000' }, /such as http:\/\/localhost:8000/],
  [{ url: 'http://a:b@localhost' }, /apiKey/],
  [{ url: 'http://localhost', timeoutMs: 0 }, /timeoutMs is 0/],
  [{ url: 'http://localhost', connections: 0 }, /connections is 0/],
])('options that cannot work are refused at once', (options, message) => {
  expect(() => createClient(options)).toThrow(message);
});
