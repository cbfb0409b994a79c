/** Round trips and mutations with a seeded generator: the same cases on every run. */
import { describe, expect, test } from 'vitest';
import { allocateData, DATATYPES, type Datatype, type TensorData } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import type { InferRequest } from './oip.ts';
import { decodeInferResponse, encodeInferRequest, type OutgoingRequest } from './oip_client.ts';
import { parseInferRequest } from './oip_request.ts';
import { serializeInferResponse } from './oip_response.ts';
import type { Tensor } from './tensors.ts';
import type { WireMessage } from './wire_write.ts';

type Random = (bound: number) => number;

/** mulberry32: whole numbers from 0 to below `bound`. */
function seeded(seed: number): Random {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

const SHAPES = [[], [0], [1], [7], [2, 3], [3, 0, 2], [0, 4], [1, 1, 1, 5], [2, 1, 3, 2]] as const;
const TEXTS = [
  '',
  'a',
  '"\\/\b\f\n\r\t\u0000\u001f',
  'grün',
  '日本語',
  '😀',
  '{"inputs":[',
  '\u2028\ufeff',
  '__proto__',
];

/** Any bits at all, of which `finite` keeps those that JSON has numbers for. */
function randomData(datatype: Datatype, count: number, random: Random, jsonOnly: boolean): TensorData {
  if (datatype === 'BYTES') {
    return Array.from({ length: count }, () =>
      jsonOnly || random(2) === 0
        ? new Uint8Array(Buffer.from(TEXTS[random(TEXTS.length)] ?? ''))
        : Uint8Array.from({ length: random(9) }, () => random(256)),
    );
  }
  const data = allocateData(datatype, count);
  const bytes = new Uint8Array(data.buffer);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = random(datatype === 'BOOL' ? 2 : 256);
  if (!jsonOnly) return data;
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (let at = 0; at < count; at += 1) if (!Number.isFinite(data[at])) data[at] = -0;
  }
  if (datatype === 'FP16') {
    const bits = data as Uint16Array;
    for (let at = 0; at < count; at += 1) if (((bits[at] ?? 0) & 0x7c00) === 0x7c00) bits[at] = 0x8000;
  }
  return data;
}

function randomTensor(name: string, datatype: Datatype, random: Random, jsonOnly: boolean): Tensor {
  const shape = SHAPES[random(SHAPES.length)] ?? [];
  const count = shape.reduce<number>((product, size) => product * size, 1);
  return { name, datatype, shape, data: randomData(datatype, count, random, jsonOnly) };
}

/** Several tensors of any datatype, those with a `j` in front of their name fit for JSON. */
function randomRequest(random: Random): OutgoingRequest {
  const inputs = Array.from({ length: 1 + random(4) }, (_, index) => {
    const json = random(2) === 0;
    const datatype = DATATYPES[random(DATATYPES.length)] ?? 'FP32';
    return randomTensor(`${json ? 'j' : 'b'}${index}${TEXTS[random(TEXTS.length)]}`, datatype, random, json);
  });
  return {
    ...(random(2) === 0 ? { id: TEXTS[random(TEXTS.length)] ?? '' } : {}),
    ...(random(2) === 0 ? { timeoutUs: 1 + random(1e6) } : {}),
    ...(random(2) === 0 ? { priority: random(256) } : {}),
    ...(random(2) === 0 ? { parameters: new Map([[TEXTS[random(TEXTS.length)] ?? '', random(100)]]) } : {}),
    inputs,
    ...(random(2) === 0 ? { outputs: [{ name: 'y' }, { name: 'z', binaryData: random(2) === 0 }] } : {}),
    binaryDataOutput: random(2) === 0,
  };
}

function headersOf(message: WireMessage): { contentType: string; inferenceHeaderContentLength?: string } {
  const length = message.inferenceHeaderContentLength;
  return {
    contentType: message.contentType,
    ...(length === undefined ? {} : { inferenceHeaderContentLength: String(length) }),
  };
}

/** Bits, so that NaN, -0 and every digit count; and the array's own type. */
function bitsOf({ name, datatype, shape, data }: Tensor): unknown {
  const bits = Array.isArray(data)
    ? data.map((element) => Buffer.from(element).toString('hex'))
    : [
        data.constructor.name,
        Buffer.from(
          (data as Uint8Array).buffer,
          (data as Uint8Array).byteOffset,
          (data as Uint8Array).byteLength,
        ).toString('hex'),
      ];
  return { name, datatype, shape, bits };
}

