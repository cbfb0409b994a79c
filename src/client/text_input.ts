/** Sentences as the one BYTES tensor that a text model takes. */
import type { ModelMetadata } from '../contract/oip.ts';
import { describeTensor, type Tensor, type TensorMetadata, VARIABLE_DIMENSION } from '../contract/tensors.ts';
import { ClientError } from './client_error.ts';

/**
 * The shape that holds `count` elements: the outermost variable dimension takes them, the others become 1.
 * Undefined when the dimensions that are fixed leave no room for just as many.
 */
export function shapeFor(input: TensorMetadata, count: number): number[] | undefined {
  const outermost = input.shape.indexOf(VARIABLE_DIMENSION);
  const shape = input.shape.map((size, axis) =>
    size !== VARIABLE_DIMENSION ? size : axis === outermost ? count : 1,
  );
  return shape.reduce((product, size) => product * size, 1) === count ? shape : undefined;
}

/**
 * @throws ClientError `invalid_request` when the model takes something else than one BYTES tensor, or its
 *   shape has no room for so many texts; the message says what it takes
 */
export function textInput(model: ModelMetadata, texts: readonly string[]): Tensor {
  const [input, ...others] = model.inputs;
  const takes = model.inputs.map((each) => `${each.name}: ${describeTensor(each)}`).join(', ');
  if (input === undefined || others.length > 0 || input.datatype !== 'BYTES') {
    throw new ClientError(
      'invalid_request',
      `${model.name} takes ${takes === '' ? 'no input' : takes}; text() is for models with one BYTES input, use infer()`,
    );
  }
  const shape = shapeFor(input, texts.length);
  if (shape === undefined) {
    throw new ClientError(
      'invalid_request',
      `${model.name} takes ${takes}, which ${texts.length} texts do not fit`,
    );
  }
  return { name: input.name, datatype: 'BYTES', shape, data: texts.map((text) => Buffer.from(text, 'utf8')) };
}

/** The elements of a BYTES tensor as text; bytes that are no UTF-8 become U+FFFD. */
export function textsOf(tensor: Tensor): string[] {
  if (tensor.datatype !== 'BYTES') {
    throw new ClientError('invalid_request', `${tensor.name} holds ${tensor.datatype}, not BYTES`);
  }
  return (tensor.data as readonly Uint8Array[]).map((bytes) => Buffer.from(bytes).toString('utf8'));
}
