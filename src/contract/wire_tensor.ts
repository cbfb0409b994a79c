/** Tensors and parameters as they stand in a body, read: the same in requests and in responses. */
import { DATATYPES, isDatatype } from './datatypes.ts';
import { VitrineError } from './errors.ts';
import type { OipLimits, ParameterValue } from './oip.ts';
import { readBinaryData } from './tensor_binary.ts';
import { readJsonData } from './tensor_json.ts';
import { countElements, jsonType, type Tensor } from './tensors.ts';
import { isJsonObject, type JsonObject, type WireBody } from './wire_body.ts';

export type Parameters = ReadonlyMap<string, ParameterValue>;

const NO_PARAMETERS: Parameters = new Map();

/** Shared-memory regions are on the server's machine; a tensor that names one carries no data. */
const SHARED_MEMORY = /^shared_memory_/;

function invalid(field: string, message: string): VitrineError {
  return new VitrineError('invalid_request', `${field} ${message}`, { field });
}

/** @throws VitrineError `invalid_request` for what is not an object of strings, numbers and booleans */
export function readParameters(value: unknown, field: string, limits: OipLimits): Parameters {
  if (value === undefined || value === null) return NO_PARAMETERS;
  if (!isJsonObject(value)) throw invalid(field, 'must be an object');
  const names = Object.keys(value);
  if (names.length > limits.maxParameters) {
    throw invalid(field, `has ${names.length} entries; at most ${limits.maxParameters} are allowed`);
  }
  const parameters = new Map<string, ParameterValue>();
  for (const [index, name] of names.entries()) {
    if (name.length > limits.maxNameChars) {
      throw invalid(
        field,
        `has a name of ${name.length} characters (entry ${index}); at most ${limits.maxNameChars}`,
      );
    }
    const entry = value[name];
    if (typeof entry !== 'string' && typeof entry !== 'number' && typeof entry !== 'boolean') {
      throw invalid(`${field}.${name}`, `must be a string, a number or a boolean, not ${jsonType(entry)}`);
    }
    if (SHARED_MEMORY.test(name)) {
      throw invalid(`${field}.${name}`, 'is not supported; send the data in the body');
    }
    parameters.set(name, entry);
  }
  return parameters;
}

/** A parameter that must be true or false; undefined when absent. */
export function readBooleanParameter(
  parameters: Parameters,
  name: string,
  field: string,
): boolean | undefined {
  const value = parameters.get(name);
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(`${field}.${name}`, 'must be true or false');
}

/** A list of objects under `section` of the document. */
export function readObjects(value: unknown, section: string, maximum: number): readonly JsonObject[] {
  if (!Array.isArray(value)) throw invalid(section, `must be an array, not ${jsonType(value)}`);
  if (value.length > maximum)
    throw invalid(section, `has ${value.length} entries; at most ${maximum} are allowed`);
  for (let index = 0; index < value.length; index += 1) {
    if (!isJsonObject(value[index])) {
      throw invalid(`${section}[${index}]`, `must be an object, not ${jsonType(value[index])}`);
    }
  }
  return value;
}

/** The name of each entry, none twice. */
export function readNames(
  entries: readonly JsonObject[],
  section: string,
  limits: OipLimits,
): readonly string[] {
  const names: string[] = [];
  for (let index = 0; index < entries.length; index += 1) {
    const field = `${section}[${index}].name`;
    const name = entries[index]?.name;
    if (typeof name !== 'string' || name === '') throw invalid(field, 'must be a string that is not empty');
    if (name.length > limits.maxNameChars) {
      throw invalid(field, `has ${name.length} characters; at most ${limits.maxNameChars} are allowed`);
    }
    const first = names.indexOf(name);
    if (first >= 0) throw invalid(field, `is the same as ${section}[${first}].name; send each once`);
    names.push(name);
  }
  return names;
}

function readTensor(
  body: WireBody,
  section: 'inputs' | 'outputs',
  index: number,
  entry: JsonObject,
  name: string,
  limits: OipLimits,
): Tensor {
  const at = `${section}[${index}]`;
  const datatype = entry.datatype;
  if (!isDatatype(datatype)) {
    const field = `${at}.datatype`;
    throw new VitrineError('invalid_tensor', `${field} must be one of ${DATATYPES.join(', ')}`, { field });
  }
  const maxElements = datatype === 'BYTES' ? limits.maxBytesElements : limits.maxElements;
  const count = countElements(entry.shape, `${at}.shape`, { maxRank: limits.maxRank, maxElements });
  const shape = entry.shape as readonly number[];
  const parameters = readParameters(entry.parameters, `${at}.parameters`, limits);
  const size = parameters.get('binary_data_size');
  const json = entry.data;
  if (size !== undefined) {
    const field = `${at}.parameters.binary_data_size`;
    if (json !== undefined) {
      throw new VitrineError('invalid_binary', `${at} has both data and binary_data_size; send one of them`, {
        field: at,
      });
    }
    return { name, datatype, shape, data: readBinaryData(datatype, count, body.take(size, field), field) };
  }
  const field = `${at}.data`;
  if (json === undefined) {
    throw new VitrineError(
      'invalid_tensor',
      `${field} is missing; send data, or parameters.binary_data_size and the bytes behind the JSON part`,
      { field },
    );
  }
  const exactData = () => (body.exactDocument()[section] as readonly JsonObject[])[index]?.data;
  return { name, datatype, shape, data: readJsonData({ field, datatype, shape, count, exactData }, json) };
}

/**
 * Reads all tensors of `inputs` or `outputs`, JSON and binary, in the order in which they stand.
 * @throws VitrineError `invalid_request`, `invalid_tensor`, `invalid_binary`
 */
export function readTensors(
  body: WireBody,
  section: 'inputs' | 'outputs',
  limits: OipLimits,
): readonly Tensor[] {
  const maximum = section === 'inputs' ? limits.maxInputs : limits.maxOutputs;
  const entries = readObjects(body.document[section], section, maximum);
  const names = readNames(entries, section, limits);
  return entries.map((entry, index) => readTensor(body, section, index, entry, names[index] ?? '', limits));
}
