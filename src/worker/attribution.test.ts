/**
 * What queries are told that they took, against what was taken: over all spans of a worker, executor time sums to the
 * time that its inference threads were busy, and energy to what the GPU counted. The GPU is a recording.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeLookUp } from '../../test/fixtures/look_up_model.ts';
import { NvmlReplay } from '../../test/fixtures/nvml_replay.ts';
import { startTestTelemetry } from '../../test/fixtures/running_gateway.ts';
import {
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
import { toldLog } from '../../test/fixtures/told_log.ts';
import { decodeRequest } from '../../test/otlp_request.ts';
import { ATTR } from '../contract/attributes.ts';
import { EnergyShare } from '../hardware/energy_share.ts';
import { openNvml } from '../hardware/nvml.ts';
import { encodeRowSum } from '../model/generated_models.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface ExportedSpan {
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly double_value: number } }[];
}

const spans: ExportedSpan[] = [];
const collector = createServer(async (request, response) => {
  const { resource_spans: resources } = decodeRequest(await buffer(request)) as {
    resource_spans: { scope_spans: { spans: ExportedSpan[] }[] }[];
  };
  for (const { scope_spans: scopes } of resources) for (const scope of scopes) spans.push(...scope.spans);
  response.end();
});
let telemetry: Telemetry;
let repository: TemporaryRepository;

beforeAll(async () => {
  await new Promise<void>((resolve) => void collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  telemetry = await startTestTelemetry({}, { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  repository = await createTemporaryRepository({
    'sum/1/model.onnx': encodeRowSum(),
    'sum/1/model.yaml': 'batching: { axis: 0, max_batch_size: 8, max_queue_delay_ms: 1 }\ninstances: 2\n',
    'look/1/model.onnx': encodeLookUp(),
    'look/1/model.yaml': 'batching: { axis: 0, max_batch_size: 4, max_queue_delay_ms: 0 }\n',
  });
});

afterAll(async () => {
  await repository[Symbol.asyncDispose]();
  await telemetry.close();
  collector.closeAllConnections();
  collector.close();
});

/** Sum of an attribute over the spans of all queries. */
function summed(attribute: string): number {
  let sum = 0;
  for (const { name, attributes } of spans) {
    if (!name.startsWith('work ')) continue;
    sum += attributes.find(({ key }) => key === attribute)?.value.double_value ?? 0;
  }
  return sum;
}

async function counted(worker: RunningWorker, name: string): Promise<number> {
  const { body } = await worker.call('GET', '/metrics');
  const lines = body
    .toString('utf8')
    .split('\n')
    .filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
}

beforeEach(() => {
  spans.length = 0;
});

test('executor time and energy of all queries sum to what was taken', async () => {
  const session = await openNvml(new NvmlReplay('working'), toldLog());
  if (session === undefined) throw new Error('NVML did not start');
  const energy = new EnergyShare(4711);
  await using worker = await runWorker(telemetry, { modelRepository: repository.folder }, undefined, energy);
  for (let look = 0; look < 12; look += 1) {
    energy.look(look * 1000, await session.look());
    await Promise.all(
      Array.from({ length: 30 }, (_, query) =>
        query % 10 === 0
          ? worker.infer('sum', { inputs: [tensor('input', 'INT64', [3, 2], new BigInt64Array(6))] })
          : worker.infer('sum', row(query, look)),
      ),
    );
  }
  expect(await telemetry.drain(5000)).toBe(true);
  const busy = await counted(worker, 'inference_executor_busy_seconds_total');
  expect(busy).toBeGreaterThan(0);
  // A span's attribute is rounded to the nanosecond.
  expect(summed(ATTR.computeShareMs) / 1000).toBeCloseTo(busy, 6);
  expect(await counted(worker, 'inference_attributed_seconds_total')).toBeCloseTo(busy, 9);

  const attributed = await counted(worker, 'inference_attributed_energy_joules_total');
  expect(attributed).toBeGreaterThan(0);
  expect(summed(ATTR.energyShareJoules)).toBeCloseTo(attributed, 9);
});

test('queries that failed together and ran again alone pay for both', async () => {
  const executor = new HeldExecutor();
  await using worker = await runWorker(telemetry, { modelRepository: repository.folder }, executor);
  const busyBefore = await counted(worker, 'inference_executor_busy_seconds_total');
  executor.held = true;
  const first = worker.infer('look', row(0));
  await executor.asked(1);
  const answers = [1, 99, 3].map((index) => worker.infer('look', row(index)));
  while ((await counted(worker, 'inference_queue_requests{model="look"}')) !== 3);
  executor.release();
  await Promise.all([first, ...answers]);
  expect(executor.runs).toEqual([1, 3, 1, 1, 1]);
  expect(await telemetry.drain(5000)).toBe(true);
  const busy = (await counted(worker, 'inference_executor_busy_seconds_total')) - busyBefore;
  expect(summed(ATTR.computeShareMs) / 1000).toBeCloseTo(busy, 6);
});
