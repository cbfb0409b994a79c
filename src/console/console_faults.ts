/** What a drill can do to the console: close its receiver, fill its disk, set its clock. Serving never notices. */
import type { Log } from '../contract/log.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import { followFault } from '../lifecycle/follow_fault.ts';
import type { TraceStoreClient } from '../traces/store_client.ts';
import { type Clock, SYSTEM_CLOCK } from './evaluator/ticker.ts';

/**
 * The clock by which the console scrapes, evaluates and tells of alerts; ahead of the machine's, or behind, while a
 * drill asks for it. The machine's own cannot be set for one process. Spans keep the clock of whoever recorded them.
 */
export function clockOf(faults: FaultReader | undefined): Clock {
  if (faults === undefined) return SYSTEM_CLOCK;
  return {
    ...SYSTEM_CLOCK,
    wallMs: () => SYSTEM_CLOCK.wallMs() + (faults.active ? faults.jumpMs('clock') : 0),
  };
}

export interface ReceiverPort {
  /** Connections are cut, and new ones refused. */
  closeOtlp(): Promise<void>;
  /** Again on the same port. @throws StartupError when another process has taken it */
  openOtlp(): Promise<void>;
}

/** Only where drills are allowed. */
export function followConsoleFaults(
  deps: {
    readonly faults: FaultReader;
    readonly store: Pick<TraceStoreClient, 'setFull'>;
    readonly log: Log;
  },
  receiver: ReceiverPort,
): AsyncDisposable {
  const { faults, store, log } = deps;
  const followers = new AsyncDisposableStack();
  followers.use(
    followFault(
      {
        wanted: () => faults.active && faults.error('otlp_receiver'),
        enter: () => receiver.closeOtlp(),
        leave: () => receiver.openOtlp(),
      },
      'the port of the OTLP receiver closed',
      log,
    ),
  );
  followers.use(
    followFault(
      {
        wanted: () => faults.active && faults.error('trace_store'),
        enter: () => store.setFull(true),
        leave: () => store.setFull(false),
      },
      'the trace database at the size that it has',
      log,
    ),
  );
  return followers;
}
