import { type Drill, MINUTE_S } from '../drill.ts';
import { holdAtFirstWorker } from '../hold.ts';

/** Above the 200 ms of its alert, and far below what a supervisor takes for a hang. */
const STALL_MS = 500;

export const STALL: Drill = {
  name: 'stall',
  summary: `the event loop of one worker stands still for ${STALL_MS} ms, again and again`,
  place: ({ workers }) => `the main thread of ${workers[0]}`,
  inject: holdAtFirstWorker('event_loop', { delayMs: STALL_MS }),
  lifted: 'it turns again',
  // Every query comes in a moment in which it turns, or waits for one: most wait twice.
  feltFromMs: STALL_MS / 2,
  alerts: [{ name: 'VitrineEventLoopDelayed', of: 'worker', firesS: 8 * MINUTE_S, clearsS: 7 * MINUTE_S }],
  evidence: { subject: 'other', circumstance: 'event_loop', at: 'first_worker' },
};
