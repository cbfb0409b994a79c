/** The JSON form of tensor data, written: flat, with every number as exact as JSON allows. */
import { isUtf8 } from 'node:buffer';
import type { BytesData } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import { fromFloat16Bits } from './float16.ts';
import type { Tensor } from './tensors.ts';

function needsBinary(tensor: Tensor, field: string, index: number, why: string): VitrineError {
  return new VitrineError(
    'needs_binary',
    `${field} (${JSON.stringify(tensor.name)}): element ${index} ${why}; ask for this tensor as binary data`,
    { field },
  );
}

/**
 * Each number as its shortest decimal that reads back as the same double; an FP32 is written as the double
 * it equals. -0 keeps its sign. NaN and the infinities have no JSON form and are refused, rather than sent
 * as a null that a client may take for zero.
 */
function writeFloats(tensor: Tensor, field: string, data: Float32Array | Float64Array): string {
  // JSON.stringify of a plain array is nearly twice as fast as join, which makes a string of each number.
  const numbers = new Array<number>(data.length);
  let negativeZeros = false;
  for (let index = 0; index < data.length; index += 1) {
    const value = data[index] ?? 0;
    if (!Number.isFinite(value)) {
      throw needsBinary(tensor, field, index, 'is NaN or infinite, which JSON has no number for');
    }
    if (Object.is(value, -0)) negativeZeros = true;
    numbers[index] = value;
  }
  if (negativeZeros) return numbers.map((value) => (Object.is(value, -0) ? '-0' : `${value}`)).join(',');
  return JSON.stringify(numbers).slice(1, -1);
}

function writeFloat16(tensor: Tensor, field: string, bits: Uint16Array): string {
  const numbers = new Float64Array(bits.length);
  for (let index = 0; index < bits.length; index += 1) numbers[index] = fromFloat16Bits(bits[index] ?? 0);
  return writeFloats(tensor, field, numbers);
}

function writeBool(data: Uint8Array): string {
  let text = '';
  for (let index = 0; index < data.length; index += 1) {
    text += index === 0 ? '' : ',';
    text += data[index] === 0 ? 'false' : 'true';
  }
  return text;
}

function writeBytes(tensor: Tensor, field: string, elements: BytesData): string {
  const parts: string[] = [];
  for (const [index, element] of elements.entries()) {
    if (!isUtf8(element)) throw needsBinary(tensor, field, index, 'is not UTF-8, so it is no JSON string');
    parts.push(
      JSON.stringify(Buffer.from(element.buffer, element.byteOffset, element.byteLength).toString('utf8')),
    );
  }
  return parts.join(',');
}

/**
 * The tensor's data as a flat JSON array.
 * @param field path of the data, for messages: `outputs[0].data`
 * @throws VitrineError `needs_binary` for NaN, infinities and BYTES that are not UTF-8
 */
export function writeJsonData(tensor: Tensor, field: string): string {
  return `[${writeElements(tensor, field)}]`;
}

function writeElements(tensor: Tensor, field: string): string {
  const { datatype, data } = tensor;
  switch (datatype) {
    case 'FP32':
    case 'FP64':
      return writeFloats(tensor, field, data as Float32Array | Float64Array);
    case 'FP16':
      return writeFloat16(tensor, field, data as Uint16Array);
    case 'BOOL':
      return writeBool(data as Uint8Array);
    case 'BYTES':
      return writeBytes(tensor, field, data as BytesData);
    default:
      // Integers; 64-bit ones with all their digits.
      return (data as Int32Array).join(',');
  }
}
