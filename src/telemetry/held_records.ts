/**
 * Records that wait for the gateway's verdict (mode `retroactive`), by the attempt that they belong to.
 * Bounded by count and bytes: the oldest leave first, and count as not kept. A verdict that comes before its
 * record is remembered, within the same bound on count.
 */
import type { BatchRecord } from './batch_record.ts';

const HELD_LIMIT = 8192;
const HELD_LIMIT_BYTES = 8 * 1024 * 1024;

export interface HeldRecords {
  hold(attemptSpanId: string, records: readonly Buffer[], batch: BatchRecord | undefined): void;
  /** @returns how many of these were at hand and are kept now */
  keep(attemptSpanIds: readonly string[]): number;
}

interface Held {
  readonly records: readonly Buffer[];
  readonly bytes: number;
  readonly batch: BatchRecord | undefined;
}

export interface HeldRecordsDeps {
  /** Hands a record to the export thread. @returns false when the ring was full */
  readonly accept: (record: Buffer) => boolean;
  readonly count: (outcome: 'kept' | 'not_kept' | 'dropped') => void;
}

export function createHeldRecords({ accept, count }: HeldRecordsDeps): HeldRecords {
  const held = new Map<string, Held>();
  const wanted = new Set<string>();
  let heldBytes = 0;

  const release = ({ records, batch }: Held): void => {
    const accepted = records.map(accept);
    count(accepted[0] ? 'kept' : 'dropped');
    batch?.keep();
  };

  return {
    hold(attemptSpanId, records, batch) {
      const entry: Held = { records, batch, bytes: records.reduce((sum, record) => sum + record.length, 0) };
      if (wanted.delete(attemptSpanId)) {
        release(entry);
        return;
      }
      held.set(attemptSpanId, entry);
      heldBytes += entry.bytes;
      while (held.size > HELD_LIMIT || heldBytes > HELD_LIMIT_BYTES) {
        const [oldest, gone] = held.entries().next().value as [string, Held];
        held.delete(oldest);
        heldBytes -= gone.bytes;
        count('not_kept');
      }
    },
    keep(attemptSpanIds) {
      let kept = 0;
      for (const id of attemptSpanIds) {
        const entry = held.get(id);
        if (entry === undefined) {
          if (wanted.size >= HELD_LIMIT) wanted.delete(wanted.values().next().value as string);
          wanted.add(id);
          continue;
        }
        held.delete(id);
        heldBytes -= entry.bytes;
        release(entry);
        kept += 1;
      }
      return kept;
    },
  };
}
