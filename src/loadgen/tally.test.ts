import { expect, test } from 'vitest';
import { createTally } from './tally.ts';

test('statuses map to outcomes, the most frequent first, and success needs no sample', () => {
  const tally = createTally();
  for (const status of [200, 429, 503, 503, 504, 404, 500, 200, 200]) tally.answered(status, undefined);
  expect(tally.counts().map(({ outcome, status, count }) => [outcome, status, count])).toEqual([
    ['ok', 200, 3],
    ['rejected', 503, 2],
    ['throttled', 429, 1],
    ['expired', 504, 1],
    ['client_error', 404, 1],
    ['error', 500, 1],
  ]);
});

test('one sample per kind: the first, asked for only until it is there', () => {
  const tally = createTally();
  expect(tally.wantsMessage(200)).toBe(false);
  expect(tally.wantsMessage(503)).toBe(true);
  tally.answered(503, undefined);
  expect(tally.wantsMessage(503)).toBe(true);
  tally.answered(503, 'first');
  expect(tally.wantsMessage(503)).toBe(false);
  tally.answered(503, 'second');
  tally.failed('connection', 'ECONNRESET', 'reset');
  tally.failed('connection', 'ECONNRESET', 'again');
  expect(tally.counts()).toEqual([
    { outcome: 'rejected', status: 503, code: '', count: 3, sample: 'first' },
    { outcome: 'connection', status: 0, code: 'ECONNRESET', count: 2, sample: 'reset' },
  ]);
});

test("a peer's text cannot steer a terminal, nor fill it", () => {
  const tally = createTally();
  tally.answered(500, `\u001b[2J\r\nred\u202etxt\u0085 ${'x'.repeat(10_000)}`);
  const sample = tally.counts()[0]?.sample ?? '';
  expect(sample).toMatch(/^\[2J red txt x+\.\.\.$/);
  expect(sample.length).toBeLessThanOrEqual(303);
});

test('kinds without end are counted together beyond a bound, none is lost', () => {
  const tally = createTally();
  for (let index = 0; index < 1000; index += 1) tally.failed('connection', `E${index}`, '');
  const counts = tally.counts();
  expect(counts.length).toBeLessThanOrEqual(129);
  expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(1000);
  expect(counts[0]).toMatchObject({ outcome: 'connection', code: 'other', count: 872 });
});
