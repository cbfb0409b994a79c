import { describe, expect, test } from 'vitest';
import { VitrineError } from './errors.ts';
import { DEFAULT_OIP_LIMITS, type InferRequest, type OipLimits } from './oip.ts';
import { parseInferRequest } from './oip_request.ts';
import type { TensorMetadata } from './tensors.ts';

const JSON_HEADERS = { contentType: 'application/json' };

function asBody(document: unknown): Buffer {
  if (Buffer.isBuffer(document)) return document;
  return Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
}

function parse(document: unknown, limits: OipLimits = DEFAULT_OIP_LIMITS): InferRequest {
  return parseInferRequest(asBody(document), JSON_HEADERS, limits);
}

function refused(run: () => unknown): VitrineError {
  try {
    run();
  } catch (error) {
    if (error instanceof VitrineError) return error;
    throw error;
  }
  throw new Error('the request was accepted');
}

/** A request of one input; `data` and `shape` as given, or as JSON text where JSON.stringify cannot say it. */
function one(datatype: unknown, shape: unknown, data: unknown): unknown {
  return { inputs: [{ name: 'x', datatype, shape, data }] };
}

function oneText(datatype: string, shape: string, data: string): string {
  return `{"inputs":[{"name":"x","datatype":"${datatype}","shape":${shape},"data":${data}}]}`;
}

function dataOf(request: InferRequest): unknown {
  const data = request.inputs[0]?.data;
  return Array.isArray(data) ? data.map((element) => Buffer.from(element).toString('utf8')) : data;
}

