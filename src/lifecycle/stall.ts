/** Lets the main thread stand still while a drill asks for it, as code that computes for too long would. */
import type { FaultReader } from './faults.ts';

/** Between two stalls the event loop turns for so long: heartbeats and scrapes that wait are answered. */
const TURN_MS = 20;

/** Only where drills are allowed. Disposing ends it. */
export function stallOnFault(faults: FaultReader): Disposable {
  let timer: NodeJS.Timeout | undefined;
  // Not an interval: one that is late fires again at once.
  const next = (): void => {
    timer = setTimeout(() => {
      if (faults.active) faults.passSync('event_loop');
      next();
    }, TURN_MS);
    timer.unref();
  };
  next();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
