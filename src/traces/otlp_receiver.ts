/**
 * OTLP/HTTP for traces as a plain handler: what stands before the store. It reads and inflates bodies within
 * limits, and answers as the OTLP specification says: partial success, retryable 503 with Retry-After, Status
 * messages in the encoding of the request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import protobuf from 'protobufjs/minimal.js';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import type { InsertResult } from './store.ts';
import type { TraceStoreClient } from './store_client.ts';
import type { OtlpEncoding } from './store_messages.ts';

const OTLP_TRACES_PATH = '/v1/traces';
const OTHER_SIGNALS: ReadonlySet<string> = new Set(['/v1/metrics', '/v1/logs', '/v1development/profiles']);

export interface OtlpReceiverOptions {
  /** Bytes of one body, as sent and after inflating; larger ones are answered 413. */
  readonly bodyLimitBytes?: number;
  /** Bytes of all bodies that are being received or inflated; beyond it further ones are answered 503. */
  readonly receivingLimitBytes?: number;
}

export interface OtlpReceiverStats {
  readonly requests: number;
  readonly acceptedSpans: number;
  readonly rejectedSpans: number;
  /** Requests by the status that answered them. */
  readonly byStatus: ReadonlyMap<number, number>;
  readonly receivingBytes: number;
}

export interface OtlpReceiver {
  /**
   * Answers one request to an OTLP path; every path below /v1/ that is not for traces is answered 404. Never
   * throws or rejects: errors become answers. Resolves when the answer was written or the sender went away.
   */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  stats(): OtlpReceiverStats;
}

const ENCODINGS: Readonly<Record<string, OtlpEncoding>> = {
  'application/x-protobuf': 'protobuf',
  'application/json': 'json',
};
const CONTENT_TYPES: Readonly<Record<OtlpEncoding, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
};
/** What a body is counted as while its length is unknown, and the least step by which its buffer grows. */
const UNKNOWN_LENGTH_BYTES = 64 * 1024;
const inflate = promisify(gunzip);

/** gRPC's codes, which OTLP's Status carries. */
function grpcCode(status: number): number {
  if (status === 503 || status === 429) return 14;
  if (status === 404) return 12;
  return status >= 500 ? 13 : 3;
}

function successBody(result: InsertResult, encoding: OtlpEncoding): Buffer {
  const { rejectedSpans, rejectionMessage } = result;
  if (encoding === 'json') {
    const partialSuccess = { rejectedSpans: String(rejectedSpans), errorMessage: rejectionMessage };
    return Buffer.from(JSON.stringify(rejectedSpans > 0 ? { partialSuccess } : {}));
  }
  const writer = protobuf.Writer.create();
  if (rejectedSpans > 0) {
    writer
      .uint32(0x0a)
      .fork()
      .uint32(0x08)
      .int64(rejectedSpans)
      .uint32(0x12)
      .string(rejectionMessage)
      .ldelim();
  }
  return Buffer.from(writer.finish());
}

function errorBody(error: VitrineError, encoding: OtlpEncoding): Buffer {
  const code = grpcCode(error.status);
  if (encoding === 'json') return Buffer.from(JSON.stringify({ code, message: error.message }));
  return Buffer.from(
    protobuf.Writer.create().uint32(0x08).int32(code).uint32(0x12).string(error.message).finish(),
  );
}

class HttpReceiver implements OtlpReceiver {
  private readonly client: Pick<TraceStoreClient, 'ingest' | 'isBehind'>;
  private readonly bodyLimitBytes: number;
  private readonly receivingLimitBytes: number;
  private requests = 0;
  private acceptedSpans = 0;
  private rejectedSpans = 0;
  private receivingBytes = 0;
  private readonly byStatus = new Map<number, number>();

  constructor(client: Pick<TraceStoreClient, 'ingest' | 'isBehind'>, options: OtlpReceiverOptions) {
    this.client = client;
    this.bodyLimitBytes = options.bodyLimitBytes ?? 16 * 1024 ** 2;
    this.receivingLimitBytes = options.receivingLimitBytes ?? 64 * 1024 ** 2;
  }

  stats(): OtlpReceiverStats {
    const { requests, acceptedSpans, rejectedSpans, receivingBytes } = this;
    return { requests, acceptedSpans, rejectedSpans, receivingBytes, byStatus: new Map(this.byStatus) };
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    let encoding: OtlpEncoding = 'json';
    try {
      this.checkRoute(request);
      encoding = this.encodingOf(request);
      const body = await this.receive(request);
      const result = await this.client.ingest(body, encoding);
      this.acceptedSpans += result.acceptedSpans;
      this.rejectedSpans += result.rejectedSpans;
      this.send(response, 200, successBody(result, encoding), CONTENT_TYPES[encoding], {});
    } catch (thrown) {
      const error = asVitrineError(thrown);
      const headers: Record<string, string> = {};
      if (error.retryable) headers['retry-after'] = String(Math.ceil(error.retryAfterS ?? 1));
      if (error.status === 405) headers.allow = 'POST';
      this.send(response, error.status, errorBody(error, encoding), CONTENT_TYPES[encoding], headers);
    }
  }

