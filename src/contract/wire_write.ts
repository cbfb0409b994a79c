/** Writes one body of the protocol: the JSON part with its tensors, and the bytes of binary tensors behind it. */
import { holdsDatatype } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import { binarySizeBytes, writeBinaryData } from './tensor_binary.ts';
import { writeJsonData } from './tensor_json_write.ts';
import type { Tensor } from './tensors.ts';
import { CONTENT_TYPE_BINARY, CONTENT_TYPE_JSON } from './wire_body.ts';

/** What is sent: the body, and the headers that say how it is to be read. */
export interface WireMessage {
  readonly contentType: string;
  /** Value of `inference-header-content-length`; absent when the body is JSON alone. */
  readonly inferenceHeaderContentLength?: number;
  readonly body: Buffer;
}

export interface WireTensor {
  readonly tensor: Tensor;
  readonly binary: boolean;
}

/** The JSON part is filled with spaces to a multiple of this, so that readers can view tensors in place. */
const ALIGNMENT_BYTES = 8;

function checkConsistent(tensor: Tensor, at: string): void {
  const count = tensor.shape.reduce((product, size) => product * size, 1);
  if (tensor.data.length !== count || !holdsDatatype(tensor.datatype, tensor.data)) {
    throw new VitrineError(
      'internal',
      `${at} (${JSON.stringify(tensor.name)}) does not hold what its shape and datatype say`,
      { field: at },
    );
  }
}

function writeTensor({ tensor, binary }: WireTensor, at: string): string {
  checkConsistent(tensor, at);
  const head = `{"name":${JSON.stringify(tensor.name)},"shape":[${tensor.shape.join(',')}],"datatype":"${tensor.datatype}"`;
  return binary
    ? `${head},"parameters":{"binary_data_size":${binarySizeBytes(tensor.data)}}}`
    : `${head},"data":${writeJsonData(tensor, `${at}.data`)}}`;
}

/** The JSON array of `tensors`. */
export function writeTensors(tensors: readonly WireTensor[], section: 'inputs' | 'outputs'): string {
  let text = '[';
  for (let index = 0; index < tensors.length; index += 1) {
    const tensor = tensors[index];
    if (tensor === undefined) continue;
    if (index > 0) text += ',';
    text += writeTensor(tensor, `${section}[${index}]`);
  }
  return `${text}]`;
}

/** Joins the JSON part, which holds writeTensors' text of the same tensors, and their bytes. */
export function assembleBody(json: string, tensors: readonly WireTensor[]): WireMessage {
  if (!tensors.some((tensor) => tensor.binary)) {
    return { contentType: CONTENT_TYPE_JSON, body: Buffer.from(json, 'utf8') };
  }
  const jsonBytes = Buffer.byteLength(json, 'utf8');
  const headerBytes = Math.ceil(jsonBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  let total = headerBytes;
  for (const { tensor, binary } of tensors) if (binary) total += binarySizeBytes(tensor.data);
  const body = Buffer.allocUnsafe(total);
  body.write(json, 0, 'utf8');
  body.fill(0x20, jsonBytes, headerBytes);
  let at = headerBytes;
  for (const { tensor, binary } of tensors) if (binary) at = writeBinaryData(tensor.data, body, at);
  return { contentType: CONTENT_TYPE_BINARY, inferenceHeaderContentLength: headerBytes, body };
}
