import { describe, expect, test } from 'vitest';
import { parseInferRequest } from '../../contract/oip_request.ts';
import {
  curlLine,
  DIGIT,
  inputsOf,
  outputsOf,
  queryText,
  readyModels,
  sampleQuery,
  takesText,
  textQuery,
} from './oip.js';

test('models that are ready, each once, newest version first', () => {
  const index = [
    { name: 'b', version: '2', state: 'READY', reason: '' },
    { name: 'b', version: '10', state: 'READY', reason: '' },
    { name: 'a', version: '1', state: 'UNAVAILABLE', reason: 'broken' },
    { name: 'c', state: 'READY' },
    null,
    7,
  ];
  expect(readyModels(index)).toEqual([
    { name: 'b', versions: ['10', '2'] },
    { name: 'c', versions: [] },
  ]);
  expect(readyModels({})).toEqual([]);
});

test('a text fills one BYTES input with room for it, and nothing else', () => {
  const takes = (...shapes: (readonly number[])[]) =>
    takesText(shapes.map((shape) => ({ name: 't', datatype: 'BYTES', shape })));
  expect([takes([-1]), takes([-1, 1]), takes([]), takes([2]), takes([1], [1]), takes()]).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(takesText([{ name: 't', datatype: 'FP32', shape: [-1] }])).toBe(false);
});

describe('the service takes what the page makes', () => {
  const parse = (query: object) =>
    parseInferRequest(Buffer.from(queryText(query)), { contentType: 'application/json' });

  test('a text', () => {
    const { inputs } = parse(textQuery({ name: 'text', datatype: 'BYTES', shape: [-1, 1] }, 'Où?'));
    expect(inputs[0]).toMatchObject({ name: 'text', shape: [1, 1] });
    const [bytes = Buffer.alloc(0)] = (inputs[0]?.data ?? []) as Uint8Array[];
    expect(Buffer.from(bytes).toString()).toBe('Où?');
  });

  test.each(['BOOL', 'UINT8', 'UINT64', 'INT8', 'INT64', 'FP32', 'FP64', 'BYTES'])(
    'a sample of %s',
    (datatype) => {
      const query = sampleQuery('m', [{ name: 'x', datatype, shape: [-1, 2, 3] }]);
      expect(parse(query ?? {}).inputs[0]).toMatchObject({ datatype, shape: [1, 2, 3] });
    },
  );

  test('a digit for the model that reads digits', () => {
    const query = sampleQuery('digits', [{ name: 'image', datatype: 'FP32', shape: [-1, 8, 8] }]);
    expect([...((parse(query ?? {}).inputs[0]?.data as Float32Array) ?? [])]).toEqual(DIGIT);
  });

  test('no sample of what would be too large', () => {
    expect(sampleQuery('m', [{ name: 'x', datatype: 'FP32', shape: [1, 3, 1024, 1024] }])).toBeUndefined();
    expect(sampleQuery('m', [])).toBeUndefined();
  });
});

test('numbers of a query stand in lines that can be read, and texts as they are', () => {
  const query = { inputs: [{ shape: [1, 2], data: [0.5, -1e-7], other: ['[\n 1,\n 2]'] }] };
  const text = queryText(query);
  expect(text).toContain('"shape": [1, 2]');
  expect(JSON.parse(text)).toEqual(query);
});

test('metadata and answers are read, whatever they are', () => {
  expect(inputsOf({ inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }, null] })).toEqual([
    { name: 'x', datatype: 'FP32', shape: [-1, 2] },
    { name: '', datatype: '', shape: [] },
  ]);
  expect(inputsOf(null)).toEqual([]);
  expect(
    outputsOf({ outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [[0.5, 0.25]] }] }),
  ).toEqual([{ name: 'y', datatype: 'FP32', shape: [1, 2], values: [0.5, 0.25] }]);
  expect(outputsOf('x')).toEqual([]);
});

test('the line for a shell', () => {
  expect(curlLine('http://localhost:8000/', 'a model', { inputs: [] })).toBe(
    `curl -si http://localhost:8000/v2/models/a%20model/infer -H 'content-type: application/json' -d '{"inputs":[]}'`,
  );
});