  private checkRoute(request: IncomingMessage): void {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    if (OTHER_SIGNALS.has(path)) {
      throw new VitrineError(
        'not_found',
        `${path} is not served here: this receiver takes traces (${OTLP_TRACES_PATH})`,
      );
    }
    if (path !== OTLP_TRACES_PATH)
      throw new VitrineError('not_found', `no such path; traces go to ${OTLP_TRACES_PATH}`);
    if (request.method !== 'POST')
      throw new VitrineError('method_not_allowed', `${OTLP_TRACES_PATH} takes POST`);
  }

  private encodingOf(request: IncomingMessage): OtlpEncoding {
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
    const encoding = Object.hasOwn(ENCODINGS, type) ? ENCODINGS[type] : undefined;
    if (encoding === undefined) {
      throw new VitrineError(
        'unsupported_media_type',
        'content-type must be application/x-protobuf or application/json',
        {
          field: 'content-type',
        },
      );
    }
    return encoding;
  }

  /** The body, inflated, in memory of its own. */
  private async receive(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
    const compression = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
    if (compression !== 'identity' && compression !== 'gzip') {
      throw new VitrineError('unsupported_media_type', 'content-encoding must be gzip or identity', {
        field: 'content-encoding',
      });
    }
    const declared = Number(request.headers['content-length'] ?? Number.NaN);
    if (declared > this.bodyLimitBytes) throw this.tooLarge();
    const expected = Number.isNaN(declared) ? UNKNOWN_LENGTH_BYTES : declared;
    if (this.client.isBehind(expected))
      throw behind('the trace store is behind; send this batch again later');
    const share = { bytes: 0 };
    try {
      this.take(share, expected);
      const body = await this.read(request, expected, share);
      if (compression === 'identity') return body;
      return await this.inflate(body, share);
    } finally {
      this.receivingBytes -= share.bytes;
    }
  }

  private async inflate(body: Uint8Array, share: { bytes: number }): Promise<Uint8Array<ArrayBuffer>> {
    // How large it becomes is not known before: it is counted as the limit that inflating stops at.
    this.take(share, this.bodyLimitBytes);
    try {
      const inflated = await inflate(body, { maxOutputLength: this.bodyLimitBytes });
      return new Uint8Array(inflated);
    } catch (error) {
      if (error instanceof RangeError) throw this.tooLarge();
      throw new VitrineError('invalid_request', 'the body is not valid gzip', { cause: error });
    }
  }

  private async read(
    request: IncomingMessage,
    expected: number,
    share: { bytes: number },
  ): Promise<Uint8Array<ArrayBuffer>> {
    let body = new Uint8Array(expected);
    let length = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        if (length + chunk.length > this.bodyLimitBytes) throw this.tooLarge();
        if (length + chunk.length > body.length) {
          const grown = Math.min(this.bodyLimitBytes, Math.max(body.length * 2, length + chunk.length));
          this.take(share, grown - body.length);
          const larger = new Uint8Array(grown);
          larger.set(body.subarray(0, length));
          body = larger;
        }
        body.set(chunk, length);
        length += chunk.length;
      }
    } catch (error) {
      if (error instanceof VitrineError) throw error;
      throw new VitrineError('cancelled', 'the sender went away', { cause: error });
    }
    return length === body.length ? body : body.slice(0, length);
  }

  private take(share: { bytes: number }, bytes: number): void {
    if (this.receivingBytes > 0 && this.receivingBytes + bytes > this.receivingLimitBytes) {
      throw behind('too many bodies are being received; send this batch again later');
    }
    this.receivingBytes += bytes;
    share.bytes += bytes;
  }

  private tooLarge(): VitrineError {
    return new VitrineError(
      'payload_too_large',
      `the body is larger than ${this.bodyLimitBytes} bytes; send smaller batches`,
    );
  }

  private send(
    response: ServerResponse,
    status: number,
    body: Buffer,
    contentType: string,
    headers: Record<string, string>,
  ): void {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
    if (response.destroyed || response.headersSent) return;
    // Node reads what is left of a body that was refused, so that the connection can go on; not of a huge one.
    if (status === 413) headers.connection = 'close';
    response.writeHead(status, { 'content-type': contentType, 'content-length': body.length, ...headers });
    response.end(body);
  }
}

function behind(message: string): VitrineError {
  return new VitrineError('overloaded', message, { retryAfterS: 1 });
}

/** @param client where bodies go; `createTraceStoreClient` */
export function createOtlpReceiver(
  client: Pick<TraceStoreClient, 'ingest' | 'isBehind'>,
  options: OtlpReceiverOptions = {},
): OtlpReceiver {
  return new HttpReceiver(client, options);
}
