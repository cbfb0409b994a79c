/** Reads what the service says of itself and its models, and says where such an answer departs from the protocol. */
import { isDatatype } from '../contract/datatypes.ts';
import type { ModelMetadata, ServerMetadata } from '../contract/oip.ts';
import { parseRepositoryIndex, type RepositoryIndexEntry } from '../contract/repository_index.ts';
import type { TensorMetadata } from '../contract/tensors.ts';
import { ClientError } from './client_error.ts';

type JsonObject = Readonly<Record<string, unknown>>;

export function readServerMetadata(value: unknown): ServerMetadata {
  const document = object(value, 'the server metadata');
  return {
    name: text(document.name, 'name'),
    version: text(document.version, 'version'),
    extensions: list(document.extensions ?? [], 'extensions').map((item, index) =>
      text(item, `extensions[${index}]`),
    ),
  };
}

export function readModelMetadata(value: unknown): ModelMetadata {
  const document = object(value, 'the model metadata');
  return {
    name: text(document.name, 'name'),
    ...(document.versions === undefined
      ? {}
      : { versions: list(document.versions, 'versions').map((item, at) => text(item, `versions[${at}]`)) }),
    platform: text(document.platform, 'platform'),
    inputs: tensors(document.inputs, 'inputs'),
    outputs: tensors(document.outputs, 'outputs'),
  };
}

export function readRepositoryIndex(value: unknown): readonly RepositoryIndexEntry[] {
  const entries = parseRepositoryIndex(value);
  if (entries === undefined) throw bad('the repository index must be an array');
  return entries;
}

function tensors(value: unknown, field: string): TensorMetadata[] {
  return list(value, field).map((item, at) => {
    const tensor = object(item, `${field}[${at}]`);
    const { datatype } = tensor;
    if (!isDatatype(datatype)) {
      throw bad(`${field}[${at}].datatype is none that this client knows`);
    }
    const shape = list(tensor.shape, `${field}[${at}].shape`).map((size) => {
      // Some servers write int64 as a string, as protobuf's JSON form does.
      const dimension = typeof size === 'string' ? Number(size) : size;
      if (typeof dimension !== 'number' || !Number.isSafeInteger(dimension) || dimension < -1) {
        throw bad(`${field}[${at}].shape must hold whole numbers from -1`);
      }
      return dimension;
    });
    return { name: text(tensor.name, `${field}[${at}].name`), datatype, shape };
  });
}

function object(value: unknown, field: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad(`${field} must be an object`);
  }
  return value as JsonObject;
}

function list(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw bad(`${field} must be an array`);
  return value;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw bad(`${field} must be a string`);
  return value;
}

function bad(problem: string): ClientError {
  return new ClientError('bad_answer', `the answer is not what the protocol says: ${problem}`, {
    status: 200,
  });
}
