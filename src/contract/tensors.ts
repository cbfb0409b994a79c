/** Tensors and their metadata, and the arithmetic of shapes that nothing is allocated before. */
import type { Datatype, TensorData } from './datatypes.ts';
import { VitrineError } from './errors.ts';

/** The size of a dimension that each request chooses. */
export const VARIABLE_DIMENSION = -1;

export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** Sizes of the dimensions, outermost first; `[]` is a scalar of one element. */
  readonly shape: readonly number[];
  /**
   * The elements in row-major order, as many as the shape's product, in the array that `DataOf` names for
   * the datatype. It may be a view on the body that it came with: whoever keeps it keeps that body, and
   * nobody writes to it or transfers its buffer.
   */
  readonly data: TensorData;
}

/** What a model says of one input or output; -1 (`VARIABLE_DIMENSION`) is a size that each request chooses. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export interface ShapeLimits {
  readonly maxRank: number;
  /** Of one tensor; also the largest single dimension. At most 2^26. */
  readonly maxElements: number;
}

/** `[2, -1]` as text; long shapes are cut. */
export function describeShape(shape: readonly number[]): string {
  return shape.length > 16 ? `[${shape.slice(0, 16).join(', ')}, ...]` : `[${shape.join(', ')}]`;
}

/** `FP32 [-1, 784]`, as error messages name what a model expects. */
export function describeTensor(metadata: TensorMetadata): string {
  return `${metadata.datatype} ${describeShape(metadata.shape)}`;
}

/**
 * Checks a shape that arrived from outside and counts its elements, before anything is allocated.
 *
 * A dimension may be 0, and then the tensor has no elements; the product of the other dimensions stays under
 * the limit all the same, so that no stride computed from the shape can overflow.
 * @param shape any JSON value
 * @param field path of the shape, for messages: `inputs[0].shape`
 * @throws VitrineError `invalid_tensor`
 */
export function countElements(shape: unknown, field: string, limits: ShapeLimits): number {
  if (!Array.isArray(shape)) {
    throw new VitrineError('invalid_tensor', `${field} must be an array of dimensions, such as [1, 4]`, {
      field,
    });
  }
  if (shape.length > limits.maxRank) {
    throw new VitrineError(
      'invalid_tensor',
      `${field} has ${shape.length} dimensions; at most ${limits.maxRank} are allowed`,
      { field },
    );
  }
  let product = 1;
  let empty = false;
  for (let axis = 0; axis < shape.length; axis += 1) {
    const size: unknown = shape[axis];
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) {
      const at = `${field}[${axis}]`;
      const given = typeof size === 'number' ? `${size}` : `a JSON ${jsonType(size)}`;
      throw new VitrineError('invalid_tensor', `${at} is ${given}; a dimension is a whole number from 0`, {
        field: at,
      });
    }
    if (size === 0) {
      empty = true;
      continue;
    }
    // A double: where it is not exact it is far beyond the limit.
    product *= size;
    if (product > limits.maxElements) {
      const at = `${field}[${axis}]`;
      throw new VitrineError(
        'invalid_tensor',
        `${at} makes the tensor larger than the limit of ${limits.maxElements} elements; send less per request`,
        { field: at },
      );
    }
  }
  return empty ? 0 : product;
}

/** What JSON calls the value's type; for messages that must not quote the value. */
export function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'missing value';
  return Array.isArray(value) ? 'array' : typeof value;
}
