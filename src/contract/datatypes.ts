/**
 * The datatypes of the Open Inference Protocol: their sizes, their ranges and the arrays that hold them.
 *
 * Tensors that arrive as bytes are read as views wherever alignment allows, and the protocol's byte order is
 * little-endian, so this module refuses to load on a big-endian machine.
 */
import { endianness } from 'node:os';

export const DATATYPES = [
  'BOOL',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;

export type Datatype = (typeof DATATYPES)[number];

/** Datatypes whose elements all have the same size. */
export type FixedDatatype = Exclude<Datatype, 'BYTES'>;

/** Elements of BYTES: each is one byte string, of any length from 0. */
export type BytesData = readonly Uint8Array[];

/**
 * The array behind each datatype. BOOL holds 0 or 1 per element; FP16 holds the 16 bits of each number
 * (see float16.ts), because not every runtime takes a Float16Array.
 */
export interface DataOf {
  readonly BOOL: Uint8Array;
  readonly INT8: Int8Array;
  readonly INT16: Int16Array;
  readonly INT32: Int32Array;
  readonly INT64: BigInt64Array;
  readonly UINT8: Uint8Array;
  readonly UINT16: Uint16Array;
  readonly UINT32: Uint32Array;
  readonly UINT64: BigUint64Array;
  readonly FP16: Uint16Array;
  readonly FP32: Float32Array;
  readonly FP64: Float64Array;
  readonly BYTES: BytesData;
}

export type FixedData = DataOf[FixedDatatype];
export type TensorData = DataOf[Datatype];

/** Bytes per element; 0 for BYTES, whose elements have no fixed size. */
export const ELEMENT_SIZE_BYTES: Readonly<Record<Datatype, number>> = {
  BOOL: 1,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  FP16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: 0,
};

/** Bytes of the length in front of each BYTES element in binary form (uint32, little-endian). */
export const BYTES_LENGTH_PREFIX_BYTES = 4;

const ARRAYS = {
  BOOL: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Record<FixedDatatype, unknown>;

if (endianness() !== 'LE')
  throw new Error('Vitrine reads tensors in place and needs a little-endian machine');

export function isDatatype(value: unknown): value is Datatype {
  return typeof value === 'string' && Object.hasOwn(ELEMENT_SIZE_BYTES, value);
}

/** A zeroed array of `count` elements. The caller has checked `count` against its limit. */
export function allocateData<D extends FixedDatatype>(datatype: D, count: number): DataOf[D] {
  return new ARRAYS[datatype](count) as DataOf[D];
}

/** A view of `count` elements at `byteOffset`, which is a multiple of the element's size. */
export function viewData<D extends FixedDatatype>(
  datatype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  count: number,
): DataOf[D] {
  const View: unknown = ARRAYS[datatype];
  return new (View as new (buffer: ArrayBufferLike, byteOffset: number, count: number) => DataOf[D])(
    buffer,
    byteOffset,
    count,
  );
}

/** Whether `data` is the array that holds `datatype`. */
export function holdsDatatype(datatype: Datatype, data: TensorData): boolean {
  return datatype === 'BYTES' ? Array.isArray(data) : data instanceof ARRAYS[datatype];
}
