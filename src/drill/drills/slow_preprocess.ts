import type { Drill } from '../drill.ts';
import { holdAtWorkers, ofWorkers } from '../hold.ts';
import { SLOW_ALERTS, SLOW_MS } from '../slow.ts';

export const SLOW_PREPROCESS: Drill = {
  name: 'slow-preprocess',
  summary: `every query is prepared ${SLOW_MS} ms longer`,
  place: ofWorkers('preprocess'),
  inject: holdAtWorkers('preprocess', { delayMs: SLOW_MS }),
  lifted: 'the fault is gone',
  feltFromMs: SLOW_MS,
  alerts: SLOW_ALERTS,
  evidence: { subject: 'latency', stage: 'preprocess', at: 'workers' },
};
