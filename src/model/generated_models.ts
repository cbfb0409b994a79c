/**
 * Models made on the spot, with seeded weights: what the bench measures and what tests run. They compute
 * nothing of use; the same arguments give the same bytes.
 */
import type { Datatype } from '../contract/datatypes.ts';
import { encodeOnnx, type OnnxInitializer, type OnnxNode } from './onnx_writer.ts';

export interface MlpShape {
  /** Dense layers, each followed by Relu but the last. */
  readonly layers: number;
  /** Features in, out and between. */
  readonly width: number;
  /** One pair of weights for all layers: slow by arithmetic with a small file. */
  readonly sharedWeights?: boolean;
}

/**
 * Sizes that the bench measures. One row takes layers x width^2 multiplications: 0.26 M, 12.6 M and 52 M, the
 * last at least a millisecond on one core.
 */
export const MLP_SHAPES = {
  small: { layers: 4, width: 256 },
  big: { layers: 12, width: 1024 },
  slow: { layers: 200, width: 512, sharedWeights: true },
} as const satisfies Record<string, MlpShape>;

/** Name of the generated models' input and output. */
export const GENERATED_INPUT = 'input';
export const GENERATED_OUTPUT = 'output';

/** mulberry32: 32 bits of state, uniform in [0, 1). Good enough for weights that mean nothing. */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Uniform weights scaled so that activations neither die out nor grow over the layers (He's variance 2/width). */
function weights(next: () => number, count: number, width: number): Uint8Array {
  const limit = Math.sqrt(6 / width);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index += 1) values[index] = (next() * 2 - 1) * limit;
  return new Uint8Array(values.buffer);
}

/**
 * A multilayer perceptron, FP32 `input` [batch, width] to FP32 `output` [batch, width].
 * @returns the bytes of a model.onnx, about 4 x width^2 for each layer with weights of its own
 */
export function encodeMlp(shape: MlpShape, seed = 1): Uint8Array {
  const { layers, width, sharedWeights = false } = shape;
  const next = seededUniform(seed);
  const nodes: OnnxNode[] = [];
  const initializers: OnnxInitializer[] = [];
  let previous = GENERATED_INPUT;
  for (let layer = 0; layer < layers; layer += 1) {
    const last = layer === layers - 1;
    const weight = sharedWeights ? 'w' : `w${layer}`;
    const bias = sharedWeights ? 'b' : `b${layer}`;
    if (layer === 0 || !sharedWeights) {
      initializers.push(
        { name: weight, datatype: 'FP32', shape: [width, width], data: weights(next, width * width, width) },
        { name: bias, datatype: 'FP32', shape: [width], data: weights(next, width, width) },
      );
    }
    const dense = last ? GENERATED_OUTPUT : `dense${layer}`;
    nodes.push({ operator: 'Gemm', inputs: [previous, weight, bias], outputs: [dense] });
    if (!last) nodes.push({ operator: 'Relu', inputs: [dense], outputs: [`relu${layer}`] });
    previous = `relu${layer}`;
  }
  return encodeOnnx({
    inputs: [{ name: GENERATED_INPUT, datatype: 'FP32', shape: ['batch', width] }],
    outputs: [{ name: GENERATED_OUTPUT, datatype: 'FP32', shape: ['batch', width] }],
    nodes,
    initializers,
  });
}

/** `input` to `output` unchanged, for any datatype and shape. */
export function encodeIdentity(
  datatype: Datatype | 'BF16',
  shape: readonly (number | string)[] = ['batch'],
): Uint8Array {
  return encodeOnnx({
    inputs: [{ name: GENERATED_INPUT, datatype, shape }],
    outputs: [{ name: GENERATED_OUTPUT, datatype, shape }],
    nodes: [{ operator: 'Identity', inputs: [GENERATED_INPUT], outputs: [GENERATED_OUTPUT] }],
  });
}

/**
 * Sums the elements of each row: INT64 `input` [batch, length] to INT64 `output` [batch], exact whatever
 * the batch. Zeros do not count, so padding must not show: a swapped or torn row does.
 */
export function encodeRowSum(): Uint8Array {
  const axes = new Uint8Array(BigInt64Array.of(1n).buffer);
  return encodeOnnx({
    inputs: [{ name: GENERATED_INPUT, datatype: 'INT64', shape: ['batch', 'length'] }],
    outputs: [{ name: GENERATED_OUTPUT, datatype: 'INT64', shape: ['batch'] }],
    nodes: [
      {
        operator: 'ReduceSum',
        inputs: [GENERATED_INPUT, 'axes'],
        outputs: [GENERATED_OUTPUT],
        integers: { keepdims: 0 },
      },
    ],
    initializers: [{ name: 'axes', datatype: 'INT64', shape: [1], data: axes }],
  });
}
