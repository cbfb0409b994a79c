import { expect, test } from 'vitest';
import { createHeartbeat } from './heartbeat.ts';

/** Looks every 250 ms from the given time until the verdict is not `wait`, or the limit. */
function lookOn(heartbeat: ReturnType<typeof createHeartbeat>, fromMs: number, limitMs: number) {
  for (let nowMs = fromMs; nowMs <= limitMs; nowMs += heartbeat.intervalMs) {
    const verdict = heartbeat.look(nowMs);
    if (verdict.kind !== 'wait') return { nowMs, verdict };
  }
  return undefined;
}

test('a process that answers is asked again, for ever', () => {
  const heartbeat = createHeartbeat({ hangTimeoutMs: 1000 }, 0);
  expect(heartbeat.intervalMs).toBe(250);
  for (let turn = 1; turn <= 100; turn += 1) {
    expect(heartbeat.look(turn * 250)).toEqual({ kind: 'ping', sequence: turn });
    heartbeat.pong(turn);
  }
});

test('silence for the whole timeout after an answer is a hang', () => {
  const heartbeat = createHeartbeat({ hangTimeoutMs: 1000 }, 0);
  heartbeat.look(250);
  heartbeat.pong(1);
  expect(heartbeat.look(500)).toEqual({ kind: 'ping', sequence: 2 });
  heartbeat.pong(1);
  expect(lookOn(heartbeat, 750, 9000)).toEqual({ nowMs: 1500, verdict: { kind: 'hung', silentMs: 1000 } });
});

test('before the first answer, while code loads, six times as long is allowed', () => {
  const heartbeat = createHeartbeat({ hangTimeoutMs: 1000 }, 0);
  expect(heartbeat.look(250).kind).toBe('ping');
  expect(lookOn(heartbeat, 500, 9000)).toEqual({ nowMs: 6250, verdict: { kind: 'hung', silentMs: 6000 } });
});

test('when the judge itself stood still, the process gets the whole timeout again', () => {
  const heartbeat = createHeartbeat({ hangTimeoutMs: 1000 }, 0);
  heartbeat.look(250);
  heartbeat.pong(1);
  heartbeat.look(500);
  expect(heartbeat.look(60_000)).toEqual({ kind: 'wait' });
  expect(lookOn(heartbeat, 60_250, 99_000)).toMatchObject({ nowMs: 61_000, verdict: { kind: 'hung' } });
});
