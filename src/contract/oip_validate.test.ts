import { describe, expect, test } from 'vitest';
import { VitrineError } from './errors.ts';
import type { InferRequest, RequestedOutput } from './oip.ts';
import { validateInputs } from './oip_validate.ts';
import type { Tensor } from './tensors.ts';

const MODEL = {
  inputs: [
    { name: 'image', datatype: 'FP32', shape: [-1, 2] },
    { name: 'text', datatype: 'BYTES', shape: [1] },
  ],
  outputs: [
    { name: 'label', datatype: 'INT64', shape: [-1] },
    { name: 'probability', datatype: 'FP32', shape: [-1, 10] },
  ],
} as const;

const image: Tensor = { name: 'image', datatype: 'FP32', shape: [3, 2], data: new Float32Array(6) };
const text: Tensor = { name: 'text', datatype: 'BYTES', shape: [1], data: [new Uint8Array()] };

function request(inputs: readonly Tensor[], outputs?: readonly RequestedOutput[]): InferRequest {
  return {
    parameters: { priority: 0, others: new Map() },
    inputs,
    binaryDataOutput: false,
    ...(outputs === undefined ? {} : { outputs }),
  };
}

describe('validateInputs', () => {
  test("gives the inputs in the model's order, whatever order they came in", () => {
    expect(validateInputs(request([text, image]), MODEL)).toEqual([image, text]);
    expect(validateInputs(request([image, text], [{ name: 'probability' }]), MODEL)).toEqual([image, text]);
  });

  test.each<[string, readonly Tensor[], readonly RequestedOutput[] | undefined, string, string, string]>([
    [
      'an unknown input',
      [image, { ...text, name: 'txt' }],
      undefined,
      'unknown_input',
      'inputs[1].name',
      'inputs[1].name "txt" is no input of the model; it takes "image" (FP32 [-1, 2]), "text" (BYTES [1])',
    ],
    [
      'a name of Object.prototype',
      [{ ...text, name: '__proto__' }],
      undefined,
      'unknown_input',
      'inputs[0].name',
      'it takes',
    ],
    [
      'a doubled input',
      [image, text, image],
      undefined,
      'invalid_request',
      'inputs[2].name',
      'send each input once',
    ],
    ['a missing input', [image], undefined, 'invalid_request', 'inputs', 'inputs lacks "text" (BYTES [1])'],
    [
      'no inputs',
      [],
      undefined,
      'invalid_request',
      'inputs',
      'lacks "image" (FP32 [-1, 2]), "text" (BYTES [1])',
    ],
    [
      'another datatype',
      [{ ...image, datatype: 'FP64', data: new Float64Array(6) }, text],
      undefined,
      'invalid_tensor',
      'inputs[0].datatype',
      'is FP64; the model\'s input "image" takes FP32 [-1, 2]',
    ],
    [
      'another rank',
      [text, { ...image, shape: [6] }],
      undefined,
      'invalid_tensor',
      'inputs[1].shape',
      'takes FP32 [-1, 2]',
    ],
    [
      'another size',
      [{ ...image, shape: [2, 3] }, text],
      undefined,
      'invalid_tensor',
      'inputs[0].shape[1]',
      'is 3; the model',
    ],
    [
      'a fixed size of 0',
      [image, { ...text, shape: [0], data: [] }],
      undefined,
      'invalid_tensor',
      'inputs[1].shape[0]',
      'is 0',
    ],
    [
      'an unknown output',
      [image, text],
      [{ name: 'label' }, { name: 'labels' }],
      'unknown_output',
      'outputs[1].name',
      '"labels" is no output of the model; it has "label" (INT64 [-1]), "probability" (FP32 [-1, 10])',
    ],
  ])('%s is refused', (_name, inputs, outputs, code, field, message) => {
    let error: unknown;
    try {
      validateInputs(request(inputs, outputs), MODEL);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(VitrineError);
    expect(error).toMatchObject({ code, field, status: 400 });
    expect((error as VitrineError).message).toContain(message);
  });

  test('messages stay short for long names and models of many inputs', () => {
    const inputs = Array.from({ length: 500 }, (_, index) => ({
      name: `${'n'.repeat(300)}${index}`,
      datatype: 'FP32' as const,
      shape: Array<number>(64).fill(1),
    }));
    let message = '';
    try {
      validateInputs(request([{ ...text, name: 'u'.repeat(256) }]), { inputs, outputs: [] });
    } catch (thrown) {
      message = String(thrown);
    }
    expect(message).toContain('484 more');
    expect(message.length).toBeLessThan(4_000);
  });
});
