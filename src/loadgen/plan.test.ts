import { expect, test } from 'vitest';
import { VitrineError } from '../contract/errors.ts';
import { type LoadOptions, planLoad } from './plan.ts';

const SAMPLE = { body: new Uint8Array([1]), headers: { 'Content-Type': 'application/json' } };
const GOOD = { url: 'http://localhost:8000', model: 'langid', samples: [SAMPLE], concurrency: 4 } as const;
const { concurrency: _, ...NO_LOOP } = GOOD;

test('a plan fills in what was not said', () => {
  expect(planLoad(GOOD)).toMatchObject({
    origin: 'http://localhost:8000',
    path: '/v2/models/langid/infer',
    loop: { kind: 'closed', concurrency: 4 },
    durationS: 10,
    requests: undefined,
    warmup: { seconds: 0 },
    timeoutMs: 10_000,
    seed: 1,
  });
  expect(planLoad({ ...NO_LOOP, ratePerS: 50 }).loop).toEqual({
    kind: 'open',
    ratePerS: 50,
    rampPerS2: 0,
    arrivals: 'poisson',
    connections: 128,
    maxOutstanding: 1024,
  });
  expect(planLoad({ ...GOOD, requests: 5 }).durationS).toBe(3600);
});

test('names in the path are encoded, and a prefix of the address is kept', () => {
  const plan = planLoad({ ...GOOD, url: 'https://host.example/ml/', model: 'a/../b', version: '1 2' });
  expect(plan.origin).toBe('https://host.example');
  expect(plan.path).toBe('/ml/v2/models/a%2F..%2Fb/versions/1%202/infer');
});

const REFUSED: readonly (readonly [field: string, options: LoadOptions, message: RegExp])[] = [
  ['url', { ...GOOD, url: 'localhost:8000' }, /such as http:\/\/localhost:8000/],
  ['url', { ...GOOD, url: 'http://user:secret@localhost' }, /without user/],
  ['model', { ...GOOD, model: '' }, /name the model/],
  ['concurrency', NO_LOOP, /concurrency .* or ratePerS/],
  ['ratePerS', { ...GOOD, ratePerS: 5 }, /not both/],
  ['concurrency', { ...GOOD, concurrency: 0 }, /concurrency is 0; .* from 1 to 1024/],
  ['concurrency', { ...GOOD, concurrency: 1.5 }, /whole number/],
  ['concurrency', { ...GOOD, concurrency: Number.NaN }, /concurrency is NaN/],
  ['ratePerS', { ...NO_LOOP, ratePerS: 1e9 }, /to 100000/],
  ['maxOutstanding', { ...GOOD, maxOutstanding: 5 }, /belongs to the open loop/],
  ['connections', { ...NO_LOOP, ratePerS: 5, connections: 20, maxOutstanding: 10 }, /raise that or lower/],
  ['arrivals', { ...NO_LOOP, ratePerS: 5, arrivals: 'bursts' as 'poisson' }, /poisson, uniform/],
  ['durationS', { ...GOOD, durationS: 0 }, /from 0.001 to 3600/],
  ['requests', { ...GOOD, requests: -1 }, /from 1/],
  ['warmupRequests', { ...GOOD, warmupS: 1, warmupRequests: 1 }, /not both/],
  ['timeoutMs', { ...GOOD, timeoutMs: 70_000 }, /to 60000/],
  ['samples', { ...GOOD, samples: [] }, /at least one/],
  ['samples[0].body', { ...GOOD, samples: [{ body: 'x' as never, headers: {} }] }, /must be bytes/],
  ['samples[0].headers', { ...GOOD, samples: [{ ...SAMPLE, headers: { 'a b': '' } }] }, /no HTTP header/],
  ['headers.x-key', { ...GOOD, headers: { 'X-Key': 'a\r\nb' } }, /control characters/],
  ['headers.content-length', { ...GOOD, headers: { 'Content-Length': '3' } }, /leave content-length/],
];

test.each(REFUSED)('%s is refused with a message that names the fix', (field, options, message) => {
  let thrown: unknown;
  try {
    planLoad(options);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(VitrineError);
  expect(thrown).toMatchObject({ code: 'invalid_request', field, message: expect.stringMatching(message) });
});

test('a refusal never repeats the value of a header', () => {
  expect(() => planLoad({ ...GOOD, headers: { authorization: 'Bearer secret\n' } })).toThrow(
    /^((?!secret).)*$/,
  );
});
