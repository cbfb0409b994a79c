/** Writes the answer of `POST /v2/models/{model}/infer`. */
import { VitrineError } from './errors.ts';
import type { InferRequest, InferResponse } from './oip.ts';
import { assembleBody, type WireMessage, type WireTensor, writeTensors } from './wire_write.ts';

function select(
  response: InferResponse,
  request: Pick<InferRequest, 'outputs' | 'binaryDataOutput'>,
): WireTensor[] {
  if (request.outputs === undefined) {
    return response.outputs.map((tensor) => ({ tensor, binary: request.binaryDataOutput }));
  }
  return request.outputs.map((requested) => {
    const tensor = response.outputs.find((output) => output.name === requested.name);
    if (tensor === undefined) {
      throw new VitrineError('model_failed', `the model made no output ${JSON.stringify(requested.name)}`);
    }
    return { tensor, binary: requested.binaryData ?? request.binaryDataOutput };
  });
}

/**
 * The answer with the outputs that the request asked for, in the order in which it named them; all of them
 * in the model's order when it named none. Data in JSON is flat.
 * @throws VitrineError `needs_binary` when an output that goes as JSON holds NaN, an infinity or bytes that
 *   are not UTF-8; `model_failed` when a requested output is not there
 */
export function serializeInferResponse(
  response: InferResponse,
  request: Pick<InferRequest, 'outputs' | 'binaryDataOutput'>,
): WireMessage {
  const tensors = select(response, request);
  let json = `{"model_name":${JSON.stringify(response.modelName)}`;
  if (response.modelVersion !== undefined)
    json += `,"model_version":${JSON.stringify(response.modelVersion)}`;
  if (response.id !== undefined) json += `,"id":${JSON.stringify(response.id)}`;
  if (response.parameters !== undefined) json += `,"parameters":${JSON.stringify(response.parameters)}`;
  json += `,"outputs":${writeTensors(tensors, 'outputs')}}`;
  return assembleBody(json, tensors);
}
