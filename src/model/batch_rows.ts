/** Rows of several queries into one batch and back, along the first dimension. */
import {
  allocateData,
  type BytesData,
  type FixedData,
  type FixedDatatype,
  type TensorData,
} from '../contract/datatypes.ts';
import { VitrineError } from '../contract/errors.ts';
import { describeShape, type Tensor, type TensorMetadata, VARIABLE_DIMENSION } from '../contract/tensors.ts';

/** What a queued BYTES element weighs beside its bytes: a view's object, about. */
const BYTES_ELEMENT_OVERHEAD_BYTES = 96;

function isFixed(data: TensorData): data is FixedData {
  return ArrayBuffer.isView(data);
}

/** Memory of a tensor's elements, in bytes. */
export function tensorBytes(tensor: Tensor): number {
  const { data } = tensor;
  if (isFixed(data)) return data.byteLength;
  let bytes = data.length * BYTES_ELEMENT_OVERHEAD_BYTES;
  for (const element of data) bytes += element.length;
  return bytes;
}

/** Copies byte strings into one fresh buffer, so that they cross threads as one piece. */
function packBytes(parts: readonly BytesData[]): Uint8Array[] {
  let total = 0;
  for (const part of parts) for (const element of part) total += element.length;
  const buffer = new ArrayBuffer(total);
  const packed: Uint8Array[] = [];
  let at = 0;
  for (const part of parts) {
    for (const element of part) {
      const copy = new Uint8Array(buffer, at, element.length);
      copy.set(element);
      packed.push(copy);
      at += element.length;
    }
  }
  return packed;
}

function concatenateFixed(datatype: FixedDatatype, parts: readonly Tensor[]): FixedData {
  let count = 0;
  for (const part of parts) count += part.data.length;
  // All of one datatype, which TypeScript cannot follow through the loop.
  const data = allocateData(datatype, count) as FixedData & { set(from: TensorData, at: number): void };
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return data;
}

/**
 * One fresh tensor of the parts' rows, in order. Parts have the same name, datatype and trailing dimensions;
 * a single part keeps its whole shape, whatever its rank.
 */
export function concatenateRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (first === undefined) throw new RangeError('a batch has at least one query');
  let shape = first.shape;
  if (parts.length > 1) {
    let rows = 0;
    for (const part of parts) rows += part.shape[0] ?? 0;
    shape = [rows, ...first.shape.slice(1)];
  }
  const data =
    first.datatype === 'BYTES'
      ? packBytes(parts.map((part) => part.data as BytesData))
      : concatenateFixed(first.datatype, parts);
  return { name: first.name, datatype: first.datatype, shape, data };
}

/**
 * Each query's rows of each output, as views on it, in order.
 * @throws VitrineError `model_failed`
 */
export function splitRows(outputs: readonly Tensor[], rowsPerQuery: readonly number[]): Tensor[][] {
  let total = 0;
  for (const rows of rowsPerQuery) total += rows;
  for (const output of outputs) {
    if (output.shape[0] !== total) {
      throw new VitrineError(
        'model_failed',
        `the model's output ${JSON.stringify(output.name)} has the shape ${describeShape(output.shape)} for ${total} rows; its manifest declares batching, which needs one row of every output per row of input`,
      );
    }
  }
  let first = 0;
  return rowsPerQuery.map((rows) => {
    const start = first;
    first += rows;
    return outputs.map((output) => {
      const perRow = output.data.length / total;
      const from = start * perRow;
      const to = first * perRow;
      const { data } = output;
      const own = isFixed(data) ? data.subarray(from, to) : data.slice(from, to);
      return { ...output, shape: [rows, ...output.shape.slice(1)], data: own };
    });
  });
}

/**
 * Rows that a query's inputs agree on.
 * @throws VitrineError `invalid_tensor`, `too_many_rows`
 */
export function rowsOf(inputs: readonly Tensor[], maxBatchRows: number): number {
  const [first] = inputs;
  const rows = first?.shape[0] ?? 0;
  for (const input of inputs) {
    const field = `${JSON.stringify(input.name)}.shape[0]`;
    if (input.shape[0] !== rows) {
      const other = `${JSON.stringify(first?.name)} has ${rows}`;
      throw new VitrineError(
        'invalid_tensor',
        `input ${field} is ${input.shape[0]}, but ${other}; all inputs have the same number of rows`,
        { field },
      );
    }
    if (rows === 0) {
      throw new VitrineError('invalid_tensor', `input ${field} is 0; send at least one row`, { field });
    }
    if (rows > maxBatchRows) {
      throw new VitrineError(
        'too_many_rows',
        `input ${field} is ${rows}; the model takes at most ${maxBatchRows} rows per query, so send several queries`,
        { field },
      );
    }
  }
  return rows;
}

/**
 * What keeps queries apart: the sizes of the dimensions that requests choose, other than the batch axis.
 * @param inputs in the order of `metadata`
 */
export function shapeKey(inputs: readonly Tensor[], metadata: readonly TensorMetadata[]): string {
  let key = '';
  for (let index = 0; index < metadata.length; index += 1) {
    const declared = metadata[index]?.shape ?? [];
    for (let axis = 1; axis < declared.length; axis += 1) {
      if (declared[axis] === VARIABLE_DIMENSION) key += `${inputs[index]?.shape[axis]},`;
    }
    key += ';';
  }
  return key;
}
