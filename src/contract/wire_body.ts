/** One HTTP body of the protocol, taken apart: its JSON part, and the tensors' bytes behind it. */
import { VitrineError } from './errors.ts';
import { INFERENCE_HEADER_CONTENT_LENGTH } from './headers.ts';
import { parseJsonText, parseWithExactIntegers } from './json_text.ts';

/** The headers that say how a body is to be read; undefined where one was not sent. */
export interface WireHeaders {
  readonly contentType?: string | undefined;
  readonly inferenceHeaderContentLength?: string | undefined;
}

/** Content type of a body that is JSON alone, and of one that has binary tensors. */
export const CONTENT_TYPE_JSON = 'application/json';
export const CONTENT_TYPE_BINARY = 'application/octet-stream';

const DECIMAL = /^[0-9]{1,15}$/;

/**
 * The length of the JSON part as the header tells it; undefined when the body is JSON alone.
 * @throws VitrineError `invalid_binary` when the header is no number or goes beyond the body
 */
export function readHeaderLength(header: string | undefined, bodyLength: number): number | undefined {
  if (header === undefined) return undefined;
  const field = INFERENCE_HEADER_CONTENT_LENGTH;
  const value = header.trim();
  if (!DECIMAL.test(value)) {
    throw new VitrineError(
      'invalid_binary',
      `${field} must be the length of the JSON part in bytes, in digits`,
      {
        field,
      },
    );
  }
  const length = Number(value);
  if (length > bodyLength) {
    throw new VitrineError(
      'invalid_binary',
      `${field} is ${length}, but the body has only ${bodyLength} bytes; give the length of the JSON part`,
      { field },
    );
  }
  return length;
}

/**
 * Refuses a content type that the protocol does not have. A missing one is accepted, as common clients send
 * none; so is JSON's in front of a body with binary tensors.
 * @throws VitrineError `unsupported_media_type`; `invalid_binary` for binary without a header length
 */
export function checkContentType(contentType: string | undefined, headerLength: number | undefined): void {
  if (contentType === undefined || contentType === CONTENT_TYPE_JSON) return;
  const field = 'content-type';
  const [type = '', ...attributes] = contentType
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  if (type === CONTENT_TYPE_BINARY) {
    if (headerLength !== undefined) return;
    throw new VitrineError(
      'invalid_binary',
      `${INFERENCE_HEADER_CONTENT_LENGTH} is missing; with ${CONTENT_TYPE_BINARY} it gives the length of the JSON part, 0 when there is none`,
      { field: INFERENCE_HEADER_CONTENT_LENGTH },
    );
  }
  if (type !== CONTENT_TYPE_JSON) {
    throw new VitrineError(
      'unsupported_media_type',
      `${field} must be ${CONTENT_TYPE_JSON}, or ${CONTENT_TYPE_BINARY} with binary tensors`,
      { field },
    );
  }
  for (const attribute of attributes) {
    if (attribute.startsWith('charset=') && !/^charset="?utf-?8"?$/.test(attribute)) {
      throw new VitrineError('unsupported_media_type', `${field} must have no charset but utf-8`, { field });
    }
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A body's JSON part, with a cursor over the bytes behind it. */
export class WireBody {
  readonly document: JsonObject;
  readonly #text: string;
  readonly #binary: Buffer | undefined;
  #taken = 0;
  #exact: unknown;

  /**
   * @param headerLength from readHeaderLength
   * @throws VitrineError `invalid_json`, `invalid_request`
   */
  constructor(body: Buffer, headerLength: number | undefined, maxNesting: number) {
    const json = headerLength === undefined ? body : body.subarray(0, headerLength);
    const what = headerLength === undefined ? 'the body' : 'the JSON part of the body';
    const { text, document } = parseJsonText(json, what, maxNesting);
    if (!isJsonObject(document)) {
      throw new VitrineError('invalid_request', `${what} must be a JSON object with inputs`);
    }
    this.document = document;
    this.#text = text;
    this.#binary = headerLength === undefined ? undefined : body.subarray(headerLength);
  }

  /** The document with integers beyond 2^53 as BigInts; parsed on the first call. */
  exactDocument(): JsonObject {
    this.#exact ??= parseWithExactIntegers(this.#text);
    return this.#exact as JsonObject;
  }

  /**
   * The next `size` bytes behind the JSON part.
   * @param size the value of `binary_data_size`, unchecked
   * @throws VitrineError `invalid_binary`
   */
  take(size: unknown, field: string): Buffer {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new VitrineError('invalid_binary', `${field} must be a whole number of bytes from 0`, { field });
    }
    if (this.#binary === undefined) {
      throw new VitrineError(
        'invalid_binary',
        `${field} needs the header ${INFERENCE_HEADER_CONTENT_LENGTH} with the length of the JSON part`,
        { field },
      );
    }
    const left = this.#binary.length - this.#taken;
    if (size > left) {
      throw new VitrineError(
        'invalid_binary',
        `${field} is ${size}, but only ${left} bytes are left behind the JSON part; send the rest, or correct ${INFERENCE_HEADER_CONTENT_LENGTH}`,
        { field },
      );
    }
    const bytes = this.#binary.subarray(this.#taken, this.#taken + size);
    this.#taken += size;
    return bytes;
  }

  /** @throws VitrineError `invalid_binary` when bytes are left that no tensor took */
  finish(): void {
    const left = this.#binary === undefined ? 0 : this.#binary.length - this.#taken;
    if (left > 0) {
      throw new VitrineError(
        'invalid_binary',
        `${left} bytes are left behind the last tensor; make each binary_data_size, and ${INFERENCE_HEADER_CONTENT_LENGTH}, agree with the body`,
        { field: INFERENCE_HEADER_CONTENT_LENGTH },
      );
    }
  }
}
