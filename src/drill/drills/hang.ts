import { type Drill, MINUTE_S } from '../drill.ts';
import { holdAtFirstWorker } from '../hold.ts';
import { sparePatience } from '../process_life.ts';

/** Longer than the drill needs it; lifted before, or lapsed with its lease. */
const HANG_MS = 60_000;

/** Its alert holds for a minute, and sees it with the second scrape or evaluation. */
const ALERT_S = 90;
/** A scrape times out after two seconds at least, whatever the scale; evidence is due within three. */
const SCRAPE_AND_EVIDENCE_MS = 5000;

export const HANG: Drill = {
  name: 'hang',
  summary: 'the event loop of one worker stands still',
  place: ({ workers }) => `the main thread of ${workers[0]}`,
  prepare: (context) => sparePatience(context, (ALERT_S * 1000) / context.timeScale + SCRAPE_AND_EVIDENCE_MS),
  inject: holdAtFirstWorker('event_loop', { delayMs: HANG_MS }),
  lifted: 'it turns again',
  feltFromMs: 1000,
  alerts: [{ name: 'VitrineTargetDown', of: 'worker', firesS: 3 * MINUTE_S, clearsS: 2 * MINUTE_S }],
  evidence: { subject: 'processes', at: 'first_worker' },
};
