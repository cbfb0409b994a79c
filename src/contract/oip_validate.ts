/** Holds a request against what the model says of its inputs and outputs. */
import { VitrineError } from './errors.ts';
import type { InferRequest } from './oip.ts';
import {
  describeShape,
  describeTensor,
  type Tensor,
  type TensorMetadata,
  VARIABLE_DIMENSION,
} from './tensors.ts';

export interface ModelSignature {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** Tensors that a message lists at most. */
const LISTED = 16;
/** Characters of a name that a message shows at most. */
const NAME_CHARS = 64;

function quote(name: string): string {
  return JSON.stringify(name.length > NAME_CHARS ? `${name.slice(0, NAME_CHARS)}...` : name);
}

function list(tensors: readonly TensorMetadata[]): string {
  const listed = tensors
    .slice(0, LISTED)
    .map((tensor) => `${quote(tensor.name)} (${describeTensor(tensor)})`);
  if (tensors.length > LISTED) listed.push(`${tensors.length - LISTED} more`);
  return listed.join(', ');
}

function checkTensor(tensor: Tensor, expected: TensorMetadata, at: string): void {
  if (tensor.datatype !== expected.datatype) {
    const field = `${at}.datatype`;
    throw new VitrineError(
      'invalid_tensor',
      `${field} is ${tensor.datatype}; the model's input ${quote(expected.name)} takes ${describeTensor(expected)}`,
      { field },
    );
  }
  if (tensor.shape.length !== expected.shape.length) {
    const field = `${at}.shape`;
    throw new VitrineError(
      'invalid_tensor',
      `${field} ${describeShape(tensor.shape)} has ${tensor.shape.length} dimensions; the model's input ${quote(expected.name)} takes ${describeTensor(expected)}`,
      { field },
    );
  }
  for (let axis = 0; axis < expected.shape.length; axis += 1) {
    const size = expected.shape[axis];
    if (size === VARIABLE_DIMENSION || tensor.shape[axis] === size) continue;
    const field = `${at}.shape[${axis}]`;
    throw new VitrineError(
      'invalid_tensor',
      `${field} is ${tensor.shape[axis]}; the model's input ${quote(expected.name)} takes ${describeTensor(expected)}`,
      { field },
    );
  }
}

function checkOutputs(request: InferRequest, model: ModelSignature): void {
  if (request.outputs === undefined) return;
  for (let index = 0; index < request.outputs.length; index += 1) {
    const name = request.outputs[index]?.name ?? '';
    if (model.outputs.some((output) => output.name === name)) continue;
    const field = `outputs[${index}].name`;
    throw new VitrineError(
      'unknown_output',
      `${field} ${quote(name)} is no output of the model; it has ${list(model.outputs)}`,
      { field },
    );
  }
}

/**
 * Checks names, datatypes, ranks and fixed dimensions, and the requested outputs.
 * @returns the inputs in the model's order
 * @throws VitrineError `unknown_input`, `unknown_output`, `invalid_request` (doubled or missing input),
 *   `invalid_tensor`; messages list what the model expects
 */
export function validateInputs(request: InferRequest, model: ModelSignature): readonly Tensor[] {
  const ordered: (Tensor | undefined)[] = new Array(model.inputs.length).fill(undefined);
  for (let index = 0; index < request.inputs.length; index += 1) {
    const tensor = request.inputs[index];
    if (tensor === undefined) continue;
    const at = `inputs[${index}]`;
    const place = model.inputs.findIndex((input) => input.name === tensor.name);
    const expected = model.inputs[place];
    if (expected === undefined) {
      throw new VitrineError(
        'unknown_input',
        `${at}.name ${quote(tensor.name)} is no input of the model; it takes ${list(model.inputs)}`,
        { field: `${at}.name` },
      );
    }
    if (ordered[place] !== undefined) {
      throw new VitrineError(
        'invalid_request',
        `${at}.name ${quote(tensor.name)} is doubled; send each input once`,
        {
          field: `${at}.name`,
        },
      );
    }
    checkTensor(tensor, expected, at);
    ordered[place] = tensor;
  }
  const missing = model.inputs.filter((_, place) => ordered[place] === undefined);
  if (missing.length > 0) {
    throw new VitrineError(
      'invalid_request',
      `inputs lacks ${list(missing)}; the model needs each of its inputs`,
      {
        field: 'inputs',
      },
    );
  }
  checkOutputs(request, model);
  return ordered as readonly Tensor[];
}
