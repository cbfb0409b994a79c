/**
 * What every record of a process shares: where it is written, who decides whether it is kept, and what it is
 * measured with. Records take this one object, so that the hot path follows no chain of closures.
 */
import { type Context, createContextKey } from '@opentelemetry/api';
import type { EventLoopDelay } from './event_loop.ts';
import { type Ledger, STAGE_COUNT } from './ledger.ts';
import type { Logger } from './logger.ts';
import type { AttributeValue, RecordWriter } from './record_codec.ts';
import type { Settling } from './settling.ts';

/** Where finished records go. */
export interface RecordSink {
  readonly writer: RecordWriter;
  /** Hands the writer's record over. @returns false when the ring was full: the record is dropped and counted */
  accept(): boolean;
  /** Hands over a record encoded earlier. */
  acceptBytes(bytes: Buffer): boolean;
  /** New queries are not kept while this is true: the ring is filling faster than it is emptied. */
  underPressure(): boolean;
}

export interface RecordCore {
  readonly sink: RecordSink;
  readonly eventLoop: EventLoopDelay;
  readonly settling: Settling;
  readonly log: Logger;
  readonly count: (outcome: 'kept' | 'not_kept' | 'shed' | 'dropped') => void;
}

/** A record that spans opened through the SDK belong to: they follow its verdict. */
export interface ChildHolder {
  /** undefined = not decided yet. */
  readonly verdict: boolean | undefined;
  /** False once the record is closed: its spans no longer wait for it. */
  readonly open: boolean;
  /** @returns false beyond the limit: the span is dropped */
  hold(record: Buffer): boolean;
}

/** The record in whose context code runs. */
export const RECORD_KEY = createContextKey('vitrine.record');

export function holderIn(context: Context): ChildHolder | undefined {
  return context.getValue(RECORD_KEY) as ChildHolder | undefined;
}

/** Attributes that user code may add to one record. */
export const USER_ATTRIBUTE_LIMIT = 64;
/** SDK spans held per record. */
export const CHILD_LIMIT = 64;

export function writeLedger(writer: RecordWriter, ledger: Ledger): void {
  writer.u32(ledger.present);
  for (let index = 0; index < STAGE_COUNT; index += 1) {
    if (ledger.present & (1 << index)) writer.f64(ledger.stagesMs[index] as number);
  }
}

/** Attributes, after how many there are and how many had no room. */
export function writeAttributes(
  writer: RecordWriter,
  attributes: ReadonlyMap<string, AttributeValue> | undefined,
): void {
  const countAt = writer.length;
  writer.u16(0);
  writer.u16(0);
  if (attributes === undefined) return;
  let written = 0;
  let dropped = 0;
  for (const [key, value] of attributes) {
    if (writer.attribute(key, value)) written += 1;
    else dropped += 1;
  }
  writer.buffer.writeUInt16LE(written, countAt);
  writer.buffer.writeUInt16LE(dropped, countAt + 2);
}
