/** The client's side of the protocol: requests written, responses read. */
import { VitrineError } from './errors.ts';
import {
  DEFAULT_OIP_LIMITS,
  type InferResponse,
  type OipLimits,
  type ParameterValue,
  type RequestedOutput,
} from './oip.ts';
import type { Tensor } from './tensors.ts';
import { checkContentType, readHeaderLength, WireBody, type WireHeaders } from './wire_body.ts';
import { readParameters, readTensors } from './wire_tensor.ts';
import { assembleBody, type WireMessage, writeTensors } from './wire_write.ts';

export interface OutgoingRequest {
  readonly id?: string;
  /** Microseconds. */
  readonly timeoutUs?: number;
  readonly priority?: number;
  /** Parameters that the protocol does not define. */
  readonly parameters?: ReadonlyMap<string, ParameterValue>;
  readonly inputs: readonly Tensor[];
  /** Absent: all outputs. */
  readonly outputs?: readonly RequestedOutput[];
  /** Ask for every output as bytes, unless `binaryData` of a requested output says otherwise. */
  readonly binaryDataOutput?: boolean;
}

/** How inputs are sent: all as JSON, all as bytes, or those that the predicate picks as bytes. */
export type InputForm = 'json' | 'binary' | ((tensor: Tensor) => boolean);

function writeParameters(request: OutgoingRequest): string {
  const entries = new Map<string, ParameterValue>(request.parameters);
  if (request.timeoutUs !== undefined) entries.set('timeout', request.timeoutUs);
  if (request.priority !== undefined) entries.set('priority', request.priority);
  if (request.binaryDataOutput !== undefined) entries.set('binary_data_output', request.binaryDataOutput);
  if (entries.size === 0) return '';
  // Pair by pair: an object made of them would lose a parameter named __proto__.
  const pairs = [...entries].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return `"parameters":{${pairs.join(',')}},`;
}

function writeRequestedOutputs(outputs: readonly RequestedOutput[] | undefined): string {
  if (outputs === undefined) return '';
  const entries = outputs.map(({ name, binaryData }) =>
    binaryData === undefined ? { name } : { name, parameters: { binary_data: binaryData } },
  );
  return `,"outputs":${JSON.stringify(entries)}`;
}

/**
 * Writes one inference request.
 * @throws VitrineError `needs_binary` when an input that goes as JSON holds NaN, an infinity or bytes that
 *   are not UTF-8; `internal` for a tensor whose data disagrees with its shape or datatype
 */
export function encodeInferRequest(request: OutgoingRequest, form: InputForm = 'binary'): WireMessage {
  const isBinary = typeof form === 'function' ? form : () => form === 'binary';
  const tensors = request.inputs.map((tensor) => ({ tensor, binary: isBinary(tensor) }));
  const id = request.id === undefined ? '' : `"id":${JSON.stringify(request.id)},`;
  const inputs = `"inputs":${writeTensors(tensors, 'inputs')}`;
  return assembleBody(
    `{${id}${writeParameters(request)}${inputs}${writeRequestedOutputs(request.outputs)}}`,
    tensors,
  );
}

function readText(value: unknown, field: string): string | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  throw new VitrineError('bad_worker_answer', `${field} must be a string`, { field });
}

function decode(body: Buffer, headers: WireHeaders, limits: OipLimits): InferResponse {
  const headerLength = readHeaderLength(headers.inferenceHeaderContentLength, body.length);
  checkContentType(headers.contentType, headerLength);
  const wire = new WireBody(body, headerLength, limits.maxNesting);
  const { document } = wire;
  const modelVersion = readText(document.model_version, 'model_version');
  const id = readText(document.id, 'id');
  const parameters = readParameters(document.parameters, 'parameters', limits);
  const outputs = readTensors(wire, 'outputs', limits);
  wire.finish();
  return {
    modelName: readText(document.model_name, 'model_name') ?? '',
    ...(modelVersion === undefined ? {} : { modelVersion }),
    ...(id === undefined ? {} : { id }),
    ...(parameters.size === 0 ? {} : { parameters: Object.fromEntries(parameters) }),
    outputs,
  };
}

/**
 * Reads the body of a successful answer. Binary outputs are views on `body` where alignment allows.
 * @throws VitrineError `bad_worker_answer` for whatever is not an answer of the protocol, with the reason
 */
export function decodeInferResponse(
  body: Buffer,
  headers: WireHeaders,
  limits: OipLimits = DEFAULT_OIP_LIMITS,
): InferResponse {
  try {
    return decode(body, headers, limits);
  } catch (error) {
    if (!(error instanceof VitrineError)) throw error;
    throw new VitrineError('bad_worker_answer', `the server's answer cannot be read: ${error.message}`, {
      cause: error,
      ...(error.field === undefined ? {} : { field: error.field }),
    });
  }
}
