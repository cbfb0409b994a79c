/**
 * Where and why a text is not JSON. The engine's own message is not used: it quotes the text, which may be
 * somebody's data, and it does not always tell the place. Called only after JSON.parse has refused the text.
 */

export interface JsonError {
  /** Index of the first character that cannot continue a JSON document; the length where the text just ends. */
  readonly offset: number;
  /** Both from 1; the column counts UTF-16 units. */
  readonly line: number;
  readonly column: number;
  /** What is wrong there, never with a piece of the text. */
  readonly problem: string;
}

class Fault extends Error {
  readonly offset: number;
  constructor(offset: number, problem: string) {
    super(problem);
    this.offset = offset;
  }
}

const NOT_FINITE = /[+-]?(?:nan|inf)/iy;
const HEX_DIGIT = /^[0-9a-fA-F]$/;
const WORDS = ['true', 'false', 'null'];

// Runs are walked by hand: a greedy pattern keeps a backtrack entry per character.

function skipSpace(text: string, at: number): number {
  let next = at;
  for (;;) {
    const code = text.charCodeAt(next);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return next;
    next += 1;
  }
}

function skipDigits(text: string, at: number): number {
  let next = at;
  for (;;) {
    const code = text.charCodeAt(next);
    if (!(code >= 0x30 && code <= 0x39)) return next;
    next += 1;
  }
}

/** The offset behind the number at `at`, whose first character is a digit or a minus. */
function skipNumber(text: string, at: number): number {
  const digitsAt = text[at] === '-' ? at + 1 : at;
  let next = text[digitsAt] === '0' ? digitsAt + 1 : skipDigits(text, digitsAt);
  if (next === digitsAt) throw new Fault(next, 'a digit is expected');
  for (const [starts, signed] of [
    ['.', false],
    ['eE', true],
  ] as const) {
    const mark = text[next];
    if (mark === undefined || !starts.includes(mark)) continue;
    const sign = text[next + 1];
    const from = signed && (sign === '+' || sign === '-') ? next + 2 : next + 1;
    next = skipDigits(text, from);
    if (next === from) throw new Fault(next, 'a digit is expected');
  }
  return next;
}

/** The offset behind the string that opens at `at`. */
function skipString(text: string, at: number): number {
  let next = at + 1;
  for (;;) {
    while (next < text.length) {
      const code = text.charCodeAt(next);
      if (code === 0x22 || code === 0x5c || code < 0x20) break;
      next += 1;
    }
    if (next >= text.length) throw new Fault(next, 'the text ends inside a string');
    const code = text.charCodeAt(next);
    if (code === 0x22) return next + 1;
    if (code < 0x20) throw new Fault(next, 'a control character inside a string must be escaped');
    const escaped = text[next + 1];
    if (escaped === undefined) throw new Fault(next + 1, 'the text ends inside a string');
    if (escaped === 'u') {
      next += 2;
      for (const end = next + 4; next < end; next += 1) {
        if (!HEX_DIGIT.test(text[next] ?? '')) throw new Fault(next, '\\u needs four hexadecimal digits');
      }
    } else if ('"\\/bfnrt'.includes(escaped)) {
      next += 2;
    } else {
      throw new Fault(next + 1, 'this is no escape that JSON knows');
    }
  }
}

function skipWord(text: string, at: number, word: string): number {
  for (let index = 1; index < word.length; index += 1) {
    if (text[at + index] !== word[index]) throw new Fault(at + index, `'${word}' is expected`);
  }
  return at + word.length;
}

/** The offset behind the number, string or word at `at`. */
function skipScalar(text: string, at: number): number {
  const first = text[at];
  if (first === undefined) throw new Fault(at, 'the text ends where a value is expected');
  if (first === '"') return skipString(text, at);
  NOT_FINITE.lastIndex = at;
  if (NOT_FINITE.test(text)) {
    throw new Fault(at, 'JSON has no NaN and no Infinity; send such a tensor as binary data');
  }
  if (first === '-' || (first >= '0' && first <= '9')) return skipNumber(text, at);
  const word = WORDS.find((candidate) => candidate.startsWith(first));
  if (word !== undefined) return skipWord(text, at, word);
  if (first === "'") throw new Fault(at, 'strings stand in double quotes');
  throw new Fault(at, 'a value is expected');
}

/** From a property's name to behind its colon. */
function skipName(text: string, at: number): number {
  if (at >= text.length) throw new Fault(at, 'the text ends inside an object');
  if (text[at] !== '"') throw new Fault(at, "a property name in double quotes, or '}', is expected");
  const colon = skipSpace(text, skipString(text, at));
  if (text[colon] !== ':') throw new Fault(colon, "':' is expected after a property name");
  return skipSpace(text, colon + 1);
}

/** Walks the document without recursion; `open` holds the closing bracket of each level. */
function walk(text: string): void {
  const open: string[] = [];
  let at = skipSpace(text, 0);
  for (;;) {
    // One value begins at `at`.
    const first = text[at];
    let ended = false;
    if (first === '[' || first === '{') {
      const close = first === '[' ? ']' : '}';
      at = skipSpace(text, at + 1);
      if (text[at] === close) {
        at += 1;
        ended = true;
      } else {
        open.push(close);
        if (close === '}') at = skipName(text, at);
      }
    } else {
      at = skipScalar(text, at);
      ended = true;
    }
    while (ended) {
      at = skipSpace(text, at);
      const close = open.at(-1);
      const next = text[at];
      if (close === undefined) {
        if (next === undefined) return;
        throw new Fault(at, 'the document has ended, but more text follows');
      }
      if (next === undefined) throw new Fault(at, `the text ends where ',' or '${close}' is expected`);
      if (next === close) {
        open.pop();
        at += 1;
      } else if (next === ',') {
        at = skipSpace(text, at + 1);
        if (text[at] === close) throw new Fault(at, "no ',' may stand behind the last element");
        if (close === '}') at = skipName(text, at);
        ended = false;
      } else {
        throw new Fault(at, `',' or '${close}' is expected`);
      }
    }
  }
}

/** The first error in `text`; undefined when it is JSON. */
export function findJsonError(text: string): JsonError | undefined {
  try {
    if (text.charCodeAt(0) === 0xfeff)
      throw new Fault(0, 'the text begins with a byte order mark; leave it out');
    walk(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, error.offset);
    const line = before.split('\n').length;
    const column = error.offset - before.lastIndexOf('\n');
    return { offset: error.offset, line, column, problem: error.message };
  }
}
