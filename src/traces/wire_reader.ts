import { VitrineError } from '../contract/errors.ts';

/** Wire types of protobuf. The two of groups are refused: no OTLP message has one. */
const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** Bytes that are no protobuf of the message that they claim to be. */
export function malformed(what: string): VitrineError {
  return new VitrineError('invalid_request', `the OTLP body is not a valid protobuf message: ${what}`);
}

/**
 * A strict forward reader of protobuf bytes. Unlike a general reader it never leaves the message it was
 * opened on: a field that runs past the end of its own message is an error, not a read of its neighbour.
 *
 * Every method throws a VitrineError (400) on truncated or overlong input, and nothing else.
 */
export class WireReader {
  readonly bytes: Buffer;
  pos: number;
  end: number;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.pos = start;
    this.end = end;
  }

  /** A varint of at most 32 significant bits: tags, lengths, enums, uint32. Higher bits are dropped, as protobuf says. */
  varint32(): number {
    const bytes = this.bytes;
    const end = this.end;
    let pos = this.pos;
    if (pos >= end) throw malformed('truncated varint');
    let byte = bytes[pos++] as number;
    if (byte < 0x80) {
      this.pos = pos;
      return byte;
    }
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      if (pos >= end) throw malformed('truncated varint');
      byte = bytes[pos++] as number;
      if (shift < 35) value = (value | ((byte & 0x7f) << shift)) >>> 0;
      if (byte < 0x80) {
        this.pos = pos;
        return value;
      }
    }
    throw malformed('varint of more than ten bytes');
  }

  /** A field's tag; field number 0 is refused. */
  tag(): number {
    const tag = this.varint32();
    if (tag < 8) throw malformed('field number 0');
    return tag;
  }

  /** Reads a length and returns the offset just past that many bytes, which lies inside this message. */
  span(): number {
    const length = this.varint32();
    const end = this.pos + length;
    if (end > this.end) throw malformed('a length reaches past the end of its message');
    return end;
  }

  /** An int64 varint as an exact signed integer. */
  int64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.pos >= this.end) throw malformed('truncated varint');
      const byte = this.bytes[this.pos++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw malformed('varint of more than ten bytes');
  }

  /** Little-endian unsigned 64 bits. */
  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.advance(8));
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.advance(4));
  }

  double(): number {
    return this.bytes.readDoubleLE(this.advance(8));
  }

  /** Moves over `length` bytes and returns where they began. */
  advance(length: number): number {
    const start = this.pos;
    if (start + length > this.end) throw malformed('truncated field');
    this.pos = start + length;
    return start;
  }

  /** Skips the value of a field whose tag was just read. */
  skip(tag: number): void {
    switch (tag & 7) {
      case WIRE_VARINT:
        for (let count = 0; count < 10; count += 1) {
          if (this.pos >= this.end) throw malformed('truncated varint');
          if ((this.bytes[this.pos++] as number) < 0x80) return;
        }
        throw malformed('varint of more than ten bytes');
      case WIRE_FIXED64:
        this.advance(8);
        return;
      case WIRE_BYTES:
        this.pos = this.span();
        return;
      case WIRE_FIXED32:
        this.advance(4);
        return;
      default:
        throw malformed(`wire type ${tag & 7}`);
    }
  }
}
