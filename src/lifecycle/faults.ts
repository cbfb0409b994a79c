/**
 * The table of faults: for each point of contract/fault_points.ts what happens there, as a lease that lapses by
 * itself. Empty in production; a drill fills it through the socket of fault_socket.ts, a test directly.
 *
 * The table lies in shared memory, so that every thread of the process sees the same faults: inference threads read
 * it with `sharedFaults(buffer)`, the fault socket's thread writes it. Reading costs one load while no fault was ever set.
 */
import { FAULT_POINTS, type FaultPoint, MEMORY_FAULT_LIMIT_BYTES } from '../contract/fault_points.ts';

export interface Fault {
  /** Milliseconds that a query waits at the point. */
  readonly delayMs?: number;
  /** The query fails at the point with `internal`. */
  readonly error?: boolean;
  /** The process is killed at the point, as by `kill -9`. */
  readonly crash?: boolean;
  /** Bytes that the process holds for nothing. */
  readonly bytes?: number;
  /** Milliseconds by which its wall clock is ahead of the machine's; negative: behind. */
  readonly jumpMs?: number;
  /** The fault lapses after this many milliseconds. */
  readonly leaseMs: number;
}

export interface ActiveFault {
  readonly point: FaultPoint;
  readonly delayMs: number;
  readonly error: boolean;
  readonly crash: boolean;
  readonly bytes: number;
  readonly jumpMs: number;
  readonly leftMs: number;
}

/** What a point reads. Hot paths ask `active` first. */
export interface FaultReader {
  /** False while no fault was ever set in this process: then every other answer is 0 or false. */
  readonly active: boolean;
  /** Milliseconds to wait at the point now; 0 without a fault. */
  delayMs(point: FaultPoint): number;
  /** Whether a query should fail at the point now. */
  error(point: FaultPoint): boolean;
  /** Bytes to hold at the point now; 0 without a fault. */
  bytes(point: FaultPoint): number;
  /** By how many milliseconds the point's clock is set now; 0 without a fault. */
  jumpMs(point: FaultPoint): number;
  /** Waits, fails or crashes as the point's fault says. @throws Error when the fault is an error */
  pass(point: FaultPoint): Promise<void>;
  /** As `pass`, for a thread that may block. The wait ends early when the fault is lifted or lapses. */
  passSync(point: FaultPoint): void;
}

export interface Faults extends FaultReader {
  /** For other threads of the process; see sharedFaults. */
  readonly buffer: SharedArrayBuffer;
  /** @throws RangeError when a delay or lease lies outside its limits */
  set(point: FaultPoint, fault: Fault): void;
  clear(point: FaultPoint): void;
  list(): readonly ActiveFault[];
}

export const FAULT_DELAY_LIMIT_MS = 60_000;
export const FAULT_LEASE_LIMIT_MS = 3_600_000;
const JUMP_LIMIT_MS = 7 * 24 * 3_600_000;

/**
 * Doubles per point: delayMs, error, crash, bytes, jumpMs, and when the lease ends, by performance.now(): all threads
 * of a process share its origin, and setting the clock of the machine ends or prolongs no lease.
 */
const SLOTS = 6;
/** The first double says whether a fault was ever set. */
const HEADER = 1;

const SLOT_OF: ReadonlyMap<FaultPoint, number> = new Map(
  FAULT_POINTS.map((point, index) => [point, HEADER + index * SLOTS]),
);

const [DELAY, ERROR, CRASH, BYTES, JUMP, UNTIL] = [0, 1, 2, 3, 4, 5] as const;

/** How soon a blocked thread sees that its fault is over. */
const BLOCKED_LOOK_MS = 20;

/** Reads the table that `createFaults` of the same process made. */
export function sharedFaults(buffer: SharedArrayBuffer): FaultReader {
  const table = new Float64Array(buffer);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const read = (point: FaultPoint, slot: number): number => {
    if (table[0] === 0) return 0;
    const base = SLOT_OF.get(point) ?? 0;
    return (table[base + UNTIL] ?? 0) > performance.now() ? (table[base + slot] ?? 0) : 0;
  };
  const strike = (point: FaultPoint): void => {
    if (read(point, CRASH) !== 0) process.kill(process.pid, 'SIGKILL');
    if (read(point, ERROR) !== 0) throw new Error(`fault injected at ${point}`);
  };
  return {
    get active() {
      return table[0] !== 0;
    },
    delayMs: (point) => read(point, DELAY),
    error: (point) => read(point, ERROR) !== 0,
    bytes: (point) => read(point, BYTES),
    jumpMs: (point) => read(point, JUMP),
    pass: async (point) => {
      const delayMs = read(point, DELAY);
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      strike(point);
    },
    passSync: (point) => {
      const startMs = performance.now();
      for (;;) {
        const leftMs = read(point, DELAY) - (performance.now() - startMs);
        if (leftMs <= 0) break;
        Atomics.wait(sleeper, 0, 0, Math.min(leftMs, BLOCKED_LOOK_MS));
      }
      strike(point);
    },
  };
}

function within(name: string, value: number, limit: number): void {
  if (!(value >= 0 && value <= limit)) throw new RangeError(`${name} must lie between 0 and ${limit}`);
}

/** @param buffer of the table that another thread of the process made; a new table without it */
export function createFaults(
  buffer: SharedArrayBuffer = new SharedArrayBuffer(
    (HEADER + FAULT_POINTS.length * SLOTS) * Float64Array.BYTES_PER_ELEMENT,
  ),
): Faults {
  const table = new Float64Array(buffer);
  const reader = sharedFaults(buffer);
  return {
    get active() {
      return table[0] !== 0;
    },
    delayMs: reader.delayMs,
    error: reader.error,
    bytes: reader.bytes,
    jumpMs: reader.jumpMs,
    pass: reader.pass,
    passSync: reader.passSync,
    buffer,
    set: (point, fault) => {
      within('delayMs', fault.delayMs ?? 0, FAULT_DELAY_LIMIT_MS);
      within('bytes', fault.bytes ?? 0, MEMORY_FAULT_LIMIT_BYTES);
      within('the size of jumpMs', Math.abs(fault.jumpMs ?? 0), JUMP_LIMIT_MS);
      within('leaseMs', fault.leaseMs, FAULT_LEASE_LIMIT_MS);
      const base = SLOT_OF.get(point) ?? 0;
      table[base + DELAY] = fault.delayMs ?? 0;
      table[base + ERROR] = fault.error ? 1 : 0;
      table[base + CRASH] = fault.crash ? 1 : 0;
      table[base + BYTES] = fault.bytes ?? 0;
      table[base + JUMP] = fault.jumpMs ?? 0;
      table[base + UNTIL] = performance.now() + fault.leaseMs;
      table[0] = 1;
    },
    clear: (point) => {
      table[(SLOT_OF.get(point) ?? 0) + UNTIL] = 0;
    },
    list: () => {
      const nowMs = performance.now();
      return FAULT_POINTS.flatMap((point) => {
        const base = SLOT_OF.get(point) ?? 0;
        const leftMs = (table[base + UNTIL] ?? 0) - nowMs;
        if (leftMs <= 0) return [];
        return [
          {
            point,
            delayMs: table[base + DELAY] ?? 0,
            error: table[base + ERROR] === 1,
            crash: table[base + CRASH] === 1,
            bytes: table[base + BYTES] ?? 0,
            jumpMs: table[base + JUMP] ?? 0,
            leftMs,
          },
        ];
      });
    },
  };
}
