/** The requests that a run sends: generated for a model, or taken from a file of the user's. */
import { shapeFor } from '../client/text_input.ts';
import { allocateData, type Datatype, type FixedDatatype, type TensorData } from '../contract/datatypes.ts';
import { VitrineError } from '../contract/errors.ts';
import { toFloat16Bits } from '../contract/float16.ts';
import { INFERENCE_HEADER_CONTENT_LENGTH } from '../contract/headers.ts';
import type { ModelMetadata } from '../contract/oip.ts';
import { encodeInferRequest } from '../contract/oip_client.ts';
import { describeShape, type Tensor, type TensorMetadata, VARIABLE_DIMENSION } from '../contract/tensors.ts';
import type { LoadSample } from './plan.ts';
import { createRandom, type Random } from './random.ts';
import { SAMPLE_TEXTS } from './sample_texts.ts';

export interface SampleOptions {
  /** Distinct requests, 1 to 10,000; 64 unless told. */
  readonly count?: number;
  /** The same seed makes the same requests; 1 unless told. */
  readonly seed?: number;
  /** Rows of each request: the size of the outermost dimension where that is variable. 1 unless told. */
  readonly rows?: number;
  /** Size of every other variable dimension; 1 unless told. */
  readonly variableSize?: number;
  /** Tensors as bytes; false unless told, for most clients send JSON. */
  readonly binary?: boolean;
  /** An id in each request, so that no two bodies are equal; false unless told. */
  readonly ids?: boolean;
}

const COUNT_LIMIT = 10_000;
const ROWS_LIMIT = 100_000;
/** Elements of one generated tensor. */
const ELEMENT_LIMIT = 2 ** 24;
const FILE_LIMIT_LINES = 100_000;
/** Sentences strung together in one generated text, so that lengths vary. */
const SENTENCES = 3;

/**
 * Requests for a model, made up from what its metadata says of its inputs: sentences in many languages for
 * BYTES, uniform numbers in [0, 1) for floats, 0 to 9 for integers (safe as indices into any table).
 * @throws VitrineError `invalid_request` for options out of range or a shape that they do not fit
 */
export function requestSamples(model: ModelMetadata, options: SampleOptions = {}): LoadSample[] {
  const count = inRange('count', options.count ?? 64, COUNT_LIMIT);
  const rows = inRange('rows', options.rows ?? 1, ROWS_LIMIT);
  const variableSize = inRange('variableSize', options.variableSize ?? 1, ELEMENT_LIMIT);
  const random = createRandom(options.seed ?? 1);
  const shapes = model.inputs.map((input) => shapeOf(input, rows, variableSize));
  return Array.from({ length: count }, (_, index) => {
    const inputs = model.inputs.map((input, at) => generate(input, shapes[at] ?? [], random));
    return encodeSample(inputs, options.binary ?? false, options.ids ? `sample-${index}` : undefined);
  });
}

/**
 * Requests from a file of the user's, by the ending of its name:
 * - `.json`: one request of the protocol, sent as it stands
 * - `.jsonl`, `.ndjson`: one such request per line
 * - anything else: UTF-8 text, one query per line, for a model with one BYTES input
 * @throws VitrineError `invalid_request` with the line at fault; nothing of its text is repeated
 */
export function samplesFromFile(
  file: { readonly name: string; readonly bytes: Uint8Array },
  model: ModelMetadata,
  options: Pick<SampleOptions, 'binary'> = {},
): LoadSample[] {
  const text = readUtf8(file);
  if (file.name.endsWith('.json')) return [jsonSample(text, file.name)];
  const lines = text.split(/\r?\n/);
  if (lines.length > FILE_LIMIT_LINES) {
    throw refuse('file', `${file.name} has ${lines.length} lines; at most ${FILE_LIMIT_LINES} are taken`);
  }
  const isJson = file.name.endsWith('.jsonl') || file.name.endsWith('.ndjson');
  const samples: LoadSample[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    samples.push(
      isJson ? jsonSample(line, `${file.name}, line ${index + 1},`) : textSample(line, model, options.binary),
    );
  }
  if (samples.length === 0) throw refuse('file', `${file.name} has no line to send`);
  return samples;
}

