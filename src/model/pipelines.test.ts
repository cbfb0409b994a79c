import { describe, expect, it } from 'vitest';
import { createTemporaryRepository } from '../../test/fixtures/temporary_repository.ts';
import type { BytesData } from '../contract/datatypes.ts';
import type { Tensor } from '../contract/tensors.ts';
import { transferList } from './create_pipeline.ts';
import { encodeIdentity, encodeMlp, encodeRowSum, seededUniform } from './generated_models.ts';
import { type LoadedModel, loadModel } from './load_model.ts';
import { encodeOnnx } from './onnx_writer.ts';
import { scanRepository } from './repository.ts';

interface Loaded extends AsyncDisposable {
  readonly model: LoadedModel;
}

async function load(onnx: Uint8Array, manifest: string): Promise<Loaded> {
  await using stack = new AsyncDisposableStack();
  const repository = stack.use(
    await createTemporaryRepository({ 'm/1/model.onnx': onnx, 'm/1/model.yaml': manifest }),
  );
  const { entries, problems } = await scanRepository(repository.folder);
  expect(problems).toEqual([]);
  const [entry] = entries;
  if (entry === undefined) throw new Error('the scan found no model');
  const model = stack.use(await loadModel(entry));
  const moved = stack.move();
  return { model, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** Runs queries as one batch, across the same thread boundaries as a worker's. */
async function runBatch(
  { pipeline, session }: LoadedModel,
  queries: readonly (readonly Tensor[])[],
): Promise<readonly (readonly Tensor[])[]> {
  const prepared = structuredClone(queries.map((inputs) => pipeline.prepareRows(inputs)));
  const batch = pipeline.assemble(prepared);
  const feeds = structuredClone(batch.feeds, { transfer: transferList(batch.feeds) });
  const outputs = pipeline.postprocess(await session.run(feeds));
  const returned = structuredClone(outputs, { transfer: transferList(outputs) });
  return pipeline.split(
    returned,
    prepared.map((query) => query.rows),
  );
}

const encoder = new TextEncoder();

function texts(...values: readonly string[]): Tensor[] {
  const data = values.map((value) => encoder.encode(value));
  return [{ name: 'text', datatype: 'BYTES', shape: [values.length], data }];
}

function fp32(shape: readonly number[], values: Iterable<number>): Tensor[] {
  return [{ name: 'input', datatype: 'FP32', shape, data: Float32Array.from(values) }];
}

function decode(output: Tensor | undefined): string[] {
  return ((output?.data ?? []) as BytesData).map((element) => new TextDecoder().decode(element));
}

const TEXT_MANIFEST = `
pipeline:
  preprocess: { type: utf8_bytes, input: text, tensor: input, shift: 1, max_bytes: 64 }
batching: { axis: 0, max_batch_size: 8 }
`;

/** What encodeRowSum answers for these texts: each byte raised by one, summed. */
function sums(values: readonly string[]): BigInt64Array {
  return BigInt64Array.from(values, (value) =>
    BigInt(
      encoder
        .encode(value)
        .subarray(0, 64)
        .reduce((sum, byte) => sum + byte + 1, 0),
    ),
  );
}

describe('utf8_bytes', () => {
  it('turns the text input into the public one and leaves the outputs', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    expect(loaded.model.info).toMatchObject({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
      outputs: [{ name: 'output', datatype: 'INT64', shape: [-1] }],
    });
  });

  it('pads to the longest text of the batch and accounts for it', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    const { pipeline } = loaded.model;
    const prepared = [texts('abc', ''), texts('é'.repeat(4))].map((inputs) => pipeline.prepareRows(inputs));
    const batch = pipeline.assemble(prepared);
    expect(batch).toMatchObject({ rows: 3, realElements: 11, paddingElements: 13 });
    expect(batch.feeds).toHaveLength(1);
    const [feed] = batch.feeds;
    expect(feed).toMatchObject({ name: 'input', datatype: 'INT64', shape: [3, 8] });
    const rows = Array.from(feed?.data as BigInt64Array, Number);
    expect(rows.slice(0, 8)).toEqual([98, 99, 100, 0, 0, 0, 0, 0]);
    expect(rows.slice(8, 16)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect(rows.slice(16)).toEqual([196, 170, 196, 170, 196, 170, 196, 170]);
  });

  it('gives a batch of nothing but empty texts one column', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    const { pipeline } = loaded.model;
    const batch = pipeline.assemble([pipeline.prepareRows(texts('', ''))]);
    expect(batch.feeds[0]?.shape).toEqual([2, 1]);
    expect(batch).toMatchObject({ realElements: 0, paddingElements: 2 });
  });

  it('cuts at max_bytes', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    const long = 'ü'.repeat(1000);
    const prepared = loaded.model.pipeline.prepareRows(texts(long));
    expect(prepared.rowLengths).toEqual(Int32Array.of(64));
    expect((await runBatch(loaded.model, [texts(long)]))[0]?.[0]?.data).toEqual(sums([long]));
  });

  it('keeps no view on the body that the text came in', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    const body = new Uint8Array(1_000_000).fill(97);
    const [input] = texts('');
    const prepared = loaded.model.pipeline.prepareRows([
      { ...(input as Tensor), data: [body.subarray(10, 20)] },
    ]);
    expect(prepared.ragged?.buffer.byteLength).toBe(10);
    expect(prepared.bytes).toBeLessThan(100);
  });

  it('answers in a batch exactly as alone, and swaps no rows', async () => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    const next = seededUniform(7);
    const alphabet = ['a', 'ß', '語', '🎉', ' '];
    const randomText = (): string =>
      Array.from({ length: Math.floor(next() * 30) }, () => alphabet[Math.floor(next() * 5)]).join('');
    for (let round = 0; round < 200; round += 1) {
      const queries: string[][] = [];
      let rows = 0;
      while (rows < 8) {
        const size = Math.min(8 - rows, 1 + Math.floor(next() * 3));
        queries.push(Array.from({ length: size }, randomText));
        rows += size;
      }
      const answers = await runBatch(
        loaded.model,
        queries.map((query) => texts(...query)),
      );
      expect(answers.map(([output]) => output?.data)).toEqual(queries.map(sums));
      expect(answers.map(([output]) => output?.shape)).toEqual(queries.map((query) => [query.length]));
    }
  });

  it('stands beside other inputs, in the order of the graph', async () => {
    const onnx = encodeOnnx({
      inputs: [
        { name: 'scale', datatype: 'INT64', shape: ['batch', 1] },
        { name: 'bytes', datatype: 'INT64', shape: ['batch', 'length'] },
        { name: 'offset', datatype: 'INT64', shape: ['batch', 1] },
      ],
      outputs: [{ name: 'output', datatype: 'INT64', shape: ['batch', 'length'] }],
      nodes: [
        { operator: 'Mul', inputs: ['bytes', 'scale'], outputs: ['scaled'] },
        { operator: 'Add', inputs: ['scaled', 'offset'], outputs: ['output'] },
      ],
    });
    await using loaded = await load(
      onnx,
      'pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: bytes } }\nbatching: { axis: 0 }\n',
    );
    expect(loaded.model.info.inputs.map((input) => input.name)).toEqual(['scale', 'text', 'offset']);
    const query = (scale: bigint, value: string, offset: bigint): Tensor[] => [
      { name: 'scale', datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(scale) },
      ...texts(value),
      { name: 'offset', datatype: 'INT64', shape: [1, 1], data: BigInt64Array.of(offset) },
    ];
    const answers = await runBatch(loaded.model, [query(1n, 'a', 5n), query(2n, 'ab', 7n)]);
    expect(answers[0]?.[0]?.data).toEqual(BigInt64Array.of(102n, 5n));
    expect(answers[1]?.[0]?.data).toEqual(BigInt64Array.of(201n, 203n));
  });

  it.each([
    ['UINT8', 0],
    ['INT16', 1],
    ['UINT16', 1],
    ['INT32', 1],
    ['UINT32', 1],
    ['INT64', 1],
    ['UINT64', 1],
  ] as const)('fills %s', async (datatype, shift) => {
    await using loaded = await load(
      encodeIdentity(datatype, ['n', 'length']),
      `pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input, shift: ${shift} } }`,
    );
    const [[output] = []] = await runBatch(loaded.model, [texts('ÿ')]);
    expect(output).toMatchObject({ datatype, shape: [1, 2] });
    expect(Array.from(output?.data as Uint8Array, Number)).toEqual([0xc3 + shift, 0xbf + shift]);
  });
});

