import { expect, test } from 'vitest';
import type { ModelMetadata } from '../contract/oip.ts';
import { curlLine, formatWelcome, welcome } from './welcome.ts';

const text: ModelMetadata = {
  name: 'langid',
  platform: 'onnxruntime_onnx',
  inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
  outputs: [],
};
const image: ModelMetadata = {
  name: 'digits',
  platform: 'onnxruntime_onnx',
  inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 64] }],
  outputs: [],
};

test('the line to paste asks a text model a sentence, in a request that the protocol takes', () => {
  const line = curlLine('http://localhost:8000', text);
  const body = /-d '(.*)'$/.exec(line)?.[1] ?? '';
  expect(line).toContain("http://localhost:8000/v2/models/langid/infer -H 'content-type: application/json'");
  expect(JSON.parse(body).inputs).toEqual([
    { name: 'text', shape: [1], datatype: 'BYTES', data: [expect.any(String)] },
  ]);
});

test('without a text model it asks what there is', () => {
  expect(curlLine('http://localhost:8000', image)).toBe('curl -s http://localhost:8000/v2/models/digits');
  expect(curlLine('http://localhost:8000', undefined)).toBe('curl -s http://localhost:8000/v2');
});

test('the welcome says where everything runs', () => {
  const peers = [
    { name: 'gateway', index: 0, ports: { http: 8000, metrics: 8002 } },
    { name: 'console', index: 0, ports: { http: 16_686, otlp: 4318 } },
    { name: 'worker', index: 1, ports: { http: 8101 } },
    { name: 'worker', index: 2, ports: { http: 8102 } },
  ];
  const page = formatWelcome(welcome(peers, [text, image]), 1.74);
  for (const part of [
    '1.7 s',
    'http://localhost:8000 ',
    'http://localhost:16686',
    ':8101 :8102',
    'langid, digits',
    'curl -si ',
  ]) {
    expect(page).toContain(part);
  }
  expect(page.split('\n').every((line) => line === line.trimEnd())).toBe(true);
});

test('a console that did not start is not promised', () => {
  const { places } = welcome([{ name: 'gateway', index: 0, ports: { http: 8000 } }], []);
  expect(places.map(({ what }) => what)).toEqual(['gateway']);
});
