import { availableMemory } from 'node:process';
import { MEMORY_FAULT_LIMIT_BYTES } from '../../contract/fault_points.ts';
import { type Drill, MINUTE_S } from '../drill.ts';
import { holdFault } from '../hold.ts';

/** Until it holds all that it may: half the window over which growth is predicted. */
const GROWS_S = 15 * MINUTE_S;
const LIMIT_MIB = MEMORY_FAULT_LIMIT_BYTES / 1024 ** 2;

export const MEMORY_GROWTH: Drill = {
  name: 'memory-growth',
  summary: `one worker leaks up to ${LIMIT_MIB} MiB, and reckons with a limit that lies so far away`,
  place: ({ workers }) => `the memory of ${workers[0]}`,
  prepare: async () => {
    if (availableMemory() < 2 * MEMORY_FAULT_LIMIT_BYTES) {
      throw new Error(`the machine has less than ${2 * LIMIT_MIB} MiB to spare: free some first`);
    }
  },
  inject({ doors, target, timeScale }) {
    const startMs = performance.now();
    const bytes = (): number => {
      const grownS = ((performance.now() - startMs) / 1000) * timeScale;
      return Math.max(1, Math.round(MEMORY_FAULT_LIMIT_BYTES * Math.min(1, grownS / GROWS_S)));
    };
    return holdFault(doors, target.workers.slice(0, 1), 'memory', () => ({ bytes: bytes() }));
  },
  lifted: 'it is given back',
  feltFromMs: undefined,
  alerts: [
    { name: 'VitrineProcessMemoryFilling', of: 'worker', firesS: 14 * MINUTE_S, clearsS: 2 * MINUTE_S },
  ],
  evidence: undefined,
};
