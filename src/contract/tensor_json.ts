/**
 * The JSON form of tensor data, read. Numbers are the doubles that JSON.parse makes of them; integers beyond
 * 2^53 are read again from their digits, so that INT64 and UINT64 are exact.
 */
import {
  allocateData,
  type BytesData,
  type DataOf,
  type Datatype,
  type FixedData,
  type FixedDatatype,
  type TensorData,
} from './datatypes.ts';
import { VitrineError } from './errors.ts';
import { FP16_OVERFLOW, toFloat16Bits } from './float16.ts';
import { describeShape, jsonType } from './tensors.ts';

/** Halfway between the largest FP32 and 2^128: from here on a number rounds to infinity. */
const FP32_OVERFLOW = 2 ** 128 - 2 ** 103;

/** Copies `leaf` to `out` from `at` on; the index in `leaf` of the first element it refuses, else -1. */
type Fill<D extends FixedDatatype> = (out: DataOf[D], at: number, leaf: readonly unknown[]) => number;

function fillFp32(out: Float32Array, at: number, leaf: readonly unknown[]): number {
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value !== 'number' || !(value < FP32_OVERFLOW && value > -FP32_OVERFLOW)) return index;
    out[at + index] = value;
  }
  return -1;
}

function fillFp64(out: Float64Array, at: number, leaf: readonly unknown[]): number {
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value !== 'number' || !Number.isFinite(value)) return index;
    out[at + index] = value;
  }
  return -1;
}

function fillFp16(out: Uint16Array, at: number, leaf: readonly unknown[]): number {
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value !== 'number' || !(value < FP16_OVERFLOW && value > -FP16_OVERFLOW)) return index;
    out[at + index] = toFloat16Bits(value);
  }
  return -1;
}

function fillBool(out: Uint8Array, at: number, leaf: readonly unknown[]): number {
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value !== 'boolean') return index;
    out[at + index] = value ? 1 : 0;
  }
  return -1;
}

type SmallIntegers = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/** A typed array wraps what lies outside its range and cuts fractions: what comes back unchanged was in range. */
function fillInteger(out: SmallIntegers, at: number, leaf: readonly unknown[]): number {
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value !== 'number') return index;
    out[at + index] = value;
    if (out[at + index] !== value) return index;
  }
  return -1;
}

/** Elements are numbers, or BigInts where the document was read with exact integers. */
function fillInt64(
  out: BigInt64Array | BigUint64Array,
  at: number,
  leaf: readonly unknown[],
  lowest: number,
): number {
  // Two 32-bit halves: ten times faster than one BigInt per element.
  const halves = new Int32Array(out.buffer, out.byteOffset + 8 * at, 2 * leaf.length);
  for (let index = 0; index < leaf.length; index += 1) {
    const value = leaf[index];
    if (typeof value === 'number') {
      if (!Number.isSafeInteger(value) || value < lowest) return index;
      halves[2 * index] = value;
      halves[2 * index + 1] = Math.floor(value / 2 ** 32);
    } else if (typeof value === 'bigint') {
      out[at + index] = value;
      if (out[at + index] !== value) return index;
    } else {
      return index;
    }
  }
  return -1;
}

const FILL: { readonly [D in FixedDatatype]: Fill<D> } = {
  BOOL: fillBool,
  INT8: fillInteger,
  INT16: fillInteger,
  INT32: fillInteger,
  INT64: (out, at, leaf) => fillInt64(out, at, leaf, Number.NEGATIVE_INFINITY),
  UINT8: fillInteger,
  UINT16: fillInteger,
  UINT32: fillInteger,
  UINT64: (out, at, leaf) => fillInt64(out, at, leaf, 0),
  FP16: fillFp16,
  FP32: fillFp32,
  FP64: fillFp64,
};

const EXPECTED: Readonly<Record<Datatype, string>> = {
  BOOL: 'true or false',
  INT8: 'a whole number from -128 to 127',
  INT16: 'a whole number from -32768 to 32767',
  INT32: 'a whole number from -2147483648 to 2147483647',
  INT64: 'a whole number from -2^63 to 2^63 - 1, in plain digits beyond 2^53',
  UINT8: 'a whole number from 0 to 255',
  UINT16: 'a whole number from 0 to 65535',
  UINT32: 'a whole number from 0 to 4294967295',
  UINT64: 'a whole number from 0 to 2^64 - 1, in plain digits beyond 2^53',
  FP16: 'a number between -65520 and 65520; send NaN and Infinity as binary data',
  FP32: 'a number within the range of 32-bit floats; send NaN and Infinity as binary data',
  FP64: 'a number within the range of 64-bit floats; send NaN and Infinity as binary data',
  BYTES: 'a string; send bytes that are not UTF-8 as binary data',
};

/** Where the data stands in the request, and what it must become. */
export interface JsonDataPlan {
  /** Path of the data, for messages: `inputs[0].data`. */
  readonly field: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** The shape's product, checked against the limits. */
  readonly count: number;
  /** The same data from parseWithExactIntegers; called at most once, for INT64 and UINT64 only. */
  readonly exactData: () => unknown;
}