describe('JSON requests', () => {
  test('reads every field', () => {
    const request = parse({
      id: 'query 1',
      parameters: {
        timeout: 250_000,
        priority: 2,
        binary_data_output: true,
        tenant: 'a',
        share: 0.5,
        dry: false,
      },
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [1, 2], data: [0.5, -1] },
        { name: 'b', datatype: 'BYTES', shape: [1], parameters: { content_type: 'str' }, data: ['grün'] },
      ],
      outputs: [{ name: 'y' }, { name: 'z', parameters: { binary_data: false, classification: 0 } }],
    });
    expect(request).toEqual({
      id: 'query 1',
      parameters: {
        timeoutUs: 250_000,
        priority: 2,
        others: new Map<string, unknown>([
          ['tenant', 'a'],
          ['share', 0.5],
          ['dry', false],
        ]),
      },
      inputs: [
        { name: 'a', datatype: 'FP32', shape: [1, 2], data: new Float32Array([0.5, -1]) },
        { name: 'b', datatype: 'BYTES', shape: [1], data: [Buffer.from('grün')] },
      ],
      outputs: [{ name: 'y' }, { name: 'z', binaryData: false }],
      binaryDataOutput: true,
    });
  });

  test('what may be absent may also be null, and an empty list of outputs asks for all', () => {
    const inputs = [{ name: 'x', datatype: 'BOOL', shape: [1], data: [true], parameters: null }];
    const bare = { parameters: { priority: 0, others: new Map() }, binaryDataOutput: false };
    for (const extra of [
      {},
      { id: null, parameters: null, outputs: null },
      { outputs: [] },
      { parameters: {} },
    ]) {
      const { inputs: read, ...rest } = parse({ ...extra, inputs });
      expect(rest).toEqual(bare);
      expect(read[0]?.data).toEqual(new Uint8Array([1]));
    }
    expect(parse({ parameters: { timeout: 0, priority: 0 }, inputs }).parameters).toEqual(bare.parameters);
  });

  test.each<[string, string, string, unknown]>([
    ['BOOL', '[2]', '[true,false]', new Uint8Array([1, 0])],
    ['INT8', '[2]', '[-128,127]', new Int8Array([-128, 127])],
    ['INT16', '[2]', '[-32768,32767]', new Int16Array([-32_768, 32_767])],
    ['INT32', '[2]', '[-2147483648,2147483647]', new Int32Array([-(2 ** 31), 2 ** 31 - 1])],
    [
      'INT64',
      '[3]',
      '[-1,4294967296,-9007199254740991]',
      new BigInt64Array([-1n, 2n ** 32n, 1n - 2n ** 53n]),
    ],
    ['UINT8', '[2]', '[0,255]', new Uint8Array([0, 255])],
    ['UINT16', '[1]', '[65535]', new Uint16Array([65_535])],
    ['UINT32', '[1]', '[4294967295]', new Uint32Array([4_294_967_295])],
    ['UINT64', '[2]', '[0,9007199254740991]', new BigUint64Array([0n, 2n ** 53n - 1n])],
    ['FP16', '[4]', '[1,-2,65519,1e-8]', new Uint16Array([0x3c00, 0xc000, 0x7bff, 0])],
    ['FP32', '[3]', '[3.4028235677973362e38,0.1,-0]', new Float32Array([3.4028234663852886e38, 0.1, -0])],
    [
      'FP64',
      '[2]',
      '[1.7976931348623157e308,5e-324]',
      new Float64Array([Number.MAX_VALUE, Number.MIN_VALUE]),
    ],
    ['BYTES', '[2]', '["","\\u00e9\\ud83d\\ude00"]', ['', 'é😀']],
    // Integers may be written with a fraction of zero or an exponent.
    ['INT32', '[2]', '[2.0,1e3]', new Int32Array([2, 1_000])],
    // Flat and nested.
    ['INT8', '[2,2]', '[1,2,3,4]', new Int8Array([1, 2, 3, 4])],
    ['INT8', '[2,2]', '[[1,2],[3,4]]', new Int8Array([1, 2, 3, 4])],
    ['INT8', '[2,1,2]', '[[[1,2]],[[3,4]]]', new Int8Array([1, 2, 3, 4])],
    [
      'INT64',
      '[2,1]',
      '[[9223372036854775807],[-9223372036854775808]]',
      new BigInt64Array([2n ** 63n - 1n, -(2n ** 63n)]),
    ],
    ['BYTES', '[2,1]', '[["a"],["b"]]', ['a', 'b']],
    // Scalars and empty tensors.
    ['FP32', '[]', '[7]', new Float32Array([7])],
    ['FP32', '[]', '7', new Float32Array([7])],
    ['BYTES', '[]', '"text"', ['text']],
    ['FP32', '[0]', '[]', new Float32Array()],
    ['FP32', '[0,3]', '[]', new Float32Array()],
    ['FP32', '[2,0]', '[[],[]]', new Float32Array()],
    ['FP32', '[2,0]', '[]', new Float32Array()],
    ['BYTES', '[0]', '[]', []],
    // Every digit of integers beyond 2^53, beside one that needs no care.
    [
      'INT64',
      '[3]',
      '[9007199254740993,-9223372036854775807,1]',
      new BigInt64Array([2n ** 53n + 1n, 1n - 2n ** 63n, 1n]),
    ],
    [
      'UINT64',
      '[2]',
      '[18446744073709551615,9007199254740993]',
      new BigUint64Array([2n ** 64n - 1n, 2n ** 53n + 1n]),
    ],
  ])('%s %s from %s', (datatype, shape, data, expected) => {
    expect(dataOf(parse(oneText(datatype, shape, data)))).toEqual(expected);
  });

  test('integers beyond 2^53 in one tensor leave the others as they are', () => {
    const request = parse(
      '{"inputs":[{"name":"a","datatype":"FP64","shape":[2],"data":[123456789012345678901,1e300]},' +
        '{"name":"b","datatype":"INT64","shape":[1],"data":[9007199254740993]}]}',
    );
    expect(request.inputs[0]?.data).toEqual(new Float64Array([123456789012345680000, 1e300]));
    expect(request.inputs[1]?.data).toEqual(new BigInt64Array([9_007_199_254_740_993n]));
  });

  test('a doubled key counts with its last value, also where digits are read again', () => {
    const text =
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"shape":[2],"data":[1],"data":[9007199254740993,9007199254740995]}]}';
    expect(dataOf(parse(text))).toEqual(new BigInt64Array([9_007_199_254_740_993n, 9_007_199_254_740_995n]));
  });

  test('keys of Object.prototype are plain names', () => {
    const request = parse(
      '{"__proto__":{"inputs":[]},"constructor":1,"parameters":{"__proto__":"p","constructor":"c"},' +
        '"inputs":[{"__proto__":{"data":[9]},"name":"__proto__","datatype":"INT8","shape":[1],"data":[1]},' +
        '{"name":"constructor","datatype":"INT8","shape":[1],"data":[2]}],"outputs":[{"name":"__proto__"}]}',
    );
    expect(request.inputs.map((input) => input.name)).toEqual(['__proto__', 'constructor']);
    expect(request.inputs[0]?.data).toEqual(new Int8Array([1]));
    expect([...request.parameters.others]).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'c'],
    ]);
    expect(({} as Record<string, unknown>).inputs).toBeUndefined();
    const bare = refused(() => parse('{"__proto__":{"inputs":[]}}'));
    expect(bare.field).toBe('inputs');
    expect(refused(() => parse('{"inputs":[{"name":"x","datatype":"toString","shape":[]}]}')).field).toBe(
      'inputs[0].datatype',
    );
  });

  test('a long string costs nothing special', () => {
    const text = `${'"[{\\'.repeat(1_000_000)}${'é'.repeat(3_000_000)}`;
    const request = parse(one('BYTES', [1], [text]));
    // Compared as bytes: the test runner's own equality walks ten million elements one by one.
    const element = request.inputs[0]?.data[0];
    expect(element instanceof Uint8Array && Buffer.from(text).equals(element)).toBe(true);
  });
});

