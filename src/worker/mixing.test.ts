/**
 * Rows are never mixed up: thousands of queries at once, each with numbers of its own and many with several rows,
 * through real batches on real threads. Every answer must be the sum of exactly what its query sent.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import { type RunningWorker, runWorker, tensor } from '../../test/fixtures/running_worker.ts';
import {
  createTemporaryRepository,
  type TemporaryRepository,
} from '../../test/fixtures/temporary_repository.ts';
import { encodeRowSum } from '../model/generated_models.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

let telemetry: Telemetry;
let repository: TemporaryRepository;
let worker: RunningWorker;

const SHIFT = 1;

beforeAll(async () => {
  telemetry = await startTestTelemetry();
  repository = await createTemporaryRepository({
    // Rows of one length per batch, on two threads.
    'sum/1/model.onnx': encodeRowSum(),
    'sum/1/model.yaml': 'batching: { axis: 0, max_batch_size: 8, max_queue_delay_ms: 1 }\ninstances: 2\n',
    // Texts of all lengths in one batch, padded: the sum of their bytes, each raised by one.
    'text/1/model.onnx': encodeRowSum(),
    'text/1/model.yaml':
      'batching: { axis: 0, max_batch_size: 8, max_queue_delay_ms: 1 }\ninstances: 2\n' +
      `pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input, shift: ${SHIFT} } }\n`,
  });
  worker = await runWorker(telemetry, { modelRepository: repository.folder, queueRequestsLimit: 4096 });
});

afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await repository[Symbol.asyncDispose]();
  await telemetry.close();
});

const QUERIES = 2000;

/** Different for every query and row. */
function numbers(query: number, row: number, length: number): number[] {
  return Array.from({ length }, (_, index) => query * 1_000_003 + row * 10_007 + index * 101);
}

it('gives each query the sums of its own rows', async () => {
  const wrong: string[] = [];
  const query = async (id: number): Promise<void> => {
    const rows = 1 + (id % 3);
    const length = 1 + (id % 7);
    const values = Array.from({ length: rows }, (_, row) => numbers(id, row, length));
    const data = BigInt64Array.from(values.flat(), BigInt);
    const answer = await worker.infer('sum', { inputs: [tensor('input', 'INT64', [rows, length], data)] });
    const expected = values.map((row) => row.reduce((sum, value) => sum + value, 0));
    const given = (answer.json as { outputs?: { data: number[] }[] }).outputs?.[0]?.data;
    if (JSON.stringify(given) !== JSON.stringify(expected)) wrong.push(`${id}: ${given} for ${expected}`);
  };
  await Promise.all(Array.from({ length: QUERIES }, (_, id) => query(id)));
  expect(wrong).toEqual([]);
});

it('gives each query the sums of its own texts, whatever they are padded to', async () => {
  const encoder = new TextEncoder();
  const wrong: string[] = [];
  const query = async (id: number): Promise<void> => {
    const rows = 1 + (id % 2);
    const texts = Array.from({ length: rows }, (_, row) =>
      encoder.encode(`${id}.${row} ${'ü'.repeat((id * 13 + row) % 50)}`),
    );
    const answer = await worker.infer('text', { inputs: [tensor('text', 'BYTES', [rows], texts)] });
    const expected = texts.map((text) => text.reduce((sum, byte) => sum + byte + SHIFT, 0));
    const given = (answer.json as { outputs?: { data: number[] }[] }).outputs?.[0]?.data;
    if (JSON.stringify(given) !== JSON.stringify(expected)) wrong.push(`${id}: ${given} for ${expected}`);
  };
  await Promise.all(Array.from({ length: QUERIES }, (_, id) => query(id)));
  expect(wrong).toEqual([]);
  const { body } = await telemetry.renderMetrics(undefined);
  const count = (labels: string): number =>
    Number(
      body
        .split('\n')
        .find((line) => line.startsWith(labels))
        ?.split(' ')[1],
    );
  // They were batched, with texts of different lengths: otherwise this proved nothing.
  expect(count('inference_batch_elements_total{model="text",kind="padding"}')).toBeGreaterThan(1000);
  expect(count('inference_batch_rows_sum{model="text"}')).toBeGreaterThan(
    2 * count('inference_batch_rows_count{model="text"}'),
  );
});
