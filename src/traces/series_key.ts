/**
 * The key of a series: what its spans have in common, as bytes. Written by ingest for each span, so it is put
 * together from the span's own bytes without decoding them, and read back when a series is met for the first time.
 *
 * A header (kind, status, parent, duration class, two bytes of name length, number of facet keys that existed),
 * facets in the order of the span's attributes (index in FACET_KEYS, length, AnyValue message), the name. Keys
 * that differ only in the order of facets become two series of equal meaning, which costs a little and breaks
 * nothing.
 */
import {
  durationClass,
  FACET_KEYS,
  INDEXED_NAME_LIMIT_BYTES,
  INDEXED_VALUE_LIMIT_BYTES,
} from './indexed_tags.ts';
import { decodeValue } from './otlp_message.ts';
import { valueText } from './span.ts';

const HEADER_BYTES = 7;
/** Beyond it a span has no key, and joins its origin's catch-all. */
const KEY_LIMIT_BYTES = 1024;

/** A series as its key says it. */
export interface SeriesMeaning {
  /** False for the catch-all of an origin: nothing but the origin is known of its spans. */
  readonly known: boolean;
  readonly name: string;
  readonly kind: number;
  readonly status: number;
  readonly hasParent: boolean;
  readonly durationClass: number;
  /** How many of FACET_KEYS existed when it was written: of the later ones nothing is known. */
  readonly knownFacets: number;
  /** By index of FACET_KEYS; each value that has a text. */
  readonly facets: ReadonlyMap<number, readonly string[]>;
}

export class SeriesKeyBuilder {
  private readonly key = Buffer.allocUnsafe(KEY_LIMIT_BYTES);
  /** -1 once something was too long. */
  private length = HEADER_BYTES;

  reset(): void {
    this.length = HEADER_BYTES;
  }

  /** @param index in FACET_KEYS; the bytes from start to end are an AnyValue message */
  addFacet(index: number, source: Buffer, start: number, end: number): void {
    if (this.length < 0) return;
    const length = end - start;
    if (length > INDEXED_VALUE_LIMIT_BYTES || this.length + length + 2 > KEY_LIMIT_BYTES) {
      this.length = -1;
      return;
    }
    const key = this.key;
    let at = this.length;
    key[at++] = index;
    key[at++] = length;
    for (let byte = start; byte < end; byte += 1) key[at++] = source[byte] as number;
    this.length = at;
  }

  /** The key, one character per byte (latin1); empty when name or a facet is too long to be part of one. */
  finish(
    kind: number,
    status: number,
    hasParent: boolean,
    durationUs: number,
    source: Buffer,
    nameStart: number,
    nameEnd: number,
  ): string {
    const key = this.key;
    const nameLength = nameEnd - nameStart;
    if (this.length < 0 || nameLength > INDEXED_NAME_LIMIT_BYTES) return '';
    if (this.length + nameLength > KEY_LIMIT_BYTES) return '';
    key[0] = kind > 5 ? 0 : kind;
    key[1] = status > 2 ? 0 : status;
    key[2] = hasParent ? 1 : 0;
    key[3] = durationClass(durationUs);
    key[4] = nameLength & 0xff;
    key[5] = nameLength >> 8;
    key[6] = FACET_KEYS.length;
    let at = this.length;
    for (let index = nameStart; index < nameEnd; index += 1) key[at++] = source[index] as number;
    return key.toString('latin1', 0, at);
  }
}

const CATCH_ALL: SeriesMeaning = {
  known: false,
  name: '',
  kind: 0,
  status: 0,
  hasParent: false,
  durationClass: 0,
  knownFacets: 0,
  facets: new Map(),
};

/** Reads a key back. */
export function readSeriesKey(key: string): SeriesMeaning {
  if (key === '') return CATCH_ALL;
  const bytes = Buffer.from(key, 'latin1');
  const nameStart = bytes.length - bytes.readUInt16LE(4);
  const facets = new Map<number, string[]>();
  for (let at = HEADER_BYTES; at < nameStart; ) {
    const index = bytes.readUInt8(at);
    const end = at + 2 + bytes.readUInt8(at + 1);
    const text = valueText(decodeValue(bytes.subarray(at + 2, end)));
    const texts = facets.get(index) ?? [];
    if (text !== undefined) texts.push(text);
    facets.set(index, texts);
    at = end;
  }
  return {
    known: true,
    name: bytes.toString('utf8', nameStart),
    kind: bytes.readUInt8(0),
    status: bytes.readUInt8(1),
    hasParent: bytes.readUInt8(2) === 1,
    durationClass: bytes.readUInt8(3),
    knownFacets: bytes.readUInt8(6),
    facets,
  };
}
