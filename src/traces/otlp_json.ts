/**
 * OTLP's JSON form of ExportTraceServiceRequest, written as protobuf, so that both forms take one way into the
 * store. Ids are hex, 64-bit integers strings or numbers, enums numbers or names, bytes base64; unknown
 * members and nulls are ignored, as OTLP says.
 */
import protobuf from 'protobufjs/minimal.js';
import { VitrineError } from '../contract/errors.ts';
import { VALUE_DEPTH_LIMIT } from './otlp_batch.ts';

type Json = Record<string, unknown>;
type Writer = protobuf.Writer;

const KIND_PREFIX = 'SPAN_KIND_';
const KINDS = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUS_PREFIX = 'STATUS_CODE_';
const STATUSES = ['UNSET', 'OK', 'ERROR'];
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
const INTEGER = /^-?\d{1,20}$/;
const UINT32_MAX = 0xffff_ffffn;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const INT64_MIN = -0x8000_0000_0000_0000n;
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

/** Writes one request; `path` says where in the document it is, for errors. */
class JsonEncoder {
  private readonly writer: Writer = protobuf.Writer.create();
  private readonly path: (string | number)[] = [];

  request(document: unknown): Buffer {
    const request = this.object(document);
    this.each(request, 'resourceSpans', 0x0a, (resourceSpans) => {
      this.message(resourceSpans, 'resource', 0x0a, (resource) => {
        this.attributes(resource, 0x0a);
        this.uint32(resource, 'droppedAttributesCount', 0x10);
      });
      this.each(resourceSpans, 'scopeSpans', 0x12, (scopeSpans) => {
        this.message(scopeSpans, 'scope', 0x0a, (scope) => {
          this.string(scope, 'name', 0x0a);
          this.string(scope, 'version', 0x12);
          this.attributes(scope, 0x1a);
          this.uint32(scope, 'droppedAttributesCount', 0x20);
        });
        this.each(scopeSpans, 'spans', 0x12, (span) => this.span(span));
        this.string(scopeSpans, 'schemaUrl', 0x1a);
      });
      this.string(resourceSpans, 'schemaUrl', 0x1a);
    });
    return Buffer.from(this.writer.finish());
  }

  private span(span: Json): void {
    this.hex(span, 'traceId', 0x0a);
    this.hex(span, 'spanId', 0x12);
    this.string(span, 'traceState', 0x1a);
    this.hex(span, 'parentSpanId', 0x22);
    this.string(span, 'name', 0x2a);
    this.enumeration(span, 'kind', 0x30, KIND_PREFIX, KINDS);
    this.fixed64(span, 'startTimeUnixNano', 0x39);
    this.fixed64(span, 'endTimeUnixNano', 0x41);
    this.attributes(span, 0x4a);
    this.uint32(span, 'droppedAttributesCount', 0x50);
    this.each(span, 'events', 0x5a, (event) => {
      this.fixed64(event, 'timeUnixNano', 0x09);
      this.string(event, 'name', 0x12);
      this.attributes(event, 0x1a);
      this.uint32(event, 'droppedAttributesCount', 0x20);
    });
    this.uint32(span, 'droppedEventsCount', 0x60);
    this.each(span, 'links', 0x6a, (link) => {
      this.hex(link, 'traceId', 0x0a);
      this.hex(link, 'spanId', 0x12);
      this.string(link, 'traceState', 0x1a);
      this.attributes(link, 0x22);
      this.uint32(link, 'droppedAttributesCount', 0x28);
      this.fixed32(link, 'flags', 0x35);
    });
    this.uint32(span, 'droppedLinksCount', 0x70);
    this.message(span, 'status', 0x7a, (status) => {
      this.string(status, 'message', 0x12);
      this.enumeration(status, 'code', 0x18, STATUS_PREFIX, STATUSES);
    });
    this.fixed32(span, 'flags', 0x85);
  }

  private attributes(owner: Json, tag: number): void {
    this.each(owner, 'attributes', tag, (attribute) => this.keyValue(attribute, 0));
  }

  private keyValue(attribute: Json, depth: number): void {
    this.string(attribute, 'key', 0x0a);
    this.message(attribute, 'value', 0x12, (value) => this.anyValue(value, depth));
  }

