/** What a drill may ask of a supervised process without losing it. */
import type { DrillContext } from './drill.ts';

/** A restart, and what a busy machine adds to it. */
const SLACK_MS = 10_000;

/**
 * Waits until the first worker may be restarted so many times.
 * @throws Error when that is more than its supervisor ever allows
 */
export async function spareRestarts({ doors, target, until }: DrillContext, restarts: number): Promise<void> {
  const [worker = ''] = target.workers;
  const { restartLimit, restartWindowMs } = await doors.life(worker);
  if (restartLimit < restarts) {
    throw new Error(
      `${worker} is given up after ${restartLimit} restarts, and this takes ${restarts}: start the service with VITRINE_LIFECYCLE_RESTART_LIMIT=${restarts} or more`,
    );
  }
  const spared = await until(`waiting until ${worker} may restart`, restartWindowMs + SLACK_MS, async () => {
    const life = await doors.life(worker).catch(() => undefined);
    // What was counted at its start leaves the window at the latest when it has lived as long.
    const used = life === undefined || life.upMs < restartWindowMs ? (life?.restarts ?? restartLimit) : 0;
    return restartLimit - used >= restarts;
  });
  if (!spared) throw new Error(`${worker} keeps restarting without any fault; find its cause first`);
}

/**
 * The first worker has to hang for so long and live.
 * @param neededMs until its alert has fired and told why
 * @throws Error when its supervisor kills it before
 */
export async function sparePatience({ doors, target }: DrillContext, neededMs: number): Promise<void> {
  const [worker = ''] = target.workers;
  const { hangTimeoutMs } = await doors.life(worker);
  if (hangTimeoutMs >= neededMs) return;
  throw new Error(
    `${worker} is killed when it hangs for ${hangTimeoutMs} ms, before its alert fires at this time scale: start the service with VITRINE_LIFECYCLE_HANG_TIMEOUT_MS=${Math.ceil(neededMs / 1000) * 1000} or more`,
  );
}
