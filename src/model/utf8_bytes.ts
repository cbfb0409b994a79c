/**
 * Preprocess `utf8_bytes`: texts become the numbers of their UTF-8 bytes, each raised by `shift`, cut to
 * `max_bytes` and padded with 0 to the longest text of the batch. The cut may fall inside a character.
 */
import { isUtf8 } from 'node:buffer';
import { allocateData, type BytesData, type Datatype, type FixedDatatype } from '../contract/datatypes.ts';
import { VitrineError } from '../contract/errors.ts';
import type { Tensor, TensorMetadata } from '../contract/tensors.ts';
import type { PreprocessPlan } from './model_info.ts';
import type { PreparedQuery } from './pipelines.ts';

type Utf8BytesPlan = Extract<PreprocessPlan, { readonly type: 'utf8_bytes' }>;

/** Elements of one padded tensor at most: 128 MiB as INT64. Bounds what one long text costs beside many short. */
export const PADDED_ELEMENTS_LIMIT = 2 ** 24;

/** Datatypes that `utf8_bytes` can fill, with their largest number. */
const LARGEST: Partial<Record<Datatype, number>> = {
  INT8: 127,
  INT16: 32_767,
  INT32: 2 ** 31 - 1,
  INT64: Number.MAX_SAFE_INTEGER,
  UINT8: 255,
  UINT16: 65_535,
  UINT32: 2 ** 32 - 1,
  UINT64: Number.MAX_SAFE_INTEGER,
};

/** Why the graph's input cannot take these numbers, or undefined. */
export function utf8BytesMismatch(tensor: TensorMetadata, shift: number): string | undefined {
  const largest = LARGEST[tensor.datatype];
  if (largest === undefined) return `is ${tensor.datatype}; utf8_bytes needs an input of whole numbers`;
  if (255 + shift > largest) {
    return `is ${tensor.datatype}, which cannot hold 255 + shift ${shift}; export it with a wider datatype`;
  }
  if (tensor.shape.length !== 2 || tensor.shape[1] !== -1) {
    return `has the shape [${tensor.shape.join(', ')}]; utf8_bytes needs [n, length] with a variable length`;
  }
  return undefined;
}

interface GatheredTexts {
  readonly rowLengths: Int32Array;
  readonly ragged: Uint8Array;
}

/**
 * Copies the texts, cut, one after another.
 * @param texts BYTES [n]
 * @throws VitrineError `invalid_tensor` when one is not UTF-8, `too_many_rows` when padding would exceed the limit
 */
export function gatherTexts(plan: Utf8BytesPlan, texts: Tensor): GatheredTexts {
  const elements = texts.data as BytesData;
  const rowLengths = new Int32Array(elements.length);
  let total = 0;
  let longest = 1;
  for (let row = 0; row < elements.length; row += 1) {
    const text = elements[row];
    if (text === undefined || !isUtf8(text)) {
      const field = `${JSON.stringify(plan.input)}.data[${row}]`;
      throw new VitrineError('invalid_tensor', `input ${field} is not UTF-8 text; encode it as UTF-8`, {
        field,
      });
    }
    const length = Math.min(text.length, plan.maxBytes);
    rowLengths[row] = length;
    total += length;
    if (length > longest) longest = length;
  }
  if (rowLengths.length * longest > PADDED_ELEMENTS_LIMIT) {
    throw new VitrineError(
      'too_many_rows',
      `input ${JSON.stringify(plan.input)} pads to ${rowLengths.length} x ${longest} bytes; at most ${PADDED_ELEMENTS_LIMIT} fit one query, so send several`,
      { field: plan.input },
    );
  }
  const ragged = new Uint8Array(total);
  let at = 0;
  for (const text of elements) {
    const cut = text.subarray(0, plan.maxBytes);
    ragged.set(cut, at);
    at += cut.length;
  }
  return { rowLengths, ragged };
}

/** The padded tensor [rows, longest] of these queries' texts, in order; no narrower than one column. */
export function padTexts(plan: Utf8BytesPlan, prepared: readonly PreparedQuery[]): Tensor {
  let rows = 0;
  let longest = 1;
  for (const query of prepared) {
    const lengths = query.rowLengths ?? new Int32Array(0);
    rows += lengths.length;
    for (const length of lengths) if (length > longest) longest = length;
  }
  const datatype = plan.datatype as FixedDatatype;
  const data = allocateData(datatype, rows * longest);
  let row = 0;
  for (const query of prepared) {
    const bytes = query.ragged ?? new Uint8Array(0);
    let from = 0;
    for (const length of query.rowLengths ?? []) {
      const to = row * longest;
      if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
        for (let index = 0; index < length; index += 1) {
          data[to + index] = BigInt((bytes[from + index] ?? 0) + plan.shift);
        }
      } else {
        for (let index = 0; index < length; index += 1) {
          data[to + index] = (bytes[from + index] ?? 0) + plan.shift;
        }
      }
      from += length;
      row += 1;
    }
  }
  return { name: plan.tensor, datatype, shape: [rows, longest], data };
}
