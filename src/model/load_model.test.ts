import { describe, expect, it } from 'vitest';
import { createTemporaryRepository } from '../../test/fixtures/temporary_repository.ts';
import type { Datatype } from '../contract/datatypes.ts';
import { encodeIdentity, encodeRowSum } from './generated_models.ts';
import { loadModel } from './load_model.ts';
import type { ModelInfo } from './model_info.ts';
import { ModelLoadError } from './model_problem.ts';
import { encodeOnnx } from './onnx_writer.ts';
import { scanRepository } from './repository.ts';

/** The model's info once loaded, or its problems as lines. */
async function load(onnx: Uint8Array, manifest?: string): Promise<ModelInfo | string[]> {
  await using repository = await createTemporaryRepository({
    'm/1/model.onnx': onnx,
    ...(manifest === undefined ? {} : { 'm/1/model.yaml': manifest }),
  });
  const { entries, problems } = await scanRepository(repository.folder);
  expect(problems).toEqual([]);
  const [entry] = entries;
  if (entry === undefined) throw new Error('the scan found no model');
  try {
    await using loaded = await loadModel(structuredClone(entry));
    return structuredClone(loaded.info);
  } catch (error) {
    if (error instanceof ModelLoadError) return error.message.split('\n');
    throw error;
  }
}

it('serves a model without a manifest as its graph declares it, unbatched', async () => {
  expect(await load(encodeIdentity('FP32', ['n', 3, 'length']))).toEqual({
    name: 'm',
    version: '1',
    description: '',
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 3, -1] }],
    outputs: [{ name: 'output', datatype: 'FP32', shape: [-1, 3, -1] }],
    graph: {
      inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 3, -1] }],
      outputs: [{ name: 'output', datatype: 'FP32', shape: [-1, 3, -1] }],
    },
    preprocess: { type: 'none' },
    postprocess: { type: 'none' },
    batching: undefined,
    instances: 1,
    intraOpThreads: 1,
    defaultTimeoutMs: undefined,
    warmUp: [{ name: 'input', datatype: 'FP32', shape: [1, 3, 1], data: new Float32Array(3) }],
    warmUpGiven: false,
    notes: [],
  });
});

it.each<[Datatype, string, unknown]>([
  ['FP32', '[[1.5, 2]]', Float32Array.of(1.5, 2)],
  ['INT64', '[[9007199254740991, -1]]', BigInt64Array.of(2n ** 53n - 1n, -1n)],
  ['BOOL', '[[true, false]]', Uint8Array.of(1, 0)],
  ['BYTES', '[["a", "é"]]', [new TextEncoder().encode('a'), new TextEncoder().encode('é')]],
])('reads a warm-up sample of %s', async (datatype, yaml, data) => {
  const info = await load(encodeIdentity(datatype, ['n', 2]), `warm_up: { input: ${yaml} }`);
  expect(info).toMatchObject({ warmUpGiven: true, notes: [] });
  const [sample] = (info as ModelInfo).warmUp;
  expect(sample).toMatchObject({ name: 'input', datatype, shape: [1, 2] });
  expect(Array.from(sample?.data as Float32Array)).toEqual(Array.from(data as Float32Array));
});

