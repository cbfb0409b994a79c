import { ATTR } from '../contract/attributes.ts';
import { decodeValue } from './otlp_message.ts';
import { valueText } from './span.ts';

/**
 * Span attributes of few distinct values. Together with service, operation, kind, status and the order of
 * magnitude of the duration they name a span's series, and a search on any mix of them reads the index of the
 * matching series alone. A key with many values here would multiply the series: such keys are LOOKUP_KEYS.
 * Databases refer to places in this list: append, never reorder.
 */
export const FACET_KEYS: readonly string[] = [
  ATTR.model,
  ATTR.version,
  ATTR.outcome,
  ATTR.worker,
  ATTR.attemptOutcome,
  ATTR.batchCloseReason,
  ATTR.httpRequestMethod,
  ATTR.httpResponseStatusCode,
  ATTR.httpRoute,
  ATTR.errorType,
  'error',
];

/** Span attributes with about one value a query: found through an index of hashes. */
export const LOOKUP_KEYS: readonly string[] = [ATTR.requestId, ATTR.externalTraceId];

/** In place of an index of LOOKUP_KEYS, for the hash of a trace's id. */
export const TRACE_ID_KEY = 0xff;

/** Longer values are not indexed; they are found by the scan, within its limit. */
export const INDEXED_VALUE_LIMIT_BYTES = 128;
/** Longer operation names are not part of a series' key; such spans are found by the scan. */
export const INDEXED_NAME_LIMIT_BYTES = 256;

/**
 * The order of magnitude of a duration, in powers of four: 0 for less than 1 us, 1 for 1 us up to 4 us, and so on.
 * A search with a least or greatest duration skips every series whose class lies outside.
 */
export function durationClass(durationUs: number): number {
  if (durationUs < 1) return 0;
  if (durationUs < 0x4000_0000) return ((31 - Math.clz32(durationUs)) >> 1) + 1;
  return Math.min(40, Math.floor(Math.log2(durationUs) / 2) + 1);
}

const HASH_SEED = 0x811c9dc5;
const HASH_PRIME = 0x01000193;

/**
 * 53 bits of hash of one lookup tag (two FNV-1a lanes over the UTF-8 bytes), as a number that SQLite and
 * JavaScript both hold exactly. Equal hashes are only candidates: the reader compares the attribute itself.
 * @param keyIndex index of the key in LOOKUP_KEYS
 */
export function lookupHash(keyIndex: number, bytes: Uint8Array, start: number, end: number): number {
  let low = Math.imul(HASH_SEED ^ keyIndex, HASH_PRIME);
  let high = Math.imul(HASH_SEED ^ (keyIndex + 0x9e37), HASH_PRIME);
  for (let index = start; index < end; index += 1) {
    const byte = bytes[index] as number;
    low = Math.imul(low ^ byte, HASH_PRIME);
    high = Math.imul(high ^ (byte + (index - start) * 31), HASH_PRIME);
  }
  return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0);
}

/** The hash under which a searched value is stored; undefined when values like it are not indexed. */
export function lookupHashOfText(keyIndex: number, text: string): number | undefined {
  const bytes = Buffer.from(text);
  return bytes.length > INDEXED_VALUE_LIMIT_BYTES ? undefined : lookupHash(keyIndex, bytes, 0, bytes.length);
}

/** The same for an AnyValue message; undefined for values that no search matches. */
export function lookupHashOfMessage(
  keyIndex: number,
  bytes: Buffer,
  start: number,
  end: number,
): number | undefined {
  if (start === end) return undefined;
  // A string alone is tag, length, bytes: hashed as it lies. Anything else is rare here, and read as text.
  if (bytes[start] === 0x0a && end - start < 0x80 && bytes[start + 1] === end - start - 2) {
    return lookupHash(keyIndex, bytes, start + 2, end);
  }
  const text = valueText(decodeValue(bytes.subarray(start, end)));
  return text === undefined ? undefined : lookupHashOfText(keyIndex, text);
}

/** An indexed key as bytes. */
export interface IndexedKey {
  readonly key: Buffer;
  /** In FACET_KEYS or LOOKUP_KEYS. */
  readonly index: number;
  readonly lookup: boolean;
}

/** Indexed keys by length: most attributes are told apart by that alone. */
const INDEXED_KEYS_BY_LENGTH: readonly (readonly IndexedKey[])[] = (() => {
  const table: IndexedKey[][] = [];
  const add = (key: string, index: number, lookup: boolean): void => {
    const bytes = Buffer.from(key);
    while (table.length <= bytes.length) table.push([]);
    table[bytes.length]?.push({ key: bytes, index, lookup });
  };
  FACET_KEYS.forEach((key, index) => {
    add(key, index, false);
  });
  LOOKUP_KEYS.forEach((key, index) => {
    add(key, index, true);
  });
  return table;
})();

/** The indexed key that these bytes are, if they are one. */
export function indexedKeyOf(bytes: Buffer, start: number, end: number): IndexedKey | undefined {
  const candidates = INDEXED_KEYS_BY_LENGTH[end - start];
  if (candidates === undefined) return undefined;
  search: for (const candidate of candidates) {
    const key = candidate.key;
    for (let index = key.length - 1; index >= 0; index -= 1) {
      if (bytes[start + index] !== key[index]) continue search;
    }
    return candidate;
  }
  return undefined;
}