describe('a query is refused by itself, before it shares a batch', () => {
  it.each<[string, Tensor[], string, RegExp]>([
    [
      'text that is not UTF-8',
      [{ name: 'text', datatype: 'BYTES', shape: [2], data: [encoder.encode('fine'), Uint8Array.of(0xc3)] }],
      'invalid_tensor',
      /"text"\.data\[1\] is not UTF-8/,
    ],
    ['no rows', texts(), 'invalid_tensor', /"text"\.shape\[0\] is 0; send at least one row/],
    [
      'more rows than a batch',
      texts(...Array(9).fill('x')),
      'too_many_rows',
      /"text"\.shape\[0\] is 9; the model takes at most 8 rows/,
    ],
  ])('%s', async (_, inputs, code, expected) => {
    await using loaded = await load(encodeRowSum(), TEXT_MANIFEST);
    expect(() => loaded.model.pipeline.prepareRows(inputs)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(expected) }),
    );
  });

  it('texts whose padding would not fit in memory', async () => {
    await using loaded = await load(
      encodeRowSum(),
      'pipeline: { preprocess: { type: utf8_bytes, input: text, tensor: input, max_bytes: 1048576 } }',
    );
    const data: BytesData = [new Uint8Array(1_048_576).fill(97), ...Array(16).fill(new Uint8Array(1))];
    const query: Tensor[] = [{ name: 'text', datatype: 'BYTES', shape: [data.length], data }];
    expect(() => loaded.model.pipeline.prepareRows(query)).toThrow(
      expect.objectContaining({ code: 'too_many_rows', message: expect.stringContaining('17 x 1048576') }),
    );
  });

  it.each([
    ['a NUL, which would cut it', encoder.encode('a\0b'), /holds a NUL byte/],
    ['no UTF-8', Uint8Array.of(0xff), /is not UTF-8/],
  ])('text for the graph with %s', async (_, element, expected) => {
    await using loaded = await load(encodeIdentity('BYTES'), 'batching: { axis: 0 }');
    const query: Tensor[] = [{ name: 'input', datatype: 'BYTES', shape: [1], data: [element] }];
    expect(() => loaded.model.pipeline.prepareRows(query)).toThrow(expected);
  });

  it('inputs that disagree on their rows', async () => {
    const onnx = encodeOnnx({
      inputs: [
        { name: 'a', datatype: 'FP32', shape: ['n'] },
        { name: 'b', datatype: 'FP32', shape: ['n'] },
      ],
      outputs: [{ name: 'c', datatype: 'FP32', shape: ['n'] }],
      nodes: [{ operator: 'Add', inputs: ['a', 'b'], outputs: ['c'] }],
    });
    await using loaded = await load(onnx, 'batching: { axis: 0 }');
    const query: Tensor[] = [
      { name: 'a', datatype: 'FP32', shape: [2], data: Float32Array.of(1, 2) },
      { name: 'b', datatype: 'FP32', shape: [1], data: Float32Array.of(1) },
    ];
    expect(() => loaded.model.pipeline.prepareRows(query)).toThrow(
      'input "b".shape[0] is 1, but "a" has 2; all inputs have the same number of rows',
    );
  });
});