function wrongElement(plan: JsonDataPlan, index: number, nested: boolean, value: unknown): VitrineError {
  let at = '';
  if (nested) {
    let rest = index;
    for (let axis = plan.shape.length - 1; axis >= 0; axis -= 1) {
      const size = plan.shape[axis] ?? 1;
      at = `[${rest % size}]${at}`;
      rest = Math.floor(rest / size);
    }
  } else {
    at = `[${index}]`;
  }
  const field = plan.field + at;
  const why = Array.isArray(value)
    ? `is an array, nested deeper than the shape ${describeShape(plan.shape)}; nest the data as the shape says, or send it flat`
    : `must be ${EXPECTED[plan.datatype]} (${plan.datatype})`;
  return new VitrineError('invalid_tensor', `${field} ${why}`, { field });
}

function wrongLength(plan: JsonDataPlan, field: string, given: number, needed: number): VitrineError {
  return new VitrineError(
    'invalid_tensor',
    `${field} has ${given} elements; the shape ${describeShape(plan.shape)} needs ${needed}`,
    { field },
  );
}

/** Checks the lengths of all levels of nested data and collects the innermost arrays in order. */
function collectLeaves(
  plan: JsonDataPlan,
  value: unknown,
  axis: number,
  field: string,
  leaves: (readonly unknown[])[],
): void {
  if (!Array.isArray(value)) {
    throw new VitrineError(
      'invalid_tensor',
      `${field} is a JSON ${jsonType(value)} where the shape ${describeShape(plan.shape)} needs an array; nest the data as the shape says, or send it flat`,
      { field },
    );
  }
  const size = plan.shape[axis] ?? 0;
  if (value.length !== size) throw wrongLength(plan, field, value.length, size);
  if (axis === plan.shape.length - 1) {
    leaves.push(value);
    return;
  }
  for (let index = 0; index < size; index += 1) {
    collectLeaves(plan, value[index], axis + 1, `${field}[${index}]`, leaves);
  }
}

/** The arrays that hold the elements: one when the data is flat, many when it is nested. */
function leavesOf(plan: JsonDataPlan, value: unknown): (readonly unknown[])[] {
  const { shape, count, field } = plan;
  if (!Array.isArray(value)) {
    if (shape.length === 0 && value !== undefined && value !== null) return [[value]];
    throw new VitrineError(
      'invalid_tensor',
      `${field} must be an array of ${count} elements (${plan.datatype} ${describeShape(shape)})`,
      { field },
    );
  }
  if (shape.length > 1 && Array.isArray(value[0])) {
    const leaves: (readonly unknown[])[] = [];
    collectLeaves(plan, value, 0, field, leaves);
    return leaves;
  }
  if (value.length !== count) throw wrongLength(plan, field, value.length, count);
  return [value];
}

function readBytes(plan: JsonDataPlan, leaves: readonly (readonly unknown[])[], nested: boolean): BytesData {
  const out: Uint8Array[] = [];
  for (const leaf of leaves) {
    for (const value of leaf) {
      if (typeof value !== 'string') throw wrongElement(plan, out.length, nested, value);
      // A lone surrogate has no UTF-8 form and would be replaced silently.
      if (!value.isWellFormed()) throw wrongElement(plan, out.length, nested, value);
      out.push(Buffer.from(value, 'utf8'));
    }
  }
  return out;
}

/** Fills all leaves; the first refused element's index over all of them and its value, or undefined. */
function fillLeaves<D extends FixedDatatype>(
  datatype: D,
  out: DataOf[D],
  leaves: readonly (readonly unknown[])[],
): { readonly index: number; readonly value: unknown } | undefined {
  let at = 0;
  for (const leaf of leaves) {
    const refused = FILL[datatype](out, at, leaf);
    if (refused >= 0) return { index: at + refused, value: leaf[refused] };
    at += leaf.length;
  }
  return undefined;
}

/**
 * Reads `data`, flat or nested as the shape says; a tensor of shape `[]` may also be its bare element.
 * Lengths are checked before the array is allocated.
 * @throws VitrineError `invalid_tensor`, naming the element
 */
export function readJsonData(plan: JsonDataPlan, value: unknown): TensorData {
  const leaves = leavesOf(plan, value);
  const nested = leaves.length !== 1 || leaves[0] !== value;
  const { datatype } = plan;
  if (datatype === 'BYTES') return readBytes(plan, leaves, nested);
  const out: FixedData = allocateData(datatype, plan.count);
  const fixed: FixedDatatype = datatype;
  let refused = fillLeaves(fixed, out, leaves);
  if (refused !== undefined && (datatype === 'INT64' || datatype === 'UINT64') && isInexact(refused.value)) {
    refused = fillLeaves(fixed, out, leavesOf(plan, plan.exactData()));
  }
  if (refused !== undefined) throw wrongElement(plan, refused.index, nested, refused.value);
  return out;
}

function isInexact(value: unknown): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}
