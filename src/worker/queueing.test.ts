/**
 * What becomes of queries while they wait and run. The executor is a twin of the inference thread that the
 * test holds and lets go, so that nothing depends on how fast anything is.
 */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeLookUp } from '../../test/fixtures/look_up_model.ts';
import { startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import {
  type Answer,
  HeldExecutor,
  type RunningWorker,
  row,
  runWorker,
  tensor,
} from '../../test/fixtures/running_worker.ts';
import {
  createTemporaryRepository,
  type TemporaryRepository,
} from '../../test/fixtures/temporary_repository.ts';
import { WORKER_REPORT } from '../contract/headers.ts';
import { encodeInferRequest } from '../contract/oip_client.ts';
import { parseWorkerReport } from '../contract/worker_report.ts';
import { encodeRowSum } from '../model/generated_models.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { WorkerServiceOptions } from './worker_service.ts';

let telemetry: Telemetry;
let repository: TemporaryRepository;

beforeAll(async () => {
  telemetry = await startTestTelemetry();
  repository = await createTemporaryRepository({
    'sum/1/model.onnx': encodeRowSum(),
    'sum/1/model.yaml': 'batching: { axis: 0, max_batch_size: 4, max_queue_delay_ms: 0 }\n',
    'look/1/model.onnx': encodeLookUp(),
    'look/1/model.yaml': 'batching: { axis: 0, max_batch_size: 4, max_queue_delay_ms: 0 }\n',
  });
});

afterAll(async () => {
  await repository[Symbol.asyncDispose]();
  await telemetry.close();
});

interface Held extends AsyncDisposable {
  readonly worker: RunningWorker;
  readonly executor: HeldExecutor;
  /** The answer of the query that keeps the executor. */
  readonly first: Promise<Answer>;
}

/** A worker whose only executor is busy with one query until it is released. */
async function holdWorker(options: Partial<WorkerServiceOptions> = {}): Promise<Held> {
  const executor = new HeldExecutor();
  const worker = await runWorker(telemetry, { modelRepository: repository.folder, ...options }, executor);
  executor.held = true;
  const first = worker.infer('sum', row(1));
  await executor.asked(1);
  return { worker, executor, first, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
}

async function metric(worker: RunningWorker, name: string): Promise<number> {
  const { body } = await worker.call('GET', '/metrics');
  const lines = body.toString('utf8').split('\n');
  return Number(lines.find((line) => line.startsWith(name))?.split(' ')[1]);
}

/** Resolves when so many queries wait in the queue of `sum`. */
async function queued(worker: RunningWorker, count: number): Promise<void> {
  while ((await metric(worker, 'inference_queue_requests{model="sum"}')) !== count);
}

it('takes a query whose caller has gone out of the queue, and runs nothing for it', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  const before = await metric(worker, 'vitrine_queue_departures_total{model="sum",reason="cancelled"}');
  const { body, contentType } = encodeInferRequest(row(2), 'json');
  const abandoned = request(`${worker.url}/v2/models/sum/infer`, {
    method: 'POST',
    headers: { 'content-type': contentType },
  });
  abandoned.on('error', () => {});
  abandoned.end(body);
  await queued(worker, 1);
  abandoned.destroy();
  await queued(worker, 0);
  expect(await metric(worker, 'vitrine_queue_departures_total{model="sum",reason="cancelled"}')).toBe(
    before + 1,
  );
  executor.release();
  expect((await held.first).status).toBe(200);
  expect((await worker.infer('sum', row(3))).status).toBe(200);
  expect(executor.runs).toEqual([1, 1]);
});

it('answers 504 at the deadline of a query that waits, and runs nothing for it', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  const answer = await worker.infer('sum', row(2), { 'x-request-timeout-ms': '30' });
  expect([answer.status, answer.error]).toEqual([504, expect.stringMatching(/deadline/)]);
  const report = parseWorkerReport(String(answer.headers[WORKER_REPORT]));
  // Stages by WORKER_STAGES: it queued, and never ran.
  expect(report?.stagesMs[2]).toBeGreaterThan(0);
  expect(report?.stagesMs.slice(3, 7)).toEqual([-1, -1, -1, -1]);
  executor.release();
  expect((await held.first).status).toBe(200);
  expect(executor.runs).toEqual([1]);
});

it('answers 504 at the deadline of a query that runs, and 200 to its neighbour', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  const patient = worker.infer('sum', row(2));
  const hurried = worker.infer('sum', row(3), { 'x-request-timeout-ms': '1500' });
  await queued(worker, 2);
  executor.letGo();
  await executor.asked(2);
  const answer = await hurried;
  expect(answer.status).toBe(504);
  const report = parseWorkerReport(String(answer.headers[WORKER_REPORT]));
  // By WORKER_STAGES: its batch closed, and it waited for the run.
  expect(report?.stagesMs[3]).toBeGreaterThanOrEqual(0);
  expect(report?.stagesMs[5]).toBeGreaterThan(0);
  executor.release();
  expect((await patient).json).toMatchObject({ outputs: [{ data: [2] }] });
  expect(executor.runs).toEqual([1, 2]);
});

it.for([
  ['the header of the gateway', { 'x-vitrine-deadline-ms': '20.5' }, undefined],
  ['the parameter of the protocol', {}, 20_000],
  ['the smaller of both', { 'x-request-timeout-ms': '60000' }, 20_000],
] as const)('counts the deadline of %s', async ([, headers, timeoutUs]) => {
  await using held = await holdWorker();
  const answer = await held.worker.infer(
    'sum',
    { ...row(2), ...(timeoutUs === undefined ? {} : { timeoutUs }) },
    headers,
  );
  expect(answer.status).toBe(504);
  held.executor.release();
  await held.first;
});