describe('without a pipeline', () => {
  it('only equal shapes share a batch', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n', 'length', 2]), 'batching: { axis: 0 }');
    const key = (...shape: number[]): string =>
      loaded.model.pipeline.prepareRows(fp32(shape, new Float32Array(shape.reduce((a, b) => a * b))))
        .groupKey;
    expect(key(1, 3, 2)).toBe(key(2, 3, 2));
    expect(key(1, 3, 2)).not.toBe(key(1, 4, 2));
  });

  it('rows of several queries come back apart, as views', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n', 2]), 'batching: { axis: 0 }');
    const answers = await runBatch(loaded.model, [fp32([1, 2], [1, 2]), fp32([2, 2], [3, 4, 5, 6])]);
    expect(answers.map(([output]) => output)).toEqual([
      { name: 'output', datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1, 2) },
      { name: 'output', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(3, 4, 5, 6) },
    ]);
    const [first, second] = answers.map(([output]) => output?.data as Float32Array);
    expect(first?.buffer).toBe(second?.buffer);
  });

  it('texts too', async () => {
    await using loaded = await load(encodeIdentity('BYTES'), 'batching: { axis: 0 }');
    const query = (...values: string[]): Tensor[] =>
      texts(...values).map((one) => ({ ...one, name: 'input' }));
    const answers = await runBatch(loaded.model, [query('ein', ''), query('日本')]);
    expect(answers.map(([output]) => output?.data)).toEqual([
      [encoder.encode('ein'), encoder.encode('')],
      [encoder.encode('日本')],
    ]);
  });

  it('and without batching a query is one run of any rank, as it is', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['a', 'b', 'c']), '');
    const { pipeline, info } = loaded.model;
    expect(info.batching).toBeUndefined();
    const query = fp32([0, 2, 5], []);
    expect(pipeline.prepareRows(query)).toMatchObject({ rows: 1, groupKey: '' });
    expect((await runBatch(loaded.model, [query]))[0]?.[0]).toMatchObject({ shape: [0, 2, 5] });
    expect(() => pipeline.assemble([query, query].map((one) => pipeline.prepareRows(one)))).toThrow(
      RangeError,
    );
  });

  it('what assemble returns is free to be transferred', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n']), '');
    const [input] = fp32([3], [1, 2, 3]);
    const { pipeline } = loaded.model;
    const { feeds } = pipeline.assemble([pipeline.prepareRows([input as Tensor])]);
    structuredClone(feeds, { transfer: transferList(feeds) });
    expect(input?.data).toEqual(Float32Array.of(1, 2, 3));
  });
});

