/** Whether a process is alive and ready, and why not. `/livez` and `/readyz` answer from it. */

export interface Obstacle {
  /** What is in the way: `drain`, `models`, `store`. */
  readonly part: string;
  /** For people: `still loading langid version 1`. */
  readonly reason: string;
}

/**
 * A process is ready when nothing obstructs it, and live until it says that only a restart helps. Neither
 * depends on telemetry.
 */
export interface Health {
  live(): boolean;
  ready(): boolean;
  /** Oldest first; empty when ready. */
  obstacles(): readonly Obstacle[];
  /** Unready because of `part`; a second call for the same part replaces its reason. */
  obstruct(part: string, reason: string): void;
  clear(part: string): void;
  /** Not live, nor ready, ever again. The first reason is kept. */
  fail(reason: string): void;
}

/** Parts are named by code, so there are few; more than this is a programmer's error. */
const PARTS_LIMIT = 256;

/** @param starting the obstacle that a process begins with: it is not ready before it says so */
export function createHealth(starting: Obstacle = { part: 'start', reason: 'starting' }): Health {
  const obstacles = new Map<string, string>([[starting.part, starting.reason]]);
  let failure: string | undefined;
  return {
    live: () => failure === undefined,
    ready: () => failure === undefined && obstacles.size === 0,
    obstacles: () => {
      const list = [...obstacles].map(([part, reason]) => ({ part, reason }));
      return failure === undefined ? list : [{ part: 'process', reason: failure }, ...list];
    },
    obstruct: (part, reason) => {
      obstacles.set(part, reason);
      if (obstacles.size > PARTS_LIMIT) throw new Error(`more than ${PARTS_LIMIT} parts of health`);
    },
    clear: (part) => {
      obstacles.delete(part);
    },
    fail: (reason) => {
      failure ??= reason;
    },
  };
}
