import { describe, expect, test } from 'vitest';
import { textsOf } from '../client/text_input.ts';
import { DATATYPES } from '../contract/datatypes.ts';
import type { ModelMetadata } from '../contract/oip.ts';
import { parseInferRequest } from '../contract/oip_request.ts';
import { validateInputs } from '../contract/oip_validate.ts';
import type { Tensor } from '../contract/tensors.ts';
import type { LoadSample } from './plan.ts';
import { requestSamples, samplesFromFile } from './samples.ts';

function modelOf(...inputs: ModelMetadata['inputs']): ModelMetadata {
  return { name: 'm', platform: 'onnxruntime_onnx', inputs, outputs: [] };
}

const TEXT = modelOf({ name: 'text', datatype: 'BYTES', shape: [-1, 1] });

/** Reads a sample as the service would. */
function inputsOf(sample: LoadSample | undefined, model: ModelMetadata): readonly Tensor[] {
  const request = parseInferRequest(Buffer.from(sample?.body ?? ''), {
    contentType: sample?.headers['content-type'],
    inferenceHeaderContentLength: sample?.headers['inference-header-content-length'],
  });
  return validateInputs(request, model);
}

function textsIn(samples: readonly LoadSample[]): string[] {
  return samples.flatMap((sample) => inputsOf(sample, TEXT).flatMap(textsOf));
}

describe('generated requests', () => {
  test.each([true, false])(
    'every datatype makes requests that the service accepts (binary: %s)',
    (binary) => {
      const model = modelOf(
        ...DATATYPES.map((datatype) => ({ name: `in_${datatype}`, datatype, shape: [-1, 3, -1] })),
      );
      const samples = requestSamples(model, { count: 3, rows: 4, variableSize: 2, binary });
      expect(samples).toHaveLength(3);
      for (const sample of samples) {
        for (const tensor of inputsOf(sample, model)) {
          expect(tensor.shape).toEqual([4, 3, 2]);
          expect(tensor.data).toHaveLength(24);
        }
      }
      expect(samples[0]?.headers['content-type']).toBe(
        binary ? 'application/octet-stream' : 'application/json',
      );
    },
  );

  test('the seed decides, and requests differ from each other', () => {
    const bodies = (seed: number): string[] =>
      requestSamples(TEXT, { seed, count: 20 }).map(({ body }) => Buffer.from(body).toString('utf8'));
    expect(bodies(4)).toEqual(bodies(4));
    expect(bodies(4)).not.toEqual(bodies(5));
    expect(new Set(bodies(4)).size).toBeGreaterThan(10);
  });

  test('requests with ids are all different, and taken as they are', () => {
    const samples = requestSamples(TEXT, { count: 300, ids: true });
    expect(new Set(samples.map(({ body }) => Buffer.from(body).toString('utf8'))).size).toBe(300);
    expect(textsIn(samples)).toEqual(textsIn(requestSamples(TEXT, { count: 300 })));
  });

  test('texts come in many scripts and lengths', () => {
    const texts = textsIn(requestSamples(TEXT, { count: 300 }));
    const scripts = ['Latin', 'Cyrillic', 'Greek', 'Arabic', 'Hebrew', 'Devanagari', 'Han', 'Hangul', 'Thai'];
    for (const script of scripts) {
      expect(texts.some((text) => new RegExp(`\\p{Script=${script}}`, 'u').test(text))).toBe(true);
    }
    const lengths = texts.map((text) => text.length);
    expect(Math.max(...lengths)).toBeGreaterThan(10 * Math.min(...lengths));
  });

  test.each([
    [{ count: 0 }, 'count', /whole number from 1 to 10000/],
    [{ rows: 1.5 }, 'rows', /whole number/],
    [{ rows: 100_000, variableSize: 100_000 }, 'rows', /lower rows or variableSize/],
  ])('%j is refused', (options, field, message) => {
    const model = modelOf({ name: 'x', datatype: 'FP32', shape: [-1, -1] });
    expect(() => requestSamples(model, options)).toThrow(
      expect.objectContaining({ field, message: expect.stringMatching(message) }),
    );
  });

  test('rows for a model that takes none', () => {
    const model = modelOf({ name: 'x', datatype: 'FP32', shape: [1, 4] });
    expect(requestSamples(model)).toHaveLength(64);
    expect(() => requestSamples(model, { rows: 2 })).toThrow(/"x" of shape \[1, 4\] does not take rows of 2/);
  });
});

describe("a file of the user's", () => {
  const file = (name: string, text: string): { name: string; bytes: Uint8Array } => ({
    name,
    bytes: Buffer.from(text, 'utf8'),
  });
  const request = '{"inputs":[{"name":"text","shape":[1,1],"datatype":"BYTES","data":["x"]}]}';

  test('text: one query per line, empty lines left out', () => {
    const samples = samplesFromFile(file('queries.txt', 'où\r\n\n時間\n'), TEXT);
    expect(textsIn(samples)).toEqual(['où', '時間']);
  });

  test('requests of the protocol, one or one per line, as they stand', () => {
    const pretty = JSON.stringify(JSON.parse(request), null, 2);
    const one = samplesFromFile(file('a.json', pretty), TEXT);
    expect(one.map(({ body }) => Buffer.from(body).toString('utf8'))).toEqual([pretty]);
    expect(samplesFromFile(file('a.jsonl', `${request}\n\n${request}\n`), TEXT)).toHaveLength(2);
  });

  test.each([
    ['a.jsonl', `${request}\nsecret`, TEXT, /a\.jsonl, line 2, is not JSON/],
    ['a.jsonl', '{"data":1}', TEXT, /line 1, is no inference request/],
    ['a.json', '[]', TEXT, /a\.json is no inference request/],
    ['a.txt', '\n \n', TEXT, /no line to send/],
    ['a.txt', 'x', modelOf({ name: 'x', datatype: 'FP32', shape: [-1] }), /give a \.jsonl file/],
    ['a.txt', '\n'.repeat(100_001), TEXT, /at most 100000/],
  ])('%s that cannot be sent says where and why', (name, text, model, message) => {
    expect(() => samplesFromFile(file(name, text), model)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(message) }),
    );
    expect(() => samplesFromFile(file(name, text), model)).toThrow(/^((?!secret).)*$/);
  });

  test('bytes that are no text', () => {
    expect(() => samplesFromFile({ name: 'a.txt', bytes: new Uint8Array([0xff, 0xfe]) }, TEXT)).toThrow(
      /not UTF-8/,
    );
  });
});
