/** Which models serve, and when. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import { HeldExecutor, row, runWorker } from '../../test/fixtures/running_worker.ts';
import { createTemporaryRepository } from '../../test/fixtures/temporary_repository.ts';
import { createFaults } from '../lifecycle/faults.ts';
import { createHealth } from '../lifecycle/health.ts';
import { encodeRowSum } from '../model/generated_models.ts';
import type { ModelEntry } from '../model/repository.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { placeModels, threadsFor } from './served_models.ts';
import type { InferenceEnd } from './thread_pool.ts';
import { createWorkerService } from './worker_service.ts';

let telemetry: Telemetry;

beforeAll(async () => {
  telemetry = await startTestTelemetry();
});

afterAll(() => telemetry.close());

const OPTIONS = {
  version: '1.2.3',
  host: '127.0.0.1',
  port: 0,
  secret: '',
  allowedHosts: [],
  queueRequestsLimit: 16,
  queueBytesLimit: 1024 * 1024,
  bodyLimitBytes: 1024 * 1024,
  maxRowsPerQuery: 16,
  defaultTimeoutMs: 20_000,
};

it('serves the models that are sound beside those that are not, and says why', async () => {
  const sum = encodeRowSum();
  await using repository = await createTemporaryRepository({
    'good/1/model.onnx': sum,
    'good/2/model.onnx': sum.subarray(0, sum.length / 2),
    'rubbish/1/model.onnx': 'rubbish',
    'empty/1/notes.txt': 'no model here',
    'typo/1/model.onnx': sum,
    'typo/1/model.yaml': 'batchin: { axis: 0 }\n',
  });
  await using worker = await runWorker(telemetry, { modelRepository: repository.folder });
  expect(worker.health.ready()).toBe(true);
  expect((await worker.infer('good', row(1, 2))).json).toMatchObject({ model_version: '1' });
  const rubbish = await worker.infer('rubbish', row(1));
  expect([rubbish.status, rubbish.error]).toEqual([503, expect.stringMatching(/rubbish.*no ONNX model/)]);
  expect((await worker.infer('empty', row(1))).status).toBe(503);
  const { json } = await worker.call('POST', '/v2/repository/index');
  const states = (json as { name: string; version: string; state: string; reason: string }[]).map(
    ({ name, version, state, reason }) => [`${name}/${version}`, state, reason],
  );
  expect(states).toEqual([
    ['empty/1', 'UNAVAILABLE', expect.stringMatching(/holds no model\.onnx/)],
    ['good/1', 'READY', ''],
    ['good/2', 'UNAVAILABLE', expect.stringMatching(/cut short|not valid/)],
    ['rubbish/1', 'UNAVAILABLE', expect.stringMatching(/no ONNX model/)],
    ['typo/1', 'UNAVAILABLE', expect.stringMatching(/model\.yaml:1.*batching/)],
  ]);
});

it('is live but not ready until its models are warm', async () => {
  await using repository = await createTemporaryRepository({ 'sum/1/model.onnx': encodeRowSum() });
  const executor = new HeldExecutor();
  const health = createHealth();
  health.clear('start');
  let port = 0;
  // Stands between pool and thread, and keeps back what the thread says of the load.
  let tell = (): void => {};
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  let letThrough = (): void => {};
  const spawn = (faults: SharedArrayBuffer): InferenceEnd => {
    const end = executor.open(faults);
    return {
      ...end,
      on: (event, listener) =>
        end.on(event, (message) => {
          if (message.type !== 'loaded') return listener(message);
          letThrough = () => listener(message);
          return tell();
        }),
    };
  };
  const starting = createWorkerService(
    { telemetry, health, faults: createFaults(), crashed: () => {}, spawn },
    { ...OPTIONS, modelRepository: repository.folder, listening: (at) => (port = at) },
  );
  await told;
  const status = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status;
  expect(await status('/livez')).toBe(200);
  expect(await status('/readyz')).toBe(503);
  expect(await status('/v2/models/sum/ready')).toBe(503);
  letThrough();
  await using service = await starting;
  expect(service.port).toBe(port);
  expect(await status('/readyz')).toBe(200);
  expect(await status('/v2/models/sum/ready')).toBe(200);
});

it('serves nothing, and says so, when there is no repository', async () => {
  await using worker = await runWorker(telemetry, { modelRepository: '/nowhere/at/all' });
  expect((await worker.call('POST', '/v2/repository/index')).json).toEqual([]);
  expect((await worker.infer('sum', row(1))).status).toBe(404);
});

it('wants a secret beyond loopback, and then from every caller but probes', async () => {
  await using repository = await createTemporaryRepository({ 'sum/1/model.onnx': encodeRowSum() });
  const modelRepository = repository.folder;
  await expect(runWorker(telemetry, { modelRepository, host: '0.0.0.0' })).rejects.toMatchObject({
    code: 'token_required',
    setting: 'VITRINE_WORKER_SECRET',
  });
  const secret = 'a-secret-of-some-length';
  await using worker = await runWorker(telemetry, { modelRepository, host: '0.0.0.0', secret });
  const status = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> =>
    (await worker.call('GET', path, { headers })).status;
  expect(await status('/livez')).toBe(200);
  expect(await status('/readyz')).toBe(200);
  expect(await status('/metrics')).toBe(403);
  expect(await status('/v2/models/sum')).toBe(403);
  expect(await status('/v2/models/sum', { 'x-vitrine-worker-secret': `${secret}!` })).toBe(403);
  expect(await status('/v2/models/sum', { 'x-vitrine-worker-secret': secret })).toBe(200);
  expect(await status('/metrics', { authorization: `Bearer ${secret}` })).toBe(200);
});

it('places each model on as many threads as it has instances, the least laden first', () => {
  const entry = (instances: number) => ({ manifest: { instances } }) as unknown as ModelEntry;
  const entries = [entry(1), entry(2), entry(1), entry(4)];
  expect(threadsFor(entries)).toBe(4);
  expect(threadsFor([])).toBe(1);
  expect(placeModels(entries, 4)).toEqual([[0], [1, 2], [3], [0, 1, 2, 3]]);
});
