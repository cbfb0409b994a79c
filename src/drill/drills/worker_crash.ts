import { crashRepeatedly } from '../crashes.ts';
import { type Drill, MINUTE_S } from '../drill.ts';
import { spareRestarts } from '../process_life.ts';

/** A restart that no scrape saw costs one more than the alert asks for. */
const CRASH_LIMIT = 4;

export const WORKER_CRASH: Drill = {
  name: 'worker-crash',
  summary: 'one worker is killed again and again, each time by a query',
  place: ({ workers }) => `compute of ${workers[0]}`,
  prepare: (context) => spareRestarts(context, CRASH_LIMIT),
  async inject({ doors, target, haveFired, signal }) {
    const process = target.workers[0] ?? '';
    const stop = new AbortController();
    let problem: string | undefined;
    const crashes = crashRepeatedly(doors, {
      process,
      point: 'compute',
      limit: CRASH_LIMIT,
      enough: haveFired,
      signal: AbortSignal.any([stop.signal, signal]),
    }).then(
      (count) => {
        if (count === 0) problem = `no query took ${process} down`;
      },
      (error: Error) => {
        problem = error.message;
      },
    );
    return {
      get problem() {
        return problem;
      },
      async [Symbol.asyncDispose]() {
        stop.abort();
        await crashes;
      },
    };
  },
  lifted: 'no worker is killed any more',
  feltFromMs: 200,
  feltWithoutOthers: true,
  alerts: [{ name: 'VitrineProcessRestarting', of: 'worker', firesS: 15 * MINUTE_S, clearsS: 21 * MINUTE_S }],
  evidence: { subject: 'processes', at: 'first_worker' },
};
