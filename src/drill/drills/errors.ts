import { BURNS_FAST, type Drill, MINUTE_S } from '../drill.ts';
import { holdAtWorkers, ofWorkers } from '../hold.ts';

export const ERRORS: Drill = {
  name: 'errors',
  summary: 'every batch fails in the model',
  place: ofWorkers('compute'),
  inject: holdAtWorkers('compute', { error: true }),
  lifted: 'the fault is gone',
  feltFromMs: Number.POSITIVE_INFINITY,
  alerts: [
    { name: 'VitrineErrorSurge', of: 'model', firesS: 6 * MINUTE_S, clearsS: 6 * MINUTE_S },
    { ...BURNS_FAST, of: 'availability_objective' },
  ],
  evidence: { subject: 'errors', at: 'workers' },
};
