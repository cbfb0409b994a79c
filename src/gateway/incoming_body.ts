/**
 * A query's body on its way in: whole, in memory, because it may have to be sent twice. Bounded per query and,
 * by admission, over all queries; both are checked from `content-length` before a byte is read, and as it
 * comes when it is chunked.
 */
import type { IncomingMessage } from 'node:http';
import type { VitrineError } from '../contract/errors.ts';
import type { Admission } from './admission.ts';
import { announcedBytes } from './infer_headers.ts';
import { overloaded, tooLarge } from './refusals.ts';

export interface BodyOwner {
  bodyReceived(body: Buffer): void;
  /** It grew beyond a limit; nothing more is read. */
  bodyRefused(error: VitrineError): void;
}

const EMPTY = Buffer.alloc(0);

export class IncomingBody {
  readonly #request: IncomingMessage;
  readonly #admission: Admission;
  readonly #limitBytes: number;
  #owner: BodyOwner | undefined;
  #first: Buffer | undefined;
  #rest: Buffer[] | undefined;
  #arrivedBytes = 0;
  #heldBytes = 0;

  constructor(request: IncomingMessage, admission: Admission, limitBytes: number) {
    this.#request = request;
    this.#admission = admission;
    this.#limitBytes = limitBytes;
  }

  /**
   * Takes room for what is announced.
   * @throws VitrineError `payload_too_large`, `overloaded`
   */
  reserve(): void {
    const announced = announcedBytes(this.#request.headers) ?? 0;
    if (announced > this.#limitBytes) throw tooLarge(this.#limitBytes);
    this.#hold(announced);
  }

  /** Begins to read; the owner hears of it once. */
  read(owner: BodyOwner): void {
    this.#owner = owner;
    this.#request.on('data', (chunk: Buffer) => this.#arrived(chunk));
    this.#request.on('end', () => this.#ended());
  }

  /** Takes no more: the owner hears nothing, and what came is dropped. The room is kept until release(). */
  stop(): void {
    this.#owner = undefined;
    this.#first = undefined;
    this.#rest = undefined;
  }

  /** Counts bytes that came to the query in another way. */
  holdAnswer(bytes: number): void {
    this.#admission.holdAnswer(bytes);
    this.#heldBytes += bytes;
  }

  /** Gives back all room. */
  release(): void {
    this.#admission.release(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #hold(bytes: number): void {
    if (!this.#admission.hold(bytes)) {
      throw overloaded(`${this.#admission.limits.bytesLimit} bytes of bodies and answers are in flight`);
    }
    this.#heldBytes += bytes;
  }

  #arrived(chunk: Buffer): void {
    if (this.#owner === undefined) return;
    this.#arrivedBytes += chunk.length;
    if (this.#arrivedBytes > this.#heldBytes) {
      const error = this.#grow();
      if (error !== undefined) {
        const owner = this.#owner;
        this.stop();
        owner.bodyRefused(error);
        return;
      }
    }
    if (this.#first === undefined) this.#first = chunk;
    else if (this.#rest === undefined) this.#rest = [chunk];
    else this.#rest.push(chunk);
  }

  /** Takes room for what arrived beyond the announced length. @returns the refusal when there is none */
  #grow(): VitrineError | undefined {
    if (this.#arrivedBytes > this.#limitBytes) return tooLarge(this.#limitBytes);
    try {
      this.#hold(this.#arrivedBytes - this.#heldBytes);
      return undefined;
    } catch (error) {
      return error as VitrineError;
    }
  }

  #ended(): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    const first = this.#first ?? EMPTY;
    const body = this.#rest === undefined ? first : Buffer.concat([first, ...this.#rest]);
    this.stop();
    owner.bodyReceived(body);
  }
}