describe('round trips', () => {
  test.each(DATATYPES)('%s of every shape, as JSON and as bytes, there and back', (datatype) => {
    const random = seeded(DATATYPES.indexOf(datatype));
    for (const shape of SHAPES) {
      const count = shape.reduce<number>((product, size) => product * size, 1);
      for (let round = 0; round < 40; round += 1) {
        for (const form of ['json', 'binary'] as const) {
          const data = randomData(datatype, count, random, form === 'json');
          const tensor: Tensor = { name: 'x', datatype, shape, data };
          const sent = encodeInferRequest({ inputs: [tensor], binaryDataOutput: form === 'binary' }, form);
          const request = parseInferRequest(sent.body, headersOf(sent));
          expect(request.inputs.map(bitsOf)).toEqual([bitsOf(tensor)]);
          const answer = serializeInferResponse({ modelName: 'm', outputs: request.inputs }, request);
          const response = decodeInferResponse(answer.body, headersOf(answer));
          expect(response.outputs.map(bitsOf)).toEqual([bitsOf(tensor)]);
        }
      }
    }
  });

  test('requests of mixed tensors keep every field', () => {
    const random = seeded(1);
    for (let round = 0; round < 500; round += 1) {
      const sent = randomRequest(random);
      const message = encodeInferRequest(sent, (tensor) => tensor.name.startsWith('b'));
      const read = parseInferRequest(message.body, headersOf(message));
      expect(read.inputs.map(bitsOf)).toEqual(sent.inputs.map(bitsOf));
      expect({ ...read, inputs: [] }).toEqual({
        ...(sent.id === undefined ? {} : { id: sent.id }),
        parameters: {
          ...(sent.timeoutUs === undefined ? {} : { timeoutUs: sent.timeoutUs }),
          priority: sent.priority ?? 0,
          others: sent.parameters ?? new Map(),
        },
        inputs: [],
        ...(sent.outputs === undefined ? {} : { outputs: sent.outputs }),
        binaryDataOutput: sent.binaryDataOutput,
      });
    }
  });

  test('nested data reads as flat data does', () => {
    const random = seeded(2);
    const nest = (flat: readonly unknown[], shape: readonly number[]): unknown => {
      const [size = 0, ...rest] = shape;
      if (rest.length === 0) return flat;
      const step = flat.length / size;
      return Array.from({ length: size }, (_, row) => nest(flat.slice(row * step, (row + 1) * step), rest));
    };
    for (let round = 0; round < 200; round += 1) {
      const shape = Array.from({ length: 1 + random(4) }, () => 1 + random(4));
      const flat = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random(1_000));
      const parse = (data: unknown): InferRequest =>
        parseInferRequest(
          Buffer.from(JSON.stringify({ inputs: [{ name: 'x', datatype: 'INT64', shape, data }] })),
          {},
        );
      expect(parse(nest(flat, shape))).toEqual(parse(flat));
    }
  });
});

/** A valid body that was damaged: bits, cuts, bytes doubled or moved, header lengths. */
function mutate(message: WireMessage, random: Random): { body: Buffer; header: string | undefined } {
  let body = Buffer.from(message.body);
  const length = message.inferenceHeaderContentLength;
  let header = length === undefined ? undefined : String(length);
  for (let edits = 1 + random(3); edits > 0; edits -= 1) {
    const at = random(body.length);
    switch (random(8)) {
      case 0:
      case 1:
        if (body.length > 0) body.writeUInt8((body[at] ?? 0) ^ (1 << random(8)), at);
        break;
      case 2:
        // Digits, brackets and quotes of the JSON part make other documents, not only broken ones.
        if (body.length > 0)
          body.write('0123456789-.e,:"[]{}'[random(20)] ?? '', at % Math.max(1, length ?? body.length));
        break;
      case 3:
        body = body.subarray(0, at);
        break;
      case 4:
        body = Buffer.concat([body.subarray(0, at), body.subarray(random(body.length + 1))]);
        break;
      case 5:
        body = Buffer.concat([body, Buffer.from([random(256)])]);
        break;
      case 6:
        header = String((length ?? body.length) + random(17) - 8);
        break;
      default:
        header = [undefined, '0', '-1', '', '1e3', String(random(body.length + 2)), '99999999999999'][
          random(7)
        ];
    }
  }
  return { body, header };
}

describe('damaged bodies', () => {
  test('are read or refused with a status of the caller, never anything else', () => {
    const random = seeded(3);
    const codes = new Map<string, number>();
    let read = 0;
    const count = 10_000;
    for (let round = 0; round < count; round += 1) {
      const message = encodeInferRequest(randomRequest(random), (tensor) => tensor.name.startsWith('b'));
      const { body, header } = mutate(message, random);
      const contentType = random(50) === 0 ? 'text/plain' : message.contentType;
      const raw = randomTensor('raw', DATATYPES[random(DATATYPES.length)] ?? 'FP32', random, false);
      try {
        const request = parseInferRequest(
          body,
          { contentType, inferenceHeaderContentLength: header },
          undefined,
          raw,
        );
        read += 1;
        for (const { shape, data } of request.inputs) {
          expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
        }
        // What was read can be written: the two sides agree on what a tensor is.
        encodeInferRequest({ inputs: request.inputs }, 'binary');
      } catch (error) {
        if (!(error instanceof VitrineError)) throw error;
        expect(error.status, error.message).toBeGreaterThanOrEqual(400);
        expect(error.status, error.message).toBeLessThan(500);
        expect(error.message.length).toBeLessThan(1_000);
        codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
      }
    }
    // The mutations reach every kind of refusal, and spare some bodies.
    expect(read).toBeGreaterThan(count / 40);
    for (const code of [
      'invalid_binary',
      'invalid_json',
      'invalid_request',
      'invalid_tensor',
      'unsupported_media_type',
    ]) {
      expect(codes.get(code), code).toBeGreaterThan(count / 200);
    }
  });

  test('damaged answers are read or refused as bad answers', () => {
    const random = seeded(4);
    let read = 0;
    for (let round = 0; round < 5_000; round += 1) {
      const outputs = Array.from({ length: 1 + random(3) }, (_, index) =>
        randomTensor(`y${index}`, DATATYPES[random(DATATYPES.length)] ?? 'FP32', random, true),
      );
      const message = serializeInferResponse(
        { modelName: 'm', outputs },
        { binaryDataOutput: random(2) === 0 },
      );
      const { body, header } = mutate(message, random);
      try {
        decodeInferResponse(body, { contentType: message.contentType, inferenceHeaderContentLength: header });
        read += 1;
      } catch (error) {
        if (!(error instanceof VitrineError)) throw error;
        expect(error.code).toBe('bad_worker_answer');
      }
    }
    expect(read).toBeGreaterThan(100);
  });
});
