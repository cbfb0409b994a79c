/** From bytes to a JSON document that is safe to walk: UTF-8, bounded nesting, errors that tell the place. */
import { constants, isUtf8 } from 'node:buffer';
import { VitrineError } from './errors.ts';
import { findJsonError } from './json_error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The offset of the first bracket that opens a level beyond `maxNesting`, or -1. Brackets inside strings do
 * not count. On a text that is not JSON the answer holds up to the text's first error.
 */
function findExcessNesting(text: string, maxNesting: number): number {
  // Few brackets cannot nest deeply: flat tensors, the common case, end here at native speed.
  let opened = 0;
  for (let at = text.indexOf('['); at >= 0 && opened <= maxNesting; at = text.indexOf('[', at + 1))
    opened += 1;
  for (let at = text.indexOf('{'); at >= 0 && opened <= maxNesting; at = text.indexOf('{', at + 1))
    opened += 1;
  if (opened <= maxNesting) return -1;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 0x5b) {
      if (code === 0x5b || code === 0x7b) {
        depth += 1;
        if (depth > maxNesting) return at;
      } else if (code === 0x5d || code === 0x7d) depth -= 1;
    } else if (code === QUOTE) {
      at = closingQuote(text, at);
      if (at < 0) return -1;
    }
  }
  return -1;
}

/** The offset of the quote that closes the string opened at `at`, or -1. */
function closingQuote(text: string, at: number): number {
  for (let quote = text.indexOf('"', at + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
  }
  return -1;
}

export interface JsonText {
  readonly text: string;
  readonly document: unknown;
}

/**
 * Decodes and parses one JSON document. A key that stands twice in an object counts with its last value, as
 * ECMAScript says; `__proto__` is a key like any other.
 * @param what names the bytes in messages: `the body`
 * @throws VitrineError `invalid_json`, with line and column and without a piece of the text;
 *   `payload_too_large` beyond the longest string of the engine (about 512 MiB)
 */
export function parseJsonText(bytes: Buffer, what: string, maxNesting: number): JsonText {
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new VitrineError('payload_too_large', `${what} is too long for JSON; send tensors as binary data`);
  }
  if (!isUtf8(bytes)) {
    throw new VitrineError('invalid_json', `${what} is not valid UTF-8; encode the JSON as UTF-8`);
  }
  const text = bytes.toString('utf8');
  const excess = findExcessNesting(text, maxNesting);
  if (excess >= 0) {
    throw new VitrineError(
      'invalid_json',
      `${what} nests arrays and objects deeper than ${maxNesting} levels at character ${excess}; flatten the data`,
    );
  }
  try {
    return { text, document: JSON.parse(text) };
  } catch (cause) {
    const error = findJsonError(text);
    if (error === undefined) throw cause;
    throw new VitrineError(
      'invalid_json',
      `${what} is not JSON: line ${error.line}, column ${error.column}: ${error.problem}`,
    );
  }
}

/** Longest decimal form of a 64-bit integer: -9223372036854775808. */
const INT64_CHARS = 20;
const DIGITS = /^-?[0-9]+$/;

type SourceReviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * The same document once more, with each integer that a double cannot hold exactly as a BigInt, read from
 * its digits. Several times slower than a plain parse; the text has passed parseJsonText, so that its
 * nesting is bounded.
 */
export function parseWithExactIntegers(text: string): unknown {
  const exact: SourceReviver = (_key, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context.source ?? '';
    return source.length <= INT64_CHARS && DIGITS.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}
