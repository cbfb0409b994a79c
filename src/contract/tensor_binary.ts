/** The binary form of tensor data: little-endian, row-major, without padding; BYTES with a length before each. */
import {
  BYTES_LENGTH_PREFIX_BYTES,
  type BytesData,
  type Datatype,
  ELEMENT_SIZE_BYTES,
  type TensorData,
  viewData,
} from './datatypes.ts';
import { VitrineError } from './errors.ts';

function wrong(field: string, message: string): VitrineError {
  return new VitrineError('invalid_binary', `${field} ${message}`, { field });
}

function readBytesElements(bytes: Buffer, count: number, field: string): BytesData {
  // Also keeps `count`, which the sender chose, from growing the array beyond what was sent.
  const smallest = count * BYTES_LENGTH_PREFIX_BYTES;
  if (smallest > bytes.length) {
    throw wrong(field, `has ${bytes.length} bytes; ${count} BYTES elements need at least ${smallest}`);
  }
  const elements: Uint8Array[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + BYTES_LENGTH_PREFIX_BYTES > bytes.length) {
      throw wrong(field, `ends inside the length of element ${index} of ${count}`);
    }
    const length = bytes.readUInt32LE(at);
    at += BYTES_LENGTH_PREFIX_BYTES;
    if (length > bytes.length - at) {
      throw wrong(
        field,
        `gives element ${index} a length of ${length} bytes, but only ${bytes.length - at} follow; lengths are uint32, little-endian`,
      );
    }
    elements.push(new Uint8Array(bytes.buffer, bytes.byteOffset + at, length));
    at += length;
  }
  if (at !== bytes.length) {
    throw wrong(field, `has ${bytes.length - at} bytes left over after its ${count} elements`);
  }
  return elements;
}

function checkBool(bytes: Buffer, field: string): void {
  for (let index = 0; index < bytes.length; index += 1) {
    if ((bytes[index] ?? 0) > 1) throw wrong(field, `element ${index} must be the byte 0 or 1 (BOOL)`);
  }
}

/**
 * Reads exactly `bytes` as `count` elements: a view on them where their address is aligned for the datatype
 * (and for BYTES always), else one copy.
 * @param field path of the data, for messages
 * @throws VitrineError `invalid_binary`
 */
export function readBinaryData(datatype: Datatype, count: number, bytes: Buffer, field: string): TensorData {
  if (datatype === 'BYTES') return readBytesElements(bytes, count, field);
  const size = ELEMENT_SIZE_BYTES[datatype];
  if (bytes.length !== count * size) {
    throw wrong(field, `has ${bytes.length} bytes; ${count} elements of ${datatype} need ${count * size}`);
  }
  if (datatype === 'BOOL') checkBool(bytes, field);
  if (bytes.byteOffset % size === 0) return viewData(datatype, bytes.buffer, bytes.byteOffset, count);
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return viewData(datatype, copy, 0, count);
}

/** Bytes that the data takes in binary form. */
export function binarySizeBytes(data: TensorData): number {
  if (!isBytesData(data)) return data.byteLength;
  let size = 0;
  for (const element of data) size += BYTES_LENGTH_PREFIX_BYTES + element.byteLength;
  return size;
}

/** Writes the data at `at`; the offset behind it. */
export function writeBinaryData(data: TensorData, target: Buffer, at: number): number {
  if (!isBytesData(data)) {
    target.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    return at + data.byteLength;
  }
  let next = at;
  for (const element of data) {
    next = target.writeUInt32LE(element.byteLength, next);
    target.set(element, next);
    next += element.byteLength;
  }
  return next;
}

function isBytesData(data: TensorData): data is BytesData {
  return Array.isArray(data);
}
