import { describe, expect, test } from 'vitest';
import { parseServerTiming, visitServerTiming } from './server_timing.ts';

function read(header: string | readonly string[] | undefined): {
  entries: Record<string, number>;
  malformed: number;
} {
  return { entries: { ...parseServerTiming(header) }, malformed: visitServerTiming(header, () => {}) };
}

describe('readable headers', () => {
  test.each([
    ['receive;dur=0.125, total;dur=3', { receive: 0.125, total: 3 }],
    ['a;dur=1,b;dur=2', { a: 1, b: 2 }],
    ['  a ; dur = 1.5 ;desc=x , b;DUR=2', { a: 1.5, b: 2 }],
    ['a;desc="x, y;dur=9";dur=2', { a: 2 }],
    ['a;desc="quote \\" and, comma";dur=2, b;dur=1', { a: 2, b: 1 }],
    ['a;dur="4"', { a: 4 }],
    ['a;dur=1e-3', { a: 0.001 }],
    ['a;dur=.5', { a: 0.5 }],
    ['a;dur=1;dur=7', { a: 1 }],
    ['a;dur=1, a;dur=2', { a: 3 }],
    ['hit', {}],
    ['hit;desc="cache"', {}],
    ['a;dur=0', { a: 0 }],
    [', ,a;dur=1,,', { a: 1 }],
    ['', {}],
    ['__proto__;dur=1', Object.fromEntries([['__proto__', 1]])],
  ])('%s', (header, entries) => {
    expect(read(header)).toEqual({ entries, malformed: 0 });
  });

  test('a doubled header is read as one list', () => {
    expect(read(['a;dur=1', 'b;dur=2']).entries).toEqual({ a: 1, b: 2 });
  });

  test('no header reads as no entries', () => {
    expect(read(undefined)).toEqual({ entries: {}, malformed: 0 });
  });
});

describe('what cannot be read is left out, counted, and disturbs nothing around it', () => {
  test.each([
    ['a;dur=abc, b;dur=1', { b: 1 }, 1],
    ['a;dur=-1, b;dur=1', { b: 1 }, 1],
    ['a;dur=NaN', {}, 1],
    ['a;dur=Infinity', {}, 1],
    ['a;dur=1e999', {}, 1],
    ['a;dur=0x10', {}, 1],
    ['a;dur=', {}, 1],
    ['a b;dur=1, c;dur=1', { c: 1 }, 1],
    [';dur=1', {}, 1],
    ['ä;dur=1', {}, 1],
    ['a;desc="never closed, b;dur=1', {}, 0],
    ['a;dur="1', {}, 1],
    ['"', {}, 1],
    ['a;desc="\\', {}, 0],
  ])('%s', (header, entries, malformed) => {
    expect(read(header)).toEqual({ entries, malformed });
  });

  test('a flood is read up to a bound', () => {
    const names = Array.from({ length: 5000 }, (_, index) => `n${index};dur=1`);
    expect(Object.keys(parseServerTiming(names.join(',')))).toHaveLength(64);
    expect(Object.keys(parseServerTiming(names))).toHaveLength(64);
    expect(read('"'.repeat(1_000_000)).malformed).toBe(1);
  });
});
