import type { Drill } from '../drill.ts';
import { holdAtWorkers, ofWorkers } from '../hold.ts';
import { SLOW_ALERTS, SLOW_MS } from '../slow.ts';

export const SLOW_COMPUTE: Drill = {
  name: 'slow-compute',
  summary: `every batch computes ${SLOW_MS} ms longer`,
  place: ofWorkers('compute'),
  inject: holdAtWorkers('compute', { delayMs: SLOW_MS }),
  lifted: 'the fault is gone',
  feltFromMs: SLOW_MS,
  alerts: SLOW_ALERTS,
  evidence: { subject: 'latency', stage: 'compute', at: 'workers' },
};
