/** What someone does in the first afternoon: their own model, its trace, the modes of keeping. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ATTR } from '../../src/contract/attributes.ts';
import { encodeIdentity, encodeMlp } from '../../src/model/generated_models.ts';
import { type Service, startService } from './service.ts';

const MODELS = fileURLToPath(new URL('../../models', import.meta.url));
const VITRINE = fileURLToPath(new URL('../../src/bin/vitrine.mjs', import.meta.url));

async function vitrine(...argv: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [VITRINE, ...argv]);
  return stdout;
}

async function repository(): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-models-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

describe('a model repository of one’s own', () => {
  test('a folder with model.onnx alone serves, unbatched; broken ones are reported and the others serve', async () => {
    await using models = await repository();
    await cp(join(MODELS, 'digits'), join(models.folder, 'digits'), { recursive: true });
    const put = async (path: string, bytes: Uint8Array | string): Promise<void> => {
      await mkdir(join(models.folder, path, '..'), { recursive: true });
      await writeFile(join(models.folder, path), bytes);
    };
    await put('mine/model.onnx', encodeMlp({ layers: 2, width: 4 }));
    await put('echo/1/model.onnx', encodeIdentity('INT64', [-1]));
    await put('echo/2/model.onnx', encodeIdentity('INT64', [-1]));
    await put('broken/1/model.onnx', 'this is no model');
    await put('misread/1/model.onnx', encodeIdentity('FP32', [-1]));
    await put('misread/1/model.yaml', 'batching:\n  axis: 0\n  max_batchsize: 4\n');
    await using service = await startService({ models: models.folder });

    const index = await service.client.repositoryIndex();
    const states = new Map(index.map((entry) => [`${entry.name}/${entry.version}`, entry]));
    expect(states.get('mine/1')?.state).toBe('READY');
    expect(states.get('digits/1')?.state).toBe('READY');
    expect(states.get('broken/1')?.state).toBe('UNAVAILABLE');
    expect(states.get('broken/1')?.reason).toBeTruthy();
    expect(states.get('misread/1')?.reason).toMatch(/max_batch_size/);

    const metadata = await service.client.modelMetadata('mine');
    const input = metadata.inputs[0];
    expect(input?.datatype).toBe('FP32');
    const shape = input?.shape.map((dimension) => (dimension === -1 ? 1 : dimension)) ?? [];
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const answer = await service.client.infer('mine', {
      inputs: [{ name: input?.name ?? '', datatype: 'FP32', shape, data: new Float32Array(size).fill(0.5) }],
    });
    expect(answer.outputs[0]?.datatype).toBe('FP32');

    const numbers = {
      name: 'input',
      datatype: 'INT64' as const,
      shape: [3],
      data: new BigInt64Array([1n, 2n ** 60n, -5n]),
    };
    const newest = await service.client.infer('echo', { inputs: [numbers], binary: false });
    expect(newest.modelVersion).toBe('2');
    expect(newest.outputs[0]?.data).toEqual(numbers.data);
    expect((await service.client.infer('echo', { inputs: [numbers], version: '1' })).modelVersion).toBe('1');
    expect(await service.client.versions('echo')).toEqual(['1', '2']);
    await expect(service.client.infer('broken', { inputs: [numbers] })).rejects.toMatchObject({
      status: 503,
    });
    await expect(service.client.infer('echo', { inputs: [numbers], version: '9' })).rejects.toMatchObject({
      status: 404,
    });
    await expect(service.client.infer('absent', { inputs: [numbers] })).rejects.toMatchObject({
      status: 404,
    });
  }, 60_000);
});

describe('the command line', () => {
  test('infer, trace, models: for people and as JSON', async () => {
    await using service = await startService();
    const inferred = JSON.parse(
      await vitrine('infer', 'langid', 'Wo ist der Bahnhof?', '--json', '--url', service.url),
    ) as {
      traceId: string;
    };
    expect(inferred.traceId).toMatch(/^[0-9a-f]{32}$/);
    const shown = await vitrine('trace', inferred.traceId, '--console', service.consoleUrl);
    for (const stage of ['receive', 'queue', 'compute', 'network', 'respond']) expect(shown).toContain(stage);
    const json = JSON.parse(
      await vitrine('trace', inferred.traceId, '--json', '--console', service.consoleUrl),
    ) as object;
    expect(JSON.stringify(json)).toContain(inferred.traceId);
    expect(await vitrine('models', '--url', service.url)).toContain('langid');
  }, 60_000);
});

describe('keeping', () => {
  async function languageTrace(service: Service, text: string): Promise<string> {
    return (await service.client.text('langid', text)).traceId ?? '';
  }

  test('retroactive: a quick query leaves nothing, a slow one its whole trace, with why it was kept', async () => {
    await using service = await startService({
      env: {
        VITRINE_TELEMETRY_MODE: 'retroactive',
        VITRINE_TELEMETRY_RATIO: '0',
        VITRINE_TELEMETRY_SLOW_MS: '300',
      },
    });
    for (let index = 0; index < 20; index += 1) await languageTrace(service, 'warm');
    const quick = await languageTrace(service, 'quick');
    await service.fault('worker-1', 'compute', { delayMs: 400, leaseMs: 20_000 });
    const slow = await languageTrace(service, 'slow');
    await service.liftFault('worker-1', 'compute');
    const trace = await service.client.trace(slow, service.consoleUrl, {
      waitMs: 10_000,
      until: ({ spans }) =>
        ['infer', 'attempt', 'work'].every((name) => spans.some((span) => span.name.startsWith(name))),
    });
    const query = trace.spans.find((span) => span.name === 'infer langid');
    expect(query?.attributes.get(ATTR.keptBecause)).toBe('slow');
    const batch = trace.spans.find((span) => span.name === 'work langid')?.links[0];
    await service.client.trace(batch?.traceId ?? '', service.consoleUrl, { waitMs: 10_000 });
    await expect(service.client.trace(quick, service.consoleUrl)).rejects.toMatchObject({ status: 404 });
    const samples = await service.scrape();
    expect(samples.get('vitrine_telemetry_records_total{outcome="kept"}')).toBe(1);
  }, 60_000);

  test("the caller's cleared flag is honoured, its trace id joined, and malformed context disturbs nothing", async () => {
    await using service = await startService();
    const traceId = 'a1'.repeat(16);
    const parent = (flags: string): string => `00-${traceId}-${'b2'.repeat(8)}-${flags}`;
    const ask = async (headers: Record<string, string>): Promise<Response> =>
      fetch(`${service.url}/v2/models/langid/infer`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] }] }),
      });
    expect((await ask({ traceparent: parent('00') })).headers.get('x-trace-id')).toBe(traceId);
    const kept = await ask({ traceparent: parent('01'), 'x-request-id': 'order-17' });
    expect(kept.headers.get('x-request-id')).toBe('order-17');
    const trace = await service.client.trace(traceId, service.consoleUrl, {
      waitMs: 10_000,
      until: ({ spans }) =>
        spans.some((span) => span.name.startsWith('infer')) &&
        spans.some((span) => span.name.startsWith('work')),
    });
    const queries = trace.spans.filter((span) => span.name === 'infer langid');
    expect(queries).toHaveLength(1);
    expect(queries[0]?.parentSpanId).toBe('b2'.repeat(8));
    expect(queries[0]?.attributes.get(ATTR.requestId)).toBe('order-17');
    for (const headers of [
      { traceparent: 'rubbish' },
      { baggage: 'x=y,'.repeat(2500) },
      { traceparent: parent('zz') },
    ]) {
      expect((await ask(headers as Record<string, string>)).status).toBe(200);
    }
  }, 60_000);
});
