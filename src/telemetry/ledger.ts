/**
 * The ledger of one query: how long each stage took. Marks are contiguous: a stage begins where the one
 * before it ended, so what a mark claims is exactly what passed since the last one. The total is read by
 * another hook; what no stage claimed is `unattributed`.
 */
import { STAGES, type Stage } from '../contract/stages.ts';

/** Index of each stage in a ledger's array. */
export const STAGE_INDEX: Readonly<Record<Stage, number>> = Object.freeze(
  Object.fromEntries(STAGES.map((stage, index) => [stage, index])) as Record<Stage, number>,
);
export const STAGE_COUNT = STAGES.length;
const ABSENT = -1;
/** Of doubles: an array that begins with whole numbers is copied when the first fraction comes. */
const NO_STAGES: readonly number[] = Array.from({ length: STAGE_COUNT }, () => ABSENT + 0.5).fill(ABSENT);

export class Ledger {
  readonly startMs: number;
  /** By STAGE_INDEX, in milliseconds; -1 = the stage did not happen. `network` alone may be below zero otherwise: see has(). */
  readonly stagesMs: number[];
  /** Bit i is set when stage i happened. */
  present = 0;
  /** Where the next stage begins. */
  cursorMs: number;

  constructor(startMs: number) {
    this.startMs = startMs;
    this.cursorMs = startMs;
    this.stagesMs = NO_STAGES.slice();
  }

  /** Closes a stage at nowMs. A stage that happens again grows. */
  mark(index: number, nowMs: number): void {
    this.add(index, nowMs - this.cursorMs);
    this.cursorMs = nowMs;
  }

  /** Adds to a stage without moving the cursor: for durations that another process reported. */
  add(index: number, durationMs: number): void {
    const bit = 1 << index;
    if (this.present & bit) {
      (this.stagesMs[index] as number) += durationMs;
    } else {
      this.present |= bit;
      this.stagesMs[index] = durationMs;
    }
  }

  has(index: number): boolean {
    return (this.present & (1 << index)) !== 0;
  }

  /** Milliseconds of a stage, 0 when it did not happen. */
  ms(index: number): number {
    return this.has(index) ? (this.stagesMs[index] as number) : 0;
  }

  sumMs(): number {
    let sum = 0;
    for (let index = 0; index < STAGE_COUNT; index += 1) {
      if (this.present & (1 << index)) sum += this.stagesMs[index] as number;
    }
    return sum;
  }
}

/** Below this a negative network time is a clock's grain, above it a bug: it counts as a violation. */
const NETWORK_TOLERANCE_MS = 0.05;

/** The larger of 1 % of the total and 50 us. */
function remainderToleranceMs(totalMs: number): number {
  return Math.max(totalMs * 0.01, 0.05);
}

export function violatesRemainder(totalMs: number, unattributedMs: number): boolean {
  return Math.abs(unattributedMs) > remainderToleranceMs(totalMs);
}

export function violatesNetwork(networkMs: number): boolean {
  return networkMs < -NETWORK_TOLERANCE_MS;
}
