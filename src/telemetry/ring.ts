/**
 * A ring of bytes in shared memory between one producer (the serving thread) and one consumer (the export
 * thread). Records cross as they are: nothing is cloned, queued in the runtime, or allocated per record.
 *
 * Layout: Int32 header, then data. Positions count bytes modulo 2^32 and only ever grow; capacity is a power
 * of two, so they map to offsets by a mask. A record is u32 length + payload, padded to 4 bytes, and never
 * wraps: what does not fit before the end is skipped by a length of SKIP.
 *
 * The consumer frees a record only when its fate is decided (accepted by the receiver, or dropped and
 * counted), so a crash of the export thread loses nothing: its successor reads from the same place.
 */
const HEADER_INTS = 64;
const HEADER_BYTES = HEADER_INTS * 4;
const SKIP = 0xffffffff;
const WRITE = 0;
const READ = 1;
/** First of the ints that the export thread counts in; see export_protocol.ts. */
export const RING_SHARED_INTS = 8;

export function ringBuffer(capacityBytes: number): SharedArrayBuffer {
  let capacity = 64 * 1024;
  while (capacity < capacityBytes) capacity *= 2;
  return new SharedArrayBuffer(HEADER_BYTES + capacity);
}

/** The Int32 header, for flags and counters beyond the two positions. */
export function ringInts(shared: SharedArrayBuffer): Int32Array {
  return new Int32Array(shared, 0, HEADER_INTS);
}

export class RingWriter {
  readonly capacityBytes: number;
  readonly #ints: Int32Array;
  readonly #data: Buffer;
  #position: number;

  constructor(shared: SharedArrayBuffer) {
    this.#ints = ringInts(shared);
    this.#data = Buffer.from(shared, HEADER_BYTES);
    this.capacityBytes = this.#data.length;
    this.#position = Atomics.load(this.#ints, WRITE) >>> 0;
  }

  /** Bytes that wait for the consumer. */
  usedBytes(): number {
    return (this.#position - (Atomics.load(this.#ints, READ) >>> 0)) >>> 0;
  }

  /**
   * Copies one record in.
   * @returns false when there is no room: nothing was written
   */
  write(source: Buffer, lengthBytes: number): boolean {
    const data = this.#data;
    const size = 4 + ((lengthBytes + 3) & ~3);
    let offset = this.#position & (this.capacityBytes - 1);
    const untilEnd = this.capacityBytes - offset;
    const skipped = untilEnd < size ? untilEnd : 0;
    if (this.usedBytes() + skipped + size > this.capacityBytes) return false;
    if (skipped > 0) {
      data.writeUInt32LE(SKIP, offset);
      offset = 0;
    }
    data.writeUInt32LE(lengthBytes, offset);
    source.copy(data, offset + 4, 0, lengthBytes);
    this.#position = (this.#position + skipped + size) >>> 0;
    Atomics.store(this.#ints, WRITE, this.#position | 0);
    return true;
  }
}

export class RingReader {
  readonly #ints: Int32Array;
  readonly #data: Buffer;
  readonly #mask: number;
  #position: number;

  constructor(shared: SharedArrayBuffer) {
    this.#ints = ringInts(shared);
    this.#data = Buffer.from(shared, HEADER_BYTES);
    this.#mask = this.#data.length - 1;
    this.#position = Atomics.load(this.#ints, READ) >>> 0;
  }

  /** Bytes written and not yet read by next(). */
  pendingBytes(): number {
    return ((Atomics.load(this.#ints, WRITE) >>> 0) - this.#position) >>> 0;
  }

  /** The next record, valid until commit(); undefined when there is none. */
  next(): Buffer | undefined {
    for (;;) {
      if (this.pendingBytes() === 0) return undefined;
      const offset = this.#position & this.#mask;
      const length = this.#data.readUInt32LE(offset);
      if (length === SKIP) {
        this.#position = (this.#position + this.#data.length - offset) >>> 0;
        continue;
      }
      this.#position = (this.#position + 4 + ((length + 3) & ~3)) >>> 0;
      return this.#data.subarray(offset + 4, offset + 4 + length);
    }
  }

  /** Frees everything that next() returned. */
  commit(): void {
    Atomics.store(this.#ints, READ, this.#position | 0);
  }
}
