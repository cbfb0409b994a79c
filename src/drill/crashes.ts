/** Kills one process again and again, as a query that takes it down would. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultPoint } from '../contract/fault_points.ts';
import type { FaultDoors } from './fault_doors.ts';

const POLL_MS = 50;
/** A death that does not come, or a restart. */
const WAIT_LIMIT_MS = 30_000;
/** A restart shows in a counter of uptime when the life before was longer than the new one at its first scrape. */
const LIFE_MS = 1000;

async function until(limitMs: number, signal: AbortSignal, done: () => Promise<boolean>): Promise<boolean> {
  const startMs = performance.now();
  while (!signal.aborted && performance.now() - startMs < limitMs) {
    if (await done()) return true;
    await pause(POLL_MS);
  }
  return false;
}

/** @returns how many times it died */
export async function crashRepeatedly(
  doors: FaultDoors,
  options: {
    readonly process: string;
    readonly point: FaultPoint;
    readonly times: number;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { process, point, times, signal } = options;
  const isUp = async (): Promise<boolean> => (await doors.processes()).includes(process);
  for (let died = 0; died < times; died += 1) {
    const set = await doors.set(process, point, { crash: true }).then(
      () => true,
      () => false,
    );
    const gone = set && (await until(WAIT_LIMIT_MS, signal, async () => !(await isUp())));
    if (!gone) return died;
    const goneAtMs = performance.now();
    if (!(await until(WAIT_LIMIT_MS, signal, isUp))) return died + 1;
    await pause(performance.now() - goneAtMs + LIFE_MS);
  }
  return times;
}