type Row = [name: string, document: unknown, code: string, field: string | undefined, text: string];

describe('what a JSON request is refused for', () => {
  const deep = 100_000;
  const x = { name: 'x', datatype: 'INT8', shape: [1], data: [1] };
  test.each<Row>([
    ['an empty body', '', 'invalid_json', undefined, 'line 1, column 1'],
    ['broken JSON', '{"inputs":[\n{"name":"x",}]}', 'invalid_json', undefined, 'line 2, column 13'],
    ['bytes behind the JSON', '{"inputs":[]}\u0000', 'invalid_json', undefined, 'column 14'],
    ['NaN', oneText('FP32', '[1]', '[NaN]'), 'invalid_json', undefined, 'send such a tensor as binary'],
    [
      'Infinity',
      oneText('FP32', '[1]', '[-Infinity]'),
      'invalid_json',
      undefined,
      'send such a tensor as binary',
    ],
    [
      'invalid UTF-8',
      Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      'invalid_json',
      undefined,
      'UTF-8',
    ],
    ['a byte order mark', '\ufeff{"inputs":[]}', 'invalid_json', undefined, 'byte order mark'],
    [
      'deep arrays',
      oneText('FP32', '[1]', '['.repeat(deep) + ']'.repeat(deep)),
      'invalid_json',
      undefined,
      '64 levels',
    ],
    ['deep arrays left open', '['.repeat(deep), 'invalid_json', undefined, '64 levels'],
    [
      'deep objects',
      `{"a":${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}`,
      'invalid_json',
      undefined,
      '64 levels',
    ],
    ['nesting one too deep', `${'['.repeat(65)}${']'.repeat(65)}`, 'invalid_json', undefined, '64 levels'],
    ['nesting behind strings', `["\\"[","\\\\",${'['.repeat(64)}`, 'invalid_json', undefined, '64 levels'],
    ['no object', '[]', 'invalid_request', undefined, 'JSON object'],
    ['null', 'null', 'invalid_request', undefined, 'JSON object'],
    ['no inputs', {}, 'invalid_request', 'inputs', 'must be an array'],
    ['inputs no array', { inputs: { x } }, 'invalid_request', 'inputs', 'not object'],
    ['no input at all', { inputs: [] }, 'invalid_request', 'inputs', 'at least one'],
    ['too many inputs', { inputs: Array(65).fill(x) }, 'invalid_request', 'inputs', 'at most 64'],
    ['an input that is null', { inputs: [x, null] }, 'invalid_request', 'inputs[1]', 'not null'],
    ['an input that is an array', { inputs: [[x]] }, 'invalid_request', 'inputs[0]', 'not array'],
    ['a doubled input', { inputs: [x, x] }, 'invalid_request', 'inputs[1].name', 'same as inputs[0].name'],
    [
      'a name that is missing',
      { inputs: [{ ...x, name: undefined }] },
      'invalid_request',
      'inputs[0].name',
      'string',
    ],
    ['an empty name', { inputs: [{ ...x, name: '' }] }, 'invalid_request', 'inputs[0].name', 'not empty'],
    [
      'a long name',
      { inputs: [{ ...x, name: 'n'.repeat(257) }] },
      'invalid_request',
      'inputs[0].name',
      'at most 256',
    ],
    ['an id that is a number', { id: 7, inputs: [x] }, 'invalid_request', 'id', 'string'],
    ['a long id', { id: 'i'.repeat(257), inputs: [x] }, 'invalid_request', 'id', '256'],
    ['parameters no object', { parameters: [1], inputs: [x] }, 'invalid_request', 'parameters', 'object'],
    [
      'a nested parameter',
      { parameters: { a: {} }, inputs: [x] },
      'invalid_request',
      'parameters.a',
      'not object',
    ],
    [
      'a null parameter',
      { parameters: { a: null }, inputs: [x] },
      'invalid_request',
      'parameters.a',
      'not null',
    ],
    [
      'a long parameter name',
      { parameters: { ['p'.repeat(257)]: 1 }, inputs: [x] },
      'invalid_request',
      'parameters',
      '256',
    ],
    [
      'too many parameters',
      { parameters: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`p${i}`, i])), inputs: [x] },
      'invalid_request',
      'parameters',
      'at most 64',
    ],
    [
      'a negative timeout',
      { parameters: { timeout: -1 }, inputs: [x] },
      'invalid_timeout',
      'parameters.timeout',
      'microseconds',
    ],
    [
      'a fractional timeout',
      { parameters: { timeout: 1.5 }, inputs: [x] },
      'invalid_timeout',
      'parameters.timeout',
      'whole',
    ],
    [
      'a timeout of text',
      { parameters: { timeout: '9' }, inputs: [x] },
      'invalid_timeout',
      'parameters.timeout',
      'whole',
    ],
    [
      'a timeout beyond a day',
      { parameters: { timeout: 1e12 }, inputs: [x] },
      'invalid_timeout',
      'parameters.timeout',
      '86400000000',
    ],
    [
      'a negative priority',
      { parameters: { priority: -1 }, inputs: [x] },
      'invalid_request',
      'parameters.priority',
      'highest',
    ],
    [
      'a huge priority',
      { parameters: { priority: 256 }, inputs: [x] },
      'invalid_request',
      'parameters.priority',
      '255',
    ],
    [
      'a priority of true',
      { parameters: { priority: true }, inputs: [x] },
      'invalid_request',
      'parameters.priority',
      'whole',
    ],
    [
      'binary_data_output of 1',
      { parameters: { binary_data_output: 1 }, inputs: [x] },
      'invalid_request',
      'parameters.binary_data_output',
      'true or false',
    ],
    [
      'a datatype that is unknown',
      one('FP8', [1], [1]),
      'invalid_tensor',
      'inputs[0].datatype',
      'one of BOOL, INT8',
    ],
    ['a datatype in lower case', one('fp32', [1], [1]), 'invalid_tensor', 'inputs[0].datatype', 'FP32'],
    ['a datatype that is a number', one(1, [1], [1]), 'invalid_tensor', 'inputs[0].datatype', 'one of'],
    ['no shape', one('FP32', undefined, [1]), 'invalid_tensor', 'inputs[0].shape', 'array of dimensions'],
    ['a negative dimension', one('FP32', [2, -1], [1]), 'invalid_tensor', 'inputs[0].shape[1]', 'is -1'],
    ['a fractional dimension', one('FP32', [0.5], [1]), 'invalid_tensor', 'inputs[0].shape[0]', 'is 0.5'],
    ['a dimension of text', one('FP32', ['1'], [1]), 'invalid_tensor', 'inputs[0].shape[0]', 'string'],
    [
      'an infinite dimension',
      oneText('FP32', '[1e999]', '[1]'),
      'invalid_tensor',
      'inputs[0].shape[0]',
      'whole',
    ],
    [
      'a huge dimension',
      one('FP64', [2 ** 40], [1]),
      'invalid_tensor',
      'inputs[0].shape[0]',
      'limit of 16777216',
    ],
    [
      'a product that overflows',
      one('FP64', [2 ** 24, 2 ** 24, 2 ** 24], [1]),
      'invalid_tensor',
      'inputs[0].shape[1]',
      'limit',
    ],
    [
      'a product of 2^64',
      one('FP64', [4294967296, 4294967296], []),
      'invalid_tensor',
      'inputs[0].shape[0]',
      'limit',
    ],
    [
      'too many dimensions',
      one('FP32', Array(17).fill(1), [1]),
      'invalid_tensor',
      'inputs[0].shape',
      'at most 16',
    ],
    [
      'too many strings',
      one('BYTES', [65_537], []),
      'invalid_tensor',
      'inputs[0].shape[0]',
      'limit of 65536',
    ],
    ['no data', one('FP32', [1], undefined), 'invalid_tensor', 'inputs[0].data', 'is missing'],
    ['data that is null', one('FP32', [], null), 'invalid_tensor', 'inputs[0].data', 'array of 1'],
    [
      'data that is an object',
      one('FP32', [2], { 0: 1 }),
      'invalid_tensor',
      'inputs[0].data',
      'array of 2 elements (FP32 [2])',
    ],
    ['a bare element for a vector', one('FP32', [1], 1), 'invalid_tensor', 'inputs[0].data', 'array of 1'],
    [
      'too few elements',
      one('FP32', [2, 2], [1, 2, 3]),
      'invalid_tensor',
      'inputs[0].data',
      'has 3 elements; the shape [2, 2] needs 4',
    ],
    ['too many elements', one('FP32', [2], [1, 2, 3]), 'invalid_tensor', 'inputs[0].data', 'has 3'],
    ['elements for an empty tensor', one('FP32', [0], [1]), 'invalid_tensor', 'inputs[0].data', 'needs 0'],
    ['nothing for a scalar', one('FP32', [], []), 'invalid_tensor', 'inputs[0].data', 'needs 1'],
    [
      'a claim of much for little',
      one('FP64', [4_096, 4_096], [[1]]),
      'invalid_tensor',
      'inputs[0].data',
      'needs 4096',
    ],
    [
      'a row too short',
      one('FP32', [2, 2], [[1, 2], [3]]),
      'invalid_tensor',
      'inputs[0].data[1]',
      'has 1 elements',
    ],
    [
      'a row too many',
      one(
        'FP32',
        [1, 2],
        [
          [1, 2],
          [3, 4],
        ],
      ),
      'invalid_tensor',
      'inputs[0].data',
      'has 2 elements',
    ],
    [
      'a number among rows',
      one('FP32', [2, 1], [[1], 2]),
      'invalid_tensor',
      'inputs[0].data[1]',
      'needs an array',
    ],
    [
      'a row among numbers',
      one('FP32', [2, 1], [1, [2]]),
      'invalid_tensor',
      'inputs[0].data[1]',
      'nested deeper',
    ],
    [
      'nesting that is too shallow',
      one('FP32', [1, 2, 1], [[1, 2]]),
      'invalid_tensor',
      'inputs[0].data[0][0]',
      'needs an array',
    ],
    [
      'nesting that is too deep',
      one('FP32', [2], [[1, 2]]),
      'invalid_tensor',
      'inputs[0].data',
      'has 1 elements',
    ],
    [
      'nesting that is too deep inside',
      one('FP32', [1, 1], [[[1]]]),
      'invalid_tensor',
      'inputs[0].data[0][0]',
      'nested deeper',
    ],
    [
      'nesting under a scalar',
      one('FP32', [], [[1]]),
      'invalid_tensor',
      'inputs[0].data[0]',
      'nested deeper',
    ],
    ['a number in BOOL', one('BOOL', [2], [true, 1]), 'invalid_tensor', 'inputs[0].data[1]', 'true or false'],
    ['INT8 beyond', one('INT8', [2], [127, 128]), 'invalid_tensor', 'inputs[0].data[1]', 'from -128 to 127'],
    ['INT16 below', one('INT16', [1], [-32_769]), 'invalid_tensor', 'inputs[0].data[0]', '-32768'],
    ['INT32 beyond', one('INT32', [1], [2 ** 31]), 'invalid_tensor', 'inputs[0].data[0]', '2147483647'],
    [
      'INT32 wrapped to itself',
      one('INT32', [1], [2 ** 32]),
      'invalid_tensor',
      'inputs[0].data[0]',
      '2147483647',
    ],
    ['UINT8 below', one('UINT8', [1], [-1]), 'invalid_tensor', 'inputs[0].data[0]', 'from 0 to 255'],
    ['UINT16 beyond', one('UINT16', [1], [65_536]), 'invalid_tensor', 'inputs[0].data[0]', '65535'],
    ['UINT32 beyond', one('UINT32', [1], [2 ** 32]), 'invalid_tensor', 'inputs[0].data[0]', '4294967295'],
    [
      'INT64 beyond',
      oneText('INT64', '[1]', '[9223372036854775808]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      '2^63',
    ],
    [
      'INT64 below',
      oneText('INT64', '[2]', '[1,-9223372036854775809]'),
      'invalid_tensor',
      'inputs[0].data[1]',
      '2^63',
    ],
    [
      'UINT64 beyond',
      oneText('UINT64', '[1]', '[18446744073709551616]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      '2^64',
    ],
    ['UINT64 below', one('UINT64', [1], [-1]), 'invalid_tensor', 'inputs[0].data[0]', '2^64'],
    [
      'UINT64 far below',
      oneText('UINT64', '[1]', '[-9007199254740993]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      '2^64',
    ],
    [
      'inexact without digits',
      oneText('INT64', '[1]', '[1e18]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      'plain digits',
    ],
    [
      'a million digits',
      oneText('INT64', '[1]', `[${'1'.repeat(1e6)}]`),
      'invalid_tensor',
      'inputs[0].data[0]',
      'plain digits',
    ],
    ['INT64 infinite', oneText('INT64', '[1]', '[1e999]'), 'invalid_tensor', 'inputs[0].data[0]', '2^63'],
    ['INT64 as text', one('INT64', [1], ['1']), 'invalid_tensor', 'inputs[0].data[0]', 'whole number'],
    [
      'a fraction in INT8',
      one(
        'INT8',
        [2, 2],
        [
          [1, 2],
          [3, 1.5],
        ],
      ),
      'invalid_tensor',
      'inputs[0].data[1][1]',
      'whole',
    ],
    ['a fraction in INT64', one('INT64', [1], [1.5]), 'invalid_tensor', 'inputs[0].data[0]', 'whole'],
    ['text in FP32', one('FP32', [1], ['1']), 'invalid_tensor', 'inputs[0].data[0]', '32-bit floats'],
    ['true in FP32', one('FP32', [1], [true]), 'invalid_tensor', 'inputs[0].data[0]', '(FP32)'],
    ['null in FP32', one('FP32', [1], [null]), 'invalid_tensor', 'inputs[0].data[0]', '(FP32)'],
    [
      'an object in INT32',
      one('INT32', [1], [{ valueOf: 1, toString: 1 }]),
      'invalid_tensor',
      'inputs[0].data[0]',
      '(INT32)',
    ],
    [
      'FP32 overflow',
      oneText('FP32', '[1]', '[3.4028235677973366e38]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      'binary',
    ],
    ['FP16 overflow', one('FP16', [1], [-65_520]), 'invalid_tensor', 'inputs[0].data[0]', '65520'],
    ['FP64 overflow', oneText('FP64', '[1]', '[1e999]'), 'invalid_tensor', 'inputs[0].data[0]', 'binary'],
    ['a number in BYTES', one('BYTES', [2], ['a', 1]), 'invalid_tensor', 'inputs[0].data[1]', 'a string'],
    [
      'a lone surrogate',
      oneText('BYTES', '[1]', '["\\ud800"]'),
      'invalid_tensor',
      'inputs[0].data[0]',
      'binary',
    ],
    [
      'an array in BYTES',
      one('BYTES', [1, 1], [[['a']]]),
      'invalid_tensor',
      'inputs[0].data[0][0]',
      'nested deeper',
    ],
    ['outputs no array', { inputs: [x], outputs: 'y' }, 'invalid_request', 'outputs', 'must be an array'],
    [
      'too many outputs',
      { inputs: [x], outputs: Array(65).fill({ name: 'y' }) },
      'invalid_request',
      'outputs',
      '64',
    ],
    ['an output of text', { inputs: [x], outputs: ['y'] }, 'invalid_request', 'outputs[0]', 'object'],
    [
      'a doubled output',
      { inputs: [x], outputs: [{ name: 'y' }, { name: 'y' }] },
      'invalid_request',
      'outputs[1].name',
      'same',
    ],
    [
      'binary_data of text',
      { inputs: [x], outputs: [{ name: 'y', parameters: { binary_data: 'yes' } }] },
      'invalid_request',
      'outputs[0].parameters.binary_data',
      'true or false',
    ],
    [
      'classification',
      { inputs: [x], outputs: [{ name: 'y', parameters: { classification: 3 } }] },
      'invalid_request',
      'outputs[0].parameters.classification',
      'not supported',
    ],
    [
      'shared memory',
      { inputs: [{ ...x, data: undefined, parameters: { shared_memory_region: 'r' } }] },
      'invalid_request',
      'inputs[0].parameters.shared_memory_region',
      'send the data in the body',
    ],
    [
      'binary_data_size without the header',
      { inputs: [{ ...x, data: undefined, parameters: { binary_data_size: 1 } }] },
      'invalid_binary',
      'inputs[0].parameters.binary_data_size',
      'needs the header inference-header-content-length',
    ],
  ])('%s', (_name, document, code, field, text) => {
    const error = refused(() => parse(document));
    expect(error).toMatchObject({ code, status: 400, field });
    expect(error.message).toContain(text);
    if (field !== undefined) expect(error.message).toContain(field);
    expect(error.message.length).toBeLessThan(600);
  });

  test('never quotes the payload', () => {
    const secret = 'topsecret';
    for (const text of [
      `{"inputs":[${secret}`,
      `{"inputs":["${secret}"`,
      oneText('FP32', '[1]', `["${secret}"]`),
      oneText('BOOL', '[2]', `["${secret}"]`),
      oneText('BYTES', '[1]', `[["${secret}"]]`),
    ]) {
      const error = refused(() => parse(text));
      expect(`${error.message} ${String(error.cause)}`).not.toContain(secret);
    }
  });

  test('limits are the caller’s', () => {
    const limits = { ...DEFAULT_OIP_LIMITS, maxElements: 3, maxNesting: 4, maxBytesElements: 1 };
    expect(parse(one('INT8', [3], [1, 2, 3]), limits).inputs).toHaveLength(1);
    expect(refused(() => parse(one('INT8', [4], [1, 2, 3, 4]), limits)).message).toContain('limit of 3');
    expect(refused(() => parse(one('BYTES', [2], ['a', 'b']), limits)).message).toContain('limit of 1');
    expect(refused(() => parse(one('INT8', [1, 1], [[1]]), limits)).message).toContain('4 levels');
  });
});

describe('content types', () => {
  const body = asBody(one('INT8', [1], [1]));
  test.each([
    undefined,
    'application/json',
    'application/json; charset=utf-8',
    'Application/JSON;charset="UTF-8"',
  ])('takes %s', (contentType) => {
    expect(parseInferRequest(body, { contentType }).inputs).toHaveLength(1);
  });

  test.each([
    ['text/plain', 'unsupported_media_type', 415],
    ['application/x-www-form-urlencoded', 'unsupported_media_type', 415],
    ['multipart/form-data; boundary=x', 'unsupported_media_type', 415],
    ['application/json; charset=utf-16', 'unsupported_media_type', 415],
    ['', 'unsupported_media_type', 415],
    ['application/octet-stream', 'invalid_binary', 400],
  ])('refuses %s without a header length', (contentType, code, status) => {
    expect(refused(() => parseInferRequest(body, { contentType }))).toMatchObject({ code, status });
  });

  test('with a header length, JSON and bytes and nothing else', () => {
    const inferenceHeaderContentLength = String(body.length);
    for (const contentType of ['application/octet-stream', 'application/json', undefined]) {
      expect(parseInferRequest(body, { contentType, inferenceHeaderContentLength }).inputs).toHaveLength(1);
    }
    const error = refused(() =>
      parseInferRequest(body, { contentType: 'text/html', inferenceHeaderContentLength }),
    );
    expect(error.code).toBe('unsupported_media_type');
  });
});

describe('a raw body', () => {
  const raw = (body: Buffer, input?: TensorMetadata): InferRequest =>
    parseInferRequest(
      body,
      { contentType: 'application/octet-stream', inferenceHeaderContentLength: '0' },
      DEFAULT_OIP_LIMITS,
      input,
    );
  const fp32 = (shape: readonly number[]): TensorMetadata => ({ name: 'x', datatype: 'FP32', shape });
  const floats = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer);

  test.each([
    [[4], [4]],
    [
      [2, 2],
      [2, 2],
    ],
    [[-1], [4]],
    [
      [-1, 2],
      [2, 2],
    ],
    [
      [2, -1],
      [2, 2],
    ],
    [
      [-1, -1, 2],
      [1, 2, 2],
    ],
  ])('of a model that takes %j has the shape %j', (expected, shape) => {
    expect(raw(floats, fp32(expected))).toEqual({
      parameters: { priority: 0, others: new Map() },
      inputs: [{ name: 'x', datatype: 'FP32', shape, data: new Float32Array([1, 2, 3, 4]) }],
      binaryDataOutput: true,
    });
  });

  test('of BYTES is one element without a length in front', () => {
    for (const shape of [[], [1], [-1], [-1, 1]]) {
      const [input] = raw(Buffer.from('grün'), { name: 't', datatype: 'BYTES', shape }).inputs;
      expect(input?.shape).toEqual(shape.map(() => 1));
      expect(input?.data).toEqual([new Uint8Array(Buffer.from('grün'))]);
    }
  });

  test('may be empty', () => {
    expect(raw(Buffer.alloc(0), fp32([-1])).inputs[0]?.shape).toEqual([0]);
    expect(raw(Buffer.alloc(0), fp32([-1, 0])).inputs[0]?.shape).toEqual([0, 0]);
    expect(raw(Buffer.alloc(0), { name: 't', datatype: 'BYTES', shape: [-1] }).inputs[0]?.data).toEqual([
      new Uint8Array(),
    ]);
  });

  test.each<[string, TensorMetadata | undefined, string]>([
    ['without a single input', undefined, 'exactly one input'],
    ['too long for the shape', fp32([3]), '16 bytes; 3 elements of FP32 need 12'],
    ['too short for the shape', fp32([5]), '16 bytes; 5 elements of FP32 need 20'],
    ['that does not divide', fp32([-1, 3]), '16 bytes; 3 elements of FP32 need 12'],
    ['for two free dimensions', fp32([2, -1, -1]), 'does not tell the shape of FP32 [2, -1, -1]'],
    ['for two strings', { name: 't', datatype: 'BYTES', shape: [2] }, 'one BYTES element'],
  ])('%s is refused', (_name, input, text) => {
    const error = refused(() => raw(floats, input));
    expect(error).toMatchObject({ code: 'invalid_binary', status: 400 });
    expect(error.message).toContain(text);
  });
});
