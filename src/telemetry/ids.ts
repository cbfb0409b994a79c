/** Trace and span ids from the system's random source, drawn in blocks: one system call for many ids. */
import { randomFillSync } from 'node:crypto';

const BLOCK_BYTES = 8192;
const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
let used = BLOCK_BYTES;

/** Small: an id is a slice of the text, and whoever keeps one (an exemplar) keeps the text. */
const TEXT_BYTES = 256;
let text = '';
let usedChars = 0;

function hex(chars: number): string {
  if (usedChars + chars > text.length) {
    if (used + TEXT_BYTES > BLOCK_BYTES) refill();
    text = block.toString('hex', used, used + TEXT_BYTES);
    used += TEXT_BYTES;
    usedChars = 0;
  }
  usedChars += chars;
  return text.slice(usedChars - chars, usedChars);
}

function refill(): void {
  randomFillSync(block);
  used = 0;
}

const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** 32 hex digits, never all zero. */
export function newTraceId(): string {
  const id = hex(32);
  return id === NO_TRACE ? newTraceId() : id;
}

/** 16 hex digits, never all zero. */
export function newSpanId(): string {
  const id = hex(16);
  return id === NO_SPAN ? newSpanId() : id;
}

/** Writes the eight bytes of a span id, never all zero. */
export function writeSpanId(target: Uint8Array, at: number): void {
  if (used + 8 > BLOCK_BYTES) refill();
  let any = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = block[used + index] as number;
    any |= byte;
    target[at + index] = byte;
  }
  used += 8;
  if (any === 0) writeSpanId(target, at);
}

export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text) && text !== NO_TRACE;
}
