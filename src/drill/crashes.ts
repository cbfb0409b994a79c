/** Kills one process again and again, as a query that takes it down would. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultPoint } from '../contract/fault_points.ts';
import type { FaultDoors } from './fault_doors.ts';

const POLL_MS = 50;
/** A death that does not come, or a restart. */
const WAIT_LIMIT_MS = 30_000;
/**
 * A restart shows in a counter of uptime when the life before was longer than the new one at its first scrape. So
 * each life lasts as long as its restart took, and this.
 */
const LIFE_MS = 1500;

async function until(limitMs: number, signal: AbortSignal, done: () => Promise<boolean>): Promise<boolean> {
  const startMs = performance.now();
  while (!signal.aborted && performance.now() - startMs < limitMs) {
    if (await done()) return true;
    await pause(POLL_MS);
  }
  return false;
}

/** @returns how many times it died: until `enough` says so, and at most `limit` times */
export async function crashRepeatedly(
  doors: FaultDoors,
  options: {
    readonly process: string;
    readonly point: FaultPoint;
    readonly limit: number;
    /** Asked when it lives again. */
    readonly enough: () => Promise<boolean>;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { process, point, limit, enough, signal } = options;
  const isUp = async (): Promise<boolean> => (await doors.processes()).includes(process);
  // Set again and again: a lease must not lapse while a busy process waits for its first query.
  const isGone = (): Promise<boolean> =>
    doors.set(process, point, { crash: true }).then(
      () => false,
      () => true,
    );
  let died = 0;
  try {
    while (died < limit && (await until(WAIT_LIMIT_MS, signal, isGone))) {
      died += 1;
      const goneAtMs = performance.now();
      if (!(await until(WAIT_LIMIT_MS, signal, isUp))) break;
      await pause(performance.now() - goneAtMs + LIFE_MS);
      if (await enough()) break;
    }
  } finally {
    await doors.lift(process, point).catch(() => {});
  }
  return died;
}