it('refuses beyond the limit of the queue before any work is done, with a time to retry', async () => {
  await using held = await holdWorker({ queueRequestsLimit: 2 });
  const { worker, executor } = held;
  const waiting = [worker.infer('sum', row(2)), worker.infer('sum', row(3))];
  await queued(worker, 2);
  const before = await metric(worker, 'vitrine_queue_refusals_total{model="sum",limit="requests"}');
  // The body is not even read: it would be refused with 400.
  const answer = await worker.call('POST', '/v2/models/sum/infer', {
    body: 'no JSON',
    headers: { 'content-type': 'application/json' },
  });
  expect([answer.status, answer.error]).toEqual([503, expect.stringMatching(/queue of this model is full/)]);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(await metric(worker, 'vitrine_queue_refusals_total{model="sum",limit="requests"}')).toBe(before + 1);
  executor.release();
  expect((await Promise.all([held.first, ...waiting])).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(executor.runs).toEqual([1, 2]);
});

it('bounds the memory of bodies and rows until their queries are answered', async () => {
  await using held = await holdWorker({ queueBytesLimit: 64 * 1024 });
  const { worker, executor } = held;
  const large = { inputs: [tensor('input', 'INT64', [1, 2500], new BigInt64Array(2500))] };
  const answers = Array.from({ length: 8 }, () => worker.infer('sum', large));
  // 5,000 bytes of JSON and 20,000 of numbers each: two fit while they wait.
  const refused = await new Promise<Answer[]>((resolve) => {
    const early: Answer[] = [];
    for (const answer of answers) {
      void answer.then((given) => {
        if (early.push(given) === 6) resolve([...early]);
      });
    }
  });
  for (const { status, error, headers } of refused) {
    expect([status, error]).toEqual([503, expect.stringMatching(/all the memory they may/)]);
    expect(headers['retry-after']).toBeDefined();
  }
  executor.release();
  await held.first;
  const all = await Promise.all(answers);
  expect(all.filter(({ status }) => status === 200)).toHaveLength(2);
  for (let again = 0; again < 20; again += 1) {
    expect((await worker.infer('sum', large)).status).toBe(200);
  }
});

it('takes higher priorities first', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  const order: number[] = [];
  const send = (value: number, headers: Readonly<Record<string, string>>) =>
    worker
      .infer(
        'sum',
        { inputs: [tensor('input', 'INT64', [4, 1], new BigInt64Array(4).fill(BigInt(value)))] },
        headers,
      )
      .then(() => order.push(value));
  const sent = [send(1, {})];
  await queued(worker, 1);
  sent.push(send(2, { 'x-request-priority': '1' }));
  await queued(worker, 2);
  executor.release();
  await Promise.all([held.first, ...sent]);
  expect(order).toEqual([2, 1]);
});

it('runs the neighbours of a query that the model cannot take', async () => {
  const executor = new HeldExecutor();
  await using worker = await runWorker(telemetry, { modelRepository: repository.folder }, executor);
  executor.held = true;
  const first = worker.infer('look', row(0));
  await executor.asked(1);
  const answers = [1, 99, 3].map((index) => worker.infer('look', row(index)));
  while ((await metric(worker, 'inference_queue_requests{model="look"}')) !== 3);
  executor.release();
  await first;
  const [good, bad, alsoGood] = await Promise.all(answers);
  expect(good?.json).toMatchObject({ outputs: [{ data: [20] }] });
  expect([bad?.status, bad?.error]).toEqual([500, expect.stringMatching(/the model failed/)]);
  expect(alsoGood?.json).toMatchObject({ outputs: [{ data: [40] }] });
  expect(executor.runs).toEqual([1, 3, 1, 1, 1]);
});

it('drains: refuses what comes, closes batches at once, answers all that waits', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  const late = await begin(worker);
  const waiting = worker.infer('sum', row(2));
  await queued(worker, 1);
  const before = await metric(worker, 'inference_batches_total{model="sum",close_reason="drain"}');
  const drained = worker.service.drain(60_000);
  expect(await late('host: localhost\r\ncontent-length: 0\r\n\r\n')).toMatch(/^HTTP\/1.1 503 .*stopping/s);
  executor.release();
  expect((await held.first).status).toBe(200);
  expect((await waiting).json).toMatchObject({ outputs: [{ data: [2] }] });
  await drained;
  const { body } = await telemetry.renderMetrics(undefined);
  expect(body).toContain(`inference_batches_total{model="sum",close_reason="drain"} ${before + 1}`);
});

it('gives up draining when its time is over', async () => {
  await using held = await holdWorker();
  const stuck = held.first.catch((error: unknown) => error as Error);
  await held.worker.service.drain(20);
  expect(await stuck).toBeInstanceOf(Error);
});

it('is not live any more when an inference thread dies', async () => {
  await using held = await holdWorker();
  const { worker, executor } = held;
  executor.die(new Error('out of memory'));
  expect(worker.crashes.map(({ message }) => message)).toEqual(['out of memory']);
  expect((await worker.call('GET', '/livez')).status).toBe(503);
  executor.release();
  await held.first;
});

/**
 * Begins a query whose headers are not complete, so that its connection stays open while the worker drains.
 * The worker has read what was sent when this resolves: a whole request stood before it in the same packet.
 */
async function begin(worker: RunningWorker): Promise<(rest: string) => Promise<string>> {
  const socket = connect(worker.service.port, '127.0.0.1').setEncoding('utf8');
  const opening = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nPOST /v2/models/sum/infer HTTP/1.1\r\n';
  socket.write(opening);
  await once(socket, 'data');
  return async (rest) => {
    socket.write(rest);
    const [answer] = await once(socket, 'data');
    return answer as string;
  };
}