  private anyValue(value: Json, depth: number): void {
    if (depth > VALUE_DEPTH_LIMIT) throw this.error(`a value nested no deeper than ${VALUE_DEPTH_LIMIT}`);
    this.string(value, 'stringValue', 0x0a);
    this.with(value, 'boolValue', (bool) => {
      if (typeof bool !== 'boolean') throw this.error('true or false');
      this.writer.uint32(0x10).bool(bool);
    });
    this.with(value, 'intValue', (int) => {
      // The SDK for JavaScript writes any number without a fraction as an integer, however large.
      if (typeof int === 'number' && Number.isInteger(int) && Math.abs(int) >= 2 ** 63) {
        this.writer.uint32(0x21).double(int);
        return;
      }
      const bits = BigInt.asUintN(64, this.integer(int, INT64_MIN, INT64_MAX));
      this.writer.uint32(0x18).uint64(longOf(bits));
    });
    this.with(value, 'doubleValue', (double) => {
      this.writer.uint32(0x21).double(this.double(double));
    });
    this.message(value, 'arrayValue', 0x2a, (list) => {
      this.each(list, 'values', 0x0a, (member) => this.anyValue(member, depth + 1));
    });
    this.message(value, 'kvlistValue', 0x32, (list) => {
      this.each(list, 'values', 0x0a, (member) => this.keyValue(member, depth + 1));
    });
    this.with(value, 'bytesValue', (bytes) => {
      if (typeof bytes !== 'string' || !BASE64.test(bytes)) throw this.error('a base64 string');
      this.writer.uint32(0x3a).bytes(Buffer.from(bytes, 'base64'));
    });
  }

  /** Runs `write` on a member that is there, with the path set. */
  private with(owner: Json, key: string, write: (value: unknown) => void): void {
    const value = owner[key];
    if (value === undefined || value === null) return;
    this.path.push(key);
    write(value);
    this.path.pop();
  }

  private message(owner: Json, key: string, tag: number, write: (value: Json) => void): void {
    this.with(owner, key, (value) => {
      const object = this.object(value);
      this.writer.uint32(tag).fork();
      write(object);
      this.writer.ldelim();
    });
  }

  private each(owner: Json, key: string, tag: number, write: (value: Json) => void): void {
    this.with(owner, key, (list) => {
      if (!Array.isArray(list)) throw this.error('a list');
      for (const [index, member] of list.entries()) {
        this.path.push(index);
        const object = this.object(member);
        this.writer.uint32(tag).fork();
        write(object);
        this.writer.ldelim();
        this.path.pop();
      }
    });
  }

  private string(owner: Json, key: string, tag: number): void {
    this.with(owner, key, (value) => {
      if (typeof value !== 'string') throw this.error('a string');
      // Lone surrogates have no UTF-8; everywhere else in Node they become U+FFFD.
      this.writer.uint32(tag).string(value.toWellFormed());
    });
  }

  private hex(owner: Json, key: string, tag: number): void {
    this.with(owner, key, (value) => {
      if (typeof value !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(value)) throw this.error('hex digits');
      this.writer.uint32(tag).bytes(Buffer.from(value, 'hex'));
    });
  }

  private uint32(owner: Json, key: string, tag: number): void {
    this.with(owner, key, (value) => {
      this.writer.uint32(tag).uint32(Number(this.integer(value, 0n, UINT32_MAX)));
    });
  }

  private fixed32(owner: Json, key: string, tag: number): void {
    this.with(owner, key, (value) => {
      this.writer.uint32(tag).fixed32(Number(this.integer(value, 0n, UINT32_MAX)));
    });
  }

  private fixed64(owner: Json, key: string, tag: number): void {
    this.with(owner, key, (value) => {
      this.writer.uint32(tag).fixed64(longOf(this.integer(value, 0n, UINT64_MAX)));
    });
  }

  private enumeration(owner: Json, key: string, tag: number, prefix: string, names: readonly string[]): void {
    this.with(owner, key, (value) => {
      const named =
        typeof value === 'string' && value.startsWith(prefix)
          ? names.indexOf(value.slice(prefix.length))
          : -1;
      this.writer.uint32(tag).uint32(named >= 0 ? named : Number(this.integer(value, 0n, UINT32_MAX)));
    });
  }

  private integer(value: unknown, least: bigint, most: bigint): bigint {
    let integer: bigint | undefined;
    if (typeof value === 'number' && Number.isInteger(value)) integer = BigInt(value);
    else if (typeof value === 'string' && INTEGER.test(value)) integer = BigInt(value);
    if (integer === undefined || integer < least || integer > most) {
      throw this.error(`an integer from ${least} to ${most}`);
    }
    return integer;
  }

  private double(value: unknown): number {
    if (typeof value === 'number') return value;
    if (value === 'NaN') return Number.NaN;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    if (Number.isNaN(number)) throw this.error('a number');
    return number;
  }

  private object(value: unknown): Json {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.error('an object');
    return value as Json;
  }

  private error(expected: string): VitrineError {
    const field = this.path
      .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
      .join('')
      .slice(1);
    return new VitrineError('invalid_request', `the OTLP body's ${field || 'document'} must be ${expected}`, {
      field,
    });
  }
}

function longOf(bits: bigint): protobuf.Long {
  const low = Number(bits & UINT32_MAX) | 0;
  const high = Number(bits >> 32n) | 0;
  return { low, high, unsigned: true } as protobuf.Long;
}

/**
 * Writes an OTLP JSON body as protobuf. Throws a VitrineError (400) that names the member at fault, and
 * nothing else.
 */
export function jsonToProtobuf(body: Buffer): Buffer {
  let document: unknown;
  try {
    document = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new VitrineError('invalid_json', 'the OTLP body is not valid JSON', { cause: error });
  }
  return new JsonEncoder().request(document);
}