describe('a manifest that asks for what the graph cannot do', () => {
  const matrix = encodeIdentity('FP32', ['n', 3]);
  const bytes = encodeRowSum();

  it.each<[string, Uint8Array, string, RegExp]>([
    [
      'batching over a fixed dimension',
      encodeIdentity('FP32', [1, 3]),
      'instances: 1\nbatching:\n  axis: 0\n',
      /^m\/1\/model\.yaml:3: batching\.axis: the graph's "input" is FP32 \[1, 3\], whose first dimension does not vary/,
    ],
    [
      'batching of scalars',
      encodeIdentity('FP32', []),
      'batching: { axis: 0 }',
      /batching\.axis: .* FP32 \[\]/,
    ],
    [
      'an input that is not there',
      bytes,
      '\npipeline:\n  preprocess: { type: utf8_bytes, input: text, tensor: bites }',
      /^m\/1\/model\.yaml:3: pipeline\.preprocess\.tensor: "bites" is no input of the graph; it has input \(INT64 \[-1, -1\]\)$/,
    ],
    [
      'bytes into floats',
      encodeIdentity('FP32', ['n', 'length']),
      'pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input } }',
      /is FP32; utf8_bytes needs an input of whole numbers/,
    ],
    [
      'bytes beyond the datatype',
      encodeIdentity('UINT8', ['n', 'length']),
      'pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input, shift: 1 } }',
      /is UINT8, which cannot hold 255 \+ shift 1/,
    ],
    [
      'bytes of a fixed length',
      encodeIdentity('INT32', ['n', 8]),
      'pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input } }',
      /has the shape \[-1, 8\]; utf8_bytes needs \[n, length\]/,
    ],
    [
      'batches of texts beyond memory',
      bytes,
      'pipeline: { preprocess: { type: utf8_bytes, input: t, tensor: input, max_bytes: 1048576 } }\nbatching: { axis: 0, max_batch_size: 17 }',
      /pipeline\.preprocess\.max_bytes: 1048576 times max_batch_size 17 is over 16777216 padded bytes; lower one/,
    ],
    [
      'an output that is not there',
      matrix,
      'labels: [a, b, c]\npipeline: { postprocess: { type: top_label, tensor: y } }',
      /^m\/1\/model\.yaml:2: pipeline\.postprocess\.tensor: "y" is no output of the graph; it has output \(FP32/,
    ],
    [
      'labels that do not fit',
      matrix,
      'labels: [a, b]\npipeline: { postprocess: { type: top_label, tensor: output } }',
      /^m\/1\/model\.yaml:1: labels: there are 2 labels for the 3 classes of "output"$/,
    ],
    [
      'no labels',
      matrix,
      'pipeline: { postprocess: { type: top_label, tensor: output } }',
      /pipeline\.postprocess: top_label needs labels/,
    ],
    [
      'labels of numbers',
      encodeIdentity('INT64', ['n', 3]),
      'labels: [a, b, c]\npipeline: { postprocess: { type: top_label, tensor: output } }',
      /output is INT64 \[-1, 3\]; top_label needs FP32/,
    ],
    [
      'two outputs of one name',
      matrix,
      'labels: [a, b, c]\npipeline: { postprocess: { type: top_label, tensor: output, label: output, keep: true } }',
      /pipeline\.postprocess\.label: "output" would be the name of two outputs/,
    ],
    [
      'a sample for another input',
      matrix,
      'warm_up:\n  input: [[1, 2, 3]]\n  imput: [1]',
      /^m\/1\/model\.yaml:3: warm_up\.imput: is no input of the model; it takes input \(FP32 \[-1, 3\]\)$/,
    ],
    [
      'a sample that lacks an input',
      matrix,
      'warm_up: {}',
      /^m\/1\/model\.yaml:1: warm_up: lacks the input input \(FP32/,
    ],
    [
      'a sample of another shape',
      matrix,
      'warm_up: { input: [1, 2, 3] }',
      /warm_up\.input: has the shape \[3\]; the input is FP32 \[-1, 3\]/,
    ],
    [
      'a ragged sample',
      matrix,
      'warm_up: { input: [[1, 2, 3], [1, 2]] }',
      /warm_up\.input: .*has 2 elements; the shape \[2, 3\] needs 3/,
    ],
    [
      'a sample of another type',
      matrix,
      'warm_up: { input: [[1, 2, x]] }',
      /warm_up\.input.*must be a number/,
    ],
    [
      'a sample of more rows than a batch',
      matrix,
      'warm_up: { input: [[1, 2, 3], [4, 5, 6]] }\nbatching: { axis: 0, max_batch_size: 1 }',
      /^m\/1\/model\.yaml:1: warm_up: .* is 2; the model takes at most 1 rows/,
    ],
  ])('%s', async (_, onnx, manifest, expected) => {
    expect(await load(onnx, manifest)).toEqual([expect.stringMatching(expected)]);
  });

  it('all at once', async () => {
    const manifest = `batching: { axis: 0 }
pipeline:
  preprocess: { type: utf8_bytes, input: text, tensor: a }
  postprocess: { type: top_label, tensor: b }
`;
    const problems = await load(encodeIdentity('FP32', [1]), manifest);
    expect((problems as string[]).map((line) => line.split(': ')[1])).toEqual([
      'pipeline.preprocess.tensor',
      'pipeline.postprocess.tensor',
      'batching.axis',
    ]);
  });
});

describe('the warm-up run', () => {
  /** Looks up a table of two rows, so that any index but 0 and 1 fails. */
  const lookUp = encodeOnnx({
    inputs: [{ name: 'index', datatype: 'INT64', shape: ['n'] }],
    outputs: [{ name: 'value', datatype: 'FP32', shape: ['n'] }],
    nodes: [
      { operator: 'Sub', inputs: ['index', 'base'], outputs: ['place'] },
      { operator: 'Gather', inputs: ['table', 'place'], outputs: ['value'] },
    ],
    initializers: [
      { name: 'table', datatype: 'FP32', shape: [2], data: new Uint8Array(8) },
      { name: 'base', datatype: 'INT64', shape: [1], data: new Uint8Array(BigInt64Array.of(100n).buffer) },
    ],
  });

  it('that fails on a given sample keeps the model from being served', async () => {
    expect(await load(lookUp, 'instances: 1\nwarm_up: { index: [7] }')).toEqual([
      expect.stringMatching(/^m\/1\/model\.yaml:2: warm_up: the model failed at its operator Gather/),
    ]);
  });

  it('that fails on a made-up sample is only noted', async () => {
    expect(await load(lookUp)).toMatchObject({
      notes: [
        expect.stringMatching(/^not warmed up: a made-up sample failed \(the model failed at its operator/),
      ],
    });
  });

  it('finds outputs that do not follow the batch', async () => {
    const flattened = encodeOnnx({
      inputs: [{ name: 'input', datatype: 'FP32', shape: ['n', 2] }],
      outputs: [{ name: 'output', datatype: 'FP32', shape: ['m', 1] }],
      nodes: [{ operator: 'Reshape', inputs: ['input', 'column'], outputs: ['output'] }],
      initializers: [
        {
          name: 'column',
          datatype: 'INT64',
          shape: [2],
          data: new Uint8Array(BigInt64Array.of(-1n, 1n).buffer),
        },
      ],
    });
    expect(await load(flattened, '\nbatching: { axis: 0 }')).toEqual([
      expect.stringMatching(
        /^m\/1\/model\.yaml:2: batching\.axis: .*"output" has the shape \[2, 1\] for 1 rows/,
      ),
    ]);
    expect(await load(flattened)).toMatchObject({ batching: undefined, notes: [] });
  });

  it('does not make up a sample that would fill the memory', async () => {
    const info = await load(encodeIdentity('FP32', ['n', 2 ** 25]));
    expect(info).toMatchObject({ warmUp: [], notes: [expect.stringMatching(/too large to make up/)] });
  });
});
