/** The life of the process that supervises the others: its signals and its exit code. */
import type { Log } from '../contract/log.ts';
import { EXIT_CONFIG, EXIT_FAILED, EXIT_OK } from './service_process.ts';
import { takeStopSignals } from './stop_signals.ts';
import type { Supervision } from './supervision.ts';

/**
 * Ends the tree on the first signal in order, on the second by force.
 * @returns the exit code: 0 when everything drained in time, 78 when the configuration has to change, else 1
 */
export async function superviseUntilEnd(supervision: Supervision, log: Log): Promise<number> {
  takeStopSignals({
    first: (signal) => {
      log.info('draining', { signal });
      void supervision.stop();
    },
    again: (signal) => {
      log.warn('stopping by force', { signal });
      void supervision.stop();
    },
  });
  // `vitrine up` holds a channel to us, so that we end with it even when it is killed.
  process.once('disconnect', () => void supervision.stop());
  const { cause, clean, message } = await supervision.ended;
  if (cause === 'asked') return clean ? EXIT_OK : EXIT_FAILED;
  log.error(message ?? 'nothing is left to supervise');
  return cause === 'fatal' ? EXIT_CONFIG : EXIT_FAILED;
}
