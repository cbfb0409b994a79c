import { describe, expect, test } from 'vitest';
import {
  bytesText,
  clean,
  cleanLines,
  countText,
  durationText,
  linkOf,
  millisecondsText,
  roughly,
} from './text.js';

describe('text from elsewhere', () => {
  test('control characters, and those that hide or reorder, are made visible', () => {
    expect(clean('a\u0000b\u001b[31mc\u007fd\u0085e')).toBe('a<U+0000>b<U+001B>[31mc<U+007F>d<U+0085>e');
    expect(clean('user\u202egpj.exe')).toBe('user<U+202E>gpj.exe');
    expect(clean('zero\u200bwidth\ufeff')).toBe('zero<U+200B>width<U+FEFF>');
    expect(clean('two\nlines\tand tab')).toBe('two<U+000A>lines<U+0009>and tab');
    expect(clean('línea, два, 三, 👋')).toBe('línea, два, 三, 👋');
  });
  test('lines and tabs of a stack trace stay', () => {
    expect(cleanLines('Error\r\n\tat f\u001b')).toBe('Error\n\tat f<U+001B>');
  });
  test('long text is cut', () => {
    expect(clean('x'.repeat(50), 10)).toBe(`${'x'.repeat(10)}…`);
    expect(cleanLines('x'.repeat(50), 10)).toBe(`${'x'.repeat(10)}…`);
  });
});

test('only http and https become links', () => {
  expect(linkOf('https://example.com/a?b=1')).toBe('https://example.com/a?b=1');
  expect(linkOf('HTTP://EXAMPLE.com')).toBe('http://example.com/');
  for (const text of [
    'javascript:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    'data:text/html,<script>',
    'vbscript:x',
    'file:///etc/passwd',
    '//example.com',
    '/trace/1',
    'https://',
    'https://exa\u202emple.com',
    'https://a b',
    `https://example.com/${'x'.repeat(3000)}`,
  ]) {
    expect(linkOf(text), text).toBeUndefined();
  }
});

test('durations have three digits and the unit that suits them', () => {
  const cases: [number, string][] = [
    [0, '0 ms'],
    [0.000018, '0.02 µs'],
    [0.085, '85.0 µs'],
    [0.9994, '999 µs'],
    [0.9996, '1.00 ms'],
    [1.234, '1.23 ms'],
    [12.34, '12.3 ms'],
    [999.4, '999 ms'],
    [999.6, '1.00 s'],
    [59_990, '60.0 s'],
    [125_000, '2 min 5 s'],
    [3_600_000, '1 h 0 min'],
    [-0.5, '−500 µs'],
    [Number.NaN, '–'],
  ];
  for (const [ms, text] of cases) expect(durationText(ms), String(ms)).toBe(text);
  expect(millisecondsText(-0.0421)).toBe('−0.042');
});

test('amounts', () => {
  expect([0, 1023, 1024, 1536, 104_857_600, 1024 ** 3].map(bytesText)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '100 MiB',
    '1.0 GiB',
  ]);
  expect([countText(1, 'query', 'queries'), countText(2000, 'span')]).toEqual(['1 query', '2,000 spans']);
  expect([5_000, 3 * 60_000, 5 * 3_600_000, 7 * 86_400_000].map(roughly)).toEqual([
    '5 s',
    '3 min',
    '5 h',
    '7 days',
  ]);
});
