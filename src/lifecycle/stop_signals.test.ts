import { expect, test } from 'vitest';
import { readWishes } from './stop_signals.ts';

test('signals that arrive together are one wish, a later one is the second', () => {
  const heard: string[] = [];
  let nowMs = 1000;
  const take = readWishes(
    { first: (signal) => heard.push(`first ${signal}`), again: (signal) => heard.push(`again ${signal}`) },
    () => nowMs,
  );
  take('SIGINT');
  take('SIGINT');
  nowMs += 500;
  take('SIGTERM');
  expect(heard).toEqual(['first SIGINT']);
  nowMs += 1;
  take('SIGTERM');
  expect(heard).toEqual(['first SIGINT', 'again SIGTERM']);
});
