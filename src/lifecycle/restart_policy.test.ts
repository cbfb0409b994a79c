import { expect, test } from 'vitest';
import { createRestartPolicy } from './restart_policy.ts';

const options = { limit: 3, windowMs: 60_000, backoffMs: 100, random: () => 1 };

test('the wait doubles with each restart in the window, up to 32 times the first', () => {
  const policy = createRestartPolicy({ ...options, limit: 8 });
  const waits = Array.from({ length: 8 }, (_, index) => {
    const decision = policy.decide(index);
    return decision.kind === 'restart' ? decision.delayMs : undefined;
  });
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 3200, 3200]);
});

test('half of the wait is jitter', () => {
  const policy = createRestartPolicy({ ...options, random: () => 0 });
  expect(policy.decide(0)).toMatchObject({ delayMs: 50 });
});

test('a process is given up beyond the limit, and forgiven as deaths leave the window', () => {
  const policy = createRestartPolicy(options);
  for (const nowMs of [0, 1000, 2000]) expect(policy.decide(nowMs).kind).toBe('restart');
  expect(policy.decide(59_999)).toEqual({ kind: 'give_up', restarts: 3 });
  expect(policy.decide(60_000)).toMatchObject({ kind: 'restart', attempt: 3 });
});

test('a limit of 0 never restarts', () => {
  expect(createRestartPolicy({ ...options, limit: 0 }).decide(0).kind).toBe('give_up');
});
