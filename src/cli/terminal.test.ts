import { expect, test } from 'vitest';
import { bar, columns, formatMs, plain } from './terminal.ts';

test('text from elsewhere cannot command the terminal', () => {
  expect(plain('safe \u001b[31mred\u001b[0m')).toBe('safe red');
  expect(plain('title \u001b]0;owned\u0007')).toBe('title ');
  expect(plain('a\rb\u0008c')).toBe('a\ufffdb\ufffdc');
  expect(plain('user\u202egpj.exe')).toBe('user\ufffdgpj.exe');
  expect(plain('línea\n\tдва 三 👋')).toBe('línea\n\tдва 三 👋');
});

test('columns line up and nothing trails', () => {
  expect(
    columns([
      ['a', 'bb', ''],
      ['ccc', 'd', 'e'],
    ]),
  ).toBe('a    bb\nccc  d   e');
});

test('a bar is exact to an eighth, shows whatever is above nothing, and never overflows', () => {
  expect(bar(0, 10)).toBe('');
  expect(bar(0.0001, 10)).toBe('▏');
  expect(bar(0.5, 10)).toBe('█████');
  expect(bar(0.5625, 2)).toBe('█▏');
  expect(bar(7, 3)).toBe('███');
});

test('milliseconds carry the digits that mean something', () => {
  expect([0.0431, 1.234, 25.64, 1204.4].map(formatMs)).toEqual(['0.043', '1.23', '25.6', '1204']);
});
