/** Queries through HTTP, a batch and ONNX Runtime on a real inference thread. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import { type RunningWorker, row, runWorker, tensor } from '../../test/fixtures/running_worker.ts';
import {
  createTemporaryRepository,
  type TemporaryRepository,
} from '../../test/fixtures/temporary_repository.ts';
import { WORKER_REPORT } from '../contract/headers.ts';
import { decodeInferResponse, encodeInferRequest } from '../contract/oip_client.ts';
import { parseWorkerReport } from '../contract/worker_report.ts';
import { encodeIdentity, encodeRowSum } from '../model/generated_models.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

const BATCHED = 'batching: { axis: 0, max_batch_size: 8, max_queue_delay_ms: 1 }\n';

let telemetry: Telemetry;
let repository: TemporaryRepository;
let worker: RunningWorker;

beforeAll(async () => {
  telemetry = await startTestTelemetry();
  repository = await createTemporaryRepository({
    'sum/1/model.onnx': encodeRowSum(),
    'sum/1/model.yaml': `${BATCHED}default_timeout_ms: 15000\n`,
    'sum/2/model.onnx': encodeRowSum(),
    'sum/2/model.yaml': BATCHED,
    'sum/10/model.onnx': 'not a model',
    'words/1/model.onnx': encodeIdentity('BYTES', ['n']),
    'plain/1/model.onnx': encodeIdentity('FP32', ['rows', 'width']),
    'halves/1/model.onnx': encodeIdentity('FP16', ['batch', 2]),
    'halves/1/model.yaml': BATCHED,
    'fixed/1/model.onnx': encodeIdentity('FP32', [3]),
  });
  worker = await runWorker(telemetry, { modelRepository: repository.folder });
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await repository[Symbol.asyncDispose]();
  await telemetry.close();
});

const JSON_TYPE = { 'content-type': 'application/json' };

function post(path: string, body: string | Buffer, headers: Readonly<Record<string, string>> = JSON_TYPE) {
  return worker.call('POST', path, { body, headers });
}

describe('answers', () => {
  it('computes, returns the id, and reports every stage of its work', async () => {
    const answer = await worker.infer('sum', { ...row(1, 2, 39), id: 'mine' });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      model_name: 'sum',
      model_version: '2',
      id: 'mine',
      outputs: [{ name: 'output', shape: [1], datatype: 'INT64', data: [42] }],
    });
    const report = parseWorkerReport(String(answer.headers[WORKER_REPORT]));
    expect(report).toMatchObject({ version: '2', batchRows: 1 });
    const stages = [...(report?.stagesMs ?? [])];
    expect(stages.every((ms) => ms >= 0)).toBe(true);
    expect(stages.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(report?.totalMs ?? 0, 1);
  });

  it('answers in the binary form when asked', async () => {
    const message = encodeInferRequest({ ...row(20, 22), binaryDataOutput: true }, 'binary');
    const answer = await post('/v2/models/sum/versions/1/infer', message.body, {
      'content-type': message.contentType,
      'inference-header-content-length': String(message.inferenceHeaderContentLength),
    });
    expect(answer.status).toBe(200);
    const { modelVersion, outputs } = decodeInferResponse(answer.body, {
      contentType: String(answer.headers['content-type']),
      inferenceHeaderContentLength: String(answer.headers['inference-header-content-length']),
    });
    expect(modelVersion).toBe('1');
    expect(outputs[0]?.data).toEqual(BigInt64Array.of(42n));
  });

  it('takes a raw body for the only input', async () => {
    const body = Buffer.from(BigInt64Array.of(40n, 2n).buffer);
    const answer = await post('/v2/models/sum/infer', body, {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': '0',
    });
    expect(answer.status).toBe(200);
  });

  it('runs models without a batch axis, texts, halves and empty tensors', async () => {
    const text = (value: string) => new TextEncoder().encode(value);
    const words = await worker.infer('words', {
      inputs: [tensor('input', 'BYTES', [2], [text('grüß'), text('')])],
    });
    expect(words.json).toMatchObject({ outputs: [{ data: ['grüß', ''] }] });
    const plain = await worker.infer('plain', {
      inputs: [tensor('input', 'FP32', [2, 2], Float32Array.of(1, 2, 3, 4))],
    });
    expect(plain.json).toMatchObject({ outputs: [{ shape: [2, 2], data: [1, 2, 3, 4] }] });
    const empty = await worker.infer('plain', {
      inputs: [tensor('input', 'FP32', [0, 4], new Float32Array(0))],
    });
    expect(empty.json).toMatchObject({ outputs: [{ shape: [0, 4], data: [] }] });
    const halves = await worker.infer('halves', {
      inputs: [tensor('input', 'FP16', [1, 2], Uint16Array.of(0x3c00, 0xc000))],
    });
    expect(halves.json).toMatchObject({ outputs: [{ datatype: 'FP16', data: [1, -2] }] });
  });

  it('answers with the outputs that were asked for', async () => {
    const answer = await worker.infer('sum', { ...row(1), outputs: [{ name: 'output' }] });
    expect(answer.json).toMatchObject({ outputs: [{ name: 'output' }] });
  });
});

const QUERY = '{"inputs":[{"name":"input","datatype":"INT64","shape":[1,2],"data":[1,2]}]}';

describe('refusals', () => {
  const cases: [
    string,
    { path?: string; body?: string; headers?: Record<string, string> },
    number,
    RegExp,
  ][] = [
    ['broken JSON', { body: '{"inputs": [' }, 400, /JSON/],
    ['an unknown model', { path: '/v2/models/sun/infer' }, 404, /did you mean "sum"/],
    [
      'an unknown version',
      { path: '/v2/models/sum/versions/7/infer' },
      404,
      /no such version; it has 1, 2, 10/,
    ],
    ['a version that did not load', { path: '/v2/models/sum/versions/10/infer' }, 503, /no ONNX model/],
    ['a wrong content type', { headers: { 'content-type': 'text/plain' } }, 415, /application\/json/],
    ['a compressed body', { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }, 415, /content-encoding/],
    ['a wrong datatype', { body: QUERY.replace('INT64', 'INT32') }, 400, /inputs\[0\]\.datatype is INT32/],
    ['a wrong rank', { body: QUERY.replace('[1,2]', '[2]') }, 400, /inputs\[0\]\.shape/],
    ['an unknown input', { body: QUERY.replace('"input"', '"inputs"') }, 400, /it takes "input" \(INT64/],
    [
      'an unknown output',
      { body: QUERY.replace('{"inputs"', '{"outputs":[{"name":"x"}],"inputs"') },
      400,
      /no output of the model; it has "output"/,
    ],
    ['data that does not fit the shape', { body: QUERY.replace('[1,2]}', '[1]}') }, 400, /inputs\[0\]\.data/],
    ['no rows', { body: QUERY.replace('[1,2]', '[0,2]').replace('[1,2]', '[]') }, 400, /at least one row/],
    [
      'more rows than a batch holds',
      { body: QUERY.replace('[1,2]', '[9,1]').replace('[1,2]', '[1,2,3,4,5,6,7,8,9]') },
      400,
      /is 9; the model takes at most 8 rows/,
    ],
    [
      'a timeout header that is none',
      { headers: { ...JSON_TYPE, 'x-request-timeout-ms': 'soon' } },
      400,
      /x-request-timeout-ms must be/,
    ],
    [
      'a timeout parameter that is none',
      { body: QUERY.replace('{"inputs"', '{"parameters":{"timeout":-1},"inputs"') },
      400,
      /parameters\.timeout/,
    ],
    [
      'a priority header that is none',
      { headers: { ...JSON_TYPE, 'x-request-priority': '-1' } },
      400,
      /x-request-priority must be/,
    ],
    ['no time left', { headers: { ...JSON_TYPE, 'x-vitrine-deadline-ms': '0' } }, 504, /deadline passed/],
  ];
  for (const [
    what,
    { path = '/v2/models/sum/infer', body = QUERY, headers = JSON_TYPE },
    status,
    message,
  ] of cases) {
    it(`answers ${what} with ${status}, why, and its report`, async () => {
      const answer = await post(path, body, headers);
      expect({ status: answer.status, error: answer.error }).toEqual({
        status,
        error: expect.stringMatching(message),
      });
      expect(answer.headers['content-type']).toBe('application/json');
      expect(parseWorkerReport(String(answer.headers[WORKER_REPORT]))?.totalMs).toBeGreaterThan(0);
    });
  }

  it('refuses rows beyond the limit for a model that declares no batching', async () => {
    const answer = await worker.infer('plain', {
      inputs: [tensor('input', 'FP32', [1025, 1], new Float32Array(1025))],
    });
    expect([answer.status, answer.error]).toEqual([
      400,
      expect.stringMatching(/1025; this worker takes at most 1024.*VITRINE_WORKER_MAX_ROWS_PER_QUERY/),
    ]);
  });

  it('refuses what the graph refuses, and names the dimension', async () => {
    const answer = await worker.infer('fixed', {
      inputs: [tensor('input', 'FP32', [4], new Float32Array(4))],
    });
    expect([answer.status, answer.error]).toEqual([
      400,
      expect.stringMatching(/shape\[0\] is 4.*FP32 \[3\]/),
    ]);
  });

  it('refuses a large body from its headers, and a chunked one as it comes', async () => {
    const large = Buffer.alloc(1024 * 1024 + 1, 0x20);
    const announced = await post('/v2/models/sum/infer', large);
    expect([announced.status, announced.error]).toEqual([413, expect.stringMatching(/larger than 1048576/)]);
    function* chunks() {
      for (let sent = 0; sent < 20; sent += 1) yield Buffer.alloc(64 * 1024, 0x20);
    }
    const chunked = await worker.call('POST', '/v2/models/sum/infer', {
      body: Readable.from(chunks()),
      headers: JSON_TYPE,
    });
    expect(chunked.status).toBe(413);
    // The worker lives, and holds nothing of them.
    expect((await worker.infer('sum', row(1))).status).toBe(200);
  });

  it('keeps its own faults to itself', async () => {
    worker.faults.set('preprocess', { error: true, leaseMs: 60_000 });
    const answer = await worker.infer('sum', row(1));
    worker.faults.clear('preprocess');
    expect([answer.status, answer.error]).toEqual([500, 'internal error; the log has the details']);
  });
});

describe('the protocol beside infer', () => {
  it('describes server and models', async () => {
    expect((await worker.call('GET', '/v2')).json).toEqual({
      name: 'vitrine',
      version: '1.2.3',
      extensions: ['binary_tensor_data', 'schedule_policy'],
    });
    expect((await worker.call('GET', '/v2/models/sum')).json).toEqual({
      name: 'sum',
      versions: ['1', '2'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'input', datatype: 'INT64', shape: [-1, -1] }],
      outputs: [{ name: 'output', datatype: 'INT64', shape: [-1] }],
    });
    expect((await worker.call('GET', '/v2/models/sum/versions/1')).status).toBe(200);
    expect((await worker.call('GET', '/v2/models/nothing')).status).toBe(404);
  });

  it('tells what is live and ready', async () => {
    for (const path of ['/v2/health/live', '/v2/health/ready', '/livez', '/readyz', '/v2/models/sum/ready']) {
      expect([path, (await worker.call('GET', path)).status]).toEqual([path, 200]);
    }
    expect((await worker.call('GET', '/v2/models/sum/versions/10/ready')).status).toBe(503);
    expect((await worker.call('HEAD', '/v2/health/ready')).status).toBe(200);
  });

  it('indexes every version with its state and reason', async () => {
    const { json } = await worker.call('POST', '/v2/repository/index');
    expect(json).toContainEqual({
      name: 'sum',
      version: '1',
      state: 'READY',
      reason: '',
      default_timeout_ms: 15_000,
    });
    expect(json).toContainEqual({
      name: 'sum',
      version: '10',
      state: 'UNAVAILABLE',
      reason: expect.stringMatching(/^sum\/10\/model\.onnx: is no ONNX model/),
    });
    const ready = await post('/v2/repository/index', '{"ready":true}');
    expect((ready.json as { state: string }[]).every(({ state }) => state === 'READY')).toBe(true);
    expect((await post('/v2/repository/index', '{')).status).toBe(400);
  });

  it('answers 404 and 405 in the form of the protocol', async () => {
    const nowhere = await worker.call('GET', '/v3');
    expect([nowhere.status, nowhere.error]).toEqual([404, expect.stringMatching(/begins at \/v2/)]);
    const wrong = await worker.call('GET', '/v2/models/sum/infer');
    expect([wrong.status, wrong.headers.allow]).toEqual([405, 'POST']);
    const put = await worker.call('PUT', '/metrics');
    expect([put.status, put.headers.allow]).toEqual([405, 'GET, HEAD']);
    const path = await worker.call('GET', '/v2/models/%ff');
    expect([path.status, path.error]).toEqual([400, expect.stringMatching(/percent-encode/)]);
  });

  it('refuses a Host that is not its own', async () => {
    const answer = await worker.call('GET', '/v2', { headers: { host: 'evil.example' } });
    expect(answer.status).toBe(421);
  });

  it('takes verdicts of the gateway', async () => {
    const kept = await post('/vitrine/keep', '["0123456789abcdef"]');
    expect([kept.status, kept.json]).toEqual([200, { kept: 0 }]);
    expect((await post('/vitrine/keep', '["x"]')).status).toBe(400);
  });
});

describe('metrics', () => {
  async function sample(name: string): Promise<number> {
    const { body } = await worker.call('GET', '/metrics');
    const line = body
      .toString('utf8')
      .split('\n')
      .find((one) => one.startsWith(name));
    return Number(line?.split(' ')[1]);
  }

  it('attributes every second of the executor to a model', async () => {
    await Promise.all(Array.from({ length: 20 }, () => worker.infer('sum', row(1, 2))));
    const { body } = await worker.call('GET', '/metrics');
    let busy = 0;
    let attributed = 0;
    for (const line of body.toString('utf8').split('\n')) {
      if (line.startsWith('inference_executor_busy_seconds_total')) busy += Number(line.split(' ')[1]);
      if (line.startsWith('inference_attributed_seconds_total')) attributed += Number(line.split(' ')[1]);
    }
    expect(busy).toBeGreaterThan(0);
    expect(attributed).toBeCloseTo(busy, 6);
  });

  it('counts loads by outcome', async () => {
    expect(await sample('inference_repository_loads_total{model="sum",version="10",outcome="error"}')).toBe(
      1,
    );
    expect(await sample('inference_repository_loads_total{model="sum",version="2",outcome="ok"}')).toBe(1);
  });

  it('tells the state of every version', async () => {
    const states = async (version: string) =>
      Promise.all(
        ['LOADING', 'READY', 'UNAVAILABLE'].map((state) =>
          sample(`inference_repository_models{model="sum",version="${version}",state="${state}"}`),
        ),
      );
    expect(await states('2')).toEqual([0, 1, 0]);
    expect(await states('10')).toEqual([0, 0, 1]);
  });

  it('counts batches, rows and elements', async () => {
    const before = await sample('inference_batch_elements_total{model="sum",kind="real"}');
    await worker.infer('sum', row(1, 2, 3));
    expect(await sample('inference_batch_elements_total{model="sum",kind="real"}')).toBe(before + 3);
    expect(await sample('inference_queue_requests{model="sum"}')).toBe(0);
    expect(await sample('inference_queue_bytes{model="sum"}')).toBe(0);
  });
});