describe('top_label', () => {
  const MANIFEST = (more: string): string => `
labels: [zero, eins, 二]
pipeline: { postprocess: { type: top_label, tensor: output, label: class, probability: score${more} } }
batching: { axis: 0 }
`;

  it('gives the best label and its value, row by row', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n', 3]), MANIFEST(''));
    expect(loaded.model.info.outputs).toEqual([
      { name: 'class', datatype: 'BYTES', shape: [-1] },
      { name: 'score', datatype: 'FP32', shape: [-1] },
    ]);
    const answers = await runBatch(loaded.model, [
      fp32([2, 3], [0.1, 0.7, 0.2, 0.3, 0.3, 0.4]),
      fp32([1, 3], [-1, -2, -3]),
    ]);
    const decoded = answers.map(([label, score]) => ({
      labels: decode(label),
      scores: score?.data,
    }));
    expect(decoded).toEqual([
      { labels: ['eins', '二'], scores: Float32Array.of(0.7, 0.4) },
      { labels: ['zero'], scores: Float32Array.of(-1) },
    ]);
  });

  it('keeps the raw tensor when told to', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n', 3]), MANIFEST(', keep: true'));
    const [[, , raw] = []] = await runBatch(loaded.model, [fp32([1, 3], [1, 2, 3])]);
    expect(raw).toMatchObject({ name: 'output', shape: [1, 3], data: Float32Array.of(1, 2, 3) });
  });

  it('the first of equals wins, and a row of NaN fails nobody else', async () => {
    await using loaded = await load(encodeIdentity('FP32', ['n', 3]), MANIFEST(''));
    const nan = Number.NaN;
    const [[label, score] = []] = await runBatch(loaded.model, [
      fp32([3, 3], [5, 5, 5, nan, nan, nan, nan, 1, 2]),
    ]);
    expect(decode(label)).toEqual(['zero', '', '二']);
    expect(score?.data).toEqual(Float32Array.of(5, nan, 2));
  });

  it('says so when the graph gives other classes than its declared ones', async () => {
    await using loaded = await load(
      encodeIdentity('FP32', ['n', 'classes']),
      `${MANIFEST('')}warm_up: { input: [[1, 2, 3]] }`,
    );
    expect(() => loaded.model.pipeline.postprocess(fp32([1, 4], [1, 2, 3, 4]))).toThrow(
      'output "output" is nothing; top_label needs FP32 [n, 3]',
    );
    const output = fp32([1, 4], [1, 2, 3, 4]).map((one) => ({ ...one, name: 'output' }));
    expect(() => loaded.model.pipeline.postprocess(output)).toThrow(
      'output "output" is FP32 [1, 4]; top_label needs FP32 [n, 3]',
    );
  });
});

it('a dense network answers within rounding in a batch as alone', async () => {
  await using loaded = await load(encodeMlp({ layers: 3, width: 32 }), 'batching: { axis: 0 }');
  const next = seededUniform(3);
  const queries = Array.from({ length: 16 }, () => fp32([1, 32], Array.from({ length: 32 }, next)));
  const together = await runBatch(loaded.model, queries);
  for (const [index, query] of queries.entries()) {
    const [[alone] = []] = await runBatch(loaded.model, [query]);
    const expected = alone?.data as Float32Array;
    const given = together[index]?.[0]?.data as Float32Array;
    for (let at = 0; at < 32; at += 1) expect(given[at]).toBeCloseTo(expected[at] ?? Number.NaN, 5);
  }
});
