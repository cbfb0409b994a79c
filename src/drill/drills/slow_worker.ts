import { type Drill, MINUTE_S } from '../drill.ts';
import { holdAtFirstWorker } from '../hold.ts';
import { SLOW_MS } from '../slow.ts';

/** One worker of several, which balancing spares: too few queries are slow for the budget's alert. */
export const SLOW_WORKER: Drill = {
  name: 'slow-worker',
  workersMin: 2,
  // Enough at a time for balancing to go there for one query in twenty.
  loadFactor: 7,
  summary: `one worker of several computes ${SLOW_MS} ms longer`,
  place: ({ workers }) => `compute of ${workers[0]}`,
  inject: holdAtFirstWorker('compute', { delayMs: SLOW_MS }),
  lifted: 'the fault is gone',
  feltFromMs: SLOW_MS,
  alerts: [{ name: 'VitrineLatencyP99High', of: 'model', firesS: 10 * MINUTE_S, clearsS: 6 * MINUTE_S }],
  evidence: { subject: 'latency', stage: 'compute', at: 'first_worker' },
};
