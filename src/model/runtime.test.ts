import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createTemporaryRepository } from '../../test/fixtures/temporary_repository.ts';
import type { Datatype, TensorData } from '../contract/datatypes.ts';
import type { Tensor } from '../contract/tensors.ts';
import { encodeIdentity, encodeMlp, GENERATED_INPUT, GENERATED_OUTPUT } from './generated_models.ts';
import { ModelLoadError } from './model_problem.ts';
import { encodeOnnx, type OnnxGraph } from './onnx_writer.ts';
import { openSession, type RuntimeSession } from './runtime.ts';
import { RUNTIME_ENVIRONMENT } from './runtime_environment.ts';
import { explainLoadError } from './runtime_errors.ts';

interface OpenedModel extends AsyncDisposable {
  readonly session: RuntimeSession;
}

async function open(model: Uint8Array, beside: Record<string, Uint8Array> = {}): Promise<OpenedModel> {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(await createTemporaryRepository({ 'm/1/model.onnx': model }));
  for (const [name, content] of Object.entries(beside)) await repository.write({ [`m/1/${name}`]: content });
  const entry = {
    name: 'm',
    version: '1',
    modelPath: repository.path('m/1/model.onnx'),
    shownPath: 'm/1/model.onnx',
  };
  const session = stack.use(await openSession(entry, { intraOpThreads: 1 }));
  const moved = stack.move();
  return { session, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

function tensor(datatype: Datatype, shape: readonly number[], data: TensorData): Tensor {
  return { name: GENERATED_INPUT, datatype, shape, data };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const EXTREMES: Readonly<Record<Datatype, TensorData>> = {
  BOOL: Uint8Array.of(0, 1, 1),
  INT8: Int8Array.of(-128, 0, 127),
  INT16: Int16Array.of(-32_768, 0, 32_767),
  INT32: Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1),
  INT64: BigInt64Array.of(-(2n ** 63n), 0n, 2n ** 63n - 1n),
  UINT8: Uint8Array.of(0, 128, 255),
  UINT16: Uint16Array.of(0, 1, 65_535),
  UINT32: Uint32Array.of(0, 1, 2 ** 32 - 1),
  UINT64: BigUint64Array.of(0n, 1n, 2n ** 64n - 1n),
  // 1, the largest finite number, a NaN with a payload
  FP16: Uint16Array.of(0x3c00, 0x7bff, 0x7e01),
  FP32: Float32Array.of(-0, Number.NaN, 3.4028234663852886e38),
  FP64: Float64Array.of(5e-324, Number.NEGATIVE_INFINITY, Number.MAX_VALUE),
  BYTES: [text(''), text('日本語, عربي, 🎉'), text(`\ufeff${'x'.repeat(100_000)}`)],
};

describe.each(Object.entries(EXTREMES) as [Datatype, TensorData][])('%s', (datatype, data) => {
  it('comes back as it was sent', async () => {
    await using model = await open(encodeIdentity(datatype));
    expect(model.session.graph).toEqual({
      inputs: [{ name: GENERATED_INPUT, datatype, shape: [-1] }],
      outputs: [{ name: GENERATED_OUTPUT, datatype, shape: [-1] }],
    });
    const [output] = await model.session.run([tensor(datatype, [3], data)]);
    expect(output).toEqual({ name: GENERATED_OUTPUT, datatype, shape: [3], data });
    expect(output?.data.constructor).toBe(data.constructor);
  });

  it('may have no elements', async () => {
    await using model = await open(encodeIdentity(datatype, ['batch', 4]));
    const [output] = await model.session.run([tensor(datatype, [0, 4], data.slice(0, 0))]);
    expect(output?.shape).toEqual([0, 4]);
    expect(output?.data).toHaveLength(0);
  });

  it('may be a scalar', async () => {
    await using model = await open(encodeIdentity(datatype, []));
    const [output] = await model.session.run([tensor(datatype, [], data.slice(1, 2))]);
    expect(output).toMatchObject({ shape: [], data: data.slice(1, 2) });
  });

  if (datatype !== 'BYTES') {
    it('may be a view, also on shared memory', async () => {
      const fixed = data as Exclude<TensorData, readonly Uint8Array[]>;
      const shared = new SharedArrayBuffer(fixed.byteLength * 2);
      new Uint8Array(shared).set(new Uint8Array(fixed.buffer), fixed.byteLength);
      const view = new (fixed.constructor as Float32ArrayConstructor)(shared, fixed.byteLength, 3);
      await using model = await open(encodeIdentity(datatype));
      const [output] = await model.session.run([tensor(datatype, [3], view)]);
      expect(output?.data).toEqual(data);
    });
  }
});

describe('outputs', () => {
  it('are fresh memory that may be transferred', async () => {
    await using model = await open(encodeIdentity('FP32'));
    const data = Float32Array.of(1, 2);
    const [output] = await model.session.run([tensor('FP32', [2], data)]);
    const values = output?.data as Float32Array<ArrayBuffer>;
    const moved = structuredClone(values, { transfer: [values.buffer] });
    expect(values).toHaveLength(0);
    expect(moved).toEqual(data);
    expect(data).toEqual(Float32Array.of(1, 2));
  });

  it('of several dimensions and operators come in the order of the graph', async () => {
    await using model = await open(
      encodeOnnx({
        inputs: [
          { name: 'a', datatype: 'FP32', shape: ['n', 2] },
          { name: 'b', datatype: 'FP32', shape: ['n', 2] },
        ],
        outputs: [
          { name: 'difference', datatype: 'FP32', shape: ['n', 2] },
          { name: 'sum', datatype: 'FP32', shape: ['n', 2] },
        ],
        nodes: [
          { operator: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
          { operator: 'Sub', inputs: ['a', 'b'], outputs: ['difference'] },
        ],
      }),
    );
    const a: Tensor = { name: 'a', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(5, 7) };
    const b: Tensor = { name: 'b', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) };
    expect(await model.session.run([b, a])).toEqual([
      { name: 'difference', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(4, 5) },
      { name: 'sum', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(6, 9) },
    ]);
  });

  it('that are no tensors are left out and noted', async () => {
    await using model = await open(encodeOnnx({ ...DOUBLING, sequenceOutput: 'list' }));
    expect(model.session.graph.outputs.map((output) => output.name)).toEqual(['y']);
    expect(model.session.notes).toEqual([expect.stringMatching(/"list" is no tensor/)]);
    const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(2) };
    expect((await model.session.run([x]))[0]?.data).toEqual(Float32Array.of(4));
  });
});

it('leaves Float16Array to the rest of the thread', async () => {
  await using model = await open(encodeIdentity('FP16'));
  await model.session.run([tensor('FP16', [1], Uint16Array.of(1))]);
  expect(globalThis).toHaveProperty('Float16Array');
});

/** y = x + x, or with `weights` y = x + w. */
const DOUBLING = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  nodes: [{ operator: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
} as const satisfies OnnxGraph;

function withExternalWeights(file: string): Uint8Array {
  return encodeOnnx({
    ...DOUBLING,
    nodes: [{ operator: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [{ name: 'w', datatype: 'FP32', shape: [4], data: { file, lengthBytes: 16 } }],
  });
}

function withNode(operator: string, more: Partial<OnnxGraph> = {}, domain?: string): Uint8Array {
  const node = { operator, inputs: ['x'], outputs: ['y'], ...(domain === undefined ? {} : { domain }) };
  return encodeOnnx({ ...DOUBLING, nodes: [node], ...more });
}

describe('a model that does not load says why in one line', () => {
  const whole = encodeMlp({ layers: 2, width: 8 });

  it.each<[string, Uint8Array, string, RegExp]>([
    ['an empty file', new Uint8Array(0), 'corrupt_model', /is no ONNX model, or is cut short/],
    ['another kind of file', text('%PDF-1.7 and so on'), 'corrupt_model', /is no ONNX model/],
    ['a model cut short', whole.subarray(0, whole.length - 40), 'corrupt_model', /is no ONNX model/],
    ['no weights file', withExternalWeights('w.bin'), 'external_data', /"w\.bin" is missing; put it beside/],
    ['weights outside', withExternalWeights('../../w.bin'), 'external_data', /outside the version folder/],
    [
      'weights at a full path',
      withExternalWeights('/etc/passwd'),
      'external_data',
      /outside the version folder/,
    ],
    [
      'weights too short',
      withExternalWeights('short.bin'),
      'external_data',
      /needs 16 bytes and the file has 4/,
    ],
    [
      'an unknown operator',
      withNode('Frobnicate'),
      'unsupported',
      /operator Frobnicate is unknown in operator set 17/,
    ],
    [
      'a custom operator',
      withNode('Own', {}, 'com.acme'),
      'unsupported',
      /custom operator com\.acme:Own is not there/,
    ],
    ['a newer operator set', withNode('Identity', { opset: 99 }), 'unsupported', /operator set 99 is newer/],
    ['a newer format', withNode('Identity', { irVersion: 99 }), 'unsupported', /IR version 99 is newer/],
    [
      'a datatype we lack',
      encodeIdentity('BF16'),
      'unsupported',
      /ONNX datatype 16 \(bfloat16\), which is not served/,
    ],
    [
      'types that do not fit',
      encodeOnnx({ ...DOUBLING, inputs: [{ name: 'x', datatype: 'BOOL', shape: ['n'] }] }),
      'unsupported',
      /types do not fit/,
    ],
    [
      'a graph with a loose end',
      encodeOnnx({ ...DOUBLING, nodes: [{ operator: 'Identity', inputs: ['nobody'], outputs: ['y'] }] }),
      'corrupt_model',
      /graph is not valid/,
    ],
    [
      'an operator without a kernel for its type',
      encodeOnnx({
        inputs: [{ name: 'x', datatype: 'FP64', shape: ['n'] }],
        outputs: [{ name: 'y', datatype: 'FP64', shape: ['n'] }],
        nodes: [{ operator: 'Softsign', inputs: ['x'], outputs: ['y'] }],
      }),
      'unsupported',
      /Softsign .*not implemented for its datatype/,
    ],
  ])('%s', async (_, bytes, code, expected) => {
    const opening = open(bytes, { 'short.bin': new Uint8Array(4) });
    const error = await opening.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ModelLoadError);
    const { problems } = error as ModelLoadError;
    expect(problems).toEqual([
      { code, model: 'm', version: '1', path: 'm/1/model.onnx', message: expect.stringMatching(expected) },
    ]);
    expect(problems[0]?.message).not.toMatch(/\n|\/tmp|onnxruntime_src|vitrine-models-/);
  });

  it('also when nobody has met the reason before, without paths of the machine', () => {
    const message =
      'Load model from /srv/models/m/1/model.onnx failed:/onnxruntime_src/core/x.cc:1 void f(int) Odd "/srv/y/z.bin"\nand so on';
    expect(explainLoadError(new Error(message))).toEqual({
      code: 'load',
      message: 'the runtime refused it: Odd "z.bin" and so on',
    });
    expect(explainLoadError(new Error('x'.repeat(9999))).message.length).toBeLessThan(400);
  });

  it('weights behind a link that leaves the folder', async () => {
    await using repository = await createTemporaryRepository({
      'm/1/model.onnx': withExternalWeights('w.bin'),
      'weights.bin': new Uint8Array(16),
    });
    await symlink('../../weights.bin', repository.path('m/1/w.bin'));
    const modelPath = repository.path('m/1/model.onnx');
    await expect(
      openSession({ name: 'm', version: '1', modelPath, shownPath: 'm/1/model.onnx' }, { intraOpThreads: 1 }),
    ).rejects.toThrow('m/1/model.onnx: its weights file lies outside the version folder');
  });

  it('but weights beside the model are read', async () => {
    const weights = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    await using model = await open(withExternalWeights('w.bin'), { 'w.bin': weights });
    const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(10) };
    expect((await model.session.run([x]))[0]?.data).toEqual(Float32Array.of(11, 12, 13, 14));
  });
});

describe('a run that fails', () => {
  it('names the input and the sizes when the graph refuses a shape', async () => {
    await using model = await open(encodeIdentity('FP32', ['n', 4]));
    await expect(model.session.run([tensor('FP32', [2, 3], new Float32Array(6))])).rejects.toMatchObject({
      code: 'invalid_tensor',
      message: 'input "input".shape[1] is 3; the model takes 4',
    });
    await expect(model.session.run([tensor('FP32', [4], new Float32Array(4))])).rejects.toMatchObject({
      code: 'invalid_tensor',
      message: 'input "input".shape has 1 dimensions; the model takes 2',
    });
  });

  it('names the operator, not the data', async () => {
    await using model = await open(
      encodeOnnx({
        inputs: [{ name: GENERATED_INPUT, datatype: 'INT64', shape: ['n'] }],
        outputs: [{ name: GENERATED_OUTPUT, datatype: 'FP32', shape: ['n'] }],
        nodes: [{ operator: 'Gather', inputs: ['table', GENERATED_INPUT], outputs: [GENERATED_OUTPUT] }],
        initializers: [{ name: 'table', datatype: 'FP32', shape: [2], data: new Uint8Array(8) }],
      }),
    );
    const error = await model.session.run([tensor('INT64', [1], BigInt64Array.of(987_654n))]).then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    expect(error).toMatchObject({ code: 'model_failed', status: 500 });
    expect(error?.message).toContain('operator Gather');
    expect(`${error?.message} ${error?.stack} ${error?.cause}`).not.toContain('987654');
    // And the session goes on.
    expect(await model.session.run([tensor('INT64', [1], BigInt64Array.of(1n))])).toHaveLength(1);
  });
});

it('writes no files of its own under the environment that it asks for', async () => {
  await using repository = await createTemporaryRepository({ 'm/1/model.onnx': encodeIdentity('FP32') });
  const script = `
    import { openSession } from ${JSON.stringify(import.meta.resolve('./runtime.ts'))};
    const modelPath = ${JSON.stringify(repository.path('m/1/model.onnx'))};
    const entry = { name: 'm', version: '1', modelPath, shownPath: '' };
    await using session = await openSession(entry, { intraOpThreads: 1 });
  `;
  const filesWritten = async (name: string, environment: Readonly<Record<string, string>>) => {
    const home = repository.path(name);
    await mkdir(home);
    const env = { HOME: home, XDG_CACHE_HOME: home, TMPDIR: home, ...environment };
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
    const written = await readdir(home, { recursive: true, withFileTypes: true });
    return written.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  };
  const quiet = await filesWritten('quiet', RUNTIME_ENVIRONMENT);
  const loud = await filesWritten('loud', {});
  expect(quiet.filter((path) => /mat-debug|\.db$|deviceid/.test(path))).toEqual([]);
  expect(loud.length).toBeGreaterThan(quiet.length);
});
