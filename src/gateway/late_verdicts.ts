/**
 * Mode `retroactive`: whether a trace is kept turns out when its query ends, and the workers that hold their
 * part of it are told then. Best effort: a worker that cannot be told within one try loses its part, and a
 * worker that is still being told waits for the next round.
 */
import { KEEP_LIMIT, KEEP_PATH, writeKeepVerdicts } from '../contract/keep_verdicts.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { controlCall } from './control_call.ts';
import type { WorkerLink } from './worker_link.ts';

const INTERVAL_MS = 50;
/** Verdicts of one worker that wait for their turn; beyond it the oldest are dropped. */
const WAITING_LIMIT = KEEP_LIMIT;

/** Starts telling; stops when disposed. */
export function tellLateVerdicts(
  telemetry: Pick<Telemetry, 'takeLateVerdicts' | 'log' | 'metrics'>,
  links: () => readonly WorkerLink[],
  headers: readonly string[],
): Disposable {
  const dropped = telemetry.metrics.counter('vitrine_gateway_late_verdicts_dropped_total').series({});
  const waiting = new Map<string, string[]>();
  const telling = new Set<string>();

  const tell = async (link: WorkerLink, attemptSpanIds: readonly string[]): Promise<void> => {
    telling.add(link.name);
    try {
      const { status } = await controlCall(link.control, {
        method: 'POST',
        path: KEEP_PATH,
        headers: [...headers, 'content-type', 'application/json'],
        body: writeKeepVerdicts(attemptSpanIds),
      });
      if (status >= 400) dropped.add(attemptSpanIds.length);
    } catch {
      dropped.add(attemptSpanIds.length);
    } finally {
      telling.delete(link.name);
    }
  };

  const round = (): void => {
    for (const [worker, ids] of telemetry.takeLateVerdicts()) {
      const all = [...(waiting.get(worker) ?? []), ...ids];
      if (all.length > WAITING_LIMIT) dropped.add(all.length - WAITING_LIMIT);
      waiting.set(worker, all.slice(-WAITING_LIMIT));
    }
    if (waiting.size === 0) return;
    const known = new Map(links().map((link) => [link.name, link]));
    for (const [worker, ids] of waiting) {
      const link = known.get(worker);
      if (link === undefined || ids.length === 0) {
        dropped.add(ids.length);
        waiting.delete(worker);
      } else if (!telling.has(worker)) {
        void tell(link, ids.splice(0));
      }
    }
  };

  const timer = setInterval(round, INTERVAL_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
