/**
 * Bytes of a record: what the serving thread writes into the ring and the export thread reads back. Little
 * endian, no schema on the wire; both ends are of one build. Text is u16 length + UTF-8 and is cut at
 * TEXT_LIMIT_BYTES; a record is at most RECORD_LIMIT_BYTES (attributes beyond it are counted as dropped).
 */
export const RECORD_LIMIT_BYTES = 32 * 1024;
const TEXT_LIMIT_BYTES = 4096;
/** Room kept for everything that is not an attribute. */
const ATTRIBUTE_ROOM_BYTES = RECORD_LIMIT_BYTES - 12 * 1024;

export const RECORD_KIND = { gatewayQuery: 1, workerQuery: 2, batch: 3, sdkSpan: 4 } as const;

export type AttributeValue = string | number | boolean;
const VALUE_TEXT = 0;
const VALUE_NUMBER = 1;
const VALUE_TRUE = 2;
const VALUE_FALSE = 3;

/** Text up to this is copied character by character: cheaper than a call into the runtime. */
const SHORT_CHARS = 48;

/** Value of a hex digit by its character code. */
const HEX_VALUE = new Uint8Array(128);
for (let value = 0; value < 16; value += 1) HEX_VALUE[value.toString(16).charCodeAt(0)] = value;

/** Writes lower-case hex digits as bytes. @returns the position after them */
export function writeHex(target: Uint8Array, position: number, digits: string): number {
  let at = position;
  for (let index = 0; index < digits.length; index += 2) {
    target[at] =
      ((HEX_VALUE[digits.charCodeAt(index)] as number) << 4) |
      (HEX_VALUE[digits.charCodeAt(index + 1)] as number);
    at += 1;
  }
  return at;
}

/** One scratch buffer, reused for each record of its thread. */
export class RecordWriter {
  readonly buffer = Buffer.allocUnsafeSlow(RECORD_LIMIT_BYTES);
  readonly #view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.byteLength);
  length = 0;

  begin(kind: number): void {
    this.length = 0;
    this.u8(kind);
  }

  u8(value: number): void {
    this.buffer[this.length] = value;
    this.length += 1;
  }

  u16(value: number): void {
    this.buffer[this.length] = value & 0xff;
    this.buffer[this.length + 1] = value >>> 8;
    this.length += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  f64(value: number): void {
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** @param id 32 or 16 hex digits; empty writes zeros */
  id(id: string, bytes: 16 | 8): void {
    if (id === '') {
      this.buffer.fill(0, this.length, this.length + bytes);
      this.length += bytes;
    } else {
      this.length = writeHex(this.buffer, this.length, id);
    }
  }

  text(text: string): void {
    const start = this.length + 2;
    const chars = text.length;
    if (chars <= SHORT_CHARS) {
      let at = start;
      for (let index = 0; index < chars; index += 1) {
        const code = text.charCodeAt(index);
        if (code > 0x7f) {
          this.#utf8(text);
          return;
        }
        this.buffer[at] = code;
        at += 1;
      }
      this.u16(chars);
      this.length = at;
      return;
    }
    this.#utf8(text);
  }

  /** @returns false when the record has no room for it: it counts as dropped */
  attribute(key: string, value: AttributeValue): boolean {
    if (this.length > ATTRIBUTE_ROOM_BYTES) return false;
    this.text(key);
    if (typeof value === 'string') {
      this.u8(VALUE_TEXT);
      this.text(value);
    } else if (typeof value === 'number') {
      this.u8(VALUE_NUMBER);
      this.f64(value);
    } else {
      this.u8(value ? VALUE_TRUE : VALUE_FALSE);
    }
    return true;
  }

  #utf8(text: string): void {
    const start = this.length + 2;
    const room = Math.min(TEXT_LIMIT_BYTES, RECORD_LIMIT_BYTES - start);
    // Buffer.write stops before a character that would not fit whole.
    const written = this.buffer.write(text, start, Math.max(0, room), 'utf8');
    this.u16(written);
    this.length += written;
  }
}

export class RecordReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  u8(): number {
    const value = this.#buffer.readUInt8(this.#at);
    this.#at += 1;
    return value;
  }

  u16(): number {
    const value = this.#buffer.readUInt16LE(this.#at);
    this.#at += 2;
    return value;
  }

  u32(): number {
    const value = this.#buffer.readUInt32LE(this.#at);
    this.#at += 4;
    return value;
  }

  f64(): number {
    const value = this.#buffer.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  /** Hex digits; empty for zeros. */
  id(bytes: 16 | 8): string {
    const text = this.#buffer.toString('hex', this.#at, this.#at + bytes);
    this.#at += bytes;
    return text === (bytes === 16 ? NO_TRACE : NO_SPAN) ? '' : text;
  }

  text(): string {
    const length = this.u16();
    const text = this.#buffer.toString('utf8', this.#at, this.#at + length);
    this.#at += length;
    return text;
  }

  attribute(): [string, AttributeValue] {
    const key = this.text();
    const type = this.u8();
    if (type === VALUE_TEXT) return [key, this.text()];
    if (type === VALUE_NUMBER) return [key, this.f64()];
    return [key, type === VALUE_TRUE];
  }
}

const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
