/** Reads the body of `POST /v2/models/{model}/infer`: JSON, JSON with binary tensors, or one raw tensor. */
import { ELEMENT_SIZE_BYTES } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import { INFERENCE_HEADER_CONTENT_LENGTH } from './headers.ts';
import {
  DEFAULT_OIP_LIMITS,
  type InferParameters,
  type InferRequest,
  type OipLimits,
  type ParameterValue,
  type RequestedOutput,
} from './oip.ts';
import { readBinaryData } from './tensor_binary.ts';
import {
  countElements,
  describeTensor,
  type Tensor,
  type TensorMetadata,
  VARIABLE_DIMENSION,
} from './tensors.ts';
import {
  checkContentType,
  type JsonObject,
  readHeaderLength,
  WireBody,
  type WireHeaders,
} from './wire_body.ts';
import {
  type Parameters,
  readBooleanParameter,
  readNames,
  readObjects,
  readParameters,
  readTensors,
} from './wire_tensor.ts';

const NO_OTHERS: ReadonlyMap<string, ParameterValue> = new Map();
const READ_HERE: ReadonlySet<string> = new Set(['timeout', 'priority', 'binary_data_output']);

function readTimeoutUs(value: ParameterValue | undefined, limits: OipLimits): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value <= limits.maxTimeoutUs) {
    return value;
  }
  const field = 'parameters.timeout';
  throw new VitrineError(
    'invalid_timeout',
    `${field} must be a whole number of microseconds from 0 to ${limits.maxTimeoutUs}; 0 asks for the default`,
    { field },
  );
}

function readPriority(value: ParameterValue | undefined, limits: OipLimits): number {
  if (value === undefined) return 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limits.maxPriority) {
    return value;
  }
  const field = 'parameters.priority';
  throw new VitrineError(
    'invalid_request',
    `${field} must be a whole number from 0 (the default) or 1 (the highest) to ${limits.maxPriority}`,
    { field },
  );
}

function readInferParameters(parameters: Parameters, limits: OipLimits): InferParameters {
  if (parameters.size === 0) return { priority: 0, others: NO_OTHERS };
  const timeoutUs = readTimeoutUs(parameters.get('timeout'), limits);
  const others = new Map<string, ParameterValue>();
  for (const [name, value] of parameters) if (!READ_HERE.has(name)) others.set(name, value);
  return {
    ...(timeoutUs === undefined ? {} : { timeoutUs }),
    priority: readPriority(parameters.get('priority'), limits),
    others,
  };
}

function readId(value: unknown, limits: OipLimits): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && value.length <= limits.maxIdChars) return value;
  throw new VitrineError(
    'invalid_request',
    `id must be a string of at most ${limits.maxIdChars} characters`,
    {
      field: 'id',
    },
  );
}

function readRequestedOutput(
  entry: JsonObject,
  name: string,
  index: number,
  limits: OipLimits,
): RequestedOutput {
  const field = `outputs[${index}].parameters`;
  const parameters = readParameters(entry.parameters, field, limits);
  const binaryData = readBooleanParameter(parameters, 'binary_data', field);
  const classes = parameters.get('classification');
  if (classes !== undefined && classes !== 0) {
    throw new VitrineError(
      'invalid_request',
      `${field}.classification is not supported; ask for the output itself`,
      {
        field: `${field}.classification`,
      },
    );
  }
  return binaryData === undefined ? { name } : { name, binaryData };
}

function readRequestedOutputs(value: unknown, limits: OipLimits): readonly RequestedOutput[] | undefined {
  if (value === undefined || value === null) return undefined;
  const entries = readObjects(value, 'outputs', limits.maxOutputs);
  if (entries.length === 0) return undefined;
  const names = readNames(entries, 'outputs', limits);
  return entries.map((entry, index) => readRequestedOutput(entry, names[index] ?? '', index, limits));
}

/**
 * The shape of a raw tensor. One variable dimension is what the body's size makes it; when the first
 * dimension and one other are variable, the first is 1. BYTES is one element, the whole body.
 */
