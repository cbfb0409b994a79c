/**
 * Writes protobuf messages whose lengths are not known beforehand: one byte is reserved for a length, and the body
 * moves if it needs more. Made for OTLP's spans, where calls into the runtime would cost more than the bytes.
 */
import { writeHex } from './record_codec.ts';
import type { SpanAttributeValue } from './span_data.ts';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Text up to this is copied character by character: cheaper than a call into the runtime. */
const SHORT_CHARS = 48;
/** Encoded keys kept; keys come from code, so in practice all of them fit. */
const KEY_CACHE_LIMIT = 1024;

export class ProtoWriter {
  #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.byteLength);
  #length = 0;
  /** Field 1 of KeyValue (the key), encoded. */
  readonly #keys = new Map<string, Uint8Array>();

  reset(): void {
    this.#length = 0;
  }

  /** What was written, in the writer's own memory: valid until the next reset(). */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength);
  }

  #byte(value: number): void {
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#byte((rest & 0x7f) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.#byte(rest);
  }

  /** Bytes that are encoded already. */
  append(source: Buffer, length: number): void {
    this.#reserve(length);
    source.copy(this.#buffer, this.#length, 0, length);
    this.#length += length;
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(16);
    this.#varint((field << 3) | VARINT);
    this.#varint(value);
  }

  fixed32(field: number, value: number): void {
    this.#reserve(8);
    this.#varint((field << 3) | FIXED32);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  fixed64(field: number, value: bigint): void {
    this.#reserve(12);
    this.#varint((field << 3) | FIXED64);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
  }

  hex(field: number, id: string): void {
    if (id === '') return;
    this.#reserve(24);
    this.#byte((field << 3) | BYTES);
    this.#byte(id.length / 2);
    this.#length = writeHex(this.#buffer, this.#length, id);
  }

  text(field: number, text: string, evenIfEmpty = false): void {
    if (text === '' && !evenIfEmpty) return;
    this.#reserve(text.length * 3 + 16);
    this.#varint((field << 3) | BYTES);
    const at = this.#open();
    if (text.length > SHORT_CHARS || !this.#ascii(text)) {
      this.#length = at;
      this.#length += this.#buffer.write(text, at, 'utf8');
    }
    this.#close(at);
  }

  /** @returns false at the first character beyond ASCII: what was written is void */
  #ascii(text: string): boolean {
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      buffer[at] = code;
      at += 1;
    }
    this.#length = at;
    return true;
  }

  begin(field: number): number {
    this.#reserve(16);
    this.#varint((field << 3) | BYTES);
    return this.#open();
  }

  end(at: number): void {
    this.#close(at);
  }

  #open(): number {
    this.#length += 1;
    return this.#length;
  }

  #close(at: number): void {
    const length = this.#length - at;
    if (length < 0x80) {
      this.#buffer[at - 1] = length;
      return;
    }
    const extra = length < 0x4000 ? 1 : length < 0x200000 ? 2 : length < 0x10000000 ? 3 : 4;
    this.#reserve(extra);
    this.#buffer.copyWithin(at + extra, at, this.#length);
    const end = this.#length + extra;
    this.#length = at - 1;
    this.#varint(length);
    this.#length = end;
  }

  anyValue(field: number, value: SpanAttributeValue): void {
    const at = this.begin(field);
    if (typeof value === 'string') {
      this.text(1, value, true);
    } else if (typeof value === 'boolean') {
      this.#reserve(4);
      this.#byte((2 << 3) | VARINT);
      this.#byte(value ? 1 : 0);
    } else if (typeof value === 'number') {
      this.#number(value);
    } else {
      const array = this.begin(5);
      for (const item of value) this.anyValue(1, item);
      this.end(array);
    }
    this.end(at);
  }

  #number(value: number): void {
    this.#reserve(16);
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
      this.#byte((3 << 3) | VARINT);
      if (value >= 0) {
        this.#varint(value);
      } else {
        let rest = BigInt.asUintN(64, BigInt(value));
        while (rest > 0x7fn) {
          this.#byte(Number(rest & 0x7fn) | 0x80);
          rest >>= 7n;
        }
        this.#byte(Number(rest));
      }
    } else {
      this.#byte((4 << 3) | FIXED64);
      this.#view.setFloat64(this.#length, value, true);
      this.#length += 8;
    }
  }

  keyValue(field: number, key: string, value: SpanAttributeValue): void {
    const at = this.begin(field);
    let encoded = this.#keys.get(key);
    if (encoded === undefined) {
      const from = this.#length;
      this.text(1, key);
      encoded = Uint8Array.from(this.#buffer.subarray(from, this.#length));
      if (this.#keys.size < KEY_CACHE_LIMIT) this.#keys.set(key, encoded);
    } else {
      this.#reserve(encoded.length);
      const buffer = this.#buffer;
      let to = this.#length;
      for (let index = 0; index < encoded.length; index += 1) {
        buffer[to] = encoded[index] as number;
        to += 1;
      }
      this.#length = to;
    }
    this.anyValue(2, value);
    this.end(at);
  }
}
