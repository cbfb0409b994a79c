/**
 * Attempts that turned out to be worth keeping (mode `retroactive`), collected until the gateway tells their
 * workers. Bounded: beyond the limit the oldest verdicts of a worker are forgotten, and its part of those
 * traces stays out.
 */
const VERDICTS_PER_WORKER_LIMIT = 4096;
const WORKER_LIMIT = 1024;

export interface LateVerdicts {
  add(worker: string, attemptSpanId: string): void;
  /** By worker, since the last call. */
  take(): Map<string, string[]>;
}

export function createLateVerdicts(): LateVerdicts {
  let byWorker = new Map<string, string[]>();
  return {
    add(worker, attemptSpanId) {
      let ids = byWorker.get(worker);
      if (ids === undefined) {
        if (byWorker.size >= WORKER_LIMIT) return;
        ids = [];
        byWorker.set(worker, ids);
      }
      if (ids.length >= VERDICTS_PER_WORKER_LIMIT) ids.shift();
      ids.push(attemptSpanId);
    },
    take() {
      const taken = byWorker;
      byWorker = new Map();
      return taken;
    },
  };
}