function rawShape(metadata: TensorMetadata, bodyBytes: number): readonly number[] {
  const shape = [...metadata.shape];
  const variable = shape.flatMap((size, axis) => (size === VARIABLE_DIMENSION ? [axis] : []));
  if (metadata.datatype === 'BYTES') return shape.map((size) => (size === VARIABLE_DIMENSION ? 1 : size));
  if (variable.length === 2 && variable[0] === 0) {
    shape[0] = 1;
    variable.shift();
  }
  if (variable.length > 1) {
    throw new VitrineError(
      'invalid_binary',
      `a raw body does not tell the shape of ${describeTensor(metadata)}; send it with a JSON part`,
      { field: INFERENCE_HEADER_CONTENT_LENGTH },
    );
  }
  const [axis] = variable;
  if (axis !== undefined) {
    const others = shape.reduce((product, size, index) => (index === axis ? product : product * size), 1);
    // What does not divide evenly is refused with the sizes in the message when the bytes are read.
    shape[axis] = others === 0 ? 0 : Math.floor(bodyBytes / (others * ELEMENT_SIZE_BYTES[metadata.datatype]));
  }
  return shape;
}

function readRawInput(body: Buffer, metadata: TensorMetadata | undefined, limits: OipLimits): Tensor {
  const field = 'inputs[0]';
  if (metadata === undefined) {
    throw new VitrineError(
      'invalid_binary',
      `${INFERENCE_HEADER_CONTENT_LENGTH} is 0, and a raw body is only for models with exactly one input; send a JSON part`,
      { field: INFERENCE_HEADER_CONTENT_LENGTH },
    );
  }
  const { name, datatype } = metadata;
  const shape = rawShape(metadata, body.length);
  const count = countElements(shape, `${field}.shape`, limits);
  if (datatype !== 'BYTES') {
    return { name, datatype, shape, data: readBinaryData(datatype, count, body, 'the raw body') };
  }
  if (count !== 1) {
    throw new VitrineError(
      'invalid_binary',
      `a raw body is one BYTES element, but the model takes ${describeTensor(metadata)}; send it with a JSON part`,
      { field: INFERENCE_HEADER_CONTENT_LENGTH },
    );
  }
  return { name, datatype, shape, data: [new Uint8Array(body.buffer, body.byteOffset, body.length)] };
}

/**
 * Reads one inference request. Binary tensors are views on `body` where alignment allows, so the caller
 * neither writes to it nor transfers it while the request lives.
 *
 * With `inference-header-content-length: 0` the whole body is the data of the model's only input: its shape
 * comes from `rawInput`, and all outputs are asked for as binary. A BYTES input is then one element without
 * a length in front.
 * @param rawInput the model's input when it has exactly one
 * @throws VitrineError `invalid_json`, `invalid_request`, `invalid_tensor`, `invalid_binary`,
 *   `invalid_timeout`, `unsupported_media_type`, `payload_too_large`; never with a piece of the body
 */
export function parseInferRequest(
  body: Buffer,
  headers: WireHeaders,
  limits: OipLimits = DEFAULT_OIP_LIMITS,
  rawInput?: TensorMetadata,
): InferRequest {
  const headerLength = readHeaderLength(headers.inferenceHeaderContentLength, body.length);
  checkContentType(headers.contentType, headerLength);
  if (headerLength === 0) {
    const input = readRawInput(body, rawInput, limits);
    return { parameters: { priority: 0, others: NO_OTHERS }, inputs: [input], binaryDataOutput: true };
  }
  const wire = new WireBody(body, headerLength, limits.maxNesting);
  const { document } = wire;
  const id = readId(document.id, limits);
  const parameters = readParameters(document.parameters, 'parameters', limits);
  const inferParameters = readInferParameters(parameters, limits);
  const binaryDataOutput = readBooleanParameter(parameters, 'binary_data_output', 'parameters') ?? false;
  const outputs = readRequestedOutputs(document.outputs, limits);
  const inputs = readTensors(wire, 'inputs', limits);
  if (inputs.length === 0) {
    throw new VitrineError('invalid_request', 'inputs must hold at least one tensor', { field: 'inputs' });
  }
  wire.finish();
  return {
    ...(id === undefined ? {} : { id }),
    parameters: inferParameters,
    inputs,
    ...(outputs === undefined ? {} : { outputs }),
    binaryDataOutput,
  };
}
