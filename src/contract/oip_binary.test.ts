/**
 * The binary tensor extension byte by byte. The bodies are written by hand from the extension's text, with
 * no help from the code that writes them in production.
 */
import { describe, expect, test } from 'vitest';
import { VitrineError } from './errors.ts';
import { DEFAULT_OIP_LIMITS, type InferRequest } from './oip.ts';
import { decodeInferResponse, encodeInferRequest } from './oip_client.ts';
import { parseInferRequest } from './oip_request.ts';
import { serializeInferResponse } from './oip_response.ts';

function parse(
  json: string,
  hex: string,
  header?: string,
  contentType = 'application/octet-stream',
): InferRequest {
  const body = Buffer.concat([Buffer.from(json), Buffer.from(hex.replaceAll(' ', ''), 'hex')]);
  const inferenceHeaderContentLength = header ?? String(Buffer.byteLength(json));
  return parseInferRequest(body, { contentType, inferenceHeaderContentLength });
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

/** One binary input. */
function one(datatype: string, shape: string, size: number | string): string {
  return `{"inputs":[{"name":"x","shape":${shape},"datatype":"${datatype}","parameters":{"binary_data_size":${size}}}]}`;
}

describe('bodies with binary tensors', () => {
  test("the extension's own example", () => {
    const request = parse(
      `{
        "model_name" : "mymodel",
        "inputs" : [
          { "name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "parameters" : { "binary_data_size" : 16 } },
          { "name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "parameters" : { "binary_data_size" : 3 } }
        ],
        "outputs" : [ { "name" : "output0", "parameters" : { "binary_data" : true } } ]
      }`,
      '01000000 02000000 00000100 ffffffff 01 00 01',
    );
    expect(request).toEqual({
      parameters: { priority: 0, others: new Map() },
      inputs: [
        {
          name: 'input0',
          datatype: 'UINT32',
          shape: [2, 2],
          data: new Uint32Array([1, 2, 65_536, 4_294_967_295]),
        },
        { name: 'input1', datatype: 'BOOL', shape: [3], data: new Uint8Array([1, 0, 1]) },
      ],
      outputs: [{ name: 'output0', binaryData: true }],
      binaryDataOutput: false,
    });
  });

  test.each<[string, string, unknown]>([
    ['INT8', 'ff 7f', new Int8Array([-1, 127])],
    ['INT16', '0080 0100', new Int16Array([-32_768, 1])],
    ['INT32', '00000080 01000000', new Int32Array([-(2 ** 31), 1])],
    ['INT64', '0000000000000080 0100000000000000', new BigInt64Array([-(2n ** 63n), 1n])],
    ['UINT8', 'ff 00', new Uint8Array([255, 0])],
    ['UINT16', 'ffff 0001', new Uint16Array([65_535, 256])],
    ['UINT64', 'ffffffffffffffff 0001000000000000', new BigUint64Array([2n ** 64n - 1n, 256n])],
    ['FP16', '003c 007e', new Uint16Array([0x3c00, 0x7e00])],
    ['FP32', '0000803f 000080ff', new Float32Array([1, Number.NEGATIVE_INFINITY])],
    ['FP64', '000000000000f03f 000000000000f87f', new Float64Array([1, Number.NaN])],
  ])('%s from %s at every alignment', (datatype, hex, expected) => {
    for (let padding = 0; padding < 8; padding += 1) {
      const json = one(datatype, '[2]', hex.replaceAll(' ', '').length / 2) + ' '.repeat(padding);
      expect(parse(json, hex).inputs[0]?.data).toEqual(expected);
    }
  });

  test('aligned tensors are views on the body, others are copies', () => {
    for (let padding = 0; padding < 8; padding += 1) {
      const json = one('FP32', '[1]', 4) + ' '.repeat(padding);
      const body = Buffer.from(new ArrayBuffer(json.length + 4));
      body.write(json);
      const headers = { inferenceHeaderContentLength: String(json.length) };
      const data = parseInferRequest(body, headers).inputs[0]?.data as Float32Array;
      body.writeFloatLE(5, json.length);
      expect(data[0]).toBe(json.length % 4 === 0 ? 5 : 0);
    }
  });

  test('BYTES elements have a little-endian uint32 length before each', () => {
    const request = parse(
      one('BYTES', '[2,2]', 24),
      '02000000 ff00 00000000 01000000 61 05000000 68656c6c6f',
    );
    expect(request.inputs[0]?.data).toEqual([
      new Uint8Array([0xff, 0]),
      new Uint8Array(),
      new Uint8Array([0x61]),
      new Uint8Array([0x68, 0x65, 0x6c, 0x6c, 0x6f]),
    ]);
  });

  test('JSON and binary inputs mix, and bytes belong to the binary ones in order', () => {
    const request = parse(
      '{"parameters":{"binary_data_output":true},"inputs":[' +
        '{"name":"a","shape":[1],"datatype":"INT16","parameters":{"binary_data_size":2}},' +
        '{"name":"b","shape":[2],"datatype":"FP32","data":[1,2]},' +
        '{"name":"c","shape":[0,7],"datatype":"FP64","parameters":{"binary_data_size":0}},' +
        '{"name":"d","shape":[],"datatype":"UINT8","parameters":{"binary_data_size":1}}]}',
      '0201 09',
    );
    expect(request.inputs.map((input) => input.data)).toEqual([
      new Int16Array([0x0102]),
      new Float32Array([1, 2]),
      new Float64Array(),
      new Uint8Array([9]),
    ]);
    expect(request.binaryDataOutput).toBe(true);
  });

  test('a request as tritonclient 2.73 for Python writes it', () => {
    const request = parse(
      '{"id":"q1","inputs":[{"name":"text","shape":[1,2],"datatype":"BYTES","parameters":{"binary_data_size":19}},' +
        '{"name":"x","shape":[1,3],"datatype":"FP32","parameters":{"binary_data_size":12}},' +
        '{"name":"n","shape":[2],"datatype":"INT64","parameters":{"binary_data_size":16}},' +
        '{"name":"m","shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}},' +
        '{"name":"half","shape":[2],"datatype":"FP16","parameters":{"binary_data_size":4}}],' +
        '"outputs":[{"name":"y","parameters":{"binary_data":true}},{"name":"z","parameters":{"binary_data":false}}],' +
        '"parameters":{"priority":2,"timeout":250000}}',
      '050000006772c3bc6e06000000e697a5e69cac 0000c03f000000c0cdcccc3d 0100000000000040fbffffffffffffff 0100 003cff7b',
    );
    expect(request.parameters).toMatchObject({ timeoutUs: 250_000, priority: 2 });
    expect(request.inputs.map((input) => input.data)).toEqual([
      [new Uint8Array(Buffer.from('grün')), new Uint8Array(Buffer.from('日本'))],
      new Float32Array([1.5, -2, 0.1]),
      new BigInt64Array([2n ** 62n + 1n, -5n]),
      new Uint8Array([1, 0]),
      new Uint16Array([0x3c00, 0x7bff]),
    ]);
  });

  test('a header that spans a body of JSON alone is allowed', () => {
    expect(
      parse('{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}', '').inputs,
    ).toHaveLength(1);
  });
});

describe('what a body with binary tensors is refused for', () => {
  const HEADER = 'inference-header-content-length';
  const SIZE = 'inputs[0].parameters.binary_data_size';
  const valid = one('INT8', '[2]', 2);

  test.each([
    ['-1', 'in digits'],
    ['abc', 'in digits'],
    ['', 'in digits'],
    ['1.5', 'in digits'],
    ['0x10', 'in digits'],
    ['1e2', 'in digits'],
    ['+5', 'in digits'],
    ['5, 5', 'in digits'],
    ['9'.repeat(400), 'in digits'],
    ['999999', 'has only'],
    [String(valid.length + 3), 'has only'],
  ])('a header length of %j', (header, text) => {
    const error = refused(() => parse(valid, '0102', header));
    expect(error).toMatchObject({ code: 'invalid_binary', status: 400, field: HEADER });
    expect(error.message).toContain(text);
    expect(error.message).toContain(HEADER);
    expect(error.message.length).toBeLessThan(300);
  });

  test('a header length that cuts the JSON, or takes bytes into it', () => {
    expect(refused(() => parse(valid, '0102', String(valid.length - 1)))).toMatchObject({
      code: 'invalid_json',
    });
    expect(refused(() => parse(valid, '0102', String(valid.length + 1)))).toMatchObject({
      code: 'invalid_json',
    });
  });

  test.each<[string, string, string, string, string]>([
    ['a negative size', one('INT8', '[2]', -2), '0102', SIZE, 'from 0'],
    ['a fractional size', one('INT8', '[2]', 1.5), '0102', SIZE, 'whole number'],
    ['a size of text', one('INT8', '[2]', '"2"'), '0102', SIZE, 'whole number'],
    ['a size beyond 2^53', one('INT8', '[2]', 2 ** 60), '0102', SIZE, 'whole number'],
    ['a size that is too small', one('INT8', '[2]', 1), '01', SIZE, 'has 1 bytes; 2 elements of INT8 need 2'],
    [
      'a size that is too large',
      one('INT8', '[2]', 3),
      '010203',
      SIZE,
      'has 3 bytes; 2 elements of INT8 need 2',
    ],
    ['a truncated tensor', one('INT32', '[2]', 8), '01000000020000', SIZE, 'only 7 bytes are left'],
    ['no bytes at all', one('FP64', '[1]', 8), '', SIZE, 'only 0 bytes are left'],
    ['bytes left over', one('INT8', '[2]', 2), '010203', HEADER, '1 bytes are left behind the last tensor'],
    [
      'bytes that no tensor asked for',
      '{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]}]}',
      '01',
      HEADER,
      'left behind',
    ],
    [
      'bytes taken twice',
      '{"inputs":[{"name":"a","shape":[2],"datatype":"INT8","parameters":{"binary_data_size":2}},{"name":"b","shape":[2],"datatype":"INT8","parameters":{"binary_data_size":2}}]}',
      '0102',
      'inputs[1].parameters.binary_data_size',
      'only 0 bytes are left',
    ],
    [
      'data and binary_data_size',
      '{"inputs":[{"name":"x","shape":[2],"datatype":"INT8","data":[1,2],"parameters":{"binary_data_size":2}}]}',
      '0102',
      'inputs[0]',
      'both data and binary_data_size',
    ],
    ['a BOOL that is 2', one('BOOL', '[2]', 2), '0102', SIZE, 'element 1 must be the byte 0 or 1'],
    ['a BYTES length past the end', one('BYTES', '[1]', 6), '03000000 6161', SIZE, 'only 2 follow'],
    [
      'a BYTES length of 2^32 - 1',
      one('BYTES', '[1]', 6),
      'ffffffff 6161',
      SIZE,
      'length of 4294967295 bytes',
    ],
    ['a BYTES length in big-endian', one('BYTES', '[1]', 5), '00000001 61', SIZE, 'little-endian'],
    [
      'a cut BYTES length',
      one('BYTES', '[2]', 8),
      '01000000 61 010000',
      SIZE,
      'inside the length of element 1',
    ],
    ['BYTES left over', one('BYTES', '[1]', 6), '01000000 61 62', SIZE, '1 bytes left over'],
    ['fewer BYTES than the shape', one('BYTES', '[1000]', 5), '01000000 61', SIZE, 'need at least 4000'],
    ['huge BYTES for few bytes', one('BYTES', '[65536]', 4), '00000000', SIZE, 'need at least 262144'],
    ['no BYTES element, but bytes', one('BYTES', '[0]', 4), '00000000', SIZE, '4 bytes left over'],
    ['an empty tensor with bytes', one('FP32', '[0]', 4), '00000000', SIZE, '0 elements of FP32 need 0'],
  ])('%s', (_name, json, hex, field, text) => {
    const error = refused(() => parse(json, hex));
    expect(error).toMatchObject({ code: 'invalid_binary', status: 400, field });
    expect(error.message).toContain(field);
    expect(error.message).toContain(text);
  });
});

describe('what is written', () => {
  const tensor = {
    name: 'y',
    datatype: 'FP32',
    shape: [3, 1],
    data: new Float32Array([1, -2, Number.NaN]),
  } as const;

  test('an answer with a binary output, byte by byte', () => {
    const { body, ...headers } = serializeInferResponse(
      { modelName: 'mymodel', modelVersion: '3', id: 'q', outputs: [tensor] },
      { binaryDataOutput: true },
    );
    const json =
      '{"model_name":"mymodel","model_version":"3","id":"q","outputs":[{"name":"y","shape":[3,1],"datatype":"FP32","parameters":{"binary_data_size":12}}]}';
    const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
    expect(headers).toEqual({
      contentType: 'application/octet-stream',
      inferenceHeaderContentLength: padded.length,
    });
    expect(body.toString('latin1', 0, padded.length)).toBe(padded);
    expect(body.toString('hex', padded.length)).toBe('0000803f000000c00000c07f');
  });

  test('a request with a binary and a JSON input, byte by byte', () => {
    const { body, inferenceHeaderContentLength } = encodeInferRequest(
      {
        id: 'é',
        timeoutUs: 5,
        priority: 1,
        inputs: [
          { name: 't', datatype: 'BYTES', shape: [2], data: [Buffer.from('ab'), new Uint8Array()] },
          { name: 'n', datatype: 'INT64', shape: [1], data: new BigInt64Array([2n ** 60n + 1n]) },
        ],
        outputs: [{ name: 'y' }, { name: 'z', binaryData: true }],
      },
      (input) => input.name === 't',
    );
    const json =
      '{"id":"é","parameters":{"timeout":5,"priority":1},"inputs":[' +
      '{"name":"t","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":10}},' +
      '{"name":"n","shape":[1],"datatype":"INT64","data":[1152921504606846977]}],' +
      '"outputs":[{"name":"y"},{"name":"z","parameters":{"binary_data":true}}]}';
    expect(inferenceHeaderContentLength).toBe(Math.ceil(Buffer.byteLength(json) / 8) * 8);
    expect(body.toString('utf8', 0, inferenceHeaderContentLength).trimEnd()).toBe(json);
    expect(body.toString('hex', inferenceHeaderContentLength)).toBe('02000000616200000000');
  });

  test('a tensor after an odd one is read all the same', () => {
    const inputs = [
      { name: 'a', datatype: 'UINT8', shape: [3], data: new Uint8Array([1, 2, 3]) },
      { name: 'b', datatype: 'FP64', shape: [2], data: new Float64Array([1.5, -0]) },
    ] as const;
    const message = encodeInferRequest({ inputs }, 'binary');
    const headers = { inferenceHeaderContentLength: String(message.inferenceHeaderContentLength) };
    expect(parseInferRequest(message.body, headers, DEFAULT_OIP_LIMITS).inputs).toEqual(inputs);
  });

  test('an answer of another server, whose JSON part ends where it ends, is read', () => {
    const json =
      '{"model_name":"m","outputs":[{"name":"s","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}},{"name":"p","datatype":"FP32","shape":[1],"data":[0.25]}]}';
    const body = Buffer.concat([Buffer.from(json), Buffer.from('020000006869', 'hex')]);
    expect(decodeInferResponse(body, { inferenceHeaderContentLength: String(json.length) })).toEqual({
      modelName: 'm',
      outputs: [
        { name: 's', datatype: 'BYTES', shape: [1], data: [new Uint8Array([0x68, 0x69])] },
        { name: 'p', datatype: 'FP32', shape: [1], data: new Float32Array([0.25]) },
      ],
    });
    const longer = Buffer.concat([body, Buffer.from([0])]);
    const headers = { inferenceHeaderContentLength: String(json.length) };
    expect(refused(() => decodeInferResponse(longer, headers))).toMatchObject({ code: 'bad_worker_answer' });
  });
});
