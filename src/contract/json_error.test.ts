import { describe, expect, test } from 'vitest';
import { findJsonError } from './json_error.ts';

describe('findJsonError', () => {
  test.each([
    ['', 1, 1, 'ends where a value'],
    ['{', 1, 2, 'inside an object'],
    ['{"a":1', 1, 7, "',' or '}'"],
    ['{"a" 1}', 1, 6, "':' is expected"],
    ['{a:1}', 1, 2, 'double quotes'],
    ["{'a':1}", 1, 2, 'double quotes'],
    ['[1,2', 1, 5, "',' or ']'"],
    ['[1 2]', 1, 4, "',' or ']'"],
    ['[1,]', 1, 4, 'behind the last'],
    ['{"a":1,}', 1, 8, 'behind the last'],
    ['[1]]', 1, 4, 'has ended'],
    ['[1}', 1, 3, "',' or ']'"],
    ['[\n  1,\n  nan\n]', 3, 3, 'no NaN and no Infinity'],
    ['[NaN]', 1, 2, 'no NaN and no Infinity'],
    ['[-Infinity]', 1, 2, 'no NaN and no Infinity'],
    ['[True]', 1, 2, 'a value is expected'],
    ['[01]', 1, 3, "',' or ']'"],
    ['[1.]', 1, 4, 'a digit is expected'],
    ['[-]', 1, 3, 'a digit is expected'],
    ['[1e+]', 1, 5, 'a digit is expected'],
    ['["a\tb"]', 1, 4, 'control character'],
    ['["\\x"]', 1, 4, 'no escape'],
    ['["\\u12g4"]', 1, 7, 'four hexadecimal'],
    ['["abc', 1, 6, 'inside a string'],
    ["['a']", 1, 2, 'double quotes'],
    ['\ufeff{}', 1, 1, 'byte order mark'],
  ])('%j: line %i, column %i', (text, line, column, problem) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    const error = findJsonError(text);
    expect(error).toMatchObject({ line, column });
    expect(error?.problem).toContain(problem);
  });

  test('needs no stack and no pattern memory for long texts', () => {
    const levels = 100_000;
    expect(findJsonError('['.repeat(levels))?.offset).toBe(levels);
    expect(findJsonError('{"a":'.repeat(levels))?.offset).toBe(5 * levels);
    const long = 20_000_000;
    expect(findJsonError(' '.repeat(long))?.offset).toBe(long);
    expect(findJsonError(`[${'1'.repeat(long)}`)?.offset).toBe(long + 1);
    expect(findJsonError(`["${'a'.repeat(long)}`)?.offset).toBe(long + 2);
  });

  test('agrees with JSON.parse, and with its position where it tells one, on seeded mutations', () => {
    const document = '{"a":[1,-2.5e+3,true,false,null,"x\\"\\u00e9\\n",{"b":{},"c":[]}], "d" : "é" }';
    const replacements = [...'{}[],:"\\ \n0123456789.-+eEtfnuaé\u0000\u0001'];
    let state = 12_345;
    const next = (bound: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    let invalid = 0;
    let positioned = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const characters = [...document];
      for (let edits = 1 + next(2); edits > 0; edits -= 1) {
        const kept = next(3) === 0 ? [] : [replacements[next(replacements.length)] ?? ''];
        characters.splice(next(characters.length), next(2), ...kept);
      }
      const text = characters.join('').slice(0, next(4) === 0 ? next(characters.length) : undefined);
      let message: string | undefined;
      try {
        JSON.parse(text);
      } catch (error) {
        message = String(error);
      }
      const found = findJsonError(text);
      expect(found === undefined, text).toBe(message === undefined);
      if (found === undefined) continue;
      invalid += 1;
      const position = /at position (\d+)/.exec(message ?? '')?.[1];
      if (position === undefined) continue;
      positioned += 1;
      expect({ text, offset: found.offset }).toEqual({ text, offset: Number(position) });
    }
    expect(invalid).toBeGreaterThan(10_000);
    expect(positioned).toBeGreaterThan(1_000);
  });
});
