import { describe, expect, test } from 'vitest';
import type { Datatype, TensorData } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import { decodeInferResponse } from './oip_client.ts';
import { errorBody, readErrorBody } from './oip_error.ts';
import { serializeInferResponse } from './oip_response.ts';
import type { Tensor } from './tensors.ts';

const JSON_ONLY = { binaryDataOutput: false };

function output(
  datatype: Datatype,
  data: TensorData,
  name = 'y',
  shape: readonly number[] = [data.length],
): Tensor {
  return { name, datatype, shape, data };
}

function jsonData(tensor: Tensor): string {
  const { body } = serializeInferResponse({ modelName: 'm', outputs: [tensor] }, JSON_ONLY);
  return /"data":(.*)\}\]\}$/.exec(body.toString('utf8'))?.[1] ?? '';
}

function refused(run: () => unknown): VitrineError {
  try {
    run();
  } catch (error) {
    if (error instanceof VitrineError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('answers in JSON', () => {
  test('the whole body', () => {
    const message = serializeInferResponse(
      {
        modelName: 'a "model"',
        modelVersion: '2',
        id: 'ü\n',
        parameters: { note: 'x', rows: 2 },
        outputs: [
          output('FP32', new Float32Array([1, 0.5]), 'y', [2, 1]),
          output('BOOL', new Uint8Array([1]), 'z'),
        ],
      },
      JSON_ONLY,
    );
    expect(message).toEqual({
      contentType: 'application/json',
      body: Buffer.from(
        '{"model_name":"a \\"model\\"","model_version":"2","id":"ü\\n","parameters":{"note":"x","rows":2},"outputs":[' +
          '{"name":"y","shape":[2,1],"datatype":"FP32","data":[1,0.5]},{"name":"z","shape":[1],"datatype":"BOOL","data":[true]}]}',
      ),
    });
  });

  test.each<[string, Tensor, string]>([
    ['BOOL', output('BOOL', new Uint8Array([1, 0, 1])), '[true,false,true]'],
    ['INT8', output('INT8', new Int8Array([-128, 127])), '[-128,127]'],
    [
      'INT64',
      output('INT64', new BigInt64Array([2n ** 63n - 1n, -(2n ** 63n)])),
      '[9223372036854775807,-9223372036854775808]',
    ],
    ['UINT64', output('UINT64', new BigUint64Array([2n ** 64n - 1n])), '[18446744073709551615]'],
    [
      'FP16',
      output('FP16', new Uint16Array([0x3c00, 0x8000, 0x0001, 0x7bff])),
      '[1,-0,5.960464477539063e-8,65504]',
    ],
    [
      'FP32',
      output('FP32', new Float32Array([0.1, 1e20, 1e21, -0, 3.4e38])),
      '[0.10000000149011612,100000002004087730000,1.0000000200408773e+21,-0,3.3999999521443642e+38]',
    ],
    [
      'FP64',
      output('FP64', new Float64Array([0.1, 5e-324, -1.7976931348623157e308])),
      '[0.1,5e-324,-1.7976931348623157e+308]',
    ],
    [
      'BYTES',
      output('BYTES', [Buffer.from('a"\n'), Buffer.from('日本'), Buffer.alloc(0)]),
      '["a\\"\\n","日本",""]',
    ],
    ['a scalar', output('INT32', new Int32Array([7]), 'y', []), '[7]'],
    ['an empty tensor', output('FP32', new Float32Array(), 'y', [2, 0]), '[]'],
  ])('%s', (_name, tensor, expected) => {
    expect(jsonData(tensor)).toBe(expected);
  });

  test.each<[string, Tensor, string]>([
    ['NaN', output('FP32', new Float32Array([1, Number.NaN])), 'element 1 is NaN or infinite'],
    [
      'an infinity behind -0',
      output('FP64', new Float64Array([-0, Number.NEGATIVE_INFINITY])),
      'element 1 is NaN or infinite',
    ],
    ['an FP16 infinity', output('FP16', new Uint16Array([0x7c00])), 'element 0 is NaN or infinite'],
    [
      'bytes that are not UTF-8',
      output('BYTES', [Buffer.from('a'), Buffer.from([0xff])]),
      'element 1 is not UTF-8',
    ],
  ])('%s has no JSON form: the answer says to ask for binary', (_name, tensor, text) => {
    const response = { modelName: 'm', outputs: [output('INT8', new Int8Array(1), 'first'), tensor] };
    const error = refused(() => serializeInferResponse(response, JSON_ONLY));
    expect(error).toMatchObject({ code: 'needs_binary', status: 406, field: 'outputs[1].data' });
    expect(error.message).toContain(text);
    expect(error.message).toContain('ask for this tensor as binary data');
    const binary = serializeInferResponse(response, { binaryDataOutput: true });
    expect(binary.inferenceHeaderContentLength).toBeGreaterThan(0);
  });

  test('a tensor that contradicts itself is our own fault', () => {
    for (const tensor of [
      output('FP32', new Float32Array(3), 'y', [2]),
      output('FP32', new Float64Array(2)),
      output('BYTES', new Uint8Array(2)),
      output('UINT8', [Buffer.alloc(1)]),
    ]) {
      for (const binaryDataOutput of [false, true]) {
        const response = { modelName: 'm', outputs: [tensor] };
        expect(refused(() => serializeInferResponse(response, { binaryDataOutput })).code).toBe('internal');
      }
    }
  });
});

describe('requested outputs', () => {
  const response = {
    modelName: 'm',
    outputs: [
      output('INT8', new Int8Array([1]), 'a'),
      output('INT8', new Int8Array([2]), 'b'),
      output('INT8', new Int8Array([3]), 'c'),
    ],
  };
  /** Names in the order of the body, a star behind those that are binary, and the bytes behind the JSON part. */
  const written = (request: Parameters<typeof serializeInferResponse>[1]): string => {
    const { body, contentType, inferenceHeaderContentLength } = serializeInferResponse(response, request);
    const json = JSON.parse(body.toString('utf8', 0, inferenceHeaderContentLength)) as {
      outputs: { name: string; parameters?: object }[];
    };
    const names = json.outputs.map(({ name, parameters }) => (parameters === undefined ? name : `${name}*`));
    const bytes =
      inferenceHeaderContentLength === undefined ? '' : body.toString('hex', inferenceHeaderContentLength);
    return `${names.join(' ')} ${bytes} ${contentType}`;
  };

  test.each<[Parameters<typeof serializeInferResponse>[1], string]>([
    [{ binaryDataOutput: false }, 'a b c  application/json'],
    [{ binaryDataOutput: true }, 'a* b* c* 010203 application/octet-stream'],
    [{ binaryDataOutput: false, outputs: [{ name: 'c' }, { name: 'a' }] }, 'c a  application/json'],
    [
      { binaryDataOutput: false, outputs: [{ name: 'c', binaryData: true }, { name: 'a' }] },
      'c* a 03 application/octet-stream',
    ],
    [
      { binaryDataOutput: true, outputs: [{ name: 'b', binaryData: false }, { name: 'a' }] },
      'b a* 01 application/octet-stream',
    ],
    [{ binaryDataOutput: true, outputs: [{ name: 'b', binaryData: false }] }, 'b  application/json'],
  ])('%j', (request, expected) => {
    expect(written(request)).toBe(expected);
  });

  test('one that the model did not make is the model’s failure', () => {
    const error = refused(() =>
      serializeInferResponse(response, { binaryDataOutput: false, outputs: [{ name: 'd' }] }),
    );
    expect(error).toMatchObject({ code: 'model_failed', status: 500 });
  });
});

describe('reading answers', () => {
  test('what is no answer of the protocol is the server’s fault, with the reason', () => {
    const error = refused(() => decodeInferResponse(Buffer.from('{"outputs":[{"name":"y"}]}'), {}));
    expect(error).toMatchObject({ code: 'bad_worker_answer', status: 502, field: 'outputs[0].datatype' });
    expect(error.message).toContain('outputs[0].datatype');
    for (const text of ['', '<html>', '[]', '{}', '{"model_name":1,"outputs":[]}']) {
      expect(refused(() => decodeInferResponse(Buffer.from(text), {})).code).toBe('bad_worker_answer');
    }
    expect(refused(() => decodeInferResponse(Buffer.from('{}'), { contentType: 'text/html' })).status).toBe(
      502,
    );
  });

  test('errors cross as {"error": message}', () => {
    const error = new VitrineError('unknown_model', 'model "m" is not in the repository');
    const body = Buffer.from(JSON.stringify(errorBody(error)));
    expect(body.toString()).toBe('{"error":"model \\"m\\" is not in the repository"}');
    expect(readErrorBody(body)).toBe(error.message);
    expect(readErrorBody(Buffer.from(`{"error":"${'x'.repeat(10_000)}"}`))).toHaveLength(4_096);
    for (const text of ['', 'null', '[]', '"error"', '{"error":1}', '<html>', '{"errors":"x"}']) {
      expect(readErrorBody(Buffer.from(text))).toBeUndefined();
    }
  });
});
