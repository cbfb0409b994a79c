/** Reads a request's body into one buffer, within a limit and within the memory that all bodies may take. */
import type { IncomingMessage } from 'node:http';
import type { ByteBudget } from '../batching/byte_budget.ts';
import { VitrineError } from '../contract/errors.ts';

export interface BodyLimits {
  readonly limitBytes: number;
  /** The variable that sets limitBytes, for the message. */
  readonly setting: string;
  readonly budget: ByteBudget;
  /** Why there is no room in the budget now. */
  readonly noRoom: () => VitrineError;
}

/** A body and what it holds of the budget; whoever gets it releases `bytes` when the query is answered. */
export interface HeldBody {
  readonly body: Buffer;
  readonly bytes: number;
}

const EMPTY = Buffer.alloc(0);

function tooLarge(limits: BodyLimits): VitrineError {
  return new VitrineError(
    'payload_too_large',
    `the body is larger than ${limits.limitBytes} bytes; send fewer rows per query, or raise ${limits.setting}`,
    { field: 'content-length' },
  );
}

/** The length that the headers announce; undefined for a chunked body. */
function announcedBytes(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length'];
  if (header !== undefined) return Number(header);
  return request.headers['transfer-encoding'] === undefined ? 0 : undefined;
}

/**
 * @throws VitrineError `payload_too_large`, the budget's `noRoom`, `unsupported_media_type` for a compressed
 *   body, all before anything is read when the headers tell; `cancelled` when the caller leaves meanwhile
 */
export function readBody(request: IncomingMessage, limits: BodyLimits): Promise<HeldBody> {
  return new Promise((resolve, reject) => {
    const { limitBytes, budget } = limits;
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      const field = 'content-encoding';
      throw new VitrineError('unsupported_media_type', `${field} is not supported; send the body as it is`, {
        field,
      });
    }
    const announced = announcedBytes(request);
    if (announced !== undefined && announced > limitBytes) throw tooLarge(limits);
    let heldBytes = announced ?? 0;
    if (!budget.tryReserve(heldBytes)) throw limits.noRoom();
    let first: Buffer | undefined;
    let others: Buffer[] | undefined;
    let bytes = 0;
    const fail = (error: VitrineError): void => {
      request.off('data', take).off('end', finish).off('close', leave);
      budget.release(heldBytes);
      heldBytes = 0;
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limitBytes) {
        fail(tooLarge(limits));
        return;
      }
      if (bytes > heldBytes) {
        if (!budget.tryReserve(bytes - heldBytes)) {
          fail(limits.noRoom());
          return;
        }
        heldBytes = bytes;
      }
      if (first === undefined) first = chunk;
      else if (others === undefined) others = [first, chunk];
      else others.push(chunk);
    };
    const finish = (): void => {
      request.off('close', leave);
      const body = others === undefined ? (first ?? EMPTY) : Buffer.concat(others, bytes);
      resolve({ body, bytes: heldBytes });
    };
    const leave = (): void => {
      fail(new VitrineError('cancelled', 'the caller closed the connection before its request was complete'));
    };
    request.on('data', take).on('end', finish).on('close', leave);
  });
}