function shapeOf(input: TensorMetadata, rows: number, variableSize: number): number[] {
  const shape = input.shape.map((size, axis) =>
    size !== VARIABLE_DIMENSION ? size : axis === 0 ? rows : variableSize,
  );
  const described = `input ${JSON.stringify(input.name)} of shape ${describeShape(input.shape)}`;
  if (rows > 1 && shape[0] !== rows) {
    throw refuse('rows', `${described} does not take rows of ${rows}; leave rows at 1`);
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements > ELEMENT_LIMIT) {
    throw refuse(
      'rows',
      `${described} would hold ${elements} elements; at most ${ELEMENT_LIMIT} are generated: lower rows or variableSize`,
    );
  }
  return shape;
}

function generate({ name, datatype }: TensorMetadata, shape: number[], random: Random): Tensor {
  const elements = shape.reduce((product, size) => product * size, 1);
  const data: TensorData =
    datatype === 'BYTES'
      ? Array.from({ length: elements }, () => Buffer.from(generateText(random), 'utf8'))
      : generateNumbers(datatype, elements, random);
  return { name, datatype, shape, data };
}

function generateText(random: Random): string {
  const sentence = SAMPLE_TEXTS[Math.floor(random() * SAMPLE_TEXTS.length)] ?? '';
  return Array.from({ length: 1 + Math.floor(random() * SENTENCES) }, () => sentence).join(' ');
}

function generateNumbers(datatype: FixedDatatype, count: number, random: Random): TensorData {
  const data = allocateData(datatype, count);
  for (let index = 0; index < count; index += 1) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
      data[index] = BigInt(Math.floor(random() * 10));
    } else {
      data[index] = numberOf(datatype, random());
    }
  }
  return data;
}

function numberOf(datatype: Datatype, uniform: number): number {
  if (datatype === 'FP32' || datatype === 'FP64') return uniform;
  if (datatype === 'FP16') return toFloat16Bits(uniform);
  return Math.floor(uniform * (datatype === 'BOOL' ? 2 : 10));
}

function encodeSample(inputs: readonly Tensor[], binary: boolean, id?: string): LoadSample {
  const message = encodeInferRequest(
    { inputs, ...(binary ? { binaryDataOutput: true } : {}), ...(id === undefined ? {} : { id }) },
    binary ? 'binary' : 'json',
  );
  return {
    body: message.body,
    headers: {
      'content-type': message.contentType,
      ...(message.inferenceHeaderContentLength === undefined
        ? {}
        : { [INFERENCE_HEADER_CONTENT_LENGTH]: String(message.inferenceHeaderContentLength) }),
    },
  };
}

function textSample(text: string, model: ModelMetadata, binary: boolean | undefined): LoadSample {
  const [input, ...others] = model.inputs;
  const shape = input === undefined ? undefined : shapeFor(input, 1);
  if (input?.datatype !== 'BYTES' || others.length > 0 || shape === undefined) {
    throw refuse(
      'file',
      `lines of text fit a model with one BYTES input, and ${model.name} has others; give a .jsonl file of requests`,
    );
  }
  const data = [Buffer.from(text, 'utf8')];
  return encodeSample([{ name: input.name, datatype: 'BYTES', shape, data }], binary ?? false);
}

/** The server judges the request; here it must only be one, so that a wrong file is told before the load. */
function jsonSample(text: string, where: string): LoadSample {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refuse('file', `${where} is not JSON`);
  }
  const isRequest =
    typeof document === 'object' &&
    document !== null &&
    'inputs' in document &&
    Array.isArray(document.inputs);
  if (!isRequest) {
    throw refuse(
      'file',
      `${where} is no inference request: {"inputs": [{"name", "shape", "datatype", "data"}]}`,
    );
  }
  return { body: Buffer.from(text, 'utf8'), headers: { 'content-type': 'application/json' } };
}

function readUtf8({ name, bytes }: { readonly name: string; readonly bytes: Uint8Array }): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('file', `${name} is not UTF-8 text`);
  }
}

function inRange(field: string, value: number, to: number): number {
  if (!(Number.isInteger(value) && value >= 1 && value <= to)) {
    throw refuse(field, `${field} is ${value}; it must be a whole number from 1 to ${to}`);
  }
  return value;
}

function refuse(field: string, message: string): VitrineError {
  return new VitrineError('invalid_request', message, { field });
}
